"""Clusters: groups of duplicates without chains, from pairs as they are found.

If a is a duplicate of b and b of c, a need not be a duplicate of c: on 3,000 questions of banking77 one connected
component holds 2,884. So components are parted by average linkage (Sokal and Michener 1958): the two nearest groups are
joined as long as the mean similarity of all pairs between them reaches the threshold.

Average linkage compares all texts of a component. A component of more than `LARGEST` texts is first cut at its weakest
pairs until its parts are small enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from siamese.retrieval.scored_pairs import Score

LARGEST = 3_000  # texts whose similarities are in memory at the same time
KEPT = 10  # of the most similar pairs for each text, for cuts of large components
CUT = 0.75  # share of the pairs that a cut leaves


@dataclass(frozen=True)
class Cluster:
    """A group of duplicates: at least 2 members, `int64[rows]` ascending, and their representative.

    It has the greatest sum of similarities to all members; the first of ties.
    """

    members: np.ndarray
    representative: int


class ClusterBuilder:
    """Builds clusters of a number of texts.

    Pairs are buffered until there are as many as texts, so memory does not grow with the number of pairs.
    """

    def __init__(self, texts: int):
        self._component = np.arange(texts)
        self._strongest = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> None:
        """Add pairs of duplicates, `int[pairs]` numbers of texts and `float32[pairs]` similarities; each comes once."""
        self._waiting.append((left, right, similarity))
        if sum(len(pairs) for pairs, _, _ in self._waiting) >= len(self._component):
            self._settle()

    def clusters(self, number: np.ndarray, score: Score, threshold: float) -> list[Cluster]:
        """The clusters of all added pairs, largest first, then in the order of their first rows.

        Args:
            number: `int[rows]`, the text of each row of the collection; rows of one text stay together.
            score: similarities of pairs of texts.
            threshold: least mean similarity of two groups that are joined.
        """
        self._settle()
        by_text = np.argsort(number, kind="stable")
        rows = np.split(by_text, np.cumsum(np.bincount(number, minlength=len(self._component)))[:-1])
        found = []
        for texts in _groups(self._small_components()):
            for group, centrality in _parted(texts, score, threshold, np.array([len(rows[text]) for text in texts])):
                members = np.concatenate([rows[text] for text in group])
                if len(members) > 1:
                    found.append(Cluster(np.sort(members), int(rows[group[np.argmax(centrality)]][0])))
        return sorted(found, key=lambda cluster: (-len(cluster.members), cluster.members[0]))

    def _settle(self) -> None:
        """Join the components of the buffered pairs."""
        if not self._waiting:
            return
        left, right, similarity = map(np.concatenate, zip(*self._waiting, strict=True))
        joined = _components(self._component[left], self._component[right], len(self._component))
        self._component = joined[self._component]
        self._waiting = []
        self._strongest = _strongest(
            np.concatenate([self._strongest[0], left]),
            np.concatenate([self._strongest[1], right]),
            np.concatenate([self._strongest[2], similarity]),
            KEPT * len(self._component),
        )

    def _small_components(self) -> np.ndarray:
        """The component of each text; those of more than `LARGEST` texts lose their weakest pairs until they fall apart."""
        component, (left, right, similarity) = self._component, self._strongest
        left_over = 1.0  # the pairs that were kept may already be too few to join what all pairs join
        while len(component) and (large := (np.bincount(component) > LARGEST)[component]).any():
            inside = large[left]
            left, right, similarity = left[inside], right[inside], similarity[inside]
            left, right, similarity = _strongest(left, right, similarity, int(left_over * len(left)))
            left_over = CUT
            apart = _components(left, right, len(component)) + len(component)
            component = np.unique(np.where(large, apart, component), return_inverse=True)[1]
        return component


def _groups(label: np.ndarray) -> Iterator[np.ndarray]:
    """The positions of each label, ascending."""
    by_label = np.argsort(label, kind="stable")
    return iter(np.split(by_label, np.flatnonzero(np.diff(label[by_label])) + 1)) if len(label) else iter(())


def _components(left: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    edges = (np.ones(len(left), np.int32), (left, right))
    return connected_components(coo_array(edges, shape=(count, count)), directed=False)[1].astype(np.int64)


def _strongest(
    left: np.ndarray, right: np.ndarray, similarity: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `count` most similar pairs; the first of ties."""
    if len(left) > count:
        best = np.argsort(-similarity, kind="stable")[:count]
        left, right, similarity = left[best], right[best], similarity[best]
    return left, right, similarity


def _parted(
    texts: np.ndarray, score: Score, threshold: float, count: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The groups of the texts, `int64[texts]`, with the centrality of each of their texts, which has `count` rows."""
    if len(texts) < 2:
        yield texts, count
        return
    left, right = np.triu_indices(len(texts), 1)
    similarity = score(texts[left], texts[right])
    distance = np.maximum(1 - similarity.astype(np.float64), 0)
    label = fcluster(linkage(distance, "average"), 1 - threshold, "distance")
    near = squareform(similarity)
    np.fill_diagonal(near, 1)
    for group in _groups(label):
        yield texts[group], near[np.ix_(group, group)] @ count[group]
