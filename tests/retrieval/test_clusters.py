"""Clusters: components and representatives by hand, for any order and batches of the pairs."""

import numpy as np
import pytest

from siamese.retrieval.clusters import ClusterBuilder

PAIRS = [(1, 4, 0.6), (4, 6, 0.7), (0, 9, 0.8), (2, 3, 0.9), (6, 8, 0.5)]  # 1-4-6-8, 0-9, 2-3; 5 and 7 alone


def build(questions: int, pairs: list[tuple[int, int, float]], at_once: int) -> list[tuple[list[int], int]]:
    builder = ClusterBuilder(questions)
    for start in range(0, len(pairs), at_once):
        left, right, similarity = zip(*pairs[start : start + at_once], strict=True)
        builder.add(np.array(left), np.array(right), np.array(similarity, np.float32))
    return [(cluster.members.tolist(), cluster.representative) for cluster in builder.clusters()]


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("questions", [10, 10_000])
def test_components_and_their_most_central_members(at_once, order, questions):
    """4 has 0.6 + 0.7, 6 has 0.7 + 0.5; of two the first is representative. Few questions are final early."""
    expected = [([1, 4, 6, 8], 4), ([0, 9], 0), ([2, 3], 2)]
    assert build(questions, PAIRS[::order], at_once) == expected


def test_chains_that_meet_late():
    """Two clusters that were settled long ago become one."""
    pairs = [(0, 1, 1.0), (2, 3, 1.0), (0, 1, 1.0), (2, 3, 1.0), (1, 2, 1.0)]
    assert build(4, pairs, at_once=1) == [([0, 1, 2, 3], 1)]


def test_very_many_edges_between_the_same_questions():
    """256 and 65,536 of them must not cancel out in a small integer."""
    for count in (256, 65_536):
        assert build(3, [(0, 2, 0.5)] * count, at_once=count) == [([0, 2], 0)]


def test_no_pairs():
    assert ClusterBuilder(3).clusters() == []
    assert ClusterBuilder(0).clusters() == []
    builder = ClusterBuilder(2)
    builder.add(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    assert builder.clusters() == []


def test_memory_stays_bounded():
    """No more pairs wait than there are questions."""
    builder = ClusterBuilder(100)
    for _ in range(50):
        builder.add(np.arange(0, 30), np.arange(30, 60), np.ones(30, np.float32))
        assert sum(len(left) for left, _, _ in builder._waiting) < 100
