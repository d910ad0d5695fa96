"""Batches: pairs of questions -> padded, length-bucketed arrays in which every question stands once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from siamese.data.pairs import QuestionPairs
from siamese.text.inputs import Inputs

BUCKET_BATCHES = 64  # batches whose pairs are sorted by length together; more would make batches less random


@dataclass(frozen=True)
class PairBatch:
    """One training step's input.

    Attributes:
        questions: `int32[questions, length]`, `float32[questions, width]`, or both side by side as `float32`: the distinct
            questions of the batch.
        left, right: `int32[batch]`, positions in `questions`.
        label, weight: `float32[batch]`.
        group: `int32[questions]`; two questions of one group are known to ask the same thing.
    """

    questions: np.ndarray
    left: np.ndarray
    right: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    group: np.ndarray


@dataclass(frozen=True)
class PairBatches:
    """An endless supply of epochs over one set of pairs, each a shuffled list of length-bucketed batches.

    A question that occurs several times in a batch is encoded once. The order depends on `seed` and
    on the number of the epoch alone, so an epoch can be repeated exactly.
    """

    pairs: QuestionPairs
    token_ids: Inputs
    group: np.ndarray
    weight: np.ndarray
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"training.batch_size must be at least 1, got {self.batch_size}")

    def __len__(self) -> int:
        """Batches in one epoch."""
        return -(-len(self.pairs) // self.batch_size)

    def epoch(self, number: int) -> Iterator[PairBatch]:
        """All pairs once, in the order of epoch `number`."""
        generator = np.random.default_rng([self.seed, number])
        order = generator.permutation(len(self.pairs))
        bucket = self.batch_size * BUCKET_BATCHES
        length = np.maximum(*(self.token_ids.lengths[side] for side in (self.pairs.left, self.pairs.right)))
        buckets = np.split(order, range(bucket, len(order), bucket))
        order = np.concatenate([rows[np.argsort(length[rows], kind="stable")] for rows in buckets])
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        for index in generator.permutation(len(batches)):
            yield self._batch(batches[index])

    def _batch(self, rows: np.ndarray) -> PairBatch:
        pairs = self.pairs
        questions, position = np.unique(np.concatenate([pairs.left[rows], pairs.right[rows]]), return_inverse=True)
        position = position.astype(np.int32)
        return PairBatch(
            questions=self.token_ids.padded(questions),
            left=position[: len(rows)],
            right=position[len(rows) :],
            label=pairs.label[rows],
            weight=self.weight[rows].astype(np.float32),
            group=self.group[questions],
        )
