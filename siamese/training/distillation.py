"""Distillation in closed form: from a sentence encoder to word pieces whose mean points where the encoder does.

The rows start as the encoder's vector of each piece alone (model2vec), weighted by its smooth inverse frequency
a / (a + p) (Arora et al. 2017) and projected onto the principal axes of the encoder's vectors of questions. One linear map
fits their means to these vectors, and ridge regression corrects each row: the minimum over D of |X (W + D) - Y|² + λ |D|²,
by conjugate gradients. X has a row for each text, with its pieces divided by the square root of their number.
`siamese.training.distillation_loop` goes on from there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse
from tokenizers import Tokenizer

from siamese.text.inputs import TokenIds
from siamese.text.vectorizer import Vectorizer
from siamese.text.vocabulary import SPECIAL

MAX_LENGTH = 64  # pieces of a text
QUESTION_COUNTS = 6  # a piece of a question counts as so many of another text
SMOOTHING = 3e-4  # a of the smooth inverse frequency
MAP_PENALTY = 10.0  # of the linear map
LENGTH = 3.0  # of the typical row: a question's mean then has about length 1
AXES_FROM = 50_000  # questions whose vectors give the principal axes
LEAST, MOST_HELD_OUT = 2, 5_000  # questions: those that can be compared, and those that suffice to choose an epoch
BLOCK = 2**15  # texts that are multiplied together: bounds the memory


class Encode(Protocol):
    """Texts -> unit vectors of an encoder, perhaps projected block by block, so that the whole of them is never kept."""

    def __call__(self, texts: Sequence[str], project: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """`float32[texts, dimension]`, or what `project` makes of each block of them."""


@dataclass(frozen=True)
class Lessons:
    """What a student learns: texts and where the encoder points.

    Attributes:
        token_ids: of the questions, then of the other texts.
        target: `float32[texts, width]`, the encoder's vectors, centered, along their principal axes.
        weight: `float32[texts]`, how much each counts.
        held_out: `int64[n]`, the rows of questions that nothing is fitted to, ascending.
    """

    token_ids: TokenIds
    target: np.ndarray
    weight: np.ndarray
    held_out: np.ndarray


def distill(
    encode: Encode,
    tokenizer: Tokenizer,
    questions: Sequence[str],
    texts: Sequence[str] = (),
    *,
    width: int = 256,
    question_weight: float = 4.0,
    penalty: float = 16.0,
    steps: int = 40,
    held_out: float = 0.0,
    seed: int = 0,
    on_step: Callable[[int], object] = lambda steps: None,
) -> tuple[np.ndarray, Lessons]:
    """The rows of a table, `float32[pieces, width]`, and what they were fitted to.

    Args:
        encode: the encoder's vectors of texts.
        tokenizer: text -> ids of pieces; a piece that continues a word starts with ##.
        questions: unlabeled ones, like those that will be asked.
        texts: more, of any kind: words that the questions lack.
        width: of a row; at most the encoder's dimension and the number of questions.
        question_weight: weight of a question; that of a text is 1.
        penalty: λ; a higher one leaves the rows nearer to their start.
        steps: of the conjugate gradients; fewer regularize, too.
        held_out: share of the questions that nothing is fitted to, in [0, 1); at most MOST_HELD_OUT.
        seed: of their choice.
        on_step: called after each step with 1.

    Raises:
        ValueError: there are too few questions, or an argument is out of its range.
    """
    if len(questions) < LEAST or width < 1 or question_weight <= 0 or penalty <= 0 or steps < 0:
        raise ValueError(
            "distillation needs at least 2 questions, width of at least 1, question_weight and penalty above 0 and steps of "
            f"at least 0; got {len(questions)} questions, {width}, {question_weight}, {penalty} and {steps}"
        )
    if not 0 <= held_out < 1:
        raise ValueError(f"distillation.held_out must lie in [0, 1), got {held_out}")
    count = max(LEAST, round(held_out * len(questions))) if held_out else 0
    count = min(count, MOST_HELD_OUT, len(questions) - LEAST)
    tested = np.sort(np.random.default_rng(seed).permutation(len(questions))[:count])
    center, axes = _principal_axes(encode(_sample(questions)), width)
    everything = [*questions, *texts]
    target = encode(everything, lambda vectors: (vectors - center) @ axes)
    weight = np.concatenate([np.full(len(questions), question_weight), np.ones(len(texts))]).astype(np.float32)
    token_ids = Vectorizer(tokenizer, 0, MAX_LENGTH).encode(everything)
    lessons = Lessons(token_ids, target, weight, tested)

    counts = _counts(token_ids, tokenizer.get_vocab_size())
    length = np.sqrt(token_ids.lengths).astype(np.float32)
    occurs = (counts > 0).astype(np.int64)
    frequency = QUESTION_COUNTS * occurs[: len(questions)].sum(axis=0) + occurs[len(questions) :].sum(axis=0) + 1.0
    frequency /= frequency.sum() - len(frequency)
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    alone = encode([piece.removeprefix("##") for piece, _ in by_id])
    rows = (alone - alone.mean(axis=0)) * (SMOOTHING / (SMOOTHING + frequency))[:, None]

    fitted = weight.copy()
    fitted[tested] = 0
    x = sparse.csr_array(sparse.diags_array(fitted / length) @ counts).astype(np.float32)
    rows = _ridge(
        x, fitted, target, _mapped(x, fitted, target, (rows @ axes).astype(np.float32)), penalty, steps, on_step
    )
    rows[: len(SPECIAL)] = 0
    mean_of = sparse.csr_array(sparse.diags_array(1 / length) @ counts).astype(np.float32)
    lengths = [np.linalg.norm(mean_of[block] @ rows, axis=1) for block in _blocks(len(questions))]
    return rows * np.float32(LENGTH / max(np.concatenate(lengths).mean(), 1e-12)), lessons


def _sample(questions: Sequence[str]) -> Sequence[str]:
    """At most AXES_FROM of the questions, evenly spread."""
    return questions[:: -(-len(questions) // AXES_FROM)]


def _principal_axes(vectors: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of vectors, and their principal axes `float32[dimension, width]`."""
    center = vectors.mean(axis=0)
    axes = np.linalg.svd(vectors - center, full_matrices=False)[2][:width].T
    return center, np.ascontiguousarray(axes)


def _counts(token_ids: TokenIds, pieces: int) -> sparse.csr_array:
    """How often each piece occurs in each text, `float32[texts, pieces]`."""
    ones = np.ones(len(token_ids.values), np.float32)
    parts = ones, token_ids.values, token_ids.offsets
    counts = sparse.csr_array(parts, shape=(len(token_ids), pieces), copy=True)
    counts.sum_duplicates()  # in place
    return counts


def _blocks(texts: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, texts)) for start in range(0, texts, BLOCK))


def _mapped(x: sparse.csr_array, weight: np.ndarray, target: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows after the linear map that fits their means to the targets best."""
    width = rows.shape[1]
    square, product = MAP_PENALTY * np.eye(width), np.zeros((width, width))
    for block in _blocks(len(target)):
        means = x[block] @ rows
        square += means.T @ means
        product += means.T @ (weight[block, None] * target[block])
    return (rows @ np.linalg.solve(square, product)).astype(np.float32)


def _ridge(
    x: sparse.csr_array,
    weight: np.ndarray,
    target: np.ndarray,
    start: np.ndarray,
    penalty: float,
    steps: int,
    on_step: Callable[[int], object],
) -> np.ndarray:
    """Conjugate gradients from `start` for |x (start + D) - y|² + penalty |D|², all columns at once."""
    parts = [x[block] for block in _blocks(len(target))]
    across = [sparse.csr_array(part.T) for part in parts]
    residual = np.zeros_like(start)
    for part, back, block in zip(parts, across, _blocks(len(target)), strict=True):
        residual += back @ (weight[block, None] * target[block] - part @ start)
    change = np.zeros_like(start)
    direction, squared = residual.copy(), np.square(residual).sum(axis=0)
    for _ in range(steps):
        image = np.float32(penalty) * direction
        for part, back in zip(parts, across, strict=True):
            image += back @ (part @ direction)
        size = squared / np.maximum((direction * image).sum(axis=0), 1e-12)
        change += size * direction
        residual -= size * image
        before, squared = squared, np.square(residual).sum(axis=0)
        direction = residual + squared / np.maximum(before, 1e-12) * direction
        on_step(1)
    return start + change
