"""Shares of the blocks: what tells duplicates from others on dev gets more, and nothing gets less than nothing."""

import numpy as np
import pytest

from siamese.training.shares import fitted_shares

START = np.float32([0.94, 0.05, 0.005, 0.005])


def cosines(pairs: int, informative: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Of four blocks one tells duplicates from others, one block is the opposite of what it should be."""
    generator = np.random.default_rng(seed)
    duplicate = np.arange(pairs) % 2 == 0
    found = generator.normal(0, 0.2, (pairs, 4))
    found[:, informative] += 0.4 * duplicate
    found[:, (informative + 1) % 4] -= 0.4 * duplicate
    return found, duplicate


@pytest.mark.parametrize("informative", range(4))
def test_the_block_that_tells_gets_nearly_all_and_a_misleading_one_nothing(informative):
    shares = fitted_shares(*cosines(4_000, informative), START)
    assert shares.argmax() == informative
    assert shares[informative] > 0.8
    assert shares[(informative + 1) % 4] < 0.02
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1, abs=1e-6)


def test_few_pairs_change_little():
    few, many = (np.abs(fitted_shares(*cosines(pairs, 1), START) - START).max() for pairs in (6, 4_000))
    assert few < 0.2 < many
