"""most_uncertain: the nearest to a probability of 1/2, of many questions, and none that has a label."""

import numpy as np
import pytest

from siamese.retrieval import uncertain_pairs
from siamese.retrieval.scored_pairs import ScoredPairs
from siamese.retrieval.uncertain_pairs import most_uncertain

PAIRS = {(0, 1): 0.5, (0, 2): 0.52, (0, 3): 0.53, (1, 2): 0.4, (4, 5): 0.9, (6, 7): 0.05}


def blocks(size: int):
    rows = list(PAIRS.items())
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        left, right = np.array([pair for pair, _ in some]).T
        yield ScoredPairs(left, right, np.array([value for _, value in some], np.float32), size / len(rows))


def chosen(wanted: int, *known: tuple[int, int], size: int = 2) -> list[tuple[int, int]]:
    return most_uncertain(blocks(size), lambda similarity: similarity, wanted, lambda *pair: pair in known, len(known))


def test_the_nearest_to_even_come_first_and_no_question_more_than_twice():
    assert chosen(9) == [(0, 1), (0, 2), (1, 2), (4, 5), (6, 7)]
    assert chosen(2) == [(0, 1), (0, 2)]


def test_what_has_a_label_makes_room_for_others():
    assert chosen(2, (0, 1)) == [(0, 2), (0, 3)]


@pytest.mark.parametrize("size", [1, 3, 6])
def test_blocks_change_nothing_where_most_pairs_are_let_go(size, monkeypatch):
    monkeypatch.setattr(uncertain_pairs, "CANDIDATES", 1)
    assert chosen(3, (0, 1), size=size) == [(0, 2), (0, 3), (1, 2)]


def test_nothing_is_found_among_nothing():
    assert most_uncertain([], lambda similarity: similarity, 1, lambda *pair: False) == []
