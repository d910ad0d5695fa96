"""Clusters: connected components of duplicates, built from pairs as they are found."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Cluster:
    """A connected component of duplicates: at least 2 members, `int64[rows]` ascending, and their representative.

    It has the greatest sum of similarities to its duplicates; the first of ties.
    """

    members: np.ndarray
    representative: int


class ClusterBuilder:
    """Builds clusters: the connected component and the centrality of each question.

    Pairs are buffered until there are as many as questions, so memory does not grow with the number of pairs.
    """

    def __init__(self, questions: int):
        self._component = np.arange(questions)
        self._centrality = np.zeros(questions)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> None:
        """Add pairs of duplicates, `int64[pairs]` numbers of questions and `float32[pairs]` similarities; each comes once."""
        self._waiting.append((left, right, similarity))
        if sum(len(pairs) for pairs, _, _ in self._waiting) >= len(self._component):
            self._settle()

    def clusters(self) -> list[Cluster]:
        """The clusters of all added pairs, largest first, then in the order of their first questions."""
        self._settle()
        by_component = np.argsort(self._component, kind="stable")
        starts = np.flatnonzero(np.diff(self._component[by_component], prepend=-1))
        groups = [group for group in np.split(by_component, starts[1:]) if len(group) > 1]
        groups.sort(key=lambda group: (-len(group), group[0]))
        return [Cluster(group, int(group[np.argmax(self._centrality[group])])) for group in groups]

    def _settle(self) -> None:
        """Join the components of the buffered pairs."""
        if not self._waiting:
            return
        left, right, similarity = map(np.concatenate, zip(*self._waiting, strict=True))
        count = len(self._component)
        for question in (left, right):
            self._centrality += np.bincount(question, similarity, count)
        edges = (np.ones(len(left), np.int32), (self._component[left], self._component[right]))
        joined = connected_components(coo_array(edges, shape=(count, count)), directed=False)[1]
        self._component = joined[self._component].astype(np.int64)
        self._waiting = []
