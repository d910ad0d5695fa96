"""Vectorizer: text → token ids. Fitted on training questions only, saved with the model as JSON."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from siamese.data.checked_folder import CheckedFolder, json_object
from siamese.text.chunk_reader import ChunkReader
from siamese.text.inputs import UNKNOWN, Coverage, TokenIds
from siamese.text.tokenizer_forms import tokenizer_from
from siamese.text.vocabulary import drop_invisible, learn

FORMAT_VERSION = 1
FILE = "vectorizer.json"  # of a detector's folder


class Vectorizer:
    """Text -> token ids, the same in training and in serving.

    A long text takes no longer than its start, see `siamese.text.chunk_reader`.

    Ids: 0 padding, 1 unknown, then the vocabulary, then `oov_buckets` ids. A hash of its letters assigns a word outside
    the vocabulary to a bucket, so that two questions with the same unknown word share an id.
    """

    requirements: tuple[str, ...] = ()  # of pip, beyond those of every detector

    def __init__(self, tokenizer: Tokenizer, oov_buckets: int, max_length: int):
        tokenizer.encode_special_tokens = True  # "[PAD]" in a question is ordinary text
        drop_invisible(tokenizer)
        self._tokenizer = tokenizer
        self.oov_buckets = oov_buckets
        self.max_length = max_length
        self._reader = ChunkReader(tokenizer, oov_buckets, max_length)

    @classmethod
    def fit(
        cls,
        questions: Sequence[str],
        kind: str = "word",
        vocabulary_size: int = 50_000,
        min_frequency: int = 2,
        oov_buckets: int = 2_000,
        max_length: int = 64,
        lowercase: bool = True,
    ) -> "Vectorizer":
        """Learn a vocabulary from training questions.

        Args:
            questions: the training questions, each once.
            kind: "word", or the subword models "unigram" (Kudo 2018) and "bpe" (Sennrich et al. 2016).
            vocabulary_size: most ids for padding, unknown and the vocabulary together.
            min_frequency: rarer words stay out of the vocabulary ("word" and "bpe").
            oov_buckets: ids for words outside the vocabulary ("word" only; subwords spell them out).
            max_length: tokens kept of a question, from its start.
            lowercase: whether case is dropped; accents are always kept.

        >>> vectorizer = Vectorizer.fit(["Où est l'eau ?", "Don't panic!"], min_frequency=1, oov_buckets=0)
        >>> vectorizer.tokens("L’eau, don't…")
        ["l'", 'eau', '[UNK]', "don't", '[UNK]', '[UNK]', '[UNK]']
        """
        for name, value, least in (
            ("vocabulary_size", vocabulary_size, 3),
            ("min_frequency", min_frequency, 1),
            ("oov_buckets", oov_buckets, 0),
            ("max_length", max_length, 1),
        ):
            if value < least:
                raise ValueError(f"text.{name} must be at least {least}, got {value}")
        tokenizer = learn(questions, kind, vocabulary_size, min_frequency, lowercase)
        return cls(tokenizer, oov_buckets if kind == "word" else 0, max_length)

    @property
    def tokenizer(self) -> Tokenizer:
        """Text -> words or subwords, without the buckets."""
        return self._tokenizer

    @property
    def vocabulary(self) -> list[str]:
        """The tokens of the ids 0, 1, …, without the buckets."""
        by_id = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        return [token for token, _ in by_id]

    @property
    def size(self) -> int:
        """Number of ids: padding, unknown, vocabulary and buckets."""
        return self._tokenizer.get_vocab_size() + self.oov_buckets

    def tokens(self, question: str) -> list[str]:
        """The tokens that the model sees of one question, "[UNK]" for those outside the vocabulary."""
        vocabulary = self.vocabulary
        return [
            vocabulary[token]
            for token in self._tokenizer.encode(question[: self._reader.most_characters]).ids[: self.max_length]
        ]

    def words(self, question: str) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the words of a question, and the word of each of its token ids.

        Words are the tokenizer's pre-tokens: words for "word", substrings between white space for subwords. Words beyond
        `max_length` are left out.

        Returns:
            `int64[words, 2]`: word i is `question[start:end]`; and `int64[tokens]`: the word of each token of
            `encode`, ascending. Both are empty if the question has no token.

        >>> vectorizer = Vectorizer.fit(["Où est l'eau ?"], min_frequency=1)
        >>> question = "L’eau\u00a0où ?"
        >>> spans, word = vectorizer.words(question)
        >>> [question[start:end] for start, end in spans], word.tolist()
        (['L’', 'eau', 'où', '?'], [0, 1, 2, 3])
        """
        encoding = self._tokenizer.encode(question[: self._reader.most_characters])
        token_spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)[: self.max_length]
        is_first = np.diff(np.array(encoding.word_ids, np.int64)[: self.max_length], prepend=-1) != 0
        first = np.flatnonzero(is_first)
        if len(first) == 0:
            return token_spans, first
        starts, ends = token_spans.T
        spans = np.stack([np.minimum.reduceat(starts, first), np.maximum.reduceat(ends, first)], axis=1)
        return spans, np.cumsum(is_first) - 1

    def without_each_word(self, question: str) -> TokenIds:
        """A question, and behind it the question without each of its words in turn, which may leave the unknown token."""
        ids, (spans, word) = self.encode([question]).values, self.words(question)
        rests = [ids[word != left_out] for left_out in range(len(spans))]
        return TokenIds.of([ids, *(rest if len(rest) else np.array([UNKNOWN], np.int32) for rest in rests)])

    def encode(self, questions: Sequence[str]) -> TokenIds:
        """Token ids of `questions`; a question without any token becomes the unknown token."""
        return self._reader.ids(questions)

    def read(self, questions: Sequence[str]) -> tuple[TokenIds, Coverage]:
        """The token ids of `encode`, and how much of each question they hold.

        `siamese.text.known_words` says which words are known. Words of a few questions are remembered for the next call, so that
        a server tokenizes each once.

        >>> vectorizer = Vectorizer.fit(["how do i pay my bill ?"], min_frequency=1)
        >>> vectorizer.read(["How do I pay?", "comment payer ?", "pay pal"])[1].known_words
        array([1. , 0. , 0.5])
        """
        return self._reader.read(questions)

    def coverage(self, questions: Sequence[str]) -> Coverage:
        """How much of each question `encode` holds, as in `read`."""
        return self.read(questions)[1]

    def encode_and_cut(self, questions: Sequence[str]) -> tuple[TokenIds, np.ndarray]:
        """The token ids of `encode`, and which questions are longer than what they hold, `bool[questions]`."""
        token_ids, coverage = self._reader.read_many(questions, count_words=False)
        return token_ids, coverage.cut

    def to_json(self) -> str:
        """Everything that `from_json` needs, as data; that no invisible character is read is a rule of the code."""
        return self._json

    @cached_property  # a training saves it with each of its best epochs
    def _json(self) -> str:
        tokenizer = json.loads(self._tokenizer.to_str())
        tokenizer["normalizer"]["normalizers"].pop(0)
        state = {"format_version": FORMAT_VERSION, "oov_buckets": self.oov_buckets, "max_length": self.max_length}
        return json.dumps(state | {"tokenizer": tokenizer}, ensure_ascii=False)

    def __reduce__(self) -> tuple[Callable[[str], "Vectorizer"], tuple[str]]:
        """What a worker on another machine makes it from: what is remembered stays here."""
        return Vectorizer.from_json, (self.to_json(),)

    def save(self, folder: Path) -> None:
        """Write `vectorizer.json`."""
        (folder / FILE).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def from_json(cls, text: str) -> "Vectorizer":
        """The vectorizer that `to_json` wrote.

        Raises:
            ValueError: it wrote something else, or is of a newer version.
        """
        state = json_object(text)
        version = state.get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise ValueError(
                f"the vectorizer has format {version}, this program reads up to {FORMAT_VERSION}; "
                "use a newer version of the project"
            )
        for name, least in (("oov_buckets", 0), ("max_length", 1)):
            value = state.get(name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        return cls(tokenizer_from(state.get("tokenizer")), state["oov_buckets"], state["max_length"])

    @classmethod
    def load(cls, folder: Path | CheckedFolder, name: str = FILE) -> "Vectorizer":
        """Read what `save` wrote; `name` is that of the file in the folder.

        Raises:
            ValueError: the file is not whole.
        """
        folder = CheckedFolder.of(folder)
        text = folder.text(name)
        try:
            return cls.from_json(text)
        except ValueError as problem:
            raise ValueError(f"{folder.path / name} holds no vectorizer: {problem}") from None
