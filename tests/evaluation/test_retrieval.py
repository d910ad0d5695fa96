"""Retrieval: tasks from labelled pairs and every measure, derived by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from siamese.data.pairs import QuestionPairs
from siamese.evaluation.retrieval import RetrievalTask, mining_metrics, ranking_metrics, retrieval_metrics

# a = b = c by two labels, d = e; a and d differ, and so do, against what follows, f and h of f = g = h
PAIRS = QuestionPairs.from_texts(
    ["a", "b", "d", "a", "f", "g", "h", "A "], ["b", "c", "e", "d", "g", "h", "f", "x"], [1, 1, 1, 0, 1, 1, 0, 0]
)


@pytest.fixture(scope="module")
def task() -> RetrievalTask:
    return RetrievalTask.of(PAIRS)


def test_questions_are_those_that_differ(task):
    """ "A " is "a" once more."""
    assert [PAIRS.questions[i] for i in task.questions] == ["a", "b", "d", "f", "g", "h", "c", "e", "x"]


def at(task: RetrievalTask, letter: str) -> int:
    return [PAIRS.questions[i] for i in task.questions].index(letter)


def test_duplicates_follow_from_labels(task):
    letters = "abcdefghx"
    pairs = [(one, other) for one in letters for other in letters]
    left, right = (np.array([at(task, pair[side]) for pair in pairs]) for side in (0, 1))
    relevant = {"".join(pair) for pair, found in zip(pairs, task.relevant(left, right), strict=True) if found}
    assert relevant == {"ab", "ba", "bc", "cb", "ac", "ca", "de", "ed", "fg", "gf", "gh", "hg"}


def test_how_many_duplicates_each_has(task):
    """Of f, g and h only g has two: f and h are labelled as different."""
    counts = dict(zip("abdfghcex", task.duplicates.tolist(), strict=True))
    assert counts == {"a": 2, "b": 2, "c": 2, "d": 1, "e": 1, "f": 1, "g": 2, "h": 1, "x": 0}


def test_mining_by_hand():
    """Right, wrong, right, wrong of 4 duplicates: (1/1 + 2/3) / 4; f1 is best after three, 2 * 2 / (3 + 4)."""
    found = mining_metrics(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.6]), total=4)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 4)
    assert found["best_f1"] == pytest.approx(4 / 7)
    assert found["best_threshold"] == 0.7


def test_mining_in_any_order_and_with_ties():
    """Two tied candidates, one of them right, count as one step: 1/1 and then 2/3, of 2 duplicates."""
    relevant, similarity = np.array([False, True, True]), np.array([0.5, 0.9, 0.5])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        found = mining_metrics(relevant[order], similarity[order], total=2)
        assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
        assert found["best_f1"] == pytest.approx(4 / 5)


@pytest.mark.parametrize(("pairs", "total"), [(0, 3), (2, 0)])
def test_mining_without_pairs_or_duplicates(pairs, total):
    found = mining_metrics(np.zeros(pairs, bool), np.ones(pairs), total)
    assert set(found.values()) == {0.0}


@given(arrays(bool, st.integers(1, 15)), st.data())
def test_mining_against_scikit_learn(relevant, data):
    """With ties, with duplicates that were not found, and the best F1 by trying every threshold."""
    similarity = data.draw(arrays(np.int64, len(relevant), elements=st.integers(0, 6))) / 6
    missed = data.draw(st.integers(0, 4))
    total = int(relevant.sum()) + missed
    found = mining_metrics(relevant, similarity, total)
    if total == 0:
        assert set(found.values()) == {0.0}
        return
    precision = sk.average_precision_score(relevant, similarity) if relevant.any() else 0.0
    assert found["average_precision"] == pytest.approx(precision * relevant.sum() / total)
    truth = np.append(relevant, np.ones(missed, bool))
    scores = {t: sk.f1_score(truth, np.append(similarity >= t, np.zeros(missed, bool))) for t in set(similarity)}
    assert found["best_f1"] == pytest.approx(max(scores.values()))
    assert scores[found["best_threshold"]] == pytest.approx(found["best_f1"])


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(2, 25))))
def test_ranking_against_scikit_learn(relevant):
    relevant[~relevant.any(axis=1), -1] = True  # every query has a duplicate
    found = ranking_metrics(relevant, relevant.sum(axis=1))
    order = np.tile(np.arange(relevant.shape[1], 0, -1), (len(relevant), 1))
    assert found["ndcg_at_10"] == pytest.approx(sk.ndcg_score(relevant, order, k=10))
    first = relevant & (np.cumsum(relevant, axis=1) == 1)
    rank = 1 + first.argmax(axis=1)
    alone = sk.label_ranking_average_precision_score(first[rank <= 10], order[rank <= 10]) if (rank <= 10).any() else 0
    assert found["mrr_at_10"] == pytest.approx(alone * np.mean(rank <= 10))


def test_ranking_by_hand():
    """The first query has both duplicates at 1 and 3, the second its only one at 2, the third none of three."""
    relevant = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    found = ranking_metrics(relevant, np.array([2, 1, 3]))
    assert found["recall_at_1"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert found["mrr_at_10"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    log3 = np.log2(3)
    assert found["ndcg_at_10"] == pytest.approx(((1 + 1 / 2) / (1 + 1 / log3) + 1 / log3 + 0) / 3)


def test_ranking_looks_at_ten():
    """A duplicate at 11 counts for the recall at 100 alone; eleven of twelve at the top are a perfect ten."""
    relevant = np.zeros((1, 120), bool)
    relevant[0, 10] = True
    found = ranking_metrics(relevant, np.array([1]))
    assert found == {"recall_at_1": 0, "recall_at_10": 0, "recall_at_100": 1, "mrr_at_10": 0, "ndcg_at_10": 0}
    relevant[0, :11] = True
    found = ranking_metrics(relevant, np.array([12]))
    assert found["recall_at_10"] == pytest.approx(10 / 12)
    assert found["ndcg_at_10"] == pytest.approx(1)


def test_all_measures_of_a_detector(task):
    """A ranking of 3 that puts duplicates first is perfect; one that puts them nowhere is 0."""
    count = len(task.questions)
    everybody = np.arange(count)
    perfect, hopeless = np.empty((count, 3), np.int64), np.empty((count, 3), np.int64)
    similarity = np.empty((count, 3))
    for row in everybody:
        others = np.delete(everybody, row)
        relevant = task.relevant(np.full(len(others), row), others)
        perfect[row] = others[np.argsort(~relevant, kind="stable")][:3]
        hopeless[row] = others[~relevant][:3]
        similarity[row] = 0.1 + 0.8 * np.sort(relevant)[::-1][:3]
    found = retrieval_metrics(task, perfect, similarity)
    assert found["queries"] == 8
    assert found["corpus"] == 9
    assert found["duplicate_pairs"] == 6
    assert found["mining_average_precision"] == found["mining_best_f1"] == pytest.approx(1)
    assert found["mining_best_threshold"] == pytest.approx(0.9)
    assert found["mrr_at_10"] == found["ndcg_at_10"] == pytest.approx(1)
    assert found["recall_at_1"] == pytest.approx((4 * 1 / 2 + 4) / 8)
    assert not any("@" in name for name in found)
    nothing = retrieval_metrics(task, hopeless, similarity)
    assert nothing["mining_average_precision"] == nothing["mrr_at_10"] == nothing["recall_at_1"] == 0


def test_pairs_without_duplicates():
    pairs = QuestionPairs.from_texts(["a", "b"], ["b", "c"], [0, 0])
    found = retrieval_metrics(RetrievalTask.of(pairs), np.array([[1], [0], [1]]), np.ones((3, 1)))
    assert found["queries"] == found["mining_average_precision"] == found["ndcg_at_10"] == found["recall_at_1"] == 0
