"""Paired tests: is the difference of two options on the same pairs more than chance?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from siamese.comparison.options import Group, Option
from siamese.evaluation.report import weighted_metrics
from siamese.evaluation.significance import Estimate, McNemar, difference, holm, mcnemar, resampled, resamples
from siamese.tracking.queries import TrackedRun, predictions

LEVEL = 0.05  # family-wise error rate of the tests of a group
PAIR = ["question1", "question2", "label"]
BEST, ALL = "best", "all"


@dataclass(frozen=True)
class PairedTest:
    """The difference of two options on the same pairs, first - second.

    Attributes:
        p: of no difference, corrected by Holm for all tests of the group.
        mcnemar: of the verdicts of two networks, each with the best seed on dev; `mcnemar_p` is corrected, too.
    """

    first: Option
    second: Option
    difference: Estimate
    p: float
    mcnemar: McNemar
    mcnemar_p: float

    @property
    def beyond_chance(self) -> bool:
        """Whether chance alone makes so large a difference in fewer than LEVEL of all cases."""
        return self.p < LEVEL


@dataclass(frozen=True)
class _Scored:
    """An option on the pairs of a split: `float64[seeds]`, `float64[seeds, resamples]`, and `bool[pairs]` of one run."""

    values: np.ndarray
    resampled: np.ndarray
    correct: np.ndarray


def couples(group: Group, against: str, most: int) -> list[tuple[Option, Option]]:
    """The pairs of options to test, of the `most` best on dev, always with the same number of training pairs.

    With `against` "best" the best network on dev is tested against each other network and baseline, with "all" all pairs, or
    the option of that name against the others.
    """
    found = []
    for size in group.sizes:
        options, baselines = group.of_size(size)
        field = [*options[:most], *baselines]
        if against == ALL:
            found += [(one, other) for place, one in enumerate(field) for other in field[place + 1 :]]
            continue
        first = [options[0]] if against == BEST else [each for each in options + baselines if each.name == against]
        found += [(one, other) for one in first for other in field if other is not one]
    return found


def paired_tests(group: Group, pairs_of_options: Sequence[tuple[Option, Option]], metric: str) -> list[PairedTest]:
    """Test each couple on the test pairs of the group, or on dev without test pairs.

    Raises ValueError if their tables of predictions are missing, or hold other pairs.
    """
    scored = _scored(group.split, dict.fromkeys(option for couple in pairs_of_options for option in couple), metric)
    differences, verdicts = [], []
    for one, other in pairs_of_options:
        first, second = scored[one], scored[other]
        differences.append(difference(first.values, second.values, first.resampled, second.resampled))
        verdicts.append(mcnemar(first.correct, second.correct))
    corrected = holm([each.p for each in differences])
    corrected_verdicts = holm([each.p for each in verdicts])
    every = zip(pairs_of_options, differences, corrected, verdicts, corrected_verdicts, strict=True)
    return [PairedTest(one, other, by, p, verdict, vp) for (one, other), by, p, verdict, vp in every]


def _scored(split: str, options: Iterable[Option], metric: str) -> dict[Option, _Scored]:
    """The metric of each option on the pairs and on resampled pairs, the same resamples for all."""
    known: tuple[TrackedRun, pd.DataFrame] | None = None
    weight = np.empty((0, 0))
    found = {}
    for option in options:
        chosen = option.best_run(metric)
        values, drawn, correct = [], [], np.empty(0, bool)
        for run in option.runs:
            table = predictions(run.id, split)
            if known is None:
                known, weight = (run, table[PAIR]), resamples(len(table), seed=0)
            _assert_same_pairs(*known, run, table)
            score = weighted_metrics(table)[metric]
            values.append(float(score(np.ones((1, len(table))))[0]))
            drawn.append(resampled(score, weight))
            if run is chosen:
                correct = table["correct"].to_numpy(bool)
        found[option] = _Scored(np.array(values), np.array(drawn), correct)
    return found


def _assert_same_pairs(known: TrackedRun, pairs: pd.DataFrame, run: TrackedRun, table: pd.DataFrame) -> None:
    if not pairs.equals(table[PAIR]):
        raise ValueError(
            f"run {run.id} ({run.name}) answered other pairs than run {known.id} ({known.name}): {len(table):,} against "
            f"{len(pairs):,}, or in another order, or with other labels. Their tags claim the same data; compare them apart"
        )
