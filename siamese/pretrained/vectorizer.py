"""Encoder vectorizer: an encoder in the place of a `Vectorizer`, texts -> the vectors that a tower reads."""

import importlib.metadata
import json
import re
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from siamese.data.checked_folder import CheckedFolder
from siamese.data.questions import visible
from siamese.data.texts import Texts, factorize
from siamese.inference.workers import THIS_PROCESS, Workers
from siamese.pretrained import cache, encoders
from siamese.pretrained.encoders import Encoder
from siamese.text.inputs import Coverage, QuestionVectors
from siamese.text.lexicon import Lexicon

TIMED = 128  # questions
MOST_WORDS = 256  # of a question that is explained; the encoder answers once for each


class EncoderVectorizer:
    """Text -> vector, the same in training and in serving.

    Attributes:
        encoder: computes the vectors.
        lexicon: what lexical vectors behind them come from; None for none.
        size: number of token ids, of which there are none.
    """

    size = 0

    def __init__(self, encoder: Encoder, lexicon: Lexicon | None = None):
        self.encoder, self.lexicon = encoder, lexicon

    @classmethod
    def load(cls, folder: CheckedFolder) -> "EncoderVectorizer":
        """What `save` wrote; errors as in `encoders.load` and `Lexicon.load`."""
        return cls(encoders.load(folder), Lexicon.load(folder))

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip has to install for the encoder."""
        named = self.encoder.describe()["install"].removeprefix("pip install").split()
        return tuple(named or [f"onnxruntime=={importlib.metadata.version('onnxruntime')}"])

    def read(self, questions: Sequence[str]) -> tuple[QuestionVectors, Coverage]:
        """The vectors of `encode`, and the coverage."""
        return self.encode(questions), self.coverage(questions)

    def coverage(self, questions: Sequence[str]) -> Coverage:
        """How much of each question the encoder reads, where it has a method that tells: else all, with shares of NaN."""
        if hasattr(self.encoder, "coverage"):
            return self.encoder.coverage(list(map(_written, questions)))
        return Coverage(np.full(len(questions), np.nan), np.zeros(len(questions), bool))

    def encode_and_cut(self, questions: Sequence[str]) -> tuple[QuestionVectors, np.ndarray]:
        """The vectors of `encode`, and which questions are longer than what the encoder reads, `bool[questions]`."""
        return self.encode(questions), self.coverage(questions).cut

    def encode(self, questions: Sequence[str], workers: Workers = THIS_PROCESS) -> QuestionVectors:
        """The vectors of questions, each distinct text encoded once, by workers."""
        [number] = factorize(questions)
        _, first = np.unique(number, return_index=True)
        written = list(map(_written, Texts.of(questions).take(first)))
        vectors = cache.vectors(self.encoder, written, workers=workers)
        if self.lexicon is not None:
            vectors = np.concatenate([vectors, self.lexicon.vectors(written)], axis=1)
        return QuestionVectors(vectors[number])

    def seconds(self, questions: Sequence[str]) -> float:
        """Seconds that the encoder takes for a question, measured on some."""
        some = list(questions[:TIMED])
        started = time.perf_counter()
        self.encoder.encode(some)
        return (time.perf_counter() - started) / len(some)

    def words(self, question: str) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the first MOST_WORDS words of a question, whitespace-separated: word i is `question[start:end]`.

        Returns:
            `int64[words, 2]`; and `int64[words]`, the numbers of the words.
        """
        spans = np.array(
            [match.span() for match in islice(re.finditer(r"\S+", question), MOST_WORDS)], np.int64
        ).reshape(-1, 2)
        return spans, np.arange(len(spans))

    def without_each_word(self, question: str) -> QuestionVectors:
        """A question, and behind it the question without each of its words in turn."""
        spans, _ = self.words(question)
        return self.encode([question, *(question[:start] + question[end:].lstrip() for start, end in spans)])

    def to_json(self) -> str:
        """What identifies encoder and lexicon, as data."""
        lexicon = {} if self.lexicon is None else {"lexicon": self.lexicon.digest}
        return json.dumps({"encoder": self.encoder.digest} | lexicon)

    def save(self, folder: Path) -> None:
        """Write the encoder's description, its files unless a package holds them, and the lexicon."""
        encoders.save(self.encoder, folder)
        if self.lexicon is not None:
            self.lexicon.save(folder)


def _written(text: str) -> str:
    """What an encoder is given of a text: no invisible character, and no half emoji, which is none."""
    return visible(text.encode("utf-8", "replace").decode())
