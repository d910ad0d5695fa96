"""Baselines: each is a scorer like a network's, symmetric and in [0, 1], and none looks at the labels it scores."""

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.data.sources import corpus
from siamese.evaluation.baselines import logistic_regression, majority, tfidf_cosine, word_overlap

BASELINES = {
    "majority": majority,
    "word_overlap": word_overlap,
    "tfidf_cosine": tfidf_cosine,
    "logistic_regression": logistic_regression,
}
STRANGE = QuestionPairs.from_texts(
    ["", "!", "zyzzyva", "how do i pay ?", "", "漢字 😀"],
    ["", "?", "xylophone", "how do i pay ?", "pay", "漢字 😀"],
    [1] * 6,
)


@pytest.fixture(scope="module")
def splits():
    """A tenth of the French corpus's pairs."""
    return corpus(["fr"], "intent", 0.1, 0.1, 0.3, 0.37, 0.5, seed=0)


@pytest.fixture(scope="module", params=list(BASELINES))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def scorer(name, splits):
    return BASELINES[name](splits.train)


def swap(pairs: QuestionPairs) -> QuestionPairs:
    return QuestionPairs(pairs.questions, pairs.right, pairs.left, pairs.label)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", ["dev", "strange"])
def test_range_and_symmetry(scorer, splits, pairs):
    pairs = STRANGE if pairs == "strange" else splits.dev
    score = scorer(pairs)
    assert score.shape == (len(pairs),)
    assert score.dtype == np.float64
    assert np.isfinite(score).all()
    assert 0 <= score.min() <= score.max() <= 1
    np.testing.assert_allclose(scorer(swap(pairs)), score, atol=1e-12)


@pytest.mark.slow
def test_scores_come_in_the_order_of_the_pairs_and_ignore_labels(scorer, splits):
    order = np.random.default_rng(0).permutation(len(splits.dev))
    shuffled = splits.dev.take(order)
    np.testing.assert_allclose(scorer(shuffled), scorer(splits.dev)[order], atol=1e-12)
    flipped = QuestionPairs(splits.dev.questions, splits.dev.left, splits.dev.right, 1 - splits.dev.label)
    np.testing.assert_array_equal(scorer(flipped), scorer(splits.dev))


def test_order(name, scorer):
    """The same question, nearly the same, something of it, and something else: never rising, and falling in the end."""
    pairs = QuestionPairs.from_texts(
        ["comment fermer mon compte bancaire ?"] * 4,
        [
            "comment fermer mon compte bancaire ?",
            "comment fermer un compte bancaire ?",
            "ouvrir un compte",
            "recette de gâteau au chocolat",
        ],
        [1, 1, 0, 0],
    )
    score = scorer(pairs)
    if name == "majority":
        assert np.ptp(score) == 0
    else:
        assert np.diff(score).max() < 0


def test_they_beat_chance(name, scorer, splits):
    """On questions of other intents than those they were fitted on."""
    score, duplicate = scorer(splits.dev), splits.dev.duplicate
    ahead = score[duplicate][:, None] - score[~duplicate][None, :]
    auc = np.mean((ahead > 0) + 0.5 * (ahead == 0))
    assert (auc == 0.5) if name == "majority" else (auc > 0.55)


@pytest.mark.slow
def test_fitting_twice_gives_the_same_scores(name, scorer, splits):
    np.testing.assert_allclose(BASELINES[name](splits.train)(splits.dev), scorer(splits.dev), atol=1e-9)


def test_majority_is_the_share_of_duplicates():
    """1 of 4, whatever is asked."""
    train = QuestionPairs.from_texts(["a", "b", "c", "d"], ["e", "f", "g", "h"], [1, 0, 0, 0])
    assert majority(train)(STRANGE).tolist() == [0.25] * 6


def test_word_overlap_by_hand():
    """{how, do, i, pay, ?} and {how, to, pay, ?}: 3 of 6 words; case counts nothing; no words at all have no overlap."""
    pairs = QuestionPairs.from_texts(["How do I pay?", "A b", ""], ["how to PAY ?", "a B", ""], [1, 1, 1])
    assert word_overlap(pairs)(pairs).tolist() == [0.5, 1.0, 0.0]


def test_tfidf_cosine_by_hand():
    """Of 2 training questions each has a word of its own, a and b, and c is in both: idf(a) = ln(3/2) + 1, idf(c) = 1.

    (a, c) · (b, c) = 1 over the squared length (ln 1.5 + 1)² + 1.
    """
    train = QuestionPairs.from_texts(["a c"], ["b c"], [1])
    assert tfidf_cosine(train)(train) == pytest.approx([1 / ((np.log(1.5) + 1) ** 2 + 1)])


def test_tfidf_cosine_compares_questions_with_a_collection_as_it_scores_pairs():
    pairs = QuestionPairs.from_texts(["a c", "a c", "b"], ["b c", "d", "b c"], [1, 0, 1])
    scorer = tfidf_cosine(pairs)
    nearness, similarity = scorer.compare(["a c", "b"], ["b c", "d"])
    assert nearness(np.array([0]))[0] == pytest.approx(scorer(pairs)[:2])
    assert similarity(np.array([0, 1]), np.array([0, 0])) == pytest.approx(scorer(pairs)[[0, 2]])


def test_logistic_regression_sees_negation_and_numbers():
    """Pairs that differ by "not", or by a number, are no duplicates in training; nor are such pairs that were never seen."""
    things = ["card", "bill", "rice", "shop", "phone", "train", "bank", "loan", "cake", "dog"]
    left = [f"can i use my {thing}" for thing in things] * 2
    right = [f"can i not use my {thing}" for thing in things] + [f"can i please use my {thing}" for thing in things]
    score = logistic_regression(QuestionPairs.from_texts(left, right, [0] * 10 + [1] * 10))
    new = QuestionPairs.from_texts(
        ["may we eat bread"] * 2, ["may we not eat bread", "may we please eat bread"], [0, 1]
    )
    negated, polite = score(new)
    assert negated < polite


@pytest.mark.parametrize("baseline", [tfidf_cosine, logistic_regression])
def test_a_handful_of_one_word_questions_can_be_fitted(baseline):
    """No two words are adjacent and no letters repeat; a user's first file may look like this."""
    train = QuestionPairs.from_texts(["red", "up", "sky"], ["blue", "down", "sea"], [1, 0, 1])
    assert np.isfinite(baseline(train)(train)).all()
