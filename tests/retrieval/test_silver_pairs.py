"""Silver pairs: near neighbors, and the label that several teachers give together."""

import numpy as np
import pytest

from siamese.retrieval.silver_pairs import ensemble, near_pairs

POINTS = np.array([[0.0], [1.0], [3.0], [10.0], [10.5]], np.float32)


def pairs(*arguments, **options) -> list[tuple[int, int]]:
    left, right = near_pairs(POINTS, *arguments, **options)
    return list(zip(left.tolist(), right.tolist(), strict=True))


def test_each_pair_of_which_one_is_the_nearest_of_the_other_comes_once():
    """The nearest of 0, 1, 2, 3, 4 are 1, 0, 1, 4, 3."""
    assert pairs(1, 100) == [(0, 1), (1, 2), (3, 4)]
    assert pairs(2, 100) == [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)]


def test_known_pairs_are_left_out():
    assert pairs(1, 100, {(0, 1), (2, 4)}) == [(1, 2), (3, 4)]
    with pytest.raises(ValueError, match="5 questions have no near pair without a label"):
        pairs(1, 100, {(0, 1), (1, 2), (3, 4)})


def test_some_are_drawn_by_the_seed():
    drawn = [pairs(2, 3, seed=seed) for seed in range(20)]
    assert all(len(set(each)) == 3 and set(each) <= set(pairs(2, 100)) and each == sorted(each) for each in drawn)
    assert {pair for each in drawn for pair in each} == set(pairs(2, 100))
    assert pairs(2, 3, seed=7) == drawn[7]


def test_the_shares_of_the_search_add_up():
    shares = []
    pairs(2, 100, on_part=lambda part: shares.append(part.share))
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(("top_k", "wanted"), [(0, 1), (1, 0)])
def test_no_neighbors_and_no_pairs_are_refused(top_k, wanted):
    with pytest.raises(ValueError, match=f"top_k and pairs must be at least 1, got {top_k} and {wanted}"):
        pairs(top_k, wanted)


def test_the_label_is_the_mean_of_the_log_odds():
    """Odds of 1 to 3 and of 27 to 1: their geometric mean is 3 to 1. Sure teachers stay finite."""
    assert ensemble([np.array([1 / 4]), np.array([27 / 28])]) == pytest.approx([3 / 4])
    assert ensemble([np.array([0.0, 1.0, 1.0], np.float32), np.array([0.0, 1.0, 0.0])]) == pytest.approx(
        [1e-6, 1 - 1e-6, 0.5]
    )
