"""Word effects: which words carry a verdict.

For every network: the fall of the similarity when a word is left out (Li et al. 2016, "Understanding Neural Networks
through Representation Erasure"). If an embedding is a sum over words and the similarity is the cosine, also the exact
contribution of each pair of words: cos(Σ aᵢ, Σ bⱼ) = Σᵢⱼ aᵢ·bⱼ / (|Σ aᵢ| |Σ bⱼ|).
"""

from dataclasses import dataclass

import numpy as np

from siamese.detector import Detector
from siamese.evaluation.calibration import verdict_sentence
from siamese.inference.similarities import Cosine
from siamese.text.vectorizer import UNKNOWN, TokenIds


@dataclass(frozen=True)
class WordEffects:
    """The words of a question and their effects.

    Attributes:
        question: the text.
        spans: `int64[words, 2]`, word i is `question[start:end]`. Words beyond the detector's maximal length are left
            out.
        effect: `float64[words]` in [-1, 1], the similarity minus the similarity without the word; a word with a
            positive effect speaks for "the same".
    """

    question: str
    spans: np.ndarray
    effect: np.ndarray

    @property
    def words(self) -> list[str]:
        """The words, as written."""
        return [self.question[start:end] for start, end in self.spans]


@dataclass(frozen=True)
class Explanation:
    """A verdict and the words that carry it.

    Attributes:
        similarity, probability: in [0, 1].
        duplicate: the verdict at the detector's threshold.
        left, right: the words of the two questions.
        contributions: `float64[left words, right words]`, which sum to the cosine (within 1e-6); None if the
            similarity is not the cosine, the tower is not additive, or a question has no words.
    """

    similarity: float
    probability: float
    duplicate: bool
    left: WordEffects
    right: WordEffects
    contributions: np.ndarray | None

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return verdict_sentence(self.duplicate, self.similarity, self.probability)

    @property
    def cosine(self) -> float | None:
        """The cosine of the two embeddings, in [-1, 1]; None if `contributions` is None."""
        return None if self.contributions is None else float(self.contributions.sum())


def why(detector: Detector, left: str, right: str) -> Explanation:
    """Explain the verdict on two questions by their words.

    >>> explanation = why(Detector.load("tests/fixtures/detector_format_3"), "I lost my card", "My card is gone")
    >>> explanation.duplicate, explanation.right.words
    (True, ['My', 'card', 'is', 'gone'])
    >>> explanation.left.words[explanation.left.effect.argmax()]  # without this word the similarity is lowest
    'lost'
    """
    token_ids = detector.vectorizer.encode([left, right])
    sides = [token_ids.values[start:end] for start, end in zip(token_ids.offsets, token_ids.offsets[1:], strict=False)]
    spans, word_of = zip(*(detector.vectorizer.words(question) for question in (left, right)), strict=True)
    variants = [_each_left_out(ids, words) for ids, words in zip(sides, word_of, strict=True)]
    asked = _token_ids([*sides, *variants[0], *variants[1]])
    ends = 2 + np.cumsum([0, len(variants[0]), len(variants[1])])
    # the pair itself, then each left variant with the right question, then the left question with each right one
    lefts = np.concatenate([[0], np.arange(ends[0], ends[1]), np.zeros(len(variants[1]), np.int64)])
    rights = np.concatenate([[1], np.ones(len(variants[0]), np.int64), np.arange(ends[1], ends[2])])
    similarity = detector.network.score(asked, lefts, rights)
    effects = np.split(similarity[0].astype(np.float64) - similarity[1:], [len(variants[0])])
    return Explanation(
        float(similarity[0]),
        float(detector.probability(similarity[:1])[0]),
        bool(detector.calibration.duplicate(similarity[:1])[0]),
        WordEffects(left, spans[0], effects[0]),
        WordEffects(right, spans[1], effects[1]),
        _contributions(detector, sides, word_of),
    )


def _each_left_out(ids: np.ndarray, word_of: np.ndarray) -> list[np.ndarray]:
    """The token ids without each word in turn; if none is left, the unknown token, as for a text without words."""
    number = word_of[-1] + 1 if len(word_of) else 0
    without = [ids[word_of != word] for word in range(number)]
    return [rest if len(rest) else np.array([UNKNOWN], np.int32) for rest in without]


def _token_ids(questions: list[np.ndarray]) -> TokenIds:
    return TokenIds(np.concatenate(questions), np.cumsum([0, *map(len, questions)]))


def _contributions(detector: Detector, sides: list[np.ndarray], word_of: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """The contribution of each pair of words to the cosine, `float64[left words, right words]`."""
    if not isinstance(detector.network.comparison, Cosine) or not all(map(len, word_of)):
        return None
    directions = []
    for ids, words in zip(sides, word_of, strict=True):
        shares = detector.network.token_shares(ids)
        if shares is None:
            return None
        of_word = np.zeros((words[-1] + 1, shares.shape[1]))
        np.add.at(of_word, words, shares)
        directions.append(
            of_word / max(np.linalg.norm(shares.sum(axis=0, dtype=np.float64)), np.finfo(np.float32).tiny)
        )
    return directions[0] @ directions[1].T
