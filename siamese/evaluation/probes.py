"""Probes: what a model cannot do. CheckList, slices of the held-out pairs, and swapped words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from siamese.data.pairs import QuestionPairs
from siamese.data.questions import question_key
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.checklist import LANGUAGES, answered, failure_rates, languages_of, suite
from siamese.evaluation.slices import slice_metrics, slicings
from siamese.evaluation.swaps import question_frequency, swaps
from siamese.text.inputs import Coverage

RATES = ("failures", "failures_duplicates", "failures_others", "misordered", "unstable")


class Scorer(Protocol):
    """What is probed, such as a `siamese.detector.Detector`, whose methods these are."""

    calibration: Calibration

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Similarities `float[pairs]` in [0, 1]."""

    def coverage(self, questions: Sequence[str]) -> Coverage:
        """How much of each question is read."""


@dataclass(frozen=True)
class Probes:
    """What was found.

    Attributes:
        metrics: value by name, for tracking.
        answers: the pair of each case of CheckList with similarity, verdict and whether that is correct, see
            `siamese.evaluation.checklist`.
        rates: a row for each capability, see `failure_rates`.
        slices: a row for each slice of each part, see `slice_metrics`.
        swaps: question, swapped, similarity, verdict.
    """

    metrics: dict[str, float]
    answers: pd.DataFrame
    rates: pd.DataFrame
    slices: pd.DataFrame
    swaps: pd.DataFrame

    def files(self) -> dict[str, pd.DataFrame]:
        """The tables to keep, by name."""
        return {"checklist": self.answers, "slices": self.slices, "swaps": self.swaps}

    def tables(self) -> list[list[list[str]]]:
        """Three tables to print, heads first: CheckList by capability, slices, swaps."""
        languages = " and ".join(dict.fromkeys(self.answers["language"]))
        checklist = [[f"CheckList, {languages}", "pairs", *(name.replace("_", " of ") for name in RATES)]]
        for capability, row in self.rates.iterrows():
            checklist.append([str(capability), str(int(row["pairs"])), *(_share(row[name]) for name in RATES)])
        parts = list(dict.fromkeys(self.slices["part"]))
        columns = ["pairs", "duplicates", "accuracy", "roc_auc"]
        sliced = [["slice", *(f"{part} {name}" for part in parts for name in columns)]]
        for (slicing, _, holds), rows in self.slices.groupby(["slicing", "slice", "holds"], sort=False):
            cells = [[str(row["pairs"]), *(_share(row[name]) for name in columns[1:])] for _, row in rows.iterrows()]
            sliced.append([f"{slicing} {holds}".replace("_", " "), *(cell for each in cells for cell in each)])
        names = ["pairs", "called_duplicates", "similarity"]
        count, *shares = (self.metrics[f"swaps_{name}"] for name in names)
        swapped = [
            ["words swapped", *(name.replace("_", " ") for name in names)],
            ["", str(int(count)), *map(_share, shares)],
        ]
        return [checklist, sliced, swapped]


def probe(
    model: Scorer,
    parts: Mapping[str, QuestionPairs],
    scores: Mapping[str, np.ndarray],
    train: QuestionPairs | None = None,
    wanted: bool | str = True,
    seed: int = 0,
) -> Probes:
    """Probe a model at its threshold.

    Args:
        parts: labeled pairs to be sliced; words are swapped in the questions of the first part.
        scores: the model's similarities of each part, `float[pairs]`.
        train: the pairs that it learned from; None if they are not known. Then no slice says what it has seen, and the
            first part's questions say which words are rare.
        wanted: a language of the suites, "en" or "fr"; True for that of the first part, see `languages_of`.
        seed: of the swaps and the bootstrap.

    Raises:
        ValueError: there is no suite in the language that is wanted.
    """
    first, similar = next(iter(parts.values())), model.similarity
    if wanted is not True and wanted not in LANGUAGES:
        raise ValueError(f"probes must be true, false, {' or '.join(LANGUAGES)}; got {wanted!r}")
    suites = languages_of(first.questions) if wanted is True else [str(wanted)]
    cases = pd.concat(map(suite, suites), ignore_index=True)
    similarity = similar(list(zip(cases["question1"], cases["question2"], strict=True)))
    answers = answered(cases, similarity, model.calibration.duplicate(similarity))
    rates = failure_rates(answers)

    known = {part: model.coverage(pairs.questions).known_words for part, pairs in parts.items()}
    threshold = model.calibration.threshold
    sliced = [
        slice_metrics(slicing, part, pairs.duplicate, scores[part], threshold, seed)
        for slicing in slicings(parts, known, train)
        for part, pairs in parts.items()
    ]

    learned = (train or first).questions
    asked = list({question_key(question): question for question in first.questions}.values())
    swapped = swaps(asked, question_frequency(learned), len(learned), seed)
    similarity = similar(swapped) if swapped else np.empty(0)
    table = pd.DataFrame(swapped, columns=["question", "swapped"])
    table = table.assign(similarity=similarity, verdict=model.calibration.duplicate(similarity))

    slices = pd.concat(sliced, ignore_index=True)
    return Probes(_metrics(rates, slices, table), answers, rates, slices, table)


def _metrics(rates: pd.DataFrame, slices: pd.DataFrame, swapped: pd.DataFrame) -> dict[str, float]:
    """The figures of all tables by name; `failures` is the mean over capabilities, both labels counting alike."""
    found = {"failures": float(rates[["failures_duplicates", "failures_others"]].mean(axis=1).mean())}
    for capability, row in rates.iterrows():
        found |= {f"{capability}_{name}": float(row[name]) for name in ("pairs", *RATES)}
    found["swaps_pairs"] = len(swapped)
    found["swaps_called_duplicates"] = float(swapped["verdict"].mean())
    found["swaps_similarity"] = float(swapped["similarity"].mean())
    for _, row in slices.iterrows():
        name = f"{row['part']}_{row['slicing']}_{row['slice']}"
        found |= {f"{name}_{measure}": float(row[measure]) for measure in ("pairs", "accuracy", "roc_auc")}
    return found


def _share(value: float) -> str:
    """Three digits after the point; nothing for nan."""
    return "" if np.isnan(value) else f"{value:.3f}"
