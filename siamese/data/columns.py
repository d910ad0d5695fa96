"""Columns: the name that a file gives to a question, a label or an intent."""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

PAIR = ("question1", "question2")  # the names that are sought without another setting
LABEL = "is_duplicate"
TEXT, INTENT = "text", "intent"
USUAL_PAIRS = (
    PAIR,
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("q1", "q2"),
    ("query1", "query2"),
    ("questiona", "questionb"),
    ("sentencea", "sentenceb"),
    ("texta", "textb"),
    ("texte1", "texte2"),
    ("phrase1", "phrase2"),
    ("s1", "s2"),
    ("#1 string", "#2 string"),  # of MRPC
)
USUAL_LABELS = (
    LABEL,
    "duplicate",
    "is_paraphrase",
    "paraphrase",
    "label",
    "same",
    "match",
    "target",
    "quality",
    "gold_label",
    "is_dup",
    "doublon",
)
USUAL_QUESTIONS = ("question", TEXT, "questions", "texts", "utterance", "sentence", "query", "texte", "phrase")
USUAL_TEXTS = (TEXT, "question", *USUAL_QUESTIONS[2:])
USUAL_INTENTS = (INTENT, "intents", "label", "category", "class", "intention")

Tell = Callable[[str], None]


def matching(wanted: str, names: Sequence[str], file: str) -> str | None:
    """The column `wanted`, or else the one that differs in nothing but case, blanks and signs; None if there is none.

    Raises:
        ValueError: several have this name, or differ in nothing else.

    >>> matching("is_duplicate", ["Question 1", "Is Duplicate "], "a.csv")
    'Is Duplicate '
    """
    if names.count(wanted) == 1:
        return wanted
    letters = _letters(wanted)
    found = [name for name in names if _letters(name) == letters]
    if len(found) > 1:
        raise ValueError(f"{file} has several columns {wanted!r}: {', '.join(map(repr, found))}; rename all but one")
    return found[0] if found else None


def pair_columns(names: Sequence[str], left: str, right: str, label: str | None, file: str, tell: Tell) -> list[str]:
    """The columns of two questions and, unless it is None, of their label.

    A column with a usual name is taken, with a note, in place of one that has its default name. What is not found
    keeps the name under which it was sought.

    >>> pair_columns(["qid1", "Text1", "Text2", "label"], "question1", "question2", "is_duplicate", "a.csv", print)
    a.csv: columns taken: 'Text1' for question1, 'Text2' for question2, 'label' for is_duplicate
    ['Text1', 'Text2', 'label']
    """
    families = USUAL_PAIRS if (left, right) == PAIR else ((left, right),)
    found = ([matching(side, names, file) for side in family] for family in families)
    questions: list[str | None] = next((each for each in found if None not in each), [None, None])
    wanted = [left, right]
    if label is not None:
        wanted.append(label)
        questions.append(_first(USUAL_LABELS if label == LABEL else (label,), names, file))
    return _told(wanted, questions, file, tell)


def intent_columns(names: Sequence[str], text: str, intent: str, topic: str | None, file: str, tell: Tell) -> list[str]:
    """The columns of a question, its intent and, unless it is None, the topic; found as in `pair_columns`."""
    found = [_first(USUAL_TEXTS if text == TEXT else (text,), names, file)]
    found.append(_first(USUAL_INTENTS if intent == INTENT else (intent,), names, file))
    wanted = [text, intent]
    if topic is not None:
        found.append(matching(topic, names, file))
        wanted.append(topic)
    return _told(wanted, found, file, tell)


def question_column(names: Sequence[str], column: str | None, file: str, tell: Tell) -> str:
    """The column of the questions: `column`, one of a usual name, or the only one; a note says which was taken."""
    if column is not None:
        return _told([column], [matching(column, names, file)], file, tell)[0]
    found = _first(USUAL_QUESTIONS, names, file)
    if found is None and len(names) == 1 and names[0].isidentifier():  # otherwise it may be the first question
        found = names[0]
    return found if found in USUAL_QUESTIONS[:2] else _told([USUAL_QUESTIONS[0]], [found], file, tell)[0]


@lru_cache(2**17)  # a file may have many columns, each of which is compared with every usual name
def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _first(wanted: Sequence[str], names: Sequence[str], file: str) -> str | None:
    return next(filter(None, (matching(each, names, file) for each in wanted)), None)


def _told(wanted: Sequence[str], found: Sequence[str | None], file: str, tell: Tell) -> list[str]:
    taken = [name or sought for name, sought in zip(found, wanted, strict=True)]
    other = [(name, sought) for name, sought in zip(taken, wanted, strict=True) if name != sought]
    if other:
        tell(f"{file}: columns taken: {', '.join(f'{name!r} for {sought}' for name, sought in other)}")
    return taken


def beside(columns: Sequence[str], reserved: Collection[str]) -> list[str]:
    """Names of the user's columns beside the reserved ones: a reserved name gets "input_" in front.

    >>> beside(["question1", "duplicate", "input_duplicate"], ["duplicate", "error"])
    ['question1', 'input_input_duplicate', 'input_duplicate']
    """
    taken, names = {*reserved, *columns}, []
    for column in columns:
        name = column
        if column in reserved:
            while name in taken:
                name = f"input_{name}"
            taken.add(name)
        names.append(name)
    return names
