"""Joined vectorizer: words and a sentence encoder, texts -> token ids with the encoder's vectors beside them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamese.data.checked_folder import CheckedFolder
from siamese.inference.workers import THIS_PROCESS, Workers
from siamese.pretrained.encoders import Encoder
from siamese.pretrained.vectorizer import MOST_WORDS, EncoderVectorizer
from siamese.text.inputs import Coverage, WordsAndVectors
from siamese.text.vectorizer import Vectorizer


class JoinedVectorizer:
    """Text -> token ids and vector, the same in training and in serving. What it says of words is what `of_words` says.

    Attributes:
        of_words: texts -> token ids.
        of_encoder: texts -> vectors.
    """

    def __init__(self, of_words: Vectorizer, of_encoder: EncoderVectorizer):
        self.of_words, self.of_encoder = of_words, of_encoder

    @classmethod
    def load(cls, folder: CheckedFolder) -> "JoinedVectorizer":
        """What `save` wrote; errors as in `Vectorizer.load` and `encoders.load`."""
        return cls(Vectorizer.load(folder), EncoderVectorizer.load(folder))

    @property
    def encoder(self) -> Encoder:
        """What computes the vectors."""
        return self.of_encoder.encoder

    @property
    def size(self) -> int:
        """Number of token ids."""
        return self.of_words.size

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip has to install for the encoder."""
        return self.of_encoder.requirements

    def read(self, questions: Sequence[str]) -> tuple[WordsAndVectors, Coverage]:
        """The inputs of `encode`, and the coverage."""
        token_ids, coverage = self.of_words.read(questions)
        return WordsAndVectors(token_ids, self.of_encoder.encode(questions)), coverage

    def coverage(self, questions: Sequence[str]) -> Coverage:
        """How much of each question the words hold; the encoder may read more."""
        return self.of_words.coverage(questions)

    def encode_and_cut(self, questions: Sequence[str]) -> tuple[WordsAndVectors, np.ndarray]:
        """The inputs of `encode`, and which questions are longer than what the words hold, `bool[questions]`."""
        token_ids, cut = self.of_words.encode_and_cut(questions)
        return WordsAndVectors(token_ids, self.of_encoder.encode(questions)), cut

    def encode(self, questions: Sequence[str], workers: Workers = THIS_PROCESS) -> WordsAndVectors:
        """Token ids and vectors of questions; workers compute the vectors."""
        return WordsAndVectors(self.of_words.encode(questions), self.of_encoder.encode(questions, workers))

    def seconds(self, questions: Sequence[str]) -> float:
        """Seconds that the encoder takes for a question, measured on some."""
        return self.of_encoder.seconds(questions)

    def words(self, question: str) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the first MOST_WORDS words of a question, and the word of each of their tokens.

        Returns:
            `int64[words, 2]`: word i is `question[start:end]`; and `int64[tokens]`, as of `Vectorizer.words`.
        """
        spans, word = self.of_words.words(question)
        return spans[:MOST_WORDS], word[word < MOST_WORDS]

    def without_each_word(self, question: str) -> WordsAndVectors:
        """A question, and behind it the question without each of its words in turn."""
        spans, _ = self.words(question)
        token_ids = self.of_words.without_each_word(question).take(np.arange(len(spans) + 1))
        texts = [question, *(question[:start] + question[end:].lstrip() for start, end in spans)]
        return WordsAndVectors(token_ids, self.of_encoder.encode(texts))

    def to_json(self) -> str:
        """What identifies words and encoder, as data."""
        return json.dumps({"words": json.loads(self.of_words.to_json()), "encoder": self.encoder.digest})

    def save(self, folder: Path) -> None:
        """Write `vectorizer.json`, the encoder's description, and its files unless a package holds them."""
        self.of_words.save(folder)
        self.of_encoder.save(folder)


AnyVectorizer = Vectorizer | EncoderVectorizer | JoinedVectorizer  # of a detector
