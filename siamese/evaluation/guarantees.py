"""Guaranteed precision: a threshold that holds its promise for other pairs, not only for those that chose it."""

import numpy as np

CONFIDENCE = 0.9  # with which the precision is reached


class NotGuaranteedError(ValueError):
    """No threshold with the guarantee was found."""


def least_calls(precision: float) -> int:
    """How many pairs must be called duplicates, all of them rightly, for a guarantee of this precision inside (0, 1).

    >>> least_calls(0.95), least_calls(0.99)
    (45, 230)
    """
    return int(np.ceil(np.log(1 - CONFIDENCE) / np.log(precision)))


def require_enough(duplicate: np.ndarray, precision: float) -> None:
    """Raise NotGuaranteedError if the reserved pairs, with labels `bool[pairs]`, are too few for a precision inside (0, 1)."""
    least, duplicates = least_calls(precision), int(duplicate.sum())
    if duplicates < least:
        raise NotGuaranteedError(
            f"guarantee@{precision:g} needs at least {least:,} reserved pairs that are called duplicates, all of them rightly, "
            f"but of the {len(duplicate):,} reserved dev pairs {duplicates:,} are duplicates; give more dev pairs, or ask for a "
            "lower precision"
        )


def p_values(calls: np.ndarray, mistakes: np.ndarray, precision: float) -> np.ndarray:
    """The chance of so few mistakes among the calls if no more than `precision` of such calls were right: `float64[n]`.

    The binomial distribution, also between whole numbers; `float[n]` calls and mistakes, not negative.

    >>> p_values(np.array([44.0, 45.0]), np.zeros(2), 0.95).round(4)
    array([0.1047, 0.0994])
    """
    from scipy.special import betainc  # takes a quarter of a second, and other thresholds do not need it

    right = np.asarray(calls - mistakes, np.float64)
    return np.where(right > 0, betainc(np.maximum(right, 1e-9), mistakes + 1.0, precision), 1.0)


def guaranteed_threshold(
    cuts: np.ndarray,
    dev: tuple[np.ndarray, np.ndarray],
    reserved: tuple[np.ndarray, np.ndarray],
    precision: float,
) -> float:
    """A threshold whose precision is at least `precision` with a probability of `CONFIDENCE`: Learn then Test.

    Angelopoulos et al. 2021 (Learn then Test, fixed sequence testing): thresholds are tested in an order that does not depend
    on the reserved pairs, each with the exact binomial test of "the precision is lower", until one fails; the last before it is
    taken. The order is from strict to loose, from where dev lets expect the smallest p-value. The promise holds for pairs that
    are drawn as the reserved ones are, independently.

    Args:
        cuts: `float[n]`, thresholds, from strict to loose.
        dev: similarities `float[pairs]` and labels `bool[pairs]`, which may have chosen anything.
        reserved: likewise; pairs that chose nothing.
        precision: inside (0, 1).

    Raises:
        NotGuaranteedError: the first test fails, or the reserved pairs are too few for any.
    """
    require_enough(reserved[1], precision)
    share = len(reserved[0]) / len(dev[0])
    called, wrong = _counts(cuts, *dev)
    first = int(np.argmin(p_values(share * called, share * wrong, precision)))
    calls, mistakes = _counts(cuts[first:], *reserved)
    p = p_values(calls, mistakes, precision)
    passed = int(np.argmax(np.append(p > 1 - CONFIDENCE, True)))
    if not passed:
        raise NotGuaranteedError(
            f"guarantee@{precision:g} cannot be given: of the {len(reserved[0]):,} reserved dev pairs {calls[0]:,} reach the "
            f"best threshold, {cuts[first]:.6g}, and {mistakes[0]:,} of these are no duplicates; at a precision of "
            f"{precision:g} as few have a probability of {p[0]:.2f}, and at most {1 - CONFIDENCE:.1f} is allowed. Ask for a "
            "lower precision, or give more dev pairs"
        )
    return float(cuts[first + passed - 1])


def _counts(cuts: np.ndarray, similarity: np.ndarray, duplicate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each cut, how many pairs reach it, and how many of them are no duplicates: `int64[cuts]` each."""
    order = np.argsort(similarity)
    below = np.searchsorted(similarity[order], cuts)
    others_below = np.concatenate([[0], np.cumsum(~duplicate[order])])
    return len(similarity) - below, others_below[-1] - others_below[below]
