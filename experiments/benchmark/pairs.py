"""Pairs to measure on: synthetic questions that cost what Quora's cost, or the pairs of a file.

Only the shape is Quora's: how long the questions are, how often words and questions recur. The words are
those of the corpus that ships with the project, strung together without sense.
"""

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from siamese.data.files import read_pair_file
from siamese.data.intent_files import read_intent_file
from siamese.data.pairs import QuestionPairs
from siamese.data.sources import CORPORA

# Tokens of a question, "?" included: SHORTEST + exp(MU + SIGMA z), z normal, rounded, at most LONGEST.
# Measured on Quora's 1, 5, 25, 50, 75, 90, 95, 99 %: 5, 6, 9, 11, 15, 22, 27, 38; mean 12.9.
SHORTEST, MU, SIGMA, LONGEST = 3, 2.104, 0.62, 64
LENGTH_CORRELATION = 0.7  # of the z of the two questions of a pair; of the lengths, 0.46 as on Quora

# Word of rank r (from 1): probability ~ (r + ZIPF_SHIFT) ** -ZIPF_EXPONENT. So a batch of 508 distinct questions
# has about 6,450 tokens and 1,460 distinct words, as on Quora.
ZIPF_SHIFT, ZIPF_EXPONENT = 5.0, 1.3

NEW_SHARE = 0.83  # of the questions, counted as often as they occur, the share seen for the first time
DUPLICATE_SHARE = 0.37
OTHER_TOKENS = 3  # of a vocabulary: padding, unknown and "?"
CHUNK = 100_000  # pairs made at once: bounds the memory that millions of them take


def read_or_make(file: str | None, count: int, vocabulary: int, seed: int) -> QuestionPairs:
    """`count` pairs drawn from a file with the columns question1, question2 and is_duplicate (all if it has fewer).

    Without a file they are made, with `vocabulary` token ids, padding and unknown included.
    """
    if file is None:
        return QuestionPairs.from_texts(*synthetic(count, vocabulary, seed))
    left, right, label, _ = read_pair_file(file, "question1", "question2", "is_duplicate", "skip")
    pairs = QuestionPairs.from_texts(left, right, label)
    return pairs.take(np.random.default_rng(seed).permutation(len(pairs))[:count])


def synthetic(count: int, vocabulary: int, seed: int) -> tuple[list[str], list[str], np.ndarray]:
    """Left texts, right texts and `float32[count]` labels of made pairs."""
    generator = np.random.default_rng(seed)
    new = generator.random(2 * count) < NEW_SHARE
    new[0] = True
    known = np.cumsum(new)  # distinct questions so far, at each occurrence
    question = np.where(new, known - 1, (generator.random(2 * count) * known).astype(np.int64))
    texts = _texts(_lengths(count, generator)[new], vocabulary, generator)
    label = (generator.random(count) < DUPLICATE_SHARE).astype(np.float32)
    return [texts[i] for i in question[0::2]], [texts[i] for i in question[1::2]], label


def write_file(path: Path, count: int, vocabulary: int, seed: int) -> None:
    """Made pairs as a TSV in the shape of Quora's quora_duplicate_questions.tsv."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(["id", "qid1", "qid2", "question1", "question2", "is_duplicate"])
        for start in range(0, count, CHUNK):
            size = min(CHUNK, count - start)
            left, right, label = synthetic(size, vocabulary, seed + start)
            number = range(start, start + size)
            ids = number, range(2 * start, 2 * (start + size), 2), range(2 * start + 1, 2 * (start + size) + 1, 2)
            rows.writerows(zip(*ids, left, right, label.astype(int), strict=True))


@cache
def words(count: int) -> tuple[str, ...]:
    """`count` distinct words, most frequent first: those of the shipped English corpus, then two of them joined.

    A joined word is one token of a word vocabulary and several of a subword vocabulary, as a rare word or a typo is.
    """
    questions = read_intent_file(CORPORA / "en.tsv", "question", "intent", "topic", "error")[0]
    counts = Counter(word for question in questions for word in re.findall(r"(?<!')\b[a-z]+\b(?!')", question.lower()))
    found = dict.fromkeys(sorted(counts, key=lambda word: (-counts[word], word)))
    single = list(found)
    generator = np.random.default_rng(0)
    while len(found) < count:
        positions = generator.integers(len(single), size=(len(single), 2)).tolist()
        found |= dict.fromkeys(single[first] + single[second] for first, second in positions)
    return tuple(found)[:count]


def _lengths(count: int, generator: np.random.Generator) -> np.ndarray:
    """Tokens of the questions of pairs, left and right in alternation, `int64[2 * count]`."""
    covariance = [[1.0, LENGTH_CORRELATION], [LENGTH_CORRELATION, 1.0]]
    normal = generator.multivariate_normal([0.0, 0.0], covariance, count).reshape(-1)
    return np.minimum(np.rint(SHORTEST + np.exp(MU + SIGMA * normal)).astype(np.int64), LONGEST)


def _texts(lengths: np.ndarray, vocabulary: int, generator: np.random.Generator) -> list[str]:
    """Questions with these numbers of tokens, the last of which is "?"."""
    known = words(vocabulary - OTHER_TOKENS)
    probability = (np.arange(1, len(known) + 1) + ZIPF_SHIFT) ** -ZIPF_EXPONENT
    cumulated = np.cumsum(probability / probability.sum())
    cumulated[-1] = 1.0  # rounding must not leave a draw beyond the last word
    ends = np.cumsum(lengths - 1)
    drawn = np.array(known, object)[np.searchsorted(cumulated, generator.random(ends[-1]), side="right")]
    starts = np.concatenate([[0], ends[:-1]])
    return [" ".join(drawn[start:end]) + "?" for start, end in zip(starts, ends, strict=True)]
