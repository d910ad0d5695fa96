"""Losses: every expected number is derived by hand, in the docstring of its test."""

import math

import numpy as np
import pytest

from siamese.model.losses import BinaryCrossentropy, Contrastive, Ranking, SquaredError, WeightedSum
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan

FIXED = (Cosine, Euclidean, Manhattan)


def each(loss, label, similarity, matrix=None, negative=None) -> list[float]:
    """The loss of each pair; pairs stand alone unless a matrix is given."""
    label, similarity = np.array(label, np.float32), np.array(similarity, np.float32)
    matrix = np.diag(similarity) if matrix is None else np.array(matrix, np.float32)
    negative = ~np.eye(len(label), dtype=bool) if negative is None else np.array(negative)
    return np.asarray(loss(label, similarity, matrix, negative)).tolist()


def test_binary_crossentropy():
    """-log(1/4) = log 4; -log(1 - 1/4) = log(4/3); and half of log 4 with half of log(4/3) for the label 1/2."""
    log4, log43 = math.log(4), math.log(4 / 3)
    found = each(BinaryCrossentropy(), [1, 0, 0.5], [0.25, 0.25, 0.25])
    assert found == pytest.approx([log4, log43, (log4 + log43) / 2], abs=1e-6)


def test_binary_crossentropy_is_finite_at_0_and_1():
    """Similarities are clipped 1e-7 from the ends: -log(1e-7) = 16.118, which float32 keeps to a tenth; right ones cost 0."""
    found = each(BinaryCrossentropy(), [1, 0, 1, 0], [0, 1, 1, 0])
    assert found[:2] == pytest.approx([16.118] * 2, abs=0.2)
    assert found[2:] == pytest.approx([0, 0], abs=1e-6)


def test_label_smoothing():
    """Smoothed by 0.2 the label 1 becomes 0.9, and 0 becomes 0.1: 0.9 log 4 + 0.1 log(4/3), and the reverse."""
    log4, log43 = math.log(4), math.log(4 / 3)
    found = each(BinaryCrossentropy(label_smoothing=0.2), [1, 0], [0.25, 0.25])
    assert found == pytest.approx([0.9 * log4 + 0.1 * log43, 0.1 * log4 + 0.9 * log43], abs=1e-6)


def test_squared_error():
    """(1 - 1/4)² = 9/16; (0 - 1/2)² = 1/4; (3/4 - 1/4)² = 1/4; 0 where label and similarity agree."""
    assert each(SquaredError(), [1, 0, 0.75, 0.4], [0.25, 0.5, 0.25, 0.4]) == pytest.approx([9 / 16, 1 / 4, 1 / 4, 0])


def test_contrastive():
    """d = 1 - s. Duplicates: d² = (3/4)² = 9/16. Others with margin 1/2: s = 3/4 is d = 1/4, (1/2 - 1/4)² = 1/16;

    s = 1/2 is d = 1/2, at the margin: 0; s = 0 is beyond it: 0; s = 1 is d = 0: (1/2)² = 1/4.
    """
    found = each(Contrastive(margin=0.5), [1, 0, 0, 0, 0], [0.25, 0.75, 0.5, 0, 1])
    assert found == pytest.approx([9 / 16, 1 / 16, 0, 0, 1 / 4])


def test_contrastive_with_a_graded_label():
    """Label 1/4, s = 3/4, margin 1: a quarter of d² = 1/16 and three quarters of (1 - 1/4)² = 9/16: 28/64."""
    assert each(Contrastive(margin=1.0), [0.25], [0.75]) == pytest.approx([28 / 64])


def test_ranking():
    """Temperature 1/2 doubles the similarities: 1.8, 0.8 / 1.0, 1.6.

    Left 0 must prefer right 0: log(1 + e^(0.8 - 1.8)); right 0 must prefer left 0: log(1 + e^(1.0 - 1.8)).
    Left 1: log(1 + e^(1.0 - 1.6)); right 1: log(1 + e^(0.8 - 1.6)). Each pair is the mean of its two.
    """
    first = (math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-0.8))) / 2
    second = (math.log(1 + math.exp(-0.6)) + math.log(1 + math.exp(-0.8))) / 2
    found = each(Ranking(temperature=0.5), [1, 1], [0.9, 0.8], [[0.9, 0.4], [0.5, 0.8]])
    assert found == pytest.approx([first, second], abs=1e-6)


def test_ranking_loss_of_equal_similarities():
    """Each must choose one of n at random: log n."""
    for n in (1, 2, 5):
        found = each(Ranking(0.05), [1] * n, [0.7] * n, np.full((n, n), 0.7))
        assert found == pytest.approx([math.log(n)] * n, abs=1e-5)


def test_pairs_that_are_no_duplicates_are_candidates_but_have_no_ranking_loss():
    """Pair 1 is no duplicate: 0. Its questions still compete for pair 0, as in `test_ranking`."""
    found = each(Ranking(temperature=0.5), [1, 0], [0.9, 0.8], [[0.9, 0.4], [0.5, 0.8]])
    assert found == pytest.approx([(math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-0.8))) / 2, 0], abs=1e-6)


def test_ranking_takes_graded_labels_from_one_half_on_as_duplicates():
    matrix = np.full((2, 2), 0.5)
    assert each(Ranking(), [0.5, 0.49], [0.5, 0.5], matrix) == pytest.approx([math.log(2), 0], abs=1e-6)


def test_ranking_ignores_a_second_copy_of_a_question():
    """Pair 2 is a copy of pair 0. As it is no negative of it, pair 0 costs what it costs in `test_ranking`.

    Were the copy a negative, the loss of pair 0 would be at least log 2, for the copies are identical.
    """
    matrix = [[0.9, 0.4, 0.9], [0.5, 0.8, 0.5], [0.9, 0.4, 0.9]]
    negative = [[False, True, False], [True, False, True], [False, True, False]]
    found = each(Ranking(temperature=0.5), [1, 1, 1], [0.9, 0.8, 0.9], matrix, negative)
    alone = (math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-0.8))) / 2
    assert found[0] == pytest.approx(alone, abs=1e-6)
    assert found[2] == pytest.approx(alone, abs=1e-6)
    mistaken = each(Ranking(temperature=0.5), [1, 1, 1], [0.9, 0.8, 0.9], matrix)
    assert mistaken[0] > math.log(2)


def test_ranking_is_finite_at_a_low_temperature():
    """0.01: logits of 100 and 0. The right choice costs 0, the wrong one 100."""
    assert each(Ranking(0.01), [1, 1], [1, 1], np.eye(2)) == pytest.approx([0, 0], abs=1e-6)
    assert each(Ranking(0.01), [1, 1], [0, 0], 1 - np.eye(2)) == pytest.approx([100, 100], rel=1e-4)


def test_weighted_sum():
    """Label 1, s = 1/4: squared error 9/16, contrastive 9/16; label 0: 1/16 and, beyond the margin 1/2, 0.

    A quarter of the second: 3/4 · 9/16 + 1/4 · 9/16 = 9/16, and 3/4 · 1/16 = 3/64.
    """
    loss = WeightedSum(SquaredError(), Contrastive(0.5), second_weight=0.25)
    assert each(loss, [1, 0], [0.25, 0.25]) == pytest.approx([9 / 16, 3 / 64])


@pytest.mark.parametrize(("second_weight", "expected"), [(0.0, 9 / 16), (1.0, math.log(4))])
def test_a_sum_with_all_weight_on_one_side(second_weight, expected):
    assert each(WeightedSum(SquaredError(), BinaryCrossentropy(), second_weight), [1], [0.25]) == pytest.approx(
        [expected]
    )


@pytest.mark.parametrize("loss", [BinaryCrossentropy(), SquaredError(), Contrastive()])
def test_a_better_similarity_never_costs_more(loss):
    """For duplicates the loss falls as s grows, for others it rises; it is never below 0."""
    similarity = np.linspace(0, 1, 21)
    duplicates, others = each(loss, np.ones(21), similarity), each(loss, np.zeros(21), similarity)
    assert min(duplicates + others) >= 0
    assert np.diff(duplicates).max() <= 0
    assert np.diff(others).min() >= 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Contrastive(0.0), "loss.margin must be above 0"),
        (lambda: Contrastive(1.1), r"loss.margin must lie in \[0, 1\], got 1.1"),
        (lambda: Contrastive(-0.1), r"loss.margin must lie in \[0, 1\], got -0.1"),
        (lambda: Ranking(0.0), "loss.temperature must be above 0, got 0.0"),
        (lambda: Ranking(-1.0), "loss.temperature must be above 0, got -1.0"),
        (lambda: BinaryCrossentropy(-0.1), r"loss.label_smoothing must lie in \[0, 1\)?.* got -0.1"),
        (lambda: BinaryCrossentropy(1.5), r"loss.label_smoothing must lie in \[0, 1\)?.* got 1.5"),
        (lambda: WeightedSum(SquaredError(), Ranking(), 1.5), r"loss.second_weight must lie in \[0, 1\], got 1.5"),
    ],
)
def test_impossible_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_smoothing_every_label_to_one_half_is_refused():
    """label_smoothing lies in [0, 1): at 1 all labels are 1/2 and there is nothing to learn."""
    with pytest.raises(ValueError, match="label_smoothing"):
        BinaryCrossentropy(1.0)


@pytest.mark.parametrize("loss", [BinaryCrossentropy(), SquaredError(), Contrastive()])
def test_losses_of_single_pairs_train_every_similarity(loss):
    for similarity in (*FIXED, Learned):
        assert loss.check(similarity()) is None


def test_ranking_cannot_train_the_learned_similarity():
    for similarity in FIXED:
        assert Ranking().check(similarity()) is None
    with pytest.raises(ValueError, match=r"loss=ranking cannot train similarity=learned: .* Choose similarity=cosine"):
        Ranking().check(Learned())


@pytest.mark.parametrize(
    ("first", "second", "second_weight", "trains"),
    [
        (BinaryCrossentropy(), Ranking(), 0.5, True),
        (BinaryCrossentropy(), Ranking(), 0.0, True),
        (BinaryCrossentropy(), Ranking(), 1.0, False),
        (Ranking(), BinaryCrossentropy(), 0.0, False),
        (Ranking(), Ranking(), 0.5, False),
    ],
)
def test_a_sum_trains_the_learned_similarity_if_a_part_with_weight_does(first, second, second_weight, trains):
    loss = WeightedSum(first, second, second_weight)
    if trains:
        assert loss.check(Learned()) is None
    else:
        with pytest.raises(ValueError, match="cannot train similarity=learned"):
            loss.check(Learned())
