"""Questions: which values are one, and which of its characters count, for every program and interface.

Invisible characters do not count: those that Unicode calls default ignorable (zero-width spaces, soft hyphens, byte order
marks, direction marks, variation selectors, …) and control characters that are no white space. Only the zero-width joiner
and non-joiner count where they stand between characters that they shape: in Arabic, Persian, Indic, Burmese, Khmer and
Mongolian words, and between emoji. A text keeps them where it is stored and shown; they are left out where it is read.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

# Bytes that are not UTF-8 are decoded to these lone surrogates, so that a bad byte costs one row and not the file.
UNDECODABLE = re.compile("[\ud800-\udfff]")
IGNORABLE = (
    "[\\x00-\\x08\\x0e-\\x1b\\x7f\u0080-\u0084\u0086-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
SHAPED = (  # by the joiners; the variation selector follows an emoji
    "[\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af\ua8e0-\ua8ff\ufb50-\ufdff\ufe0f\ufe70-\ufefc\u2190-\u2bff"
    "\U0001f000-\U0001faff]"
)
# A pattern of Python's re and of Oniguruma, which `tokenizers` uses.
INVISIBLE = f"{IGNORABLE}|(?<!{SHAPED})[\u200c\u200d]|[\u200c\u200d](?!{SHAPED})"
_INVISIBLE = re.compile(INVISIBLE)
NOT_UTF8 = "the text is not UTF-8"
LONGEST = 100_000  # characters of a question; models read the first hundreds, and who sends more means something else


def visible(text: str) -> str:
    """The text without invisible characters.

    >>> visible("\\ufeffHow do I re\\u200bset my PIN?"), visible("\U0001f469\\u200d\U0001f680") == "\U0001f469\\u200d\U0001f680"
    ('How do I reset my PIN?', True)
    """
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", text)


def text_problem(value: object) -> str:
    """Why a value is not a question; "" if it is one."""
    if value is None or (isinstance(value, float) and value != value):  # pandas has NaN where a text is missing
        return "the text is missing"
    if not isinstance(value, str):
        return f"a text is expected, not {type(value).__name__}"
    if len(value) > LONGEST:
        return f"the text has {len(value):,} characters; a question has at most {LONGEST:,}"
    if not visible(value).strip():
        return "the text is empty"
    if not value.isascii() and UNDECODABLE.search(value):
        return NOT_UTF8
    return ""


def all_questions(values: Sequence[object]) -> bool:
    """Whether `text_problem` finds no problem in any value: one fast check for the usual case."""
    try:
        if values and max(map(len, values)) > LONGEST:  # type: ignore[arg-type]  # joined, a shared text would be there often
            return False
        joined = "".join(values)  # type: ignore[arg-type]  # TypeError: no string
        joined.encode()  # UnicodeEncodeError: a lone surrogate
        texts = values if joined.isascii() and joined.isprintable() else map(visible, values)  # type: ignore[arg-type]
        return all(map(str.strip, texts))  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        return False


def require_question(value: object, place: str) -> str:
    """The value, if it is a question; otherwise a ValueError names its place.

    >>> require_question(" ", "question 2 of 2")
    Traceback (most recent call last):
    ValueError: question 2 of 2: the text is empty
    """
    if problem := text_problem(value):
        raise ValueError(f"{place}: {problem}")
    return str(value)


def question_list(questions: Iterable[str]) -> list[str]:
    """The questions as a list.

    Raises:
        ValueError: they are one text instead of several, or a value is not a question; its place is named, from 1.

    >>> question_list("Why?")
    Traceback (most recent call last):
    ValueError: a list of questions is expected, got the text 'Why?'; give ['Why?']
    """
    if isinstance(questions, str | bytes):
        raise ValueError(f"a list of questions is expected, got the text {questions!r}; give [{questions!r}]")
    values = list(questions)
    if not all_questions(values):
        for number, value in enumerate(values, start=1):
            require_question(value, f"question {number} of {len(values)}")
    return values


def pair_list(pairs: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """The pairs of questions as a list of tuples.

    Raises:
        ValueError: a pair is not two values, or one is not a question; its place is named, from 1.

    >>> pair_list(["ab", "cd"])
    Traceback (most recent call last):
    ValueError: pair 1 of 2: two questions are expected, got 'ab'; give a list of pairs, such as [('ab', '…')]
    """
    given = [pairs] if isinstance(pairs, str | bytes) else list(pairs)
    checked = [(one, other) for one, other in given] if _are_pairs(given) else _checked_pairs(given)
    for column in (0, 1):
        if not all_questions([pair[column] for pair in checked]):
            for number, pair in enumerate(checked, start=1):
                require_question(pair[column], f"question {column + 1} of pair {number} of {len(checked)}")
    return checked


def distinct_questions(pairs: Iterable[Sequence[str]]) -> tuple[np.ndarray, list[str]]:
    """The positions `int64[pairs, 2]` of the questions of pairs among their distinct texts, and these; errors as `pair_list`."""
    every = list(chain.from_iterable(pair_list(pairs)))
    distinct = list(dict.fromkeys(every))
    position = dict(zip(distinct, range(len(distinct)), strict=True))
    return np.fromiter(map(position.__getitem__, every), np.int64, len(every)).reshape(-1, 2), distinct


def _are_pairs(given: Sequence[object]) -> bool:
    """Whether all are tuples or lists of two values: one fast check for the usual case."""
    return set(map(type, given)) <= {tuple, list} and set(map(len, given)) <= {2}  # type: ignore[arg-type]


def _checked_pairs(given: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Pairs of any type as tuples; ValueError if one is not two values."""
    checked = []
    for number, pair in enumerate(given, start=1):
        if isinstance(pair, str | bytes) or not hasattr(pair, "__len__") or len(pair) != 2:
            shown = pair if isinstance(pair, str) else "…"
            raise ValueError(
                f"pair {number} of {len(given)}: two questions are expected, got {pair!r}; give a list of pairs, such as "
                f"[({shown!r}, '…')]"
            )
        checked.append((pair[0], pair[1]))
    return checked


def question_key(question: str) -> str:
    """The key under which two texts are the same question: Unicode form, case, spacing and invisible characters do not count.

    >>> question_key("Où  est-il ?") == question_key("OU\u0300 est-il ?\\u200b")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", visible(question)).casefold().split())
