"""Swaps: questions in which two content words have changed places, as in PAWS (Zhang, Baldridge & He 2019, NAACL).

The words of both questions of such a pair are the same. Most swaps change what is asked or make no sense, some change nothing:
no label is certain. A model that does not see order gives every swap a similarity of 1.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

MOST = 1_000  # swaps
RARE = 0.02  # a word of at most this share of the questions, or of one, is a content word: articles are in more
APART = 2  # places between the words at least, so that a word stands between them
RAREST = 4  # words of a question from which two are drawn
WORD = re.compile(r"\d+(?:[.,]\d+)*(?!\w)|\w+")
PART_OF_WORD = re.compile(
    r"(?<=['’])\w+|\w+(?=['’])"
)  # as of "don't" and "l'ami": elsewhere it would be read as something else


def question_frequency(questions: Iterable[str]) -> Counter[str]:
    """In how many of the questions each word, in small letters, is."""
    return Counter(word for question in questions for word in set(WORD.findall(question.casefold())))


def swaps(questions: Sequence[str], frequency: Mapping[str, int], count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Questions, each with the same one in which two content words have changed places.

    Args:
        questions: questions with no two such words, a word between them, are left out; of many at most MOST are drawn.
        frequency, count: of the training questions, see `question_frequency`, and how many these are. The rarest words of a
            question, and numbers, are its content words; the first word, often a capital, stays.
        seed: of the questions and words that are drawn.
    """

    def commonness(question: str, match: re.Match) -> int:
        if PART_OF_WORD.match(question, match.start()):
            return count + 1
        return 0 if match[0][0].isdigit() else frequency.get(match[0].casefold(), 0)

    generator = np.random.default_rng(seed)
    found = []
    for number in generator.permutation(len(questions)).tolist():
        question = questions[number]
        words = list(enumerate(WORD.finditer(question)))[1:]
        rarest = sorted(words, key=lambda word: commonness(question, word[1]))[:RAREST]
        words = [word for word in words if word in rarest and commonness(question, word[1]) <= max(1, RARE * count)]
        couples = [
            (one, other)
            for at, one in words
            for to, other in words
            if to - at >= APART and one[0].casefold() != other[0].casefold()
        ]
        if couples:
            one, other = couples[generator.integers(len(couples))]
            between = question[one.end() : other.start()]
            found.append((question, question[: one.start()] + other[0] + between + one[0] + question[other.end() :]))
        if len(found) == MOST:
            break
    return found
