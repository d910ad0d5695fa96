"""Distill a table of word pieces from a sentence encoder: its knowledge, at the speed of a bag of words.

python -m experiments.distill questions=tickets.csv output=tickets_table
python -m experiments.train start=tickets_table data=pairs_file data.train=pairs.csv

The questions need no labels.
"""

import sys
from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from siamese.pretrained.piece_table import PieceTable


def run(cfg: "DictConfig") -> "PieceTable":
    """From unlabeled questions to a table, tracked as a run of its own."""
    config = plain(cfg)
    from functools import partial
    from pathlib import Path

    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from tqdm import tqdm

    from siamese import tracking
    from siamese.data.files import read_questions
    from siamese.pretrained import cache, piece_table
    from siamese.training.distillation import distill

    encoder = instantiate(cfg.encoder, _convert_="all")
    if not encoder:
        raise ValueError("encoder must name what to distill from: encoder=minilm, use_multilingual, onnx or hub")
    tracking.connect(**config["tracking"])
    with tracking.tracked_run(f"table {encoder.name}", "table") as run_id:
        tracking.log_config(config, OmegaConf.to_yaml(cfg, resolve=True))
        tracking.log_environment(seed=0)
        read = read_questions(cfg.questions, cfg.column)
        questions = list(dict.fromkeys(read.texts[0]))
        if read.bad_rows:
            print(f"{len(read.bad_rows):,} bad rows left out, the first: {read.bad_rows[0]}", flush=True)
        texts = Path(cfg.texts).expanduser().read_text(encoding="utf-8").splitlines() if cfg.texts else []
        tokenizer = piece_table.tokenizer_of(cfg.pieces, [*questions, *texts])
        print(f"{len(questions):,} questions and {len(texts):,} other texts, read by {encoder.name}", flush=True)
        with tqdm(total=cfg.distillation.steps, unit="step", disable=not sys.stderr.isatty()) as progress:
            vectors = partial(cache.vectors, encoder)
            rows = distill(vectors, tokenizer, questions, texts, on_step=progress.update, **config["distillation"])
        table = piece_table.PieceTable.of(tokenizer, rows)
        table.save(cfg.output)
        tracking.log_folder(cfg.output, "table")
        tracking.log_metrics({"pieces": len(rows), "questions": len(questions), "texts": len(texts)}, "table")
    print(f"{cfg.output}: {len(rows):,} pieces, {rows.shape[1]} numbers each; run {run_id}")
    print(f"train with: python -m experiments.train start={cfg.output}")
    return table


if __name__ == "__main__":
    hydra_program("distill", __doc__, "experiments.distill:run")
