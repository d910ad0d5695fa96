"""Nearest intents: for each question the most similar ones with its own intent and with others, and what they tell."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from siamese.data.intents import IntentQuestions
from siamese.evaluation.intents import NearestQuestions, intent_metrics, refusal_threshold, searched
from siamese.inference.runtime import Runtime
from siamese.retrieval import embedding_space

CANDIDATES = 20  # nearest points of each kind, among which the similarity decides
QUESTIONS = 5_000  # of a part that are asked at most, evenly spread over it,
COMPARISONS = 50_000_000  # or as many as make so many similarities where the collection is small
DISTANCES_AT_ONCE = 4_000_000

Encode = Callable[[Sequence[str]], np.ndarray]


def measure_intents(
    network: Runtime, encode: Encode, intents: Mapping[str, IntentQuestions], parts: Iterable[str]
) -> dict[str, dict[str, float]]:
    """The metrics of `intent_metrics` for parts of the questions, at a threshold chosen on dev.

    Args:
        network: compares embeddings.
        encode: questions -> their embeddings by the network, `float32[questions, dimension]`.
        intents: train, dev and, where there is one, test.
        parts: names of those to measure. One in which no question has its intent in the collection gets no metric, nor does
            any where no intents are known.
    """
    if not intents:
        return {}
    dev = nearest_of_part(network, encode, intents, "dev")
    if not len(dev.own):
        return {}
    threshold = refusal_threshold(dev)
    found = {part: dev if part == "dev" else nearest_of_part(network, encode, intents, part) for part in parts}
    return {part: intent_metrics(nearest, threshold) for part, nearest in found.items() if len(nearest.own)}


def nearest_of_part(
    network: Runtime, encode: Encode, intents: Mapping[str, IntentQuestions], part: str
) -> NearestQuestions:
    """The nearest of the questions of a part, in the collection of `searched`, as far as it has their intents.

    A part lies in its collection as a whole, where no question finds itself, or has no question of it.
    """
    questions, known = intents[part], searched(intents, part)
    most = max(QUESTIONS, COMPARISONS // len(known.question))
    asked = questions.take(embedding_space.evenly(len(questions.question), most))
    position = {question: row for row, question in enumerate(known.question)}
    embeddings = encode(known.question)
    if asked.question[0] not in position:
        return nearest_by_intent(network, encode(asked.question), asked.intent, embeddings, known.intent)
    itself = np.array([position[question] for question in asked.question])
    return nearest_by_intent(network, embeddings[itself], asked.intent, embeddings, known.intent, itself)


def nearest_by_intent(
    network: Runtime,
    asked: np.ndarray,
    asked_intent: np.ndarray,
    known: np.ndarray,
    known_intent: np.ndarray,
    itself: np.ndarray | None = None,
) -> NearestQuestions:
    """The most similar questions of a collection with the own intent and with other intents of each question.

    Questions whose intent the collection does not have are left out.

    Args:
        network: compares embeddings.
        asked, asked_intent: embeddings `float32[asked, dimension]` and intents `int32[asked]` of the questions.
        known, known_intent: of the collection.
        itself: `int64[asked]`, the position of each question in the collection, to be left out of its own search; None if
            it is not there.
    """
    queries = embedding_space.augment_queries(embedding_space.points(network.comparison, asked))
    vectors = embedding_space.augment_vectors(embedding_space.points(network.comparison, known))
    own, others = [np.empty(0, np.float32)], [np.empty((0, min(CANDIDATES, len(known))), np.float32)]
    rows_at_once = max(1, DISTANCES_AT_ONCE // len(known))
    for start in range(0, len(asked), rows_at_once):
        rows = np.arange(start, min(start + rows_at_once, len(asked)))
        nearness = queries[rows] @ vectors.T  # float32[rows, known], falls with the distance
        if itself is not None:
            nearness[np.arange(len(rows)), itself[rows]] = -np.inf
        same = asked_intent[rows, None] == known_intent
        best_own = _most_similar(network, asked[rows], known, np.where(same, nearness, -np.inf))[:, 0]
        best_others = _most_similar(network, asked[rows], known, np.where(same, -np.inf, nearness))
        has_own = best_own > -np.inf
        own.append(best_own[has_own])
        others.append(best_others[has_own])
    return NearestQuestions(np.concatenate(own), np.concatenate(others))


def _most_similar(network: Runtime, asked: np.ndarray, known: np.ndarray, nearness: np.ndarray) -> np.ndarray:
    """Similarities of the nearest candidates, `float32[asked, k]`, highest first; -inf where the nearness is."""
    count = min(CANDIDATES, nearness.shape[1])
    found = np.argpartition(nearness, -count, axis=1)[:, -count:]
    row, column = np.nonzero(np.take_along_axis(nearness, found, axis=1) > -np.inf)
    similarity = np.full(found.shape, -np.inf, np.float32)
    similarity[row, column] = network.similarity(asked[row], known[found[row, column]])
    return -np.sort(-similarity, axis=1)
