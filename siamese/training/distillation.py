"""Distillation: from a sentence encoder to a table of word pieces whose mean points where the encoder does.

The rows start as the encoder's vector of each piece alone (model2vec), weighted by its smooth inverse frequency
a / (a + p) (Arora et al. 2017) and projected onto the principal axes of the encoder's vectors of questions. One linear map
fits their means to these vectors, and ridge regression corrects each row: the minimum over D of |X (W + D) - Y|² + λ |D|²,
by conjugate gradients. X has a row for each text, with its pieces divided by the square root of their number.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from tokenizers import Tokenizer

from siamese.text.vocabulary import SPECIAL

MAX_LENGTH = 64  # pieces of a text
QUESTION_COUNTS = 6  # a piece of a question counts as so many of another text
SMOOTHING = 3e-4  # a of the smooth inverse frequency
MAP_PENALTY = 10.0  # of the linear map
LENGTH = 3.0  # of the typical row: a question's mean then has about length 1


def distill(
    encode: Callable[[Sequence[str]], np.ndarray],
    tokenizer: Tokenizer,
    questions: Sequence[str],
    texts: Sequence[str] = (),
    *,
    width: int = 256,
    question_weight: float = 4.0,
    penalty: float = 16.0,
    steps: int = 40,
    on_step: Callable[[int], object] = lambda steps: None,
) -> np.ndarray:
    """The rows of a table, `float32[pieces, width]`.

    Args:
        encode: texts -> unit vectors `float32[texts, dimension]`, those of an encoder.
        tokenizer: text -> ids of pieces; a piece that continues a word starts with ##.
        questions: unlabeled ones, like those that will be asked.
        texts: more, of any kind: words that the questions lack.
        width: of a row; at most the encoder's dimension and the number of questions.
        question_weight: weight of a question; that of a text is 1.
        penalty: λ; a higher one leaves the rows nearer to their start.
        steps: of the conjugate gradients; fewer regularize, too.
        on_step: called after each with 1.

    Raises:
        ValueError: there are too few questions, or an argument is out of its range.
    """
    if len(questions) < 2 or width < 1 or question_weight <= 0 or penalty <= 0 or steps < 0:
        raise ValueError(
            "distillation needs at least 2 questions, width of at least 1, question_weight and penalty above 0 and steps of "
            f"at least 0; got {len(questions)} questions, {width}, {question_weight}, {penalty} and {steps}"
        )
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    alone = encode([piece.removeprefix("##") for piece, _ in by_id])
    asked, told = (_counts(tokenizer, each) for each in (questions, texts))
    frequency = QUESTION_COUNTS * (asked > 0).sum(axis=0) + (told > 0).sum(axis=0) + 1
    frequency = np.asarray(frequency, np.float64).ravel() / (frequency.sum() - len(by_id))
    rows = (alone - alone.mean(axis=0)) * (SMOOTHING / (SMOOTHING + frequency))[:, None]

    target = encode(questions)
    center = target.mean(axis=0)
    axes = np.linalg.svd(target - center, full_matrices=False)[2][:width].T
    weight = np.concatenate([np.full(len(questions), question_weight), np.ones(len(texts))]).astype(np.float32)
    more = encode(texts) if len(texts) else np.zeros((0, target.shape[1]), np.float32)
    y = weight[:, None] * ((np.concatenate([target, more]) - center) @ axes)
    counts = sparse.vstack([asked, told])
    x = sparse.csr_array(sparse.diags_array(weight / _length(counts)) @ counts).astype(np.float32)

    rows = (rows @ axes).astype(np.float32)
    means = x @ rows
    linear = np.linalg.solve(means.T @ means + MAP_PENALTY * np.eye(rows.shape[1]), means.T @ y)
    rows = _ridge(x, y.astype(np.float32), (rows @ linear).astype(np.float32), penalty, steps, on_step)
    rows[: len(SPECIAL)] = 0
    typical = np.linalg.norm(sparse.diags_array(1 / _length(asked)) @ asked @ rows, axis=1).mean()
    return rows * np.float32(LENGTH / max(typical, 1e-12))


def _counts(tokenizer: Tokenizer, texts: Sequence[str]) -> sparse.csr_array:
    """How often each piece occurs in each text, `float32[texts, pieces]`."""
    ids = [np.array(encoding.ids[:MAX_LENGTH], np.int64) for encoding in tokenizer.encode_batch_fast(list(texts))]
    text = np.repeat(np.arange(len(ids)), [len(each) for each in ids])
    pieces = np.concatenate([*ids, np.empty(0, np.int64)])
    shape = (len(ids), tokenizer.get_vocab_size())
    return sparse.csr_array(sparse.coo_array((np.ones(len(pieces), np.float32), (text, pieces)), shape=shape))


def _length(counts: sparse.csr_array) -> np.ndarray:
    """Square root of the pieces of each text, at least 1."""
    return np.sqrt(np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1))


def _ridge(
    x: sparse.csr_array, y: np.ndarray, start: np.ndarray, penalty: float, steps: int, on_step: Callable[[int], object]
) -> np.ndarray:
    """Conjugate gradients from `start` for |x (start + D) - y|² + penalty |D|², all columns at once."""
    across = sparse.csr_array(x.T)
    change = np.zeros_like(start)
    residual = across @ (y - x @ start)
    direction, squared = residual.copy(), np.square(residual).sum(axis=0)
    for _ in range(steps):
        image = across @ (x @ direction) + np.float32(penalty) * direction
        size = squared / np.maximum((direction * image).sum(axis=0), 1e-12)
        change += size * direction
        residual -= size * image
        before, squared = squared, np.square(residual).sum(axis=0)
        direction = residual + squared / np.maximum(before, 1e-12) * direction
        on_step(1)
    return start + change
