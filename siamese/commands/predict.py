"""Do two questions ask the same thing? Ask a trained detector.

python -m experiments.predict "How do I reset my password?" "I forgot my password, what now?"
python -m experiments.predict pairs=pairs.csv output=scored.csv run=models:/duplicate-questions@champion
python -m experiments.predict pairs=- format=jsonl threshold=precision@0.95 prior=0.01 < pairs.txt

Without run= the champion answers, or else the training that finished last. TensorFlow is not started; MLflow only for a
run id or a registry URI.

Each row of the input gives a row of the output, in the same order; a file may be larger than memory. Standard input (two
questions with a tab between them, or a JSON object, in each line) is answered line by line. `output` appears whole or
not at all.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from siamese.commands.arguments import program_arguments
from siamese.commands.detector import chosen
from siamese.commands.output import (
    TABLES,
    TableWriter,
    destination,
    is_unread,
    note,
    note_coverage,
    read_sentence,
    reading,
    shortest,
)
from siamese.data.columns import beside, pair_columns
from siamese.data.questions import require_question
from siamese.detector import Detector
from siamese.evaluation.calibration import verdict_sentence

if TYPE_CHECKING:
    from siamese.data.formats import TableFile

STDIN = "-"
READ_AT_ONCE = 2**20  # bytes
FORMATS = {**TABLES, ".txt": "text"}
ANSWERS = ("similarity", "probability", "duplicate", "error")
READ = ("known_words1", "known_words2", "cut")  # how much of the questions was read
RESERVED = (*ANSWERS, *READ, "model")

Row = dict[str, Any]  # by column


def run(settings: dict[str, Any], questions: Sequence[str]) -> Iterator[list[Row]]:
    """Score two questions, a file of pairs or lines of standard input, a block of rows at a time.

    A row has the columns of the input, then similarity and probability in [0, 1], duplicate (bool) and error: the
    reason why it cannot be scored (all others are then None), otherwise ""; then known_words1 and known_words2, the share of
    the words of each question that the model knows, and cut, how many of the two are longer than it reads. Columns of the
    input with one of these names are kept as input_similarity and so on. JSON has the model, too.
    """
    if (settings["pairs"] is None) == (not questions) or len(questions) not in (0, 2):
        raise ValueError(
            f"give two questions in quotes, or pairs=FILE; got {len(questions)} questions and pairs={settings['pairs']}"
        )
    form(settings)
    for number, question in enumerate(questions, start=1):
        require_question(question, f"question {number}")
    file = _file(settings)
    left, right = settings["left"], settings["right"]
    if file is not None:
        left, right = pair_columns(file.columns, left, right, None, file.name, note)
    detector = chosen(settings, show_threshold=True)
    more = {"model": detector.model} if form(settings) == "jsonl" else {}
    blocks = _records(file, questions, left, right, settings["output"] is not None)
    return ([row | more for row in answer(detector, block, left, right)] for block in blocks)


def answer(detector: Detector, records: Sequence[tuple[Row, str]], left: str, right: str) -> list[Row]:
    """Records (values, and the reason why they cannot be scored or "") with similarity, probability and verdict."""
    pairs = [(values[left].strip(), values[right].strip()) for values, error in records if not error]
    verdicts = detector.verdicts(pairs)
    columns = verdicts.columns() | {
        "similarity": shortest(verdicts.similarity),
        "probability": shortest(verdicts.probability),
        "error": [""] * len(pairs),
    }
    names = (*ANSWERS, *READ)
    scores = zip(*(columns[name] for name in names), strict=True)
    rows = []
    for values, error in records:
        own = zip(beside(list(values), RESERVED), values.values(), strict=True)
        scored = dict.fromkeys(names) | {"error": error} if error else dict(zip(names, next(scores), strict=True))
        rows.append(dict(own) | scored)
    return rows


def form(settings: dict[str, Any]) -> str:
    """The format of the output."""
    output, wanted, known = settings["output"], settings["format"], ", ".join(FORMATS.values())
    if wanted is not None and (output is not None or wanted not in FORMATS.values()):
        raise ValueError(f"format, for what is printed, must be {known}; got {wanted}, output={output}")
    if output is not None and Path(output).suffix not in FORMATS:
        raise ValueError(f"output must end in {', '.join(FORMATS)}, got {output}")
    if output is not None:
        return FORMATS[Path(output).suffix]
    return wanted or ("text" if settings["pairs"] is None else "csv")


def write(blocks: Iterable[list[Row]], file: TextIO, form: str) -> Counter[str]:
    """Write rows, a block at a time: as CSV under a header, as one JSON object a line, or as a line of text each.

    The columns of a CSV are those of the first row.

    Returns:
        The numbers of pairs, duplicates and errors, and of questions that were hardly read, or in part.
    """
    count, table = Counter[str](), TableWriter(file, form)
    for rows in blocks:
        if form == "text":
            file.writelines(sentence(row) + "\n" for row in rows)
            file.flush()
        else:
            table.write(rows)
        count["pairs"] += len(rows)
        count["duplicates"] += sum(row["duplicate"] is True for row in rows)
        count["errors"] += sum(bool(row["error"]) for row in rows)
        count["unread"] += sum(is_unread(row.get(name)) for row in rows for name in READ[:2])
        count["cut"] += sum(row.get("cut") or 0 for row in rows)
    return count


def sentence(row: Row) -> str:
    """The answer in words."""
    if row["error"]:
        return f"error: {row['error']}"
    return verdict_sentence(row["duplicate"], row["similarity"], row["probability"]) + read_sentence(
        [row.get(name) for name in READ[:2]], row.get("cut", 0)
    )


def main() -> None:
    """Print or write the verdicts on two questions, a file of pairs or lines of standard input."""
    with _reader_may_stop():
        settings, questions = program_arguments("predict", __doc__)
        blocks = run(settings, questions)
        with destination(settings["output"]) as file:
            count = write(blocks, file, form(settings))
        note_coverage(2 * (count["pairs"] - count["errors"]), count["unread"], count["cut"])
        if settings["output"] is not None:
            failed = f", {count['errors']:,} could not be scored" if count["errors"] else ""
            print(f"{count['pairs']:,} pairs, {count['duplicates']:,} duplicates{failed}; wrote {settings['output']}")


@contextmanager
def _reader_may_stop() -> Iterator[None]:
    """Within the block, a reader of what is printed that stops early, as `head` does, ends the process quietly."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
        sys.stdout.flush()
    finally:
        signal.signal(signal.SIGPIPE, before)


def _file(settings: dict[str, Any]) -> "TableFile | None":
    """The file of pairs, if one was named."""
    pairs = settings["pairs"]
    if pairs in (None, STDIN):
        return None
    from siamese.data.formats import TableFile  # not needed for two questions

    return TableFile(str(pairs), reading(settings))


def _records(
    file: "TableFile | None", questions: Sequence[str], left: str, right: str, to_file: bool
) -> Iterator[list[tuple[Row, str]]]:
    """The input: two questions, or blocks of a file (with progress if the output is a file) or of a stream."""
    if questions:
        yield [({left: questions[0], right: questions[1]}, "")]
        return
    from siamese.data import records  # not needed for two questions

    if file is None:
        # a read returns at once whatever is available
        yield from records.read_lines(iter(lambda: os.read(sys.stdin.fileno(), READ_AT_ONCE), b""), left, right)
        return
    from tqdm import tqdm

    shown = to_file and sys.stderr.isatty()
    total = file.count_rows() if shown else None
    with tqdm(total=total, unit="pair", unit_scale=True, disable=not shown) as progress:
        for block in records.read_file(file, left, right):
            yield block
            progress.update(len(block))
