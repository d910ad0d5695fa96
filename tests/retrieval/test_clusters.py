"""Clusters: groups and representatives by hand, for any order and batches of the pairs."""

import numpy as np
import pytest

from siamese.retrieval import clusters
from siamese.retrieval.clusters import ClusterBuilder

THRESHOLD = 0.5
PAIRS = [(1, 4, 0.6), (4, 6, 0.7), (1, 6, 0.55), (0, 9, 0.8), (2, 3, 0.9)]  # 1-4-6, 0-9, 2-3; 5, 7 and 8 alone


def build(pairs, number, at_once: int = 5, threshold: float = THRESHOLD) -> list[tuple[list[int], int]]:
    """The clusters of rows with these texts; only pairs above the threshold are found, all others have 0.1 or what is given."""
    near = {frozenset(pair): value for *pair, value in pairs}
    found = [each for each in pairs if each[2] >= threshold]
    builder = ClusterBuilder(max(number) + 1)
    for start in range(0, len(found), at_once):
        left, right, similarity = zip(*found[start : start + at_once], strict=True)
        builder.add(np.array(left), np.array(right), np.array(similarity, np.float32))

    def score(left, right) -> np.ndarray:
        texts = zip(left.tolist(), right.tolist(), strict=True)
        return np.array([near.get(frozenset(pair), 0.1) for pair in texts], np.float32)

    made = builder.clusters(np.array(number), score, threshold)
    return [(cluster.members.tolist(), cluster.representative) for cluster in made]


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("texts", [10, 1_000])
def test_groups_and_their_most_central_members(at_once, order, texts):
    """4 has 0.6 + 0.7, 6 has 0.7 + 0.55; of two the first is representative. Few texts are settled early."""
    expected = [([1, 4, 6], 4), ([0, 9], 0), ([2, 3], 2)]
    assert build(PAIRS[::order], range(texts), at_once) == expected


@pytest.mark.parametrize(("ends", "expected"), [(0.1, [([0, 1], 0)]), (0.4, [([0, 1, 2], 1)])])
def test_a_chain_is_no_cluster(ends, expected):
    """0-1-2: the mean of 0-2 and 1-2 is (0.1 + 0.7) / 2 < 0.5, or (0.4 + 0.7) / 2 > 0.5."""
    assert build([(0, 1, 0.8), (1, 2, 0.7), (0, 2, ends)], range(3)) == expected


def test_a_long_chain_is_parted():
    """Each next pair is a little less similar: they are joined in twos."""
    pairs = [(i, i + 1, 0.9 - i / 1_000) for i in range(99)]
    assert build(pairs, range(100)) == [([i, i + 1], i) for i in range(0, 100, 2)]


def test_rows_of_one_text_stay_together():
    """Rows 0, 2 and 5 have text 0, which is near text 1; 3 and 4 have text 2. Two repeats outweigh a nearer text."""
    assert build([(0, 0, 1.0), (0, 1, 0.7), (2, 2, 1.0)], [0, 1, 0, 2, 2, 0, 3]) == [([0, 1, 2, 5], 0), ([3, 4], 3)]
    assert build([(0, 1, 0.7), (1, 1, 1.0)], [0, 1, 1]) == [([0, 1, 2], 1)]


def test_a_component_that_is_too_large_is_cut_at_its_weakest_pairs(monkeypatch):
    """Two triangles and weaker pairs between them: one cluster if six texts can be compared, two if three can."""
    triangles = [(a, b, 0.9) for a, b in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]]
    bridged = [*triangles, *((a, b, 0.6) for a in range(3) for b in range(3, 6))]
    assert build(bridged, range(6)) == [([0, 1, 2, 3, 4, 5], 0)]
    monkeypatch.setattr(clusters, "LARGEST", 3)
    assert build(bridged, range(6)) == [([0, 1, 2], 0), ([3, 4, 5], 3)]
    monkeypatch.setattr(clusters, "KEPT", 1)  # the strongest 6 pairs still hold the triangles
    assert build(bridged, range(6), at_once=1) == [([0, 1, 2], 0), ([3, 4, 5], 3)]


def test_cuts_end_where_all_pairs_are_equal(monkeypatch):
    monkeypatch.setattr(clusters, "LARGEST", 2)
    made = build([(a, b, 0.9) for a in range(6) for b in range(a + 1, 6)], range(6))
    assert all(len(members) == 2 for members, _ in made)


def test_no_pairs():
    assert build([], range(3)) == []
    nothing = np.empty(0, np.int64)
    assert ClusterBuilder(0).clusters(nothing, lambda left, right: left, 0.5) == []
    builder = ClusterBuilder(2)
    builder.add(nothing, nothing, np.empty(0, np.float32))
    assert builder.clusters(np.arange(2), lambda left, right: left, 0.5) == []


def test_memory_stays_bounded():
    """No more pairs wait than there are texts, and ten for each are kept."""
    builder = ClusterBuilder(100)
    for _ in range(50):
        builder.add(np.arange(0, 30), np.arange(30, 60), np.ones(30, np.float32))
        assert sum(len(left) for left, _, _ in builder._waiting) < 100
    assert len(builder._strongest[0]) == 1_000
