"""Word effects: which words carry a verdict.

For every network: the fall of the similarity when a word is left out (Li et al. 2016, "Understanding Neural Networks
through Representation Erasure"). If an embedding is a sum over words and the similarity is the cosine, also the exact
contribution of each pair of words: cos(Σ aᵢ, Σ bⱼ) = Σᵢⱼ aᵢ·bⱼ / (|Σ aᵢ| |Σ bⱼ|).
"""

from dataclasses import dataclass

import numpy as np

from siamese.data.questions import pair_list
from siamese.detector import Detector


@dataclass(frozen=True)
class WordEffects:
    """The words of a question and their effects.

    Attributes:
        question: the text.
        spans: `int64[words, 2]`, word i is `question[start:end]`. Words beyond the detector's maximal length are left
            out.
        effect: `float64[words]` in [-1, 1], the similarity minus the similarity without the word; a word with a
            positive effect speaks for "the same".
        unread: `bool[words]`, whether the vocabulary does not know the word.
        known_words: the share of words that it knows, in [0, 1]; NaN where an encoder does not tell.
        cut: whether the question is longer than the detector reads.
    """

    question: str
    spans: np.ndarray
    effect: np.ndarray
    unread: np.ndarray
    known_words: float
    cut: bool

    @property
    def words(self) -> list[str]:
        """The words, as written."""
        return [self.question[start:end] for start, end in self.spans]


@dataclass(frozen=True)
class Explanation:
    """A verdict and the words that carry it.

    Attributes:
        similarity, probability: in [0, 1].
        duplicate, verdict: at the detector's threshold, and in words.
        left, right: the words of the two questions.
        contributions: `float64[left words, right words]`, which sum to the cosine (within 1e-6); None if the
            similarity is not the cosine, the tower is not additive, or a question has no words.
    """

    similarity: float
    probability: float
    duplicate: bool
    verdict: str
    left: WordEffects
    right: WordEffects
    contributions: np.ndarray | None

    @property
    def cosine(self) -> float | None:
        """The cosine of the two embeddings, in [-1, 1]; None if `contributions` is None."""
        return None if self.contributions is None else float(self.contributions.sum())


def why(detector: Detector, left: str, right: str) -> Explanation:
    """Explain the verdict on two questions by their words; ValueError if one is not a question.

    >>> explanation = why(Detector.load("tests/fixtures/detector_format_5"), "I lost my card", "My card is gone")
    >>> explanation.duplicate, explanation.right.words
    (True, ['My', 'card', 'is', 'gone'])
    >>> explanation.left.words[explanation.left.effect.argmax()]  # without this word the similarity is lowest
    'lost'
    """
    ((left, right),) = pair_list([(left, right)])
    vectorizer, network = detector.vectorizer, detector.network
    token_ids = [vectorizer.without_each_word(question) for question in (left, right)]
    u, v = map(network.encode, token_ids)
    # the pair itself, then each left variant with the right question, then the left question with each right one
    one = np.concatenate([u, np.repeat(u[:1], len(v) - 1, axis=0)])
    other = np.concatenate([np.repeat(v[:1], len(u), axis=0), v[1:]])
    similarity = network.similarity(one, other)
    probability, duplicate = detector.probability(similarity[:1])[0], detector.calibration.duplicate(similarity[:1])[0]
    effects = np.split(similarity[0].astype(np.float64) - similarity[1:], [len(u) - 1])
    (left_spans, left_word), (right_spans, right_word) = map(vectorizer.words, (left, right))
    sides = [(ids.values[: ids.lengths[0]], word) for ids, word in zip(token_ids, (left_word, right_word), strict=True)]
    return Explanation(
        float(similarity[0]),
        float(probability),
        bool(duplicate),
        detector.calibration.verdict(similarity[0]),
        _side(detector, left, left_spans, effects[0]),
        _side(detector, right, right_spans, effects[1]),
        _contributions(detector, sides),
    )


def _side(detector: Detector, question: str, spans: np.ndarray, effect: np.ndarray) -> WordEffects:
    """The effects of the words at `spans`, `int64[words, 2]`, and which of them are read."""
    coverage = detector.coverage([question, *(question[start:end] for start, end in spans)])
    return WordEffects(
        question, spans, effect, coverage.unread[1:], float(coverage.known_words[0]), bool(coverage.cut[0])
    )


def _contributions(detector: Detector, sides: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    """What each pair of words adds to the cosine, `float64[left words, right words]`.

    `sides` are the token ids of both questions, `int32[tokens]`, and the word of each, `int64[tokens]`.
    """
    if detector.network.description["similarity"]["layer"] != "Cosine" or not all(len(words) for _, words in sides):
        return None
    directions = []
    for ids, words in sides:
        shares = detector.network.token_shares(ids)
        if shares is None:
            return None
        of_word = np.zeros((words[-1] + 1, shares.shape[1]))
        np.add.at(of_word, words, shares)
        length = np.linalg.norm(shares.sum(axis=0, dtype=np.float64))
        directions.append(of_word / max(length, np.finfo(np.float32).tiny))
    return directions[0] @ directions[1].T
