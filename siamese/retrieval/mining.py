"""Mining: all duplicates in a collection of questions.

A detector cannot distinguish texts with the same tokens, so each distinct text is encoded and compared once. Candidates
are near points (embedding_space.py, radius_pairs.py, nearest_pairs.py); the network's similarity decides about each.

Completeness: with the cosine and the Euclidean similarity every pair that reaches the threshold is found, up to
`exact_max_questions` distinct texts; above, nearly every one (see REACH). With other similarities a pair is found if one
text is among the `top_k` nearest points of the other on the principal axes; above `exact_max_questions`, most of these.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from siamese.detector import Detector
from siamese.inference.runtime import Runtime
from siamese.inference.threads import side_by_side
from siamese.inference.workers import THIS_PROCESS, Workers
from siamese.retrieval import embedding_space
from siamese.retrieval.finished_blocks import FinishedBlocks
from siamese.retrieval.nearest_pairs import nearest_pairs
from siamese.retrieval.radius_pairs import pairs_within
from siamese.retrieval.scored_pairs import ScoredPairs
from siamese.text.inputs import Inputs
from siamese.text.vectorizer import Vectorizer

REACH = 0.4  # see cell_pairs.py; of 117,163 pairs among 100,000 of Quora's questions it finds 99.4 %
ENCODED_TOGETHER = 2**17  # texts: a block, whose distinct words are looked up once
SAMPLE, SAMPLE_OTHERS = 500, 20_000  # texts for an estimate of the number of pairs above a threshold


@dataclass(frozen=True)
class DistinctTexts:
    """The texts of a collection that a detector can distinguish, in the order of their first appearance.

    Attributes:
        embeddings: `float32[texts, dimension]`.
        number: `int32[rows]`, the text of each row of the collection.
        first, count: `int64[texts]`, the first row and the number of rows of each text.
    """

    embeddings: np.ndarray
    number: np.ndarray
    first: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, detector: Detector, questions: Sequence[str], workers: Workers = THIS_PROCESS) -> "DistinctTexts":
        """Encode each text of a collection once."""
        vectorizer = detector.vectorizer
        inputs = (
            vectorizer.encode(questions)
            if isinstance(vectorizer, Vectorizer)
            else vectorizer.encode(questions, workers)
        )
        number = inputs.numbered()
        _, first, count = np.unique(number, return_index=True, return_counts=True)
        blocks = (
            inputs.take(first[start : start + ENCODED_TOGETHER]) for start in range(0, len(first), ENCODED_TOGETHER)
        )
        embeddings = np.empty((len(first), detector.network.dimension), np.float32)
        filled = 0
        for [block] in workers.map(partial(_embeddings, detector.network), blocks):
            embeddings[filled : filled + len(block)] = block
            filled += len(block)
        return cls(embeddings, number, first, count)


def _embeddings(network: Runtime) -> Callable[[Inputs], tuple[np.ndarray]]:
    """A function: questions -> their embeddings, which do not depend on the number of threads."""

    def block(inputs: Inputs) -> tuple[np.ndarray]:
        with side_by_side(1):
            return (network.encode(inputs),)

    return block


def duplicates(
    network: Runtime,
    texts: DistinctTexts,
    threshold: float,
    top_k: int,
    exact_max_questions: int,
    finished: FinishedBlocks = FinishedBlocks(),  # noqa: B008, it holds nothing
) -> Iterator[ScoredPairs]:
    """The pairs of rows whose similarity reaches the threshold, as they are found; `left` and `right` are rows.

    First come repeats: each row whose text occurs before, paired with the first row of that text. Then come pairs of
    distinct texts, each represented by its first row, ordered by left, then right.

    Args:
        network: decides about each pair.
        texts: of the collection.
        threshold: least similarity.
        top_k: nearest points of each text that are compared, where not all are; ValueError if below 1.
        exact_max_questions: above this number of texts, only texts in near cells are compared.
        finished: parts of the search that need no computation; they must belong to the same arguments.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    right = np.flatnonzero(texts.first[texts.number] != np.arange(len(texts.number)))
    text = texts.number[right]
    similarity = network.compare(texts.embeddings, text, text)
    kept = similarity >= threshold
    yield ScoredPairs(texts.first[text[kept]], right[kept], similarity[kept], 0.0)
    for found in _near_duplicates(network, texts.embeddings, threshold, top_k, exact_max_questions, finished):
        yield replace(found, left=texts.first[found.left], right=texts.first[found.right])


def _near_duplicates(
    network: Runtime,
    embeddings: np.ndarray,
    threshold: float,
    top_k: int,
    exact_max_questions: int,
    finished: FinishedBlocks,
) -> Iterator[ScoredPairs]:
    """Pairs of distinct texts, by their positions."""
    if len(embeddings) < 2:
        return iter(())
    similarity = network.comparison
    radius = embedding_space.radius(similarity, threshold)
    score = partial(network.compare, embeddings)
    exact = len(embeddings) <= exact_max_questions
    if radius is not None and (exact or np.isfinite(radius)):
        points = embedding_space.points(similarity, embeddings)
        return pairs_within(points, radius, score, threshold, 1.0 if exact else REACH, finished)
    points = embedding_space.principal(similarity, embeddings)
    return nearest_pairs(points, top_k, exact, score, threshold, finished)


def affordable_threshold(network: Runtime, embeddings: np.ndarray, threshold: float, max_pairs: int) -> float:
    """The threshold, raised if needed until about `max_pairs` pairs of texts, `float32[texts, dimension]`, reach it.

    A threshold chosen where a third of the pairs are duplicates is far too low for all pairs of a collection. The
    number of pairs is estimated from a fixed sample. Where candidates are nearest neighbors their number is bounded, and
    the threshold stays. Raises ValueError if `max_pairs` is below 1.
    """
    if max_pairs < 1:
        raise ValueError(f"max_pairs must be at least 1, got {max_pairs}")
    texts, similarity = len(embeddings), network.comparison
    pairs = texts * (texts - 1) // 2
    if pairs <= max_pairs or embedding_space.radius(similarity, threshold) is None:
        return threshold
    generator = np.random.default_rng(0)
    sample = generator.choice(texts, min(SAMPLE, texts), replace=False)
    others = generator.choice(texts, min(SAMPLE_OTHERS, texts), replace=False)
    points, more = (embedding_space.points(similarity, embeddings[rows]) for rows in (sample, others))
    nearness = embedding_space.augment_queries(points) @ embedding_space.augment_vectors(more).T
    nearness -= np.einsum("nd,nd->n", points, points)[:, None] / 2  # now -distance² / 2
    nearness[sample[:, None] == others] = -np.inf  # a text is not paired with itself
    compared = np.count_nonzero(nearness > -np.inf)
    allowed = compared * max_pairs // pairs
    nearest_first = np.argpartition(-nearness.ravel(), allowed)
    row, column = np.divmod(nearest_first[allowed : allowed + 1], len(others))  # the first pair beyond the limit
    too_much = network.compare(embeddings, sample[row], others[column])[0]
    return max(threshold, float(np.nextafter(too_much, np.float32(2))))
