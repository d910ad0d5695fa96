"""Cell pairs: the pairs of the tiles, whatever the cells; few are missed with a smaller reach; interrupted ones go on."""

import numpy as np
import pytest

from siamese.retrieval import cell_pairs, narrow_points, radius_pairs
from siamese.retrieval.exact_search import normalized
from siamese.retrieval.finished_blocks import FinishedBlocks
from siamese.retrieval.radius_pairs import pairs_within

COUNT, DIMENSION, RADIUS = 1_200, 40, 0.45


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Points around centers, of different variance along the axes, some of them equal."""
    generator = np.random.default_rng(0)
    scale = np.arange(1, DIMENSION + 1) ** -0.5
    centers = generator.normal(size=(60, DIMENSION)) * scale
    points = centers[generator.integers(60, size=COUNT)] + 0.25 * generator.normal(size=(COUNT, DIMENSION)) * scale
    points[[40, 1_100]] = points[3]
    return normalized(points.astype(np.float32))


@pytest.fixture
def cells(monkeypatch):
    """Cells from the first point on, and narrow points of 8 dimensions."""
    monkeypatch.setattr(narrow_points, "WIDTHS", (8,))
    monkeypatch.setattr(narrow_points, "FULL_COST", 1)
    monkeypatch.setattr(radius_pairs, "CELLS_FROM", 0)


def mined(points: np.ndarray, reach: float = 1.0, finished: FinishedBlocks | None = None):
    score = lambda left, right: 1 - np.linalg.norm(points[left] - points[right], axis=1)  # noqa: E731
    found = list(pairs_within(points, RADIUS, score, 1 - RADIUS, reach, finished or FinishedBlocks()))
    assert sum(some.share for some in found) == pytest.approx(1)
    return tuple(
        np.concatenate([getattr(some, name) for some in found]).tolist() for name in ("left", "right", "similarity")
    )


@pytest.fixture(scope="module")
def expected(points):
    """By tiles: there are fewer points than CELLS_FROM."""
    found = mined(points)
    assert 1_000 < len(found[0]) < 50_000
    return found


@pytest.mark.parametrize("size", [7, 50, 10_000])
@pytest.mark.parametrize(("at_once", "parts", "filtered", "columns"), [(1, 1, 33, 40), (3, 2, 10_000, 10_000)])
def test_every_near_pair_once_in_order(points, expected, cells, monkeypatch, size, at_once, parts, filtered, columns):
    """With cells of any size, one for all points included, and any division of the work."""
    sizes = {"POINTS_PER_CELL": size, "CELLS_AT_ONCE": at_once, "PARTS_AT_ONCE": parts, "COLUMNS": columns}
    for name, value in (sizes | {"FILTERED_AT_ONCE": filtered, "PAIRS_AT_ONCE": 500}).items():
        monkeypatch.setattr(cell_pairs, name, value)
    assert mined(points) == expected


def test_a_mirrored_collection_has_the_mirrored_pairs(points, expected, cells, monkeypatch):
    monkeypatch.setattr(cell_pairs, "POINTS_PER_CELL", 30)
    left, right, _ = mined(points[::-1])
    last = COUNT - 1
    assert sorted((last - b, last - a) for a, b in zip(left, right, strict=True)) == list(
        zip(*expected[:2], strict=True)
    )


def test_cells_without_points(expected, cells, monkeypatch):
    """Equal points are in one cell, and the others stay empty."""
    monkeypatch.setattr(cell_pairs, "POINTS_PER_CELL", 2)
    points = normalized(np.ones((20, DIMENSION), np.float32))
    assert len(mined(points)[0]) == 20 * 19 / 2


def test_a_smaller_reach_finds_most_and_no_other(points, expected, cells, monkeypatch):
    monkeypatch.setattr(cell_pairs, "POINTS_PER_CELL", 30)
    every, some = (set(zip(*found[:2], strict=True)) for found in (expected, mined(points, reach=0.4)))
    assert some < every
    assert len(some) > 0.9 * len(every)


def test_many_pairs_are_not_held_in_memory(points, expected, cells, monkeypatch):
    """The tiles yield them at once: the first part is no empty one."""
    monkeypatch.setattr(radius_pairs, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(radius_pairs, "pairs_of_cells", None)
    assert mined(points) == expected


def test_a_finished_block_is_not_computed_again(points, expected, cells, monkeypatch, tmp_path):
    """Interrupted in the middle, the search goes on with the first block that is missing."""
    for name, value in {"POINTS_PER_CELL": 30, "CELLS_AT_ONCE": 2, "PARTS_AT_ONCE": 2}.items():
        monkeypatch.setattr(cell_pairs, name, value)
    computed = []
    prepare = cell_pairs._parts

    def interrupted(*arguments):
        block = prepare(*arguments)

        def counted(starts):
            if len(computed) == 5:
                raise KeyboardInterrupt
            computed.append(starts[0])
            return block(starts)

        return counted

    monkeypatch.setattr(cell_pairs, "_parts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mined(points, finished=FinishedBlocks(tmp_path))
    before, computed = computed, []
    monkeypatch.setattr(cell_pairs, "_nearest_center", lambda *_: pytest.fail("computed again"))
    assert mined(points, finished=FinishedBlocks(tmp_path)) == expected
    assert len(before) == 5
    assert before + computed == list(range(0, 40, 4))
