"""Chunk reader: texts → token ids, each distinct piece between two spaces tokenized once.

Of a text only the first LONGEST_TOKEN * `max_length` characters are read, far more than have `max_length` tokens in any
language: a text of any length takes no longer than that.
"""

from collections.abc import Sequence
from itertools import islice, repeat

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers

from siamese.data.texts import Texts
from siamese.text import chunks, known_words
from siamese.text.chunk_tokens import ChunkTokens, is_leading
from siamese.text.inputs import UNKNOWN, Coverage, TokenIds
from siamese.text.remembered_chunks import RememberedChunks

LONGEST_TOKEN = 64  # characters that a text has for each of its tokens, with the space around them, at most on average
REMEMBERED = 8  # questions at most, whose chunks `ids` remembers


class ChunkReader:
    """Texts -> token ids of a vectorizer, and how much of each text they hold.

    Args:
        tokenizer, oov_buckets, max_length: as of `siamese.text.vectorizer.Vectorizer`.
    """

    def __init__(self, tokenizer: Tokenizer, oov_buckets: int, max_length: int):
        self._max_length = max_length
        self._chunk_tokens = ChunkTokens(tokenizer, oov_buckets, max_length)
        # Subword vectorizers of the first versions have tokens for spaces, so their texts are not cut.
        self._cut = not isinstance(tokenizer.pre_tokenizer, pre_tokenizers.Metaspace)
        self._remembered = RememberedChunks()  # from call to call

    @property
    def most_characters(self) -> int:
        """Characters that are read of a text."""
        return LONGEST_TOKEN * self._max_length

    def ids(self, questions: Sequence[str]) -> TokenIds:
        """Token ids; a question without any token becomes the unknown token."""
        if self._cut and len(questions) == 1:
            return self._ids_of_one(questions[0])
        if self._cut and len(questions) <= REMEMBERED:
            return self._read_few(questions)[0]
        return self.read_many(questions, count_words=False)[0]

    def read(self, questions: Sequence[str]) -> tuple[TokenIds, Coverage]:
        """The token ids, and how much of each question they hold; the chunks of a few questions are remembered."""
        if self._cut and len(questions) <= chunks.FEW:
            return self._read_few(questions)
        return self.read_many(questions, count_words=True)

    def _ids_of_one(self, question: str) -> TokenIds:
        """`ids` of one question, by the chunks that are remembered."""
        chunks_of_it = question[: self.most_characters].split(" ")
        ids = self._remembered.ids(chunks_of_it, self._chunk_tokens.read)[: self._max_length]
        if not len(ids):
            ids = np.array([UNKNOWN], np.int32)
        return TokenIds(ids, np.array([0, len(ids)]))

    def read_many(self, questions: Sequence[str], count_words: bool) -> tuple[TokenIds, Coverage]:
        """`read` of any number of questions, by their distinct chunks; known words are counted on request."""
        number = chunks.Numbering()
        chunk_ids, chunk_ends = np.empty(0, np.int32), np.zeros(1, np.int64)  # of the chunks in `number`, in its order
        chunk_words = np.empty((0, 2 * known_words.KINDS), np.int32)  # as in `known_words.count`
        values, lengths = bytearray(), bytearray()  # int32 and int64; they grow without a second copy
        shares, cut = [np.empty(0)], [np.empty(0, bool)]
        for whole in Texts.of(questions).blocks(chunks.BLOCK):
            block = chunks.shortened(whole, self.most_characters)
            if len(number) > chunks.CHUNKS_KEPT:
                number.clear()
                chunk_ids, chunk_ends, chunk_words = chunk_ids[:0], chunk_ends[:1], chunk_words[:0]
            distinct, which, question_ends = chunks.distinct_chunks(block, self._cut)
            known = len(number)
            which = np.fromiter(map(number.__getitem__, distinct), np.int64, len(distinct))[which]
            every_ids, every_end, every_words = [chunk_ids], [chunk_ends], [chunk_words]
            for new in chunks.batches(list(islice(number, known, None))):
                new_ids, new_counts = self._chunk_tokens.ids(new)
                every_ids.append(new_ids)
                every_end.append(every_end[-1][-1:] + np.cumsum(new_counts))
                every_words += [self._chunk_tokens.count_words(new)] if count_words else []
            chunk_ids, chunk_words = np.concatenate(every_ids), np.concatenate(every_words)
            chunk_ends = np.concatenate(every_end)

            counts = chunk_ends[which + 1] - chunk_ends[which]  # tokens of each chunk of the questions
            ends = np.concatenate([[0], np.cumsum(counts)])
            ids = chunk_ids[np.repeat(chunk_ends[which] - ends[:-1], counts) + np.arange(ends[-1])]
            block_values, block_lengths, block_cut = self._of_questions(ids, ends[question_ends])
            lengths += block_lengths.tobytes()
            values += block_values.tobytes()
            cut.append(block_cut)
            if block is not whole:
                cut[-1] |= np.diff(block.offsets) < np.diff(whole.offsets)
            if count_words:
                shares.append(known_words.share_of_questions(chunk_words[which], question_ends))
        offsets = np.concatenate([[0], np.cumsum(np.frombuffer(lengths, np.int64))])
        ids = TokenIds(np.frombuffer(values, np.int32), offsets)
        return ids, Coverage(np.concatenate(shares), np.concatenate(cut))

    def _read_few(self, questions: Sequence[str]) -> tuple[TokenIds, Coverage]:
        """`read`, by the chunks that are remembered."""
        characters = np.fromiter(map(len, questions), np.int64, len(questions))
        if characters.max(initial=0) > self.most_characters:
            questions = [question[: self.most_characters] for question in questions]
        every = " ".join(questions).split(" ") if len(questions) else []
        ids, counts, words = self._remembered.read(every, self._chunk_tokens.read)
        spaces = np.fromiter(map(str.count, questions, repeat(" ")), np.int64, len(questions))
        question_ends = np.concatenate([[0], np.cumsum(spaces + 1)])
        ends = np.concatenate([[0], np.cumsum(counts)])
        values, lengths, cut = self._of_questions(ids, ends[question_ends])
        cut |= characters > self.most_characters
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return TokenIds(values, offsets), Coverage(known_words.share_of_questions(words, question_ends), cut)

    def _of_questions(self, ids: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the ids of all chunks and the `int64[questions + 1]` places where questions end: those that are kept, their number
        in each question, and whether it is cut.
        """
        counts = np.diff(ends)
        lengths = np.clip(counts, 1, self._max_length)
        values = np.full(lengths.sum(), UNKNOWN, np.int32)
        values[np.repeat(counts > 0, lengths)] = ids[is_leading(counts, self._max_length)]
        return values, lengths, counts > self._max_length
