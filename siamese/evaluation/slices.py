"""Slices: labeled pairs by what may make them hard, and how a model does on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from siamese.data.pairs import QuestionPairs
from siamese.data.splits import question_numbers
from siamese.evaluation import metrics
from siamese.evaluation.baselines import word_overlap

QUARTERS, TENTHS = 4, 10
UNKNOWN_UP_TO = (0.0, 0.25, 0.5)  # shares of unknown words that part the slices
SEEN = ("none", "one", "both")
RESAMPLES = 200  # enough for an interval of a slice


@dataclass(frozen=True)
class Slicing:
    """A way to slice pairs.

    Attributes:
        name: of what makes them hard.
        slices: what each slice holds, in the order of its number.
        number: the slice of each pair, `int64[pairs]`, for each part; -1 where it is in none.
    """

    name: str
    slices: Sequence[str]
    number: Mapping[str, np.ndarray]


def slicings(
    parts: Mapping[str, QuestionPairs], known_words: Mapping[str, np.ndarray], train: QuestionPairs | None = None
) -> list[Slicing]:
    """Ways to slice the pairs of parts; quantiles are those of the first part.

    Args:
        parts: as dev and test.
        known_words: `float64[questions]` for each part, the share of each question's words that the model knows; nan where
            that is not known.
        train: the pairs that the model learned from; None if they are not known.

    Returns:
        length: words of the longer question, in quarters; overlap: Jaccard similarity of the two sets of words, in tenths;
        unknown_words: the share of unknown words of that question that has the larger one; questions_seen: how many of the
        two questions are in train.
    """
    length, overlap, unknown, seen = {}, {}, {}, {}
    for part, pairs in parts.items():
        words = np.array([len(question.split()) for question in pairs.questions])
        length[part] = np.maximum(words[pairs.left], words[pairs.right])
        overlap[part] = word_overlap(pairs)(pairs)
        share = 1 - known_words[part]
        number = np.searchsorted(UNKNOWN_UP_TO, np.maximum(share[pairs.left], share[pairs.right]))
        unknown[part] = np.where(np.isnan(share[pairs.left] + share[pairs.right]), -1, number)
    if train is not None:
        learned, *asked = question_numbers(train, *parts.values())
        for (part, pairs), number in zip(parts.items(), asked, strict=True):
            is_known = np.isin(number, learned)
            seen[part] = is_known[pairs.left].astype(int) + is_known[pairs.right]
    found = [_by_quantiles("length", length, QUARTERS), _by_quantiles("overlap", overlap, TENTHS)]
    found.append(Slicing("unknown_words", _ranges(np.array(UNKNOWN_UP_TO)), unknown))
    return [*found, Slicing("questions_seen", SEEN, seen)] if seen else found


def _by_quantiles(name: str, values: Mapping[str, np.ndarray], count: int) -> Slicing:
    """Slices of about equal size, fewer where many values are equal."""
    first = next(iter(values.values()))
    edges = np.unique(np.quantile(first, np.arange(1, count) / count, method="inverted_cdf"))
    edges = edges[edges < first.max()]
    return Slicing(name, _ranges(edges), {part: np.searchsorted(edges, each) for part, each in values.items()})


def _ranges(edges: np.ndarray) -> list[str]:
    """What lies between edges, the upper one included.

    >>> _ranges(np.array([0, 5, 8]))
    ['0', '0 to 5', '5 to 8', 'over 8']
    """
    inner = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    lowest = f"up to {edges[0]:.3g}" if any(edges[:1]) else "0"
    return [lowest, *inner, f"over {edges[-1]:.3g}"] if len(edges) else ["all"]


def slice_metrics(
    slicing: Slicing, part: str, label: np.ndarray, similarity: np.ndarray, threshold: float, seed: int = 0
) -> pd.DataFrame:
    """How a model does on each slice of a part.

    Args:
        label: `bool[pairs]`, true for duplicates.
        similarity: `float[pairs]`.
        threshold: from this similarity on the verdict is "duplicate".
        seed: of the bootstrap.

    Returns:
        A row for each slice: part, slicing, slice, holds; pairs, duplicates (their share); accuracy and roc_auc with the limits
        of their 95 % intervals, _low and _high. nan is what is undefined: all of it without pairs, roc_auc with one class.
    """
    rows = []
    for number, holds in enumerate(slicing.slices):
        inside = slicing.number[part] == number
        count = int(inside.sum())
        row = {"part": part, "slicing": slicing.name, "slice": number + 1, "holds": holds, "pairs": count}
        row["duplicates"] = label[inside].mean() if count else np.nan
        scores = similarity[inside]
        measured = metrics.pair_metrics(label[inside], scores, scores, threshold)
        weighted = {name: measured[name] for name in ("accuracy", "roc_auc")}
        value = metrics.values(weighted, count) if count else dict.fromkeys(weighted, np.nan)
        limits = metrics.intervals(weighted, count, seed, RESAMPLES) if count else {}
        for name in weighted:
            low, high = limits.get(name, (np.nan, np.nan))
            row |= {name: value[name], f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
