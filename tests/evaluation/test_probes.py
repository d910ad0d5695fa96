"""Probes: what models made by hand cannot do."""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from experiments.config_checks import WORDS
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.checklist import LANGUAGES, suite
from siamese.evaluation.probes import probe
from siamese.text.inputs import Coverage


@dataclass
class BagOfWords:
    """The cosine of the counts of words."""

    calibration: Calibration = field(default_factory=lambda: Calibration(0.6, 1.0, 0.0))

    def similarity(self, pairs):
        def cosine(one: str, other: str) -> float:
            left, right = (Counter(re.findall(r"\w+", text.casefold())) for text in (one, other))
            dot = sum(left[word] * right[word] for word in left)
            return dot / np.sqrt(sum(n * n for n in left.values()) * sum(n * n for n in right.values()))

        return np.array([cosine(*pair) for pair in pairs], np.float32)

    def coverage(self, questions):
        return Coverage(np.ones(len(questions)), np.zeros(len(questions), bool))


FRENCH = QuestionPairs.from_texts(["Où est mon colis bleu ?"], ["Comment puis-je payer ma facture ?"], [0])


@pytest.fixture(scope="module")
def probed():
    """A function: pairs, and arguments of `probe` -> probes of a bag of words."""

    def run(pairs, **arguments):
        model = BagOfWords()
        scores = model.similarity(list(zip(pairs.left_texts(), pairs.right_texts(), strict=True)))
        return probe(model, {"dev": pairs}, {"dev": scores}, **arguments)

    return run


def test_a_bag_of_words_calls_every_swap_a_duplicate_and_no_order_of_clauses_different(probed, pairs):
    found = probed(pairs, train=pairs.take(np.arange(3)))
    assert found.metrics["swaps_pairs"] == len(found.swaps) > 3
    assert found.metrics["swaps_called_duplicates"] == 1
    assert found.metrics["swaps_similarity"] == pytest.approx(1)
    assert found.metrics["order_failures_others"] == 1
    assert found.metrics["order_failures_duplicates"] == 0
    assert found.metrics["order_failures"] == pytest.approx(0.5)
    assert found.metrics["numbers_failures_others"] > 0.5
    assert 0.2 < found.metrics["failures"] < 0.7
    assert found.metrics["dev_questions_seen_3_pairs"] >= 3
    assert found.answers["language"].unique().tolist() == ["en"]
    assert len(found.answers) == len(suite("en")) == sum(found.rates["pairs"])


def test_failures_count_both_labels_of_every_capability_alike(probed, pairs):
    found = probed(pairs)
    sides = found.rates[["failures_duplicates", "failures_others"]].to_numpy()
    assert found.metrics["failures"] == pytest.approx(sides.mean())
    assert "dev_questions_seen_1_pairs" not in found.metrics


def test_the_suite_is_that_of_the_language_of_the_pairs_or_the_one_that_is_wanted(probed, pairs):
    assert probed(FRENCH).answers["language"].unique().tolist() == ["fr"]
    assert probed(FRENCH, wanted="en").answers["language"].unique().tolist() == ["en"]
    assert probed(pairs, wanted="fr").answers["language"].unique().tolist() == ["fr"]
    with pytest.raises(ValueError, match="probes must be true, false, en or fr; got 'de'"):
        probed(pairs, wanted="de")
    assert WORDS[r"evaluation\.probes"] == (True, False, *LANGUAGES)


def test_the_same_seed_finds_the_same(probed, pairs):
    one, same = probed(pairs, seed=1), probed(pairs, seed=1)
    assert one.metrics == pytest.approx(same.metrics, nan_ok=True)
    assert one.swaps.equals(same.swaps)


def test_tables_to_print_have_a_row_for_each_capability_and_slice(probed):
    checklist, sliced, swapped = probed(FRENCH).tables()
    assert checklist[0] == [
        "CheckList, fr",
        "pairs",
        "failures",
        "failures of duplicates",
        "failures of others",
        "misordered",
        "unstable",
    ]
    assert len(checklist) == 10
    assert ["unknown words 0", "1", "0.000", "1.000", ""] in sliced, "ROC AUC needs both labels"
    assert swapped[0][1:] == ["pairs", "called duplicates", "similarity"]
    assert all(len({*map(len, table)}) == 1 for table in (checklist, sliced, swapped))
