"""Vectorizer: text -> token ids. Fitted on training questions only, saved with the model as JSON."""

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import pyarrow.compute as pc
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from siamese.data.texts import Texts

PADDING, UNKNOWN = 0, 1
SPECIAL = ["[PAD]", "[UNK]"]
FORMAT_VERSION = 1
BLOCK = 2**16  # questions worked on at once: bounds the memory of what lies between texts and ids
CHUNKS_KEPT = 2**18  # distinct chunks remembered while questions are encoded or counted, about 40 MB

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

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The questions at `rows` as `int32[rows, length]`, as long as the longest, zeros behind the last token."""
        starts, lengths = self.offsets[rows], self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        column = np.arange(lengths.max(initial=1))
        inside = column < lengths[:, None]
        padded = np.zeros(inside.shape, np.int32)
        padded[inside] = self.values[(starts[:, None] + column)[inside]]
        return padded


class Vectorizer:
    """Text -> token ids, the same in training and in serving.

    Ids: 0 padding, 1 unknown, then the vocabulary, then `oov_buckets` ids that words outside the
    vocabulary share by a hash of their letters, so that two questions about the same unknown word
    still meet in it.

    A question is cut at its spaces (U+0020) into chunks, and each distinct chunk is tokenised once: of
    half a million questions 100,000 chunks remain. The tokens are those of the whole question, since a
    space composes with no character in NFKC and is part of no token; other white space stays in its
    chunk, for the tokeniser to judge.
    """

    def __init__(self, tokenizer: Tokenizer, oov_buckets: int, max_length: int):
        tokenizer.encode_special_tokens = True  # "[PAD]" in a question is four letters and two signs, no padding
        self._tokenizer = tokenizer
        self.oov_buckets = oov_buckets
        self.max_length = max_length
        # The ids of the words; None for subwords, which only the tokeniser's model knows how to find.
        self._ids = tokenizer.get_vocab() if isinstance(tokenizer.model, models.WordLevel) else None
        self._first_bucket = tokenizer.get_vocab_size()
        # In the first versions spacing was a token of a subword vectorizer; saved ones go on so, uncut.
        self._cut = not isinstance(tokenizer.pre_tokenizer, pre_tokenizers.Metaspace)

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
        model: models.Model
        trainer: trainers.Trainer | None
        if kind == "word":
            model, trainer = models.WordLevel(unk_token="[UNK]"), None
        elif kind == "unigram":
            model = models.Unigram()
            trainer = trainers.UnigramTrainer(
                vocab_size=vocabulary_size, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False
            )
        elif kind == "bpe":
            model = models.BPE(unk_token="[UNK]")
            trainer = trainers.BpeTrainer(
                vocab_size=vocabulary_size, min_frequency=min_frequency, special_tokens=SPECIAL, show_progress=False
            )
        else:
            raise ValueError(f"text.kind must be one of word, unigram, bpe; got {kind!r}")
        tokenizer = Tokenizer(model)
        steps = [normalizers.NFKC(), normalizers.Replace(Regex("[\u2018\u2019\u02bc\uff07]"), "'")]
        tokenizer.normalizer = normalizers.Sequence(steps + ([normalizers.Lowercase()] if lowercase else []))
        if trainer is None:
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
            counts = _word_counts(tokenizer, questions)
            frequent = [word for word, count in counts.items() if count >= min_frequency]
            frequent.sort(key=lambda word: (-counts[word], word))
            vocabulary = SPECIAL + frequent[: vocabulary_size - len(SPECIAL)]
            tokenizer.model = models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]")
            return cls(tokenizer, oov_buckets, max_length)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.train_from_iterator(_blocks(questions), trainer)
        if kind == "unigram":
            tokenizer = _canonical_unigram(tokenizer, questions)
        return cls(tokenizer, 0, max_length)

    @property
    def vocabulary(self) -> list[str]:
        """The tokens of the ids 0, 1, …, without the buckets."""
        by_id = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        return [token for token, _ in by_id]

    @property
    def size(self) -> int:
        """Number of ids: padding, unknown, vocabulary and buckets."""
        return self._first_bucket + self.oov_buckets

    def tokens(self, question: str) -> list[str]:
        """The tokens that the model sees of one question, "[UNK]" for those outside the vocabulary."""
        vocabulary = self.vocabulary
        return [vocabulary[token] for token in self._tokenizer.encode(question).ids[: self.max_length]]

    def encode(self, questions: Sequence[str]) -> TokenIds:
        """Token ids of `questions`; a question without any token becomes the unknown token."""
        number = _Numbering()
        chunk_ids, chunk_ends = np.empty(0, np.int32), np.zeros(1, np.int64)  # what `number` has, in its order
        values, lengths = bytearray(), bytearray()  # int32 and int64; they grow without a second copy
        for block in Texts.of(questions).blocks(BLOCK):
            if len(number) > CHUNKS_KEPT:
                number.clear()
                chunk_ids, chunk_ends = chunk_ids[:0], chunk_ends[:1]
            distinct, which, question_ends = _chunks(block, self._cut)
            known = len(number)
            which = np.fromiter(map(number.__getitem__, distinct), np.int64, len(distinct))[which]
            new_ids, new_counts = self._tokenize(list(islice(number, known, None)))
            chunk_ids = np.concatenate([chunk_ids, new_ids])
            chunk_ends = np.concatenate([chunk_ends, chunk_ends[-1] + np.cumsum(new_counts)])

            counts = chunk_ends[which + 1] - chunk_ends[which]  # tokens of each chunk of the questions
            ends = np.concatenate([[0], np.cumsum(counts)])
            ids = chunk_ids[np.repeat(chunk_ends[which] - ends[:-1], counts) + np.arange(ends[-1])]
            starts, counts = ends[question_ends[:-1]], np.diff(ends[question_ends])  # tokens of each question
            kept = np.arange(len(ids)) - np.repeat(starts, counts) < self.max_length
            block_lengths = np.clip(counts, 1, self.max_length)
            block_values = np.full(block_lengths.sum(), UNKNOWN, np.int32)
            block_values[np.repeat(counts > 0, block_lengths)] = ids[kept]
            lengths += block_lengths.tobytes()
            values += block_values.tobytes()
        offsets = np.concatenate([[0], np.cumsum(np.frombuffer(lengths, np.int64))])
        return TokenIds(np.frombuffer(values, np.int32), offsets)

    def _tokenize(self, chunks: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The token ids of the chunks one after another, `int32[tokens]`, and how many each has, `int64[chunks]`."""
        if self._ids is None:
            encodings = self._tokenizer.encode_batch_fast(chunks)
            lists = [encoding.ids for encoding in encodings]
            return np.fromiter(chain.from_iterable(lists), np.int32), np.fromiter(map(len, lists), np.int64)
        words, counts = _words(self._tokenizer, chunks)
        ids = self._ids
        return np.fromiter((ids.get(word) or self._outside(word) for word in words), np.int32, len(words)), counts

    def _outside(self, word: str) -> int:
        """The id of a word outside the vocabulary."""
        return self._first_bucket + zlib.crc32(word.encode()) % self.oov_buckets if self.oov_buckets else UNKNOWN

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
    for block in _blocks(questions):
        for encoding in tokenizer.encode_batch_fast(block):
            counts.update(token for token in encoding.tokens if token in counts)
    total = sum(counts.values()) + len(counts)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    state["model"]["vocab"] = special + [[token, math.log((count + 1) / total)] for token, count in ordered]
    return Tokenizer.from_str(json.dumps(state))


class _Numbering(dict[str, int]):
    """Numbers whatever it is asked for, from 0 in the order of the first asking."""

    def __missing__(self, key: str) -> int:
        self[key] = len(self)
        return self[key]


def _blocks(questions: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(questions), BLOCK):
        yield list(questions[start : start + BLOCK])


def _chunks(texts: Texts, cut: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The chunks of texts cut at each space, or the whole texts.

    Returns:
        The distinct chunks; `int32[chunks]`, which of them each text has, one text after another; and
        `int64[texts + 1]`, text i has the chunks from its entry to the next.
    """
    if cut:
        lists = pc.split_pattern(texts.utf8, " ")
        every, ends = lists.flatten(), np.from_dlpack(lists.offsets)
    else:
        every, ends = texts.utf8, np.arange(len(texts) + 1)
    coded = every.dictionary_encode()
    return [chunk.decode() for chunk in coded.dictionary.to_pylist()], np.from_dlpack(coded.indices), ends


def _words(tokenizer: Tokenizer, chunks: list[str]) -> tuple[list[str], np.ndarray]:
    """The words of the chunks one after another, in or outside the vocabulary; how many each has, `int64[chunks]`."""
    normalized = [tokenizer.normalizer.normalize_str(chunk) for chunk in chunks]
    ends = np.cumsum(np.fromiter(map(len, normalized), np.int64) + 1)
    words = tokenizer.pre_tokenizer.pre_tokenize_str(" ".join(normalized))  # one call is faster than one a chunk
    starts = np.fromiter((start for _, (start, _) in words), np.int64, len(words))
    return [word for word, _ in words], np.bincount(np.searchsorted(ends, starts, "right"), minlength=len(chunks))


def _word_counts(tokenizer: Tokenizer, questions: Sequence[str]) -> Counter[str]:
    """How often each word occurs in the questions."""
    of_word: Counter[str] = Counter()
    of_chunk: Counter[str] = Counter()

    def settle() -> None:
        words, counts = _words(tokenizer, list(of_chunk))
        for word, count in zip(words, np.repeat(list(of_chunk.values()), counts).tolist(), strict=True):
            of_word[word] += count
        of_chunk.clear()

    for block in Texts.of(questions).blocks(BLOCK):
        distinct, which, _ = _chunks(block, cut=True)
        for chunk, count in zip(distinct, np.bincount(which).tolist(), strict=True):
            of_chunk[chunk] += count
        if len(of_chunk) > CHUNKS_KEPT:
            settle()
    settle()
    return of_word
