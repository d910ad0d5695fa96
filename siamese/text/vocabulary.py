"""Vocabulary: a tokenizer fitted to the words or subwords of training questions."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from siamese.data.questions import INVISIBLE
from siamese.data.texts import Texts
from siamese.text import chunks

SPECIAL = ("[PAD]", "[UNK]")  # of the ids 0 and 1
MOST_SIGNS = 200  # of a language, the most frequent; others are unknown to word pieces

MOST_LETTERS = 100  # of a word that is spelled in word pieces; a longer one is unknown
QUOTES = "[\u2018\u2019\u02bc\uff07]"  # that are read as an apostrophe
FOLDED = {"ß": "ss", "ς": "σ"}  # what Unicode's case folding changes of a lowercase text, but for rare scripts
# Letters of scripts without spaces between words: each is a word, with its marks and signs of length.
SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LETTER = rf"[\p{{L}}&&[^{SPACELESS}]]"
IN_WORD = rf"[{LETTER}\p{{M}}]*"
# A French elision (l', qu'), an English 's, a word with its inner apostrophes (don't, aujourd'hui),
# a number with its separators, or any single other sign with its modifiers (emoji).
WORD = (
    r"\b(?i:[cdjlmnst]|(?:jus|lors|puis|quoi|quel)?qu)'(?=\p{L})"
    r"|'[sS]\b"
    rf"|[\p{{L}}&&[{SPACELESS}]][\p{{M}}\x{{30FC}}]*"
    rf"|{LETTER}{IN_WORD}(?:'(?![sS]\b){LETTER}{IN_WORD})*"
    r"|\p{N}+(?:[.,]\p{N}+)*"
    r"|[^\s\p{L}\p{N}][\p{M}\x{200D}\x{FE0F}]*"
)
WORD_BEFORE_SCRIPTS = (  # of detectors that take what is written without spaces for one word
    r"\b(?i:[cdjlmnst]|(?:jus|lors|puis|quoi|quel)?qu)'(?=\p{L})"
    r"|'[sS]\b"
    r"|\p{L}[\p{L}\p{M}]*(?:'(?![sS]\b)\p{L}[\p{L}\p{M}]*)*"
    r"|\p{N}+(?:[.,]\p{N}+)*"
    r"|[^\s\p{L}\p{N}][\p{M}\x{200D}\x{FE0F}]*"
)


def learn(questions: Sequence[str], kind: str, vocabulary_size: int, min_frequency: int, lowercase: bool) -> Tokenizer:
    """A tokenizer with the vocabulary of training questions; the arguments are those of `Vectorizer.fit`."""
    if kind == "word":
        return _words(questions, vocabulary_size, min_frequency, lowercase)
    options: dict[str, Any] = {"vocab_size": vocabulary_size, "special_tokens": list(SPECIAL), "show_progress": False}
    trainer: trainers.Trainer
    if kind == "unigram":
        tokenizer = _tokenizer(models.Unigram(), lowercase)
        trainer = trainers.UnigramTrainer(unk_token=SPECIAL[1], **options)
    elif kind == "bpe":
        tokenizer = _tokenizer(models.BPE(unk_token=SPECIAL[1]), lowercase)
        trainer = trainers.BpeTrainer(min_frequency=min_frequency, **options)
    else:
        raise ValueError(f"text.kind must be one of word, unigram, bpe; got {kind!r}")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(_blocks(questions), trainer)
    return _canonical_unigram(tokenizer, questions) if kind == "unigram" else tokenizer


def word_pieces(texts: Sequence[str], size: int) -> Tokenizer:
    """A tokenizer of word pieces learned from texts (Schuster and Nakajima 2012); accents are kept, case is not.

    The trainer numbers the signs in the order of a hash table, and settles ties by these numbers: the signs come first, in an
    order of their own, so that the same texts give the same pieces.

    Args:
        texts: of one language; more than are needed for a vocabulary of words.
        size: most pieces.
    """
    tokenizer = _pieces({}, lowercase=True)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    signs = sorted((sign for sign in counts if not sign.isspace()), key=lambda sign: (-counts[sign], sign))
    signs = signs[: min(MOST_SIGNS, (size - len(SPECIAL)) // 2)]
    first = [*SPECIAL, *signs, *(f"##{sign}" for sign in signs)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=first, limit_alphabet=1, min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(_blocks(texts), trainer)
    return _pieces(tokenizer.get_vocab(), lowercase=True)  # without these signs as tokens that are cut out of a text


def _pieces(vocabulary: dict[str, int], lowercase: bool) -> Tokenizer:
    """A tokenizer of word pieces."""
    model = models.WordPiece(vocabulary, unk_token=SPECIAL[1], max_input_chars_per_word=MOST_LETTERS)
    tokenizer = _tokenizer(model, lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def bert_pieces(tokenizer: Tokenizer) -> Tokenizer:
    """The word pieces of a BERT tokenizer, without case and accents, under the ids of this project."""
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    pieces = [*SPECIAL, *(piece for piece, _ in by_id if not re.fullmatch(r"\[\w+\]", piece))]
    numbered = {piece: number for number, piece in enumerate(pieces)}
    own = _pieces(numbered, lowercase=False)
    own.normalizer = normalizers.Sequence([own.normalizer, normalizers.BertNormalizer(lowercase=True)])
    return own


def drop_invisible(tokenizer: Tokenizer) -> None:
    """Let a tokenizer leave invisible characters out, before all else that it does; once is enough."""
    first, own = normalizers.Replace(Regex(INVISIBLE), ""), tokenizer.normalizer or normalizers.Sequence([])
    if not own.__getstate__().startswith(b'{"type":"Sequence","normalizers":[' + first.__getstate__()):
        tokenizer.normalizer = normalizers.Sequence([first, own])


def fold_case(tokenizer: Tokenizer) -> None:
    """Let a tokenizer that drops case fold it: Straße is STRASSE, and a final sigma a sigma."""
    normalized = tokenizer.normalizer.normalize_str
    steps = [normalizers.Replace(letter, folded) for letter, folded in FOLDED.items() if normalized(letter) != folded]
    if normalized("S") == "s" and steps:
        tokenizer.normalizer = normalizers.Sequence([tokenizer.normalizer, *steps])


def _tokenizer(model: models.Model, lowercase: bool) -> Tokenizer:
    """A tokenizer with normalization only."""
    tokenizer = Tokenizer(model)
    steps = [normalizers.NFKC(), normalizers.Replace(Regex(QUOTES), "'")]
    tokenizer.normalizer = normalizers.Sequence(steps + ([normalizers.Lowercase()] if lowercase else []))
    fold_case(tokenizer)
    drop_invisible(tokenizer)
    return tokenizer


def _words(questions: Sequence[str], vocabulary_size: int, min_frequency: int, lowercase: bool) -> Tokenizer:
    """The most frequent words, in descending order, ties in alphabetical order."""
    tokenizer = _tokenizer(models.WordLevel(unk_token=SPECIAL[1]), lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    counts = _word_counts(tokenizer, questions)
    frequent = [word for word, count in counts.items() if count >= min_frequency]
    frequent.sort(key=lambda word: (-counts[word], word))
    vocabulary = [*SPECIAL, *frequent[: vocabulary_size - len(SPECIAL)]]
    tokenizer.model = models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=SPECIAL[1])
    return tokenizer


def _word_counts(tokenizer: Tokenizer, questions: Sequence[str]) -> Counter[str]:
    """How often each word occurs in the questions."""
    of_word: Counter[str] = Counter()
    of_chunk: Counter[str] = Counter()

    def settle() -> None:
        words, counts = chunks.words_of(tokenizer, list(of_chunk))
        for word, count in zip(words, np.repeat(list(of_chunk.values()), counts).tolist(), strict=True):
            of_word[word] += count
        of_chunk.clear()

    for block in Texts.of(questions).blocks(chunks.BLOCK):
        distinct, which, _ = chunks.distinct_chunks(block, cut=True)
        for chunk, count in zip(distinct, np.bincount(which).tolist(), strict=True):
            of_chunk[chunk] += count
        if len(of_chunk) > chunks.CHUNKS_KEPT:
            settle()
    settle()
    return of_word


def _canonical_unigram(tokenizer: Tokenizer, questions: Sequence[str]) -> Tokenizer:
    """The same subwords with scores and ids that depend on the questions alone.

    The trainer sums in an order that changes between runs, so its scores differ in the last digits and its ids are
    permuted. Counts of the subwords in the best segmentations make both deterministic.
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


def _blocks(questions: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(questions), chunks.BLOCK):
        yield list(questions[start : start + chunks.BLOCK])
