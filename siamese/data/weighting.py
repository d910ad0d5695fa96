"""Weights of training pairs: against class imbalance, or for another share of duplicates in use."""

import numpy as np

from siamese.data.pairs import QuestionPairs


def uniform(pairs: QuestionPairs) -> np.ndarray:
    """Every pair counts 1: `float32[pairs]`."""
    return np.ones(len(pairs), np.float32)


def class_weights(pairs: QuestionPairs, duplicate: float, different: float) -> np.ndarray:
    """A weight for each class, `float32[pairs]`; a graded label gets a mixture of both.

    Args:
        pairs: the training pairs.
        duplicate, different: weights of pairs labeled 1 and 0, at least 0, not both 0.
    """
    if min(duplicate, different) < 0 or duplicate + different == 0:
        raise ValueError(
            f"weighting.duplicate and weighting.different must be at least 0 and not both 0, got {duplicate} and {different}"
        )
    return (pairs.label * duplicate + (1 - pairs.label) * different).astype(np.float32)


def target_prior(pairs: QuestionPairs, duplicate_share: float) -> np.ndarray:
    """Weights of mean 1 under which `duplicate_share` in (0, 1) of the training pairs are duplicates (Saerens et al. 2002)."""
    if not 0 < duplicate_share < 1:
        raise ValueError(f"weighting.duplicate_share must lie between 0 and 1, got {duplicate_share}")
    share = float(pairs.label.mean())
    if share in (0.0, 1.0):
        raise ValueError("weighting=target_prior needs training pairs of both classes")
    return class_weights(pairs, duplicate_share / share, (1 - duplicate_share) / (1 - share))
