"""Do two questions ask the same thing? Ask a trained detector.

python -m experiments.predict "How do I reset my password?" "I forgot my password, what now?"
python -m experiments.predict pairs=pairs.csv output=scored.csv run=models:/duplicate-questions@champion

Without run= it is the detector of the training that finished last (see siamese/newest.py). Neither TensorFlow
nor, unless a run id or a registry URI is given, MLflow is started.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import yaml

from experiments.program import explain_mistakes
from siamese import newest
from siamese.detector import Detector

CONFIG = Path(__file__).parent.parent / "conf" / "predict.yaml"

Table = dict[str, list[Any]]  # column by column, all equally long


def run(settings: dict[str, Any], questions: Sequence[str]) -> Table:
    """Score two questions or a file of pairs; gives the table that is printed or written.

    Columns: question1, question2, similarity and probability in [0, 1], duplicate (bool) and, for a
    file, error: why a row could not be scored (the other columns then hold None).

    Args:
        settings: as `command_line` gives them.
        questions: two, or none where `settings` names a file.
    """
    if (settings["pairs"] is None) == (not questions) or len(questions) not in (0, 2):
        raise ValueError(
            f"give two questions in quotes, or pairs=FILE; got {len(questions)} questions and pairs={settings['pairs']}"
        )
    if settings["output"] is not None and Path(settings["output"]).suffix not in (".csv", ".jsonl"):
        raise ValueError(f"output must end in .csv or .jsonl, got {settings['output']}")
    detector = load(settings["run"], settings["tracking.uri"], settings["tracking.experiment"])
    if settings["pairs"] is None:
        return score(detector, [(questions[0], questions[1])])
    return score_file(detector, settings["pairs"], settings["left"], settings["right"])


def load(wanted: str | None, uri: str, experiment: str) -> Detector:
    """The detector of a folder, of a run or a registry URI of a tracking store, or (None) its newest one."""
    if wanted is None:
        noted = newest.find(uri)
        if noted is not None:
            return Detector.load(noted[1])
    elif Path(wanted).expanduser().is_dir():
        return Detector.load(Path(wanted).expanduser())
    from siamese import model_store, tracking  # they start MLflow, which takes seconds

    tracking.connect(uri, experiment)
    return model_store.load_detector(wanted)[0]


def score(detector: Detector, pairs: Sequence[tuple[str, str]]) -> Table:
    """Similarity, probability and verdict of each pair."""
    similarity = detector.similarity(pairs)
    return {
        "question1": [left for left, _ in pairs],
        "question2": [right for _, right in pairs],
        "similarity": [float(str(value)) for value in similarity],  # as few digits as a float32 needs
        "probability": detector.probability(similarity).tolist(),
        "duplicate": detector.calibration.duplicate(similarity).tolist(),
    }


def score_file(detector: Detector, path: str, left: str, right: str) -> Table:
    """The same for each row of a file, in its order; `left` and `right` name its columns."""
    from siamese.data.files import read_columns  # Parquet and all: not needed for two questions

    file = read_columns(path, [left, right], None, "skip")
    scored = score(detector, list(zip(*file.texts, strict=True)))
    scored["error"] = [""] * len(file.rows)
    bad: Table = {name: [None] * len(file.bad_rows) for name in scored}
    bad["error"] = [str(row) for row in file.bad_rows]
    rows = [*file.rows, *(row.row for row in file.bad_rows)]
    order = sorted(range(len(rows)), key=rows.__getitem__)
    return {name: [(scored[name] + bad[name])[at] for at in order] for name in scored}


def command_line(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Split the words of a command line into settings (key=value) and questions.

    >>> settings, questions = command_line(["run=abc", "Is 1+1=2?", "What is 1+1?"])
    >>> settings["run"], questions
    ('abc', ['Is 1+1=2?', 'What is 1+1?'])
    """
    settings = _dotted(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))
    groups = {name.partition(".")[0] for name in settings}
    questions = []
    for word in words:
        key, equals, value = word.partition("=")
        if key in settings and equals:
            settings[key] = value or None
        elif key.partition(".")[0] in groups and equals:
            raise ValueError(f"there is no setting {key}; the settings are {', '.join(settings)}")
        else:
            questions.append(word)
    return settings, questions


def _dotted(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def write(table: Table, file: TextIO, lines_of_json: bool) -> None:
    """Write the table as CSV with a header, or as one JSON object a line; None is an empty cell, or null."""
    rows = zip(*table.values(), strict=True)
    if lines_of_json:
        file.writelines(json.dumps(dict(zip(table, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    else:
        csv.writer(file, lineterminator="\n").writerows([list(table), *rows])


def main() -> None:
    """Print the verdict on two questions, or print or write the verdicts on a file of pairs."""
    settings, questions = command_line(sys.argv[1:])
    table = run(settings, questions)
    if settings["output"] is not None:
        with open(settings["output"], "w", encoding="utf-8", newline="") as file:
            write(table, file, settings["output"].endswith(".jsonl"))
        duplicates = sum(verdict is True for verdict in table["duplicate"])
        print(f"{len(table['duplicate']):,} pairs, {duplicates:,} duplicates; wrote {settings['output']}")
    elif questions:
        verdict = "duplicate" if table["duplicate"][0] else "not duplicate"
        print(f"{verdict}  similarity {table['similarity'][0]:.4f}, probability {table['probability'][0]:.1%}")
    else:
        write(table, sys.stdout, lines_of_json=False)


if __name__ == "__main__":
    with explain_mistakes():
        main()
