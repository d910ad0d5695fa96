"""Mining: all duplicates in a collection of questions.

Texts with the same tokens are one question to a detector, so each such text is encoded and compared once. Candidates
are near points (siamese/geometry.py, near_pairs.py), and the network's own similarity decides about each of them.

How complete it is: with the cosine and the Euclidean similarity, and up to `exact_up_to` different texts, every pair
that reaches the threshold is found. With the other similarities, and of more texts, those are found of which one
is among the `neighbours` nearest points of the other, in the directions in which points differ most; of more
texts, most of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from siamese import geometry
from siamese.data.texts import Texts, numbered
from siamese.detector import Detector
from siamese.light.network import LightNetwork
from siamese.near_pairs import ScoredPairs, pairs_within
from siamese.neighbours import nearest_pairs
from siamese.text.vectorizer import TokenIds

SAMPLE, SAMPLE_OTHERS = 500, 20_000  # texts from which the number of pairs above a threshold is estimated
PAIRS_AT_ONCE = 256  # whose embeddings are in a core's cache


@dataclass(frozen=True)
class DistinctTexts:
    """The texts of a collection that a detector can tell apart.

    Attributes:
        embeddings: `float32[texts, dimension]`, in the order of their first appearance.
        number: `int32[rows]`, which text each row of the collection has.
        first: `int64[texts]`, the first row of each text.
        count: `int64[texts]`, how many rows have it.
    """

    embeddings: np.ndarray
    number: np.ndarray
    first: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, detector: Detector, questions: Sequence[str]) -> "DistinctTexts":
        """Encode each text of a collection once."""
        token_ids = detector.vectorizer.encode(questions)
        number = _numbered(token_ids)
        _, first, count = np.unique(number, return_index=True, return_counts=True)
        return cls(detector.network.encode(_taken(token_ids, first)), number, first, count)


def duplicates(
    network: LightNetwork, texts: DistinctTexts, threshold: float, neighbours: int, exact_up_to: int
) -> Iterator[ScoredPairs]:
    """The pairs of rows whose similarity reaches the threshold, as they are found; `left` and `right` are rows.

    First come the repeats, each row whose text has come before with the first row of that text; then the pairs of
    different texts, each text by its first row, in the order of left, then right.

    Args:
        network: decides about each pair.
        texts: of the collection.
        threshold: least similarity.
        neighbours: of each text that are looked at where not all are; at least 1.
        exact_up_to: of more texts than these, only those of near cells are compared.

    Raises:
        ValueError: `neighbours` is below 1.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    yield _repeats(network, texts, threshold)
    for found in _near_duplicates(network, texts.embeddings, threshold, neighbours, exact_up_to):
        yield replace(found, left=texts.first[found.left], right=texts.first[found.right])


def _repeats(network: LightNetwork, texts: DistinctTexts, threshold: float) -> ScoredPairs:
    right = np.flatnonzero(texts.first[texts.number] != np.arange(len(texts.number)))
    text = texts.number[right]
    similarity = _similarity(network, texts.embeddings, text, text)
    kept = similarity >= threshold
    return ScoredPairs(texts.first[text[kept]], right[kept], similarity[kept], 0.0)


def _near_duplicates(
    network: LightNetwork, embeddings: np.ndarray, threshold: float, neighbours: int, exact_up_to: int
) -> Iterator[ScoredPairs]:
    """The same of distinct texts, by their positions."""

    def score(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return _similarity(network, embeddings, left, right)

    if len(embeddings) < 2:
        return iter(())
    similarity = network.description["similarity"]
    radius = geometry.radius(similarity, threshold)
    exact = len(embeddings) <= exact_up_to
    if radius is not None and exact:
        return pairs_within(geometry.points(similarity, embeddings), radius, score, threshold)
    return nearest_pairs(geometry.principal(similarity, embeddings), neighbours, exact, score, threshold)


def affordable_threshold(network: LightNetwork, embeddings: np.ndarray, threshold: float, most: int) -> float:
    """The threshold itself or, if more than `most` pairs of texts reach it, the one that about so many reach.

    A threshold that is right where a third of the pairs are duplicates is far too low for all pairs of a collection,
    of which hardly any are. The number is estimated from a sample, always the same. Where candidates are nearest
    neighbours their number is bounded anyway, and the threshold stays.

    Args:
        network: its similarity counts.
        embeddings: `float32[texts, dimension]`.
        threshold: least similarity.
        most: pairs, at least 1.

    Raises:
        ValueError: `most` is below 1.
    """
    if most < 1:
        raise ValueError(f"most must be at least 1, got {most}")
    texts, similarity = len(embeddings), network.description["similarity"]
    pairs = texts * (texts - 1) // 2
    if pairs <= most or geometry.radius(similarity, threshold) is None:
        return threshold
    generator = np.random.default_rng(0)
    sample = generator.choice(texts, min(SAMPLE, texts), replace=False)
    others = generator.choice(texts, min(SAMPLE_OTHERS, texts), replace=False)
    points = geometry.points(similarity, embeddings[sample])
    nearness = geometry.asked(points) @ geometry.stored(geometry.points(similarity, embeddings[others])).T
    nearness -= np.einsum("nd,nd->n", points, points)[:, None] / 2  # now minus half the squared distance
    nearness[sample[:, None] == others] = -np.inf  # a text and itself are no pair
    compared = np.count_nonzero(nearness > -np.inf)
    allowed = compared * most // pairs
    nearest_first = np.argpartition(-nearness.ravel(), allowed)
    row, column = np.divmod(nearest_first[allowed : allowed + 1], len(others))  # the first pair that is too many
    too_much = _similarity(network, embeddings, sample[row], others[column])[0]
    return max(threshold, float(np.nextafter(too_much, np.float32(2))))


def _similarity(network: LightNetwork, embeddings: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Similarities `float32[pairs]` of pairs of positions, `int64[pairs]` each."""
    similarity = np.empty(len(left), np.float32)
    for start in range(0, len(left), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        similarity[part] = network.similarity(embeddings[left[part]], embeddings[right[part]])
    return similarity


def _numbered(token_ids: TokenIds) -> np.ndarray:
    """Number questions so that those with the same tokens have the same number: `int32[questions]`."""
    buffers = [None, pa.py_buffer(4 * token_ids.offsets), pa.py_buffer(token_ids.values)]
    return numbered(Texts(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(token_ids), buffers)))[0]


def _taken(token_ids: TokenIds, rows: np.ndarray) -> TokenIds:
    """The token ids of the questions at `rows`, `int64[n]`."""
    lengths = token_ids.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(token_ids.offsets[rows] - offsets[:-1], lengths)
    return TokenIds(token_ids.values[shift + np.arange(offsets[-1])], offsets)
