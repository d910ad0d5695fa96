"""Do two questions ask the same thing? Ask a trained detector.

python -m experiments.predict "How do I reset my password?" "I forgot my password, what now?"
python -m experiments.predict pairs=pairs.csv output=scored.csv run=models:/duplicate-questions@champion
python -m experiments.predict pairs=- format=jsonl threshold=precision@0.95 prior=0.01 < pairs.txt

Without run= it is the detector of the training that finished last (see siamese/newest.py). Neither TensorFlow
nor, unless a run id or a registry URI is given, MLflow is started.

Each row that comes in gives one that goes out, in the same order; a file may be larger than memory. From
standard input (two questions with a tab between them, or a JSON object, in each line) the answers are printed
as soon as their lines are there. What is printed before an error stays; `output` is written whole or not at all.
"""

import csv
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from experiments.program import explain_mistakes
from experiments.settings import command_line
from experiments.trained import chosen
from siamese.detector import Detector

STDIN = "-"
READ_AT_ONCE = 2**20  # bytes
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".txt": "text"}
ANSWERS = ("similarity", "probability", "duplicate", "error")

Row = dict[str, Any]  # by column


def run(settings: dict[str, Any], questions: Sequence[str]) -> Iterator[list[Row]]:
    """Score two questions, a file of pairs or lines of standard input, a block of rows at a time.

    A row has what came in, then similarity and probability in [0, 1], duplicate (bool) and error: why it could
    not be scored (the three are then None), otherwise "".

    Args:
        settings: as `command_line` gives them.
        questions: two, or none where `settings` names pairs.
    """
    if (settings["pairs"] is None) == (not questions) or len(questions) not in (0, 2):
        raise ValueError(
            f"give two questions in quotes, or pairs=FILE; got {len(questions)} questions and pairs={settings['pairs']}"
        )
    form(settings)
    detector = chosen(settings, tell=True)
    left, right = settings["left"], settings["right"]
    return (answer(detector, block, left, right) for block in _records(settings, questions))


def answer(detector: Detector, records: Sequence[tuple[Row, str]], left: str, right: str) -> list[Row]:
    """Each record (its values, and why it cannot be scored or "") with similarity, probability and verdict."""
    pairs = [(values[left].strip(), values[right].strip()) for values, error in records if not error]
    similarity = detector.similarity(pairs)
    scores = zip(
        _short(similarity),
        _short(detector.probability(similarity)),
        detector.calibration.duplicate(similarity).tolist(),
        strict=True,
    )
    rows = []
    for values, error in records:
        scored = (None, None, None) if error else next(scores)
        rows.append(values | dict(zip(ANSWERS, (*scored, error), strict=True)))
    return rows


def form(settings: dict[str, Any]) -> str:
    """In what form the answers go out."""
    output, wanted = settings["output"], settings["format"]
    if wanted is not None and (output is not None or wanted not in FORMATS.values()):
        raise ValueError(
            f"format, for what is printed, must be {', '.join(FORMATS.values())}; got {wanted}, output={output}"
        )
    if output is not None and Path(output).suffix not in FORMATS:
        raise ValueError(f"output must end in {', '.join(FORMATS)}, got {output}")
    if output is not None:
        return FORMATS[Path(output).suffix]
    return wanted or ("text" if settings["pairs"] is None else "csv")


def write(blocks: Iterable[list[Row]], file: TextIO, form: str) -> Counter[str]:
    """Write rows, a block at a time: as CSV under a header, as one JSON object a line, or as a line of text each.

    None is an empty cell, or null. The columns of a CSV are those of the first row.

    Returns:
        How many pairs, duplicates and errors there were.
    """
    count, columns = Counter[str](), list[str]()
    for rows in blocks:
        if form == "csv":
            if not columns:
                columns = list(rows[0])
                csv.writer(file, lineterminator="\n").writerow(columns)
            csv.writer(file, lineterminator="\n").writerows([[row.get(name) for name in columns] for row in rows])
        elif form == "jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        else:
            file.writelines(sentence(row) + "\n" for row in rows)
        file.flush()
        count["pairs"] += len(rows)
        count["duplicates"] += sum(row["duplicate"] is True for row in rows)
        count["errors"] += sum(bool(row["error"]) for row in rows)
    return count


def sentence(row: Row) -> str:
    """The answer in words."""
    if row["error"]:
        return f"error  {row['error']}"
    verdict = "duplicate" if row["duplicate"] else "not duplicate"
    return f"{verdict}  similarity {row['similarity']:.4f}, probability {row['probability']:.1%}"


@contextmanager
def destination(output: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that gets its name when it is whole; what was there before stays until then."""
    options: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "newline": ""}
    if output is None:
        with open(sys.stdout.fileno(), "w", closefd=False, **options) as file:
            yield file
        return
    part = Path(f"{output}.part").expanduser()
    try:
        with part.open("w", **options) as file:
            yield file
        os.replace(part, Path(output).expanduser())
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    """Print or write the verdicts on two questions, a file of pairs or lines of standard input."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may stop early, as `head` does
    settings, questions = command_line("predict", sys.argv[1:])
    blocks = run(settings, questions)
    with destination(settings["output"]) as file:
        count = write(blocks, file, form(settings))
    if settings["output"] is not None:
        failed = f", {count['errors']:,} could not be scored" if count["errors"] else ""
        print(f"{count['pairs']:,} pairs, {count['duplicates']:,} duplicates{failed}; wrote {settings['output']}")


def _records(settings: dict[str, Any], questions: Sequence[str]) -> Iterator[list[tuple[Row, str]]]:
    """What is to be answered: two questions, or the blocks of a file (with progress if they go to a file) or stream."""
    left, right = settings["left"], settings["right"]
    if questions:
        yield [({left: questions[0], right: questions[1]}, "")]
        return
    from siamese.data import formats, records  # Parquet and all: not needed for two questions

    if settings["pairs"] == STDIN:
        # a read gives at once what is there, be it one line or many
        yield from records.read_lines(iter(lambda: os.read(sys.stdin.fileno(), READ_AT_ONCE), b""), left, right)
        return
    from tqdm import tqdm

    shown = settings["output"] is not None and sys.stderr.isatty()
    total = formats.count_rows(settings["pairs"]) if shown else None
    with tqdm(total=total, unit="pair", unit_scale=True, disable=not shown) as progress:
        for block in records.read_file(settings["pairs"], left, right):
            yield block
            progress.update(len(block))


def _short(values: np.ndarray) -> list[float]:
    """As few digits as a float32 needs."""
    return [float(str(value)) for value in values.astype(np.float32)]


if __name__ == "__main__":
    with explain_mistakes():
        main()
