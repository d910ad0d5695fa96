"""Do two questions ask the same thing? Ask a trained detector.

python -m experiments.predict "How do I reset my password?" "I forgot my password, what now?"
python -m experiments.predict pairs=pairs.csv output=scored.csv run=models:/duplicate-questions@champion
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from experiments.program import explain_mistakes, plain
from siamese import model_store, tracking
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
    tracking.connect(**plain(cfg.tracking))
    detector, _ = model_store.load_detector(cfg.run)
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


def command_line(words: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Split the words of a command line into settings (key=value) and questions.

    >>> cfg, questions = command_line(["run=abc", "Is 1+1=2?", "What is 1+1?"])
    >>> cfg.run, questions
    ('abc', ['Is 1+1=2?', 'What is 1+1?'])
    """
    settings = OmegaConf.load(CONFIG)
    given = [word for word in words if word.partition("=")[1] and word.partition("=")[0].split(".")[0] in settings]
    cfg = OmegaConf.create(plain(cast(DictConfig, settings)), flags={"struct": True})
    for word in given:
        key, _, value = word.partition("=")
        OmegaConf.update(cfg, key, value or None)
    return cfg, [word for word in words if word not in given]


def write(table: pd.DataFrame, path: str) -> None:
    """Write the table as CSV or JSON Lines, as the path ends."""
    if path.endswith(".jsonl"):
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        table.to_csv(path, index=False)


def main() -> None:
    """Print the verdict on two questions, or print or write the verdicts on a file of pairs."""
    cfg, questions = command_line(sys.argv[1:])
    table = run(cfg, questions)
    if cfg.output is not None:
        write(table, cfg.output)
        print(f"{len(table):,} pairs, {int(table['duplicate'].eq(True).sum()):,} duplicates; wrote {cfg.output}")
    elif questions:
        pair = table.iloc[0]
        verdict = "duplicate" if pair["duplicate"] else "not duplicate"
        print(f"{verdict}  similarity {pair['similarity']:.4f}, probability {pair['probability']:.1%}")
    else:
        print(table.to_csv(index=False), end="")


if __name__ == "__main__":
    with explain_mistakes():
        main()
