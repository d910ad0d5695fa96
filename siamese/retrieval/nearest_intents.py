"""Nearest intents: for each question the most similar ones with its own intent and with others, and what they tell."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from siamese.data.intents import IntentQuestions
from siamese.evaluation.intents import NearestQuestions, intent_metrics, refusal_threshold, searched
from siamese.inference.runtime import Runtime
from siamese.inference.threads import cores, side_by_side
from siamese.retrieval import embedding_space

CANDIDATES = 20  # nearest points of each kind, among which the similarity decides
QUESTIONS = 5_000  # of a part that are asked at most, evenly spread over it,
COMPARISONS = 50_000_000  # or as many as make so many similarities where the collection is small
DISTANCES_AT_ONCE = 4_000_000

Nearness = Callable[[np.ndarray], np.ndarray]  # int64[rows] of the asked -> float32[rows, known], grows with likeness
Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]  # int64[n] of the asked, of the known -> float32[n]
Compare = Callable[[Sequence[str], Sequence[str]], tuple[Nearness, Similarity]]  # of the asked and the known questions


def compared_by(network: Runtime, encode: Callable[[Sequence[str]], np.ndarray]) -> Compare:
    """Questions compared by a network: candidates by their points, the similarity decides. Each is encoded once.

    Args:
        network: compares embeddings.
        encode: questions -> their embeddings by the network, `float32[questions, dimension]`.
    """

    row: dict[str, int] = {}  # of each question that was encoded
    blocks: list[np.ndarray] = []
    lock = threading.Lock()

    def compare(asked: Sequence[str], known: Sequence[str]) -> tuple[Nearness, Similarity]:
        with lock:  # parts that are compared at the same time share a collection
            new = [question for question in dict.fromkeys([*known, *asked]) if question not in row]
            if new:
                blocks.append(encode(new))
                row.update(zip(new, range(len(row), len(row) + len(new)), strict=True))
            embeddings = np.concatenate(blocks)
        return nearness_of(network, *(embeddings[[row[each] for each in questions]] for questions in (asked, known)))

    return compare


def nearness_of(network: Runtime, asked: np.ndarray, known: np.ndarray) -> tuple[Nearness, Similarity]:
    """How a network compares embeddings, `float32[asked, dimension]` with `float32[known, dimension]`."""
    queries = embedding_space.augment_queries(embedding_space.points(network.comparison, asked))
    vectors = embedding_space.augment_vectors(embedding_space.points(network.comparison, known))
    return lambda rows: queries[rows] @ vectors.T, lambda row, column: network.similarity(asked[row], known[column])


def measure_intents(
    compare: Compare, intents: Mapping[str, IntentQuestions], parts: Iterable[str]
) -> dict[str, dict[str, float]]:
    """The metrics of `intent_metrics` for parts of the questions, at a threshold chosen on dev.

    Args:
        compare: from `compared_by`, or as it does.
        intents: train, dev and, where there is one, test.
        parts: names of those to measure. One in which no question has its intent in the collection gets no metric, nor does
            any where no intents are known.
    """
    if not intents:
        return {}
    names = list(dict.fromkeys(["dev", *parts]))
    with side_by_side(cores()) as each:
        found = dict(zip(names, each(partial(nearest_of_part, compare, intents), names), strict=True))
    if not len(found["dev"].own):
        return {}
    threshold = refusal_threshold(found["dev"])
    return {part: intent_metrics(found[part], threshold) for part in parts if len(found[part].own)}


def nearest_of_part(compare: Compare, intents: Mapping[str, IntentQuestions], part: str) -> NearestQuestions:
    """The nearest of the questions of a part, in the collection of `searched`, as far as it has their intents.

    A part lies in its collection as a whole, where no question finds itself, or has no question of it.
    """
    questions, known = intents[part], searched(intents, part)
    most = max(QUESTIONS, COMPARISONS // len(known.question))
    asked = questions.take(embedding_space.evenly(len(questions.question), most))
    position = {question: row for row, question in enumerate(known.question)}
    inside = asked.question[0] in position
    itself = np.array([position[question] for question in asked.question]) if inside else None
    return nearest_by_intent(*compare(asked.question, known.question), asked.intent, known.intent, itself)


def nearest_by_intent(
    nearness: Nearness,
    similarity: Similarity,
    asked_intent: np.ndarray,
    known_intent: np.ndarray,
    itself: np.ndarray | None = None,
) -> NearestQuestions:
    """The most similar questions of a collection with the own intent and with other intents of each question.

    Questions whose intent the collection does not have are left out.

    Args:
        nearness, similarity: the first finds candidates, the second decides.
        asked_intent, known_intent: `int32[asked]` of the questions, `int32[known]` of the collection.
        itself: `int64[asked]`, the position of each question in the collection, to be left out of its own search; None if
            it is not there.
    """
    known = len(known_intent)
    own, others = [np.empty(0, np.float32)], [np.empty((0, min(CANDIDATES, known)), np.float32)]
    rows_at_once = max(1, DISTANCES_AT_ONCE // known)
    for start in range(0, len(asked_intent), rows_at_once):
        rows = np.arange(start, min(start + rows_at_once, len(asked_intent)))
        near = nearness(rows)
        if itself is not None:
            near[np.arange(len(rows)), itself[rows]] = -np.inf
        same = asked_intent[rows, None] == known_intent
        best_own = _most_similar(similarity, rows, np.where(same, near, -np.inf))[:, 0]
        best_others = _most_similar(similarity, rows, np.where(same, -np.inf, near))
        has_own = best_own > -np.inf
        own.append(best_own[has_own])
        others.append(best_others[has_own])
    return NearestQuestions(np.concatenate(own), np.concatenate(others))


def _most_similar(similarity: Similarity, rows: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Similarities of the nearest candidates of the asked, `float32[rows, k]`, highest first; -inf where the nearness is."""
    count = min(CANDIDATES, near.shape[1])
    found = np.argpartition(near, -count, axis=1)[:, -count:]
    row, column = np.nonzero(np.take_along_axis(near, found, axis=1) > -np.inf)
    similarities = np.full(found.shape, -np.inf, np.float32)
    similarities[row, column] = similarity(rows[row], found[row, column])
    return -np.sort(-similarities, axis=1)
