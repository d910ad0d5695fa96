"""CheckList: pairs of questions from templates, which test one capability each (Ribeiro et al. 2020, ACL).

The suites are siamese/data/checklist/LANGUAGE.toml. All three kinds of tests of the paper are made from them:

    minimum functionality   the verdict on each pair is its label
    directional             a wording that asks the same scores higher than one, as near in words, that asks something else
    invariance              other names, cities and numbers do not change the verdict on a wording
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from siamese import data
from siamese.data.questions import question_key

SUITES = Path(data.__file__).parent / "checklist"
LANGUAGES = ("en", "fr")
COLUMNS = ["language", "capability", "template", "filling", "wording", "question1", "question2", "duplicate"]
ASKED = 2_000  # questions, at most, that tell which languages there are
ROUNDING = 1e-6  # similarities nearer than this are equal: sums of the same words in another order
LEAST_SHARE = 0.2  # of the questions in a language, for its suite to be asked


@cache
def suite(language: str) -> pd.DataFrame:
    """The pairs of a language, in the order of its file.

    Returns:
        language, capability; template, the first question of its pairs with open slots; filling, the number of the fillers in
        the slots; wording, the second question with open slots; question1, question2; duplicate (bool), the label.
    """
    content = tomllib.loads((SUITES / f"{language}.toml").read_text(encoding="utf-8"))
    rows = [(language, *row) for template in content["template"] for row in expanded(template, content["fillers"])]
    return pd.DataFrame(rows, columns=COLUMNS)


def expanded(template: Mapping[str, Any], fillers: Mapping[str, Sequence[Any]]) -> Iterator[tuple]:
    """The pairs of a template, for each row of the longest list of fillers that it names: COLUMNS without the language.

    >>> template = {"capability": "entities", "question": "Why {city1}?", "same": [], "other": ["Why {city2}?"]}
    >>> [row[4:] for row in expanded(template, {"city": ["Rome", "Paris"]})]
    [('Why Rome?', 'Why Paris?', False), ('Why Paris?', 'Why Rome?', False)]
    """
    question = template["question"]
    texts = [question, *template["same"], *template["other"]]
    slots = {field.partition(".")[0] for text in texts for _, field, *_ in Formatter().parse(text) if field}
    lists = {slot: fillers[slot.rstrip("123")] for slot in slots}
    for number in range(max(map(len, lists.values()))):
        filled = {}
        for slot, rows in lists.items():
            row = rows[(number + int(slot[-1] if slot[-1].isdigit() else 1) - 1) % len(rows)]
            filled[slot] = SimpleNamespace(**row) if isinstance(row, dict) else row
        for kind in ("same", "other"):
            for wording in template[kind]:
                second = wording.format_map(filled)
                second = with_typo(second) if template.get("typo") else second
                pair = question.format_map(filled), second
                yield template["capability"], question, number, wording, *pair, kind == "same"


def with_typo(text: str) -> str:
    """A text with two neighboring letters swapped, inside its longest word and as near to the middle as they differ.

    >>> with_typo("How do I cancel it?")
    'How do I cacnel it?'
    """
    word = max(re.finditer(r"[^\W\d_]+", text), key=lambda match: len(match[0]))
    letters, middle = word[0], len(word[0]) // 2 - 1
    places = [place for place in range(1, len(letters) - 2) if letters[place] != letters[place + 1]]
    start = word.start() + min(places, key=lambda place: abs(place - middle))
    return text[:start] + text[start + 1] + text[start] + text[start + 2 :]


def languages_of(questions: Sequence[str]) -> list[str]:
    """The languages with a suite in which at least a fifth of the questions are; English if there are none.

    A question counts for the language of which it has the most words that are in one suite alone.

    >>> languages_of(["Où est mon colis ?", "Comment puis-je payer ?"]), languages_of(["Wo ist mein Paket?"])
    (['fr'], ['en'])
    """
    votes: Counter[str] = Counter()
    for question in questions[:: max(1, len(questions) // ASKED)]:
        found = {language: len(words & _words(question)) for language, words in _own_words().items()}
        best = max(found, key=lambda language: found[language])
        votes[best] += found[best] > 0
    return [each for each in LANGUAGES if votes[each] > LEAST_SHARE * votes.total()] or ["en"]


@cache
def _own_words() -> dict[str, set[str]]:
    """Of each language the words that its suite has and no other."""
    words = {each: set().union(*map(_words, suite(each)["question1"])) for each in LANGUAGES}
    return {each: words[each].difference(*(words[other] for other in LANGUAGES if other != each)) for each in words}


def _words(question: str) -> set[str]:
    return set(re.findall(r"\w+", question_key(question)))


def answered(cases: pd.DataFrame, similarity: np.ndarray, verdict: np.ndarray) -> pd.DataFrame:
    """Pairs with what a model says: similarity, `float[pairs]`, verdict, `bool[pairs]`, and whether that is correct."""
    return cases.assign(similarity=similarity, verdict=verdict, correct=verdict == cases["duplicate"])


def failure_rates(answers: pd.DataFrame) -> pd.DataFrame:
    """Failures of each capability, in the order of the suite.

    Args:
        answers: from `answered`.

    Returns:
        A row for each capability: pairs; failures, the share of wrong verdicts; failures_duplicates and failures_others, the
        same among pairs of either label: a model that says the same of all pairs has 1 in one of them; misordered, the share
        of couples of a wording that asks the same and one that asks something else, of one question, in which the second
        scores at least as high (a half by chance, 1 where they have the same words and order is not seen); unstable, the
        share of pairs whose verdict is not that of most pairs of the same wording. A share of nothing is nan.
    """
    return pd.DataFrame(
        {capability: _rates(rows) for capability, rows in answers.groupby("capability", sort=False)}
    ).T.astype({"pairs": int})


def _rates(rows: pd.DataFrame) -> dict[str, float]:
    wrong, duplicate = ~rows["correct"], rows["duplicate"]
    couples = rows[duplicate].merge(
        rows[~duplicate], on=["language", "template", "filling"], suffixes=("_same", "_other")
    )
    positive = rows.groupby(["language", "template", "wording"])["verdict"].transform("mean")
    return {
        "pairs": len(rows),
        "failures": wrong.mean(),
        "failures_duplicates": wrong[duplicate].mean(),
        "failures_others": wrong[~duplicate].mean(),
        "misordered": (couples["similarity_other"] > couples["similarity_same"] - ROUNDING).mean(),
        "unstable": np.minimum(positive, 1 - positive).mean(),
    }
