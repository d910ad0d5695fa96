"""Files of questions with their intents: names may be numbers, topics may be missing, no question has two intents."""

from collections.abc import Sequence
from pathlib import Path

from siamese.data.blocks import bad_row
from siamese.data.columns import intent_columns
from siamese.data.dialects import USUAL, Reading
from siamese.data.files import as_text, name_text, read_columns
from siamese.data.formats import TableFile
from siamese.data.pairs import BadRow
from siamese.data.questions import question_key


def read_intent_file(
    path: str | Path, text: str, intent: str, topic: str | None, on_bad_row: str, reading: Reading = USUAL
) -> tuple[list[str], list[str], list[str], tuple[BadRow, ...]]:
    """Questions, intents, topics (all "" without a topic column) and bad rows, from the columns of `intent_columns`.

    A missing topic is that of its intent's other questions. Beside the rows of `read_columns` those are bad whose question
    has another intent in another row, and those without a topic whose intent has several.

    Raises:
        FileNotFoundError, ValueError: as `TableFile` and `read_columns`.
    """
    file = TableFile(path, reading)
    columns = intent_columns(file.columns, text, intent, topic, file.name, reading.tell)
    clean = dict(zip(columns[1:], (name_text, lambda value: as_text(name_text(value))), strict=False))
    found = read_columns(file, columns, None, on_bad_row, clean=clean, optional=len(columns) - 2)
    questions, intents, *given = map(list, found.texts)
    rows = found.rows.tolist()
    topics, bad = _completed(file.name, columns[-1], intents, given[0] if given else [""] * len(rows), rows)
    names = ["/".join(filter(None, name)) for name in zip(topics, intents, strict=True)]
    bad |= _of_two_intents(file.name, columns[0], questions, names, rows)
    if bad and on_bad_row == "error":
        first, count = next(iter(bad.values())), f"; {len(bad):,} rows are like this" if len(bad) > 1 else ""
        raise ValueError(f"{first}{count}; mend them, or leave all of them out with data.on_bad_row=skip")
    good = [index for index in range(len(rows)) if index not in bad]
    if not good:
        raise ValueError(f"{file.name} has no good row; its first: {next(iter(bad.values()))}")
    questions, intents, topics = ([column[index] for index in good] for column in (questions, intents, topics))
    return questions, intents, topics, tuple(sorted([*found.bad_rows, *bad.values()], key=lambda each: each.row))


def _completed(
    file: str, column: str, intents: Sequence[str], topics: Sequence[str], rows: Sequence[int]
) -> tuple[list[str], dict[int, BadRow]]:
    """The topics, a missing one replaced by that of its intent; and the bad rows, by index."""
    known: dict[str, set[str]] = {}
    for intent, topic in zip(intents, topics, strict=True):
        if topic:
            known.setdefault(intent, set()).add(topic)
    completed, bad = list(topics), {}
    for index, (intent, topic) in enumerate(zip(intents, topics, strict=True)):
        others = known.get(intent, set())
        if not topic and len(others) > 1:
            problem = f"the topic is missing, and the intent {intent!r} has several: {', '.join(sorted(others))}"
            bad[index] = bad_row(file, rows[index], column, topic, problem)
        elif not topic and others:
            completed[index] = next(iter(others))
    return completed, bad


def _of_two_intents(
    file: str, column: str, questions: Sequence[str], names: Sequence[str], rows: Sequence[int]
) -> dict[int, BadRow]:
    """The rows, by index, whose question has another intent in another row, which each names."""
    places: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        places.setdefault(question_key(question), []).append(index)
    bad = {}
    for same in places.values():
        for index in same if len({names[each] for each in same}) > 1 else ():
            other = next(each for each in same if names[each] != names[index])
            problem = f"the question has two intents, {names[index]!r} here and {names[other]!r} in row {rows[other]}"
            bad[index] = bad_row(file, rows[index], column, questions[index], problem)
    return bad
