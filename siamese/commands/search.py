"""Find the questions of a collection that ask what you ask.

python -m experiments.search index=faq.csv "how do i reset my pin"
python -m experiments.search index=faq.csv save=faq                   # keep the index in a folder
python -m experiments.search index=faq append=more.csv delete.topic=archive
python -m experiments.search index=faq where.topic=cards top=3 "how do i reset my pin" "i lost my card"
python -m experiments.search index=faq                                # a dialogue; or a question in each line of stdin

The other columns of the file are kept. TensorFlow is not started; MLflow only for a run id or a registry URI.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from siamese.commands.arguments import program_arguments
from siamese.commands.detector import chosen, in_collection
from siamese.commands.output import (
    TABLES,
    TableWriter,
    destination,
    is_unread,
    note,
    note_bad_rows,
    note_coverage,
    read_sentence,
    reading,
    require_suffix,
    warnings_as_notes,
)
from siamese.data.dialects import Reading
from siamese.data.files import read_question_table
from siamese.data.folders import atomic_path
from siamese.data.locks import exclusive
from siamese.data.questions import require_question, visible
from siamese.detector import Detector
from siamese.evaluation.calibration import SENTENCE_WIDTH, verdict_sentence
from siamese.retrieval.question_index import Collection, Row, answers

FORMATS = ("text", "csv", "jsonl")
PATIENCE = 600  # seconds to wait for another program that changes the same index
ANSWER = ("asked", "similarity", "probability", "duplicate", "known_words", "cut")


def run(settings: dict[str, Any]) -> tuple[Detector, Collection]:
    """The collection, built or loaded, changed and saved as the settings say, and its detector with a threshold for it."""
    _check(settings)
    detector = chosen(settings, ranks=True, collection=True)
    kept = Path(settings["index"]).expanduser()
    how = reading(settings)
    folder = Path(settings["save"]).expanduser() if settings["save"] is not None else kept
    with exclusive(folder, PATIENCE, note) if _changes(settings) else nullcontext():
        collection = read_collection(detector, kept, settings["column"], how, settings["approximate"])
        if settings["delete"]:
            note(f"{collection.delete(settings['delete']):,} questions were taken out")
        if settings["append"] is not None:
            collection.append(_read(settings["append"], settings["column"], how, detector))
        if _changes(settings):
            collection.save(folder)
            note(f"{folder} holds {len(collection):,} questions")
    collection.detector = in_collection(detector, settings, collection.embeddings)
    return collection.detector, collection


def read_collection(
    detector: Detector, index: Path, column: str | None, how: Reading, approximate: bool = False
) -> Collection:
    """The collection of a folder, or one built from a file of questions."""
    if index.is_dir():
        with warnings_as_notes():
            return Collection.load(index, detector)
    return Collection.build(detector, _read(index, column, how, detector), approximate)


def write(found: Iterable[list[Row]], columns: Sequence[str], file: TextIO, form: str) -> None:
    """Write the rows of `answers` to one question after another as text, as CSV under a header, or as JSON lines.

    A note says how many questions were hardly read, or in part.
    """
    count = Counter[str]()
    table = None if form == "text" else TableWriter(file, form, columns)
    between = ""
    for rows in found:
        if table is not None:
            table.write(rows)
        else:
            about = _about_question(rows[0]) if rows else ""
            answered = "".join(_sentence(row) + "\n" for row in rows) or "nothing to compare with\n"
            file.write(between + about + answered)
            file.flush()
            between = "\n"
        if rows:
            count["asked"] += 1
            count["unread"] += is_unread(rows[0].get("known_words"))
            count["cut"] += rows[0].get("cut", False)
    note_coverage(count["asked"], count["unread"], count["cut"])


def _about_question(row: Row) -> str:
    """A line with the question and how much of it was read, if that is not all."""
    read = read_sentence([row.get("known_words")], int(row.get("cut", False)))
    return f"{row['asked']}{read}\n" if read else ""


def _sentence(row: Row) -> str:
    beside = [f"{name} {value}" for name, value in row.items() if name not in (*ANSWER, "question") and value != ""]
    verdict = verdict_sentence(row["duplicate"], row["similarity"], row["probability"])
    return f"{verdict:<{SENTENCE_WIDTH}}  {row['question']}  ({', '.join(beside)})"


def _changes(settings: dict[str, Any]) -> bool:
    """Whether the settings build or change an index that is kept."""
    return settings["save"] is not None or settings["append"] is not None or bool(settings["delete"])


def _check(settings: dict[str, Any]) -> None:
    if settings["index"] is None:
        raise ValueError("give a file of questions or a saved index: index=FILE or index=FOLDER")
    is_folder = Path(settings["index"]).expanduser().is_dir()
    if not is_folder and settings["save"] is None and _changes(settings):
        raise ValueError("append= and delete= change an index that is kept; give save=FOLDER, or index=FOLDER")
    if is_folder and settings["approximate"]:
        raise ValueError("approximate=true is chosen when an index is built; give index=FILE and save=FOLDER")
    if settings["format"] not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {settings['format']}")
    require_suffix("output", settings["output"], list(TABLES))


def _read(path: str | Path, column: str | None, how: Reading, detector: Detector) -> pa.Table:
    questions, bad_rows = read_question_table(path, column, how)
    note_bad_rows(path, bad_rows)
    coverage = detector.coverage(questions["question"].to_pylist())
    note_coverage(len(questions), int(coverage.unread.sum()), int(coverage.cut.sum()), f" of {path}")
    return questions


def _dialogue(history: str | None) -> Iterator[str]:
    """Questions that somebody types, with the arrow keys for earlier ones, until Ctrl-D."""
    import readline  # makes input() remember

    if history is not None and Path(history).expanduser().is_file():
        readline.read_history_file(Path(history).expanduser())
    try:
        while True:
            yield input("question> ").strip()
    except EOFError:
        print()
    finally:
        if history is not None:
            with atomic_path(history) as new:
                readline.write_history_file(new)


def main() -> None:
    """Answer the questions of the command line or, if nothing else was to be done, of a dialogue or standard input."""
    settings, questions = program_arguments("search", __doc__)
    for number, question in enumerate(questions, start=1):
        require_question(question, f"question {number}")
    detector, collection = run(settings)
    asked: Iterable[str] = questions
    if not questions:
        if _changes(settings):
            return
        typed = _dialogue(settings["history"]) if sys.stdin.isatty() else sys.stdin
        asked = filter(None, (visible(line).strip() for line in typed))
    how = settings["top"], settings["where"], settings["candidates"]
    columns = [*ANSWER, *collection.table.column_names]
    output = settings["output"]
    form = settings["format"] if output is None else TABLES[Path(output).suffix]
    more = {"model": detector.model} if form == "jsonl" else {}
    found = ([row | more for row in answers(detector, collection, question, *how)] for question in asked)
    with destination(output) as file:
        write(found, columns, file, form)
