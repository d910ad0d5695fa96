"""Do two questions ask the same thing? Ask a trained detector.

python -m experiments.predict "How do I reset my password?" "I forgot my password, what now?"
python -m experiments.predict pairs=pairs.csv output=scored.csv run=models:/duplicate-questions@champion
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from experiments.program import explain_mistakes
from siamese import tracking
from siamese.data.files import read_columns
from siamese.detector import Detector

CONFIG = Path(__file__).parent.parent / "conf" / "predict.yaml"


def run(cfg: DictConfig, questions: Sequence[str]) -> pd.DataFrame:
    """Score two questions or a file of pairs; gives the table that is printed or written.

    Columns: question1, question2, similarity and probability in [0, 1], duplicate (bool) and, for a
    file, error: why a row could not be scored (the other columns are then empty).
    """
    if (cfg.pairs is None) == (not questions) or len(questions) not in (0, 2):
        raise ValueError(
            f"give two questions in quotes, or pairs=FILE; got {len(questions)} questions and pairs={cfg.pairs}"
        )
    if cfg.output is not None and Path(cfg.output).suffix not in (".csv", ".jsonl"):
        raise ValueError(f"output must end in .csv or .jsonl, got {cfg.output}")
    tracking.connect(**OmegaConf.to_container(cfg.tracking))
    detector, _ = tracking.load_detector(cfg.run)
    if cfg.pairs is None:
        return score(detector, [(questions[0], questions[1])])
    file = read_columns(cfg.pairs, [cfg.left, cfg.right], None, "skip")
    scored = score(detector, list(zip(*file.texts, strict=True))).set_axis(file.rows)
    scored["error"] = ""
    bad = pd.DataFrame({"error": {row.row: str(row) for row in file.bad_rows}}, dtype=str)
    return pd.concat([scored, bad]).sort_index(kind="stable")


def score(detector: Detector, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Similarity, probability and verdict of each pair."""
    similarity = detector.similarity(pairs)
    return pd.DataFrame(
        {
            "question1": [left for left, _ in pairs],
            "question2": [right for _, right in pairs],
            "similarity": similarity,
            "probability": detector.probability(similarity),
            "duplicate": detector.calibration.duplicate(similarity),
        }
    )


def main() -> None:
    """Read key=value settings and questions from the command line, print or write the verdicts."""
    settings = OmegaConf.load(CONFIG)
    OmegaConf.set_struct(settings, True)
    given = [
        word
        for word in sys.argv[1:]
        if word.split("=")[0] in ("run", "pairs", "left", "right", "output") or word.startswith("tracking.")
    ]
    questions = [word for word in sys.argv[1:] if word not in given]
    cfg = OmegaConf.merge(settings, OmegaConf.from_dotlist(given))
    table = run(cfg, questions)
    if cfg.output is not None:
        write = (
            table.to_csv
            if cfg.output.endswith(".csv")
            else lambda path, index: table.to_json(path, orient="records", lines=True, force_ascii=False)
        )
        write(cfg.output, index=False)
        print(f"{len(table):,} pairs scored, {int(table['duplicate'].eq(True).sum()):,} duplicates; wrote {cfg.output}")
    elif questions:
        pair = table.iloc[0]
        verdict = "duplicate" if pair["duplicate"] else "not duplicate"
        print(f"{verdict}  similarity {pair['similarity']:.4f}, probability {pair['probability']:.1%}")
    else:
        print(table.to_csv(index=False), end="")


if __name__ == "__main__":
    explain_mistakes(main)
