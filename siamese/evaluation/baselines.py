"""Baselines that a Siamese network has to beat. Each is fitted on training pairs and returns a scorer.

A scorer maps pairs to `float64[pairs]` in [0, 1]. Like a network's similarity it grows with likeness and is
symmetric, so it goes through the same evaluation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from siamese.data.pairs import QuestionPairs
from siamese.data.questions import question_key
from siamese.text.lexicon import NEGATIONS

PairScorer = Callable[[QuestionPairs], np.ndarray]
WORD = r"\w+|[^\w\s]"


def majority(train: QuestionPairs) -> PairScorer:
    """The share of duplicates in training, for every pair."""
    share = float(train.label.mean())
    return lambda pairs: np.full(len(pairs), share)


def word_overlap(train: QuestionPairs) -> PairScorer:
    """Jaccard similarity of the two sets of words. Nothing is fitted."""
    return lambda pairs: np.array([_jaccard(*sides) for sides in _word_sets(pairs)])


@dataclass(frozen=True)
class TfidfCosine:
    """Cosine of TF-IDF word vectors of length 1 (Salton & Buckley 1988)."""

    vectorizer: TfidfVectorizer

    def __call__(self, pairs: QuestionPairs) -> np.ndarray:
        """Score pairs."""
        return _cosines(self.vectorizer, pairs)

    def compare(self, asked: Sequence[str], known: Sequence[str]) -> tuple[Callable, Callable]:
        """Questions with the questions of a collection, as `siamese.retrieval.nearest_intents.compared_by` does it."""
        left, right = (sparse.csr_array(self.vectorizer.transform(each), dtype=np.float32) for each in (asked, known))
        return (
            lambda rows: (left[rows] @ right.T).toarray(),
            lambda row, column: np.asarray(left[row].multiply(right[column]).sum(axis=1)).ravel(),
        )


def tfidf_cosine(train: QuestionPairs) -> TfidfCosine:
    """Cosine of TF-IDF word vectors; document frequencies from the training questions."""
    return TfidfCosine(TfidfVectorizer(token_pattern=WORD, sublinear_tf=True).fit(train.questions))


def logistic_regression(train: QuestionPairs) -> PairScorer:
    """Logistic regression on hand-made features of a pair.

    Features: overlap of words, of word pairs and of rare words; TF-IDF cosines of words and of
    letter n-grams; difference and sum of lengths; equal first and last word; words of one side missing in
    the other; numbers and negations on one side only.
    """
    words = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True).fit(train.questions)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit(train.questions)
    bigrams = CountVectorizer(token_pattern=WORD, ngram_range=(1, 2), binary=True).fit(train.questions)
    rarity = dict(zip(words.get_feature_names_out(), words.idf_, strict=True))

    def features(pairs: QuestionPairs) -> np.ndarray:
        sets = [_set_features(left, right, rarity, float(words.idf_.max())) for left, right in _word_sets(pairs)]
        return np.column_stack(
            [sets, _end_features(pairs), *(_cosines(each, pairs) for each in (words, letters, bigrams))]
        )

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with threadpool_limits(limits=1, user_api="blas"):  # as in report.evaluate
        model.fit(features(train), train.duplicate)
    return lambda pairs: model.predict_proba(features(pairs))[:, 1]


def _tokens(question: str) -> list[str]:
    return re.findall(WORD, question_key(question))


def _word_sets(pairs: QuestionPairs) -> list[tuple[set[str], set[str]]]:
    sets = [set(_tokens(question)) for question in pairs.questions]
    return [(sets[left], sets[right]) for left, right in zip(pairs.left, pairs.right, strict=True)]


def _jaccard(left: set[str], right: set[str]) -> float:
    return len(left & right) / max(len(left | right), 1)


def _set_features(left: set[str], right: set[str], rarity: dict[str, float], unseen: float) -> Sequence[float]:
    def weight(words: set[str]) -> float:
        return sum(rarity.get(word, unseen) for word in words)

    only_left, only_right, both = left - right, right - left, left & right
    fewer, more = sorted((len(only_left), len(only_right)))
    lengths = sorted((len(left), len(right)))
    return (
        _jaccard(left, right),
        weight(both) / max(weight(left | right), 1e-9),
        len(both) / max(lengths[0], 1),
        max((rarity.get(word, unseen) for word in both), default=0.0),
        fewer,
        more,
        lengths[1] - lengths[0],
        lengths[0] + lengths[1],
        bool(left & NEGATIONS) != bool(right & NEGATIONS),
        {word for word in left if word.isdigit()} != {word for word in right if word.isdigit()},
    )


def _end_features(pairs: QuestionPairs) -> np.ndarray:
    ends = [(words[:1], words[-1:]) for words in map(_tokens, pairs.questions)]
    couples = [(ends[left], ends[right]) for left, right in zip(pairs.left, pairs.right, strict=True)]
    return np.array([(left[0] == right[0], left[1] == right[1]) for left, right in couples], float)


def _cosines(vectorizer: CountVectorizer, pairs: QuestionPairs) -> np.ndarray:
    vectors = sparse.csr_array(vectorizer.transform(pairs.questions)).astype(np.float64)
    norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    dots = np.asarray(vectors[pairs.left].multiply(vectors[pairs.right]).sum(axis=1)).ravel()
    # rounding can exceed [0, 1] by 1e-16
    return np.clip(dots / np.maximum(norms[pairs.left] * norms[pairs.right], 1e-12), 0.0, 1.0)
