"""Vectorizer: text -> token ids. Fitted on training questions only, saved with the model as JSON."""

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PADDING, UNKNOWN = 0, 1
FORMAT_VERSION = 1
ENCODE_CHUNK = 20_000  # texts handed to the tokeniser at once: bounds the memory of its result objects

# A French elision (l', qu'), an English 's, a word with its inner apostrophes (don't, aujourd'hui),
# a number with its separators, or any single other sign with its modifiers (emoji).
WORD = (
    r"\b(?i:[cdjlmnst]|(?:jus|lors|puis|quoi|quel)?qu)'(?=\p{L})"
    r"|'[sS]\b"
    r"|\p{L}[\p{L}\p{M}]*(?:'(?![sS]\b)\p{L}[\p{L}\p{M}]*)*"
    r"|\p{N}+(?:[.,]\p{N}+)*"
    r"|[^\s\p{L}\p{N}][\p{M}\x{200D}\x{FE0F}]*"
)


@dataclass(frozen=True)
class TokenIds:
    """Token ids of many questions, without padding.

    Attributes:
        values: `int32[tokens]`, the ids of all questions one after another.
        offsets: `int64[questions + 1]`; question i is `values[offsets[i]:offsets[i + 1]]`, never empty.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """`int64[questions]`: tokens in each question, at least 1."""
        return np.diff(self.offsets)

    def padded(self, rows: np.ndarray, multiple: int = 1) -> np.ndarray:
        """The questions at `rows` as `int32[rows, length]`, zeros behind the last token.

        `length` is that of the longest one, rounded up to a multiple of `multiple`.
        """
        starts, lengths = self.offsets[rows], self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        length = -(-int(lengths.max(initial=1)) // multiple) * multiple
        column = np.arange(length)
        inside = column < lengths[:, None]
        padded = np.zeros((len(lengths), length), np.int32)
        padded[inside] = self.values[(starts[:, None] + column)[inside]]
        return padded


class Vectorizer:
    """Text -> token ids, the same in training and in serving.

    Ids: 0 padding, 1 unknown, then the vocabulary, then `oov_buckets` ids that words outside the
    vocabulary share by a hash of their letters, so that two questions about the same unknown word
    still meet in it.
    """

    def __init__(self, tokenizer: Tokenizer, oov_buckets: int, max_length: int):
        self._tokenizer = tokenizer
        self.oov_buckets = oov_buckets
        self.max_length = max_length

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
            max_length: tokens kept of a question, counted from its start.
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
        special = ["[PAD]", "[UNK]"]
        model: models.Model
        trainer: trainers.Trainer
        if kind == "word":
            model = models.WordLevel(unk_token="[UNK]")
            trainer = trainers.WordLevelTrainer(
                vocab_size=vocabulary_size, min_frequency=min_frequency, special_tokens=special, show_progress=False
            )
        elif kind == "unigram":
            model = models.Unigram()
            trainer = trainers.UnigramTrainer(
                vocab_size=vocabulary_size, special_tokens=special, unk_token="[UNK]", show_progress=False
            )
        elif kind == "bpe":
            model = models.BPE(unk_token="[UNK]")
            trainer = trainers.BpeTrainer(
                vocab_size=vocabulary_size, min_frequency=min_frequency, special_tokens=special, show_progress=False
            )
        else:
            raise ValueError(f"text.kind must be one of word, unigram, bpe; got {kind!r}")
        tokenizer = Tokenizer(model)
        steps = [normalizers.NFKC(), normalizers.Replace(Regex("[\u2018\u2019\u02bc\uff07]"), "'")]
        tokenizer.normalizer = normalizers.Sequence(steps + ([normalizers.Lowercase()] if lowercase else []))
        if kind == "word":
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            tokenizer.decoder = decoders.Metaspace()
        tokenizer.train_from_iterator(_chunks(questions), trainer)
        if kind == "unigram":
            tokenizer = _canonical_unigram(tokenizer, questions)
        return cls(tokenizer, oov_buckets if kind == "word" else 0, max_length)

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
        return [vocabulary[token] for token in self._tokenizer.encode(question).ids[: self.max_length]]

    def encode(self, questions: Sequence[str]) -> TokenIds:
        """Token ids of `questions`; a question without any token becomes the unknown token."""
        values, lengths = [], np.empty(len(questions), np.int64)
        done = 0
        for chunk in _chunks(questions):
            for question, encoding in zip(chunk, self._tokenizer.encode_batch_fast(chunk), strict=True):
                ids = encoding.ids or [UNKNOWN]
                if self.oov_buckets and UNKNOWN in ids:
                    ids = self._bucket_unknown(question, ids)
                ids = ids[: self.max_length]
                values.append(np.array(ids, np.int32))
                lengths[done] = len(ids)
                done += 1
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return TokenIds(np.concatenate(values) if values else np.empty(0, np.int32), offsets)

    def _bucket_unknown(self, question: str, ids: list[int]) -> list[int]:
        words = self._tokenizer.pre_tokenizer.pre_tokenize_str(self._tokenizer.normalizer.normalize_str(question))
        first = self._tokenizer.get_vocab_size()
        return [
            first + zlib.crc32(word.encode()) % self.oov_buckets if token == UNKNOWN else token
            for token, (word, _) in zip(ids, words, strict=False)
        ] or [UNKNOWN]

    def to_json(self) -> str:
        """Everything that `from_json` needs, as data."""
        return json.dumps(
            {
                "format_version": FORMAT_VERSION,
                "oov_buckets": self.oov_buckets,
                "max_length": self.max_length,
                "tokenizer": json.loads(self._tokenizer.to_str()),
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> "Vectorizer":
        """The vectorizer that `to_json` wrote."""
        state = json.loads(text)
        if state["format_version"] > FORMAT_VERSION:
            raise ValueError(
                f"the vectorizer has format {state['format_version']}, this program reads up to {FORMAT_VERSION}; "
                "use a newer version of the project"
            )
        return cls(Tokenizer.from_str(json.dumps(state["tokenizer"])), state["oov_buckets"], state["max_length"])


def _canonical_unigram(tokenizer: Tokenizer, questions: Sequence[str]) -> Tokenizer:
    """The same subwords with scores and ids that depend on the questions alone.

    The trainer sums in an order that changes from run to run, so its scores differ in the last digits
    and its ids are permuted. Counting the subwords of the best segmentations settles both.
    """
    state = json.loads(tokenizer.to_str())
    special, subwords = state["model"]["vocab"][:2], state["model"]["vocab"][2:]
    counts = Counter({token: 0 for token, _ in subwords})
    for chunk in _chunks(questions):
        for encoding in tokenizer.encode_batch_fast(chunk):
            counts.update(token for token in encoding.tokens if token in counts)
    total = sum(counts.values()) + len(counts)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    state["model"]["vocab"] = special + [[token, math.log((count + 1) / total)] for token, count in ordered]
    return Tokenizer.from_str(json.dumps(state))


def _chunks(questions: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(questions), ENCODE_CHUNK):
        yield list(questions[start : start + ENCODE_CHUNK])
