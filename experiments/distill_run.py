"""A distillation: from a config to a table or a tower that training starts from, tracked, and gone on with if it was killed."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import hashlib
import json
import math
import resource
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tokenizers import Tokenizer
from tqdm import tqdm

from experiments.cli import plain
from siamese import tracking
from siamese.data.dialects import Reading, opened_text
from siamese.data.encodings import find_encoding
from siamese.data.files import read_questions
from siamese.data.texts import fingerprints
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.timing import time_left
from siamese.inference.chosen_workers import workers_at
from siamese.model import towers
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.pretrained import cache
from siamese.pretrained.encoders import Encoder
from siamese.pretrained.piece_table import PieceTable
from siamese.pretrained.table_tokenizer import tokenizer_of
from siamese.text.vectorizer import Vectorizer
from siamese.tracking.queries import tracked
from siamese.training.distillation import MAX_LENGTH, distill
from siamese.training.distillation_loop import DistilledEpoch, imitate
from siamese.training.saved_state import SavedState, run_of

OF_TRAINING = ("loss", "training")  # parts of a config that a tower chooses for its training on pairs
NO_CHOICE = (
    "tracking",
    "output",
    "encoder",
    "workers",
    "worker_cores",
)  # parts that do not change the weights; the encoder counts by its digest
EPOCHS = 10  # of a tower of several layers; the closed form of a table is not bettered by any
STATE = ".state"  # behind the name of the output: the folder of what an interrupted distillation goes on from
GB = 2**20  # kibibytes


def run(cfg: DictConfig) -> Path:
    """From unlabeled questions to a table or a tower in the folder that is returned."""
    config = {name: node for name, node in plain(cfg).items() if name not in OF_TRAINING}
    build = partial(instantiate, _convert_="all")
    encoder = build(cfg.encoder)
    if not encoder:
        raise ValueError("encoder must name what to distill from: encoder=minilm, use_multilingual, onnx or hub")
    tower, is_table = _student(build(cfg.get("tower")))
    distillation, tuning = config["distillation"], config["tuning"]
    if tuning["epochs"] is None:
        tuning["epochs"] = 0 if is_table else EPOCHS
    if not tuning["epochs"]:
        distillation["held_out"] = 0.0
    questions, texts = _read(cfg)
    tokenizer = tokenizer_of(cfg.pieces, [*questions, *texts])
    output = Path(cfg.output).expanduser()
    folder, key = output.with_name(output.name + STATE), _key(config, encoder, tokenizer, questions, texts)

    tracking.connect(**config["tracking"])
    name = f"{'table' if is_table else config['tower']['_target_'].rpartition('.')[2]} {encoder.name}"
    with tracking.tracked_run(name, "table", resume=_interrupted(folder, key)) as run_id:
        tracking.log_config(config, OmegaConf.to_yaml(cfg, resolve=True))
        tracking.log_environment(cfg.seed)
        print(f"{len(questions):,} questions and {len(texts):,} other texts, read by {encoder.name}", flush=True)
        with tqdm(total=cfg.distillation.steps, unit="step", disable=not sys.stderr.isatty()) as progress:
            options = {**distillation, "seed": cfg.seed, "on_step": progress.update}
            with workers_at(cfg.workers, cfg.worker_cores) as workers:
                encode = partial(cache.vectors, encoder, workers=workers)
                rows, lessons = distill(encode, tokenizer, questions, texts, **options)
        keras.utils.set_random_seed(cfg.seed)
        student = tower(word_embedding(rows, trainable=True))
        optimizer, saved = partial(build(cfg.optimizer), build(cfg.schedule)), SavedState(folder, key, run_id)
        on_epoch = partial(_track, tuning["epochs"])
        imitate(student, lessons, optimizer, cfg.seed, saved, on_epoch, **tuning)
        (_write_table if is_table else _write_detector)(student, tokenizer, output)
        tracking.log_folder(output, "table")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GB
        sizes = {"pieces": len(rows), "questions": len(questions), "texts": len(texts), "peak_memory_gb": memory}
        tracking.log_metrics(sizes, "table")
    saved.remove()
    print(
        f"{output}: {len(rows):,} pieces, {rows.shape[1]} numbers each; at most {memory:.1f} GB of memory; run {run_id}"
    )
    chosen = "" if is_table else f" tower={config['tower']['_target_'].rpartition('.')[2]}"
    print(f"train with: python -m experiments.train start={output}{chosen}")
    return output


def _student(tower: Any) -> tuple[Callable[[keras.layers.Layer], keras.Model], bool]:
    """What makes the tower from its word embedding, and whether it is only the mean of the words' rows: a table.

    Raises:
        ValueError: the tower reads no words.
    """
    kind = getattr(tower, "func", tower)
    if kind is towers.encoder:
        raise ValueError("tower must read words: averaging, dense, conv1d, bilstm or attention; got encoder")
    if not tower or kind is towers.averaging:  # whose head learns from pairs alone
        return partial(towers.dense, units=()), True
    return tower, False


def _read(cfg: DictConfig) -> tuple[list[str], list[str]]:
    """The distinct questions, and the distinct other texts."""
    reading = Reading(tell=lambda note: print(f"note: {note}", flush=True))
    read = read_questions(cfg.questions, cfg.column, reading)
    if read.bad_rows:
        print(f"{len(read.bad_rows):,} bad rows left out, the first: {read.bad_rows[0]}", flush=True)
    questions, texts = list(dict.fromkeys(read.texts[0])), list[str]()
    if cfg.texts:
        file = Path(cfg.texts).expanduser()
        with opened_text(file, find_encoding(file, cfg.texts, reading)) as lines:
            texts = lines.read().splitlines()
    return questions, list(dict.fromkeys(filter(str.strip, texts)))


def _key(
    config: dict[str, Any], encoder: Encoder, tokenizer: Tokenizer, questions: Sequence[str], texts: Sequence[str]
) -> str:
    """Digest of all that the weights depend on: an interrupted distillation goes on only with the same."""
    own = {name: node for name, node in config.items() if name not in NO_CHOICE}
    digest = hashlib.sha256(json.dumps([own, encoder.digest, tokenizer.to_str()], sort_keys=True).encode())
    for part in (questions, texts):
        digest.update(fingerprints(part).tobytes() if part else b"none")
    return digest.hexdigest()


def _interrupted(folder: Path, key: str) -> str | None:
    """The run that an interrupted distillation began, to be gone on with; None for a new one.

    Raises:
        ValueError: another process is at it.
    """
    known = run_of(folder, key)
    if known is None:
        return None
    try:
        begun = tracked(known)
    except ValueError:  # in another store
        return None
    if begun.status == "RUNNING" and not tracking.process_is_dead(begun.tags["process"]):
        raise ValueError(f"process {begun.tags['process']} (host, pid, start) is at this distillation; wait for it")
    print(f"going on from {folder}, with run {known}", flush=True)
    return known


def _track(epochs: int, epoch: DistilledEpoch) -> None:
    """Track and print an epoch."""
    held_out = epoch.held_out
    shown = f"held out {held_out.loss:.4f} (cosine {held_out.cosine:.4f}, divergence {held_out.divergence:.4f})"
    measured = {f"held_out_{name}": value for name, value in vars(held_out).items()}
    if epoch.number == 0:
        tracking.log_metrics(measured, "epoch", 0)
        print(f"start: {shown}", flush=True)
        return
    measured |= {"loss": epoch.train, "texts_per_second": epoch.texts_per_second}
    tracking.log_metrics(measured, "epoch", epoch.number)
    left = time_left((epochs - epoch.number) * epoch.seconds)
    rate = f"{epoch.texts_per_second:,.0f} texts/s, {left}"
    print(f"epoch {epoch.number}: loss {epoch.train:.4f}, {shown} ({rate})", flush=True)


def _write_table(tower: keras.Model, tokenizer: Tokenizer, output: Path) -> None:
    """Write the rows of a tower that is their mean."""
    PieceTable.of(tokenizer, np.array(tower.get_layer("word_embedding").embeddings)).save(output)


def _write_detector(tower: keras.Model, tokenizer: Tokenizer, output: Path) -> None:
    """Write a detector with the tower. No pairs chose its threshold."""
    vectorizer = Vectorizer(tokenizer, 0, MAX_LENGTH)
    calibration = Calibration(math.nan, temperature=1.0, offset=0.0)
    Detector.from_network(siamese_network(tower, Cosine()), vectorizer, calibration).save(output)
