"""Result: what a part of the benchmark measured, as a table to read and as metrics to track."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from siamese.evaluation.tables import markdown, number
from siamese.evaluation.timing import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import, and most parts draw nothing


@dataclass(frozen=True)
class Line:
    """What was measured of one subject: by quantity, with its unit in the name, a figure for each repeat."""

    subject: str
    figures: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Result:
    """What a part measured; the notes say how to read it, and what was left out and why."""

    lines: list[Line]
    notes: list[str] = field(default_factory=list)
    drawings: dict[str, "Figure"] = field(default_factory=dict)

    def table(self) -> str:
        """Markdown: a row for each subject, a column for each quantity, "median (lowest - highest)" in the cells."""
        quantities = list(dict.fromkeys(quantity for line in self.lines for quantity in line.figures))
        rows = [["", *quantities]]
        for line in self.lines:
            rows.append([line.subject, *(_cell(line.figures.get(quantity, ())) for quantity in quantities)])
        return markdown(rows)

    def markdown(self) -> str:
        """The table with the notes below it."""
        return "\n".join([self.table(), *(["", *(f"- {note}" for note in self.notes)] if self.notes else [])])

    def repeats(self) -> list[dict[str, float]]:
        """Metrics of each repeat, "subject/quantity" -> figure."""
        longest = max((len(figures) for line in self.lines for figures in line.figures.values()), default=0)
        return [
            {
                f"{_metric_name(line.subject)}/{_metric_name(quantity)}": figures[repeat]
                for line in self.lines
                for quantity, figures in line.figures.items()
                if repeat < len(figures)
            }
            for repeat in range(longest)
        ]

    def spreads(self) -> dict[str, float]:
        """Median, lowest and highest of the repeats, "subject/quantity/median" and so on -> figure."""
        return {
            f"{_metric_name(line.subject)}/{_metric_name(quantity)}/{name}": value
            for line in self.lines
            for quantity, figures in line.figures.items()
            for name, value in vars(spread(figures)).items()
        }


def _cell(figures: Sequence[float]) -> str:
    if not figures:
        return ""
    found = spread(figures)
    return number(found.median) + (f" ({number(found.low)} - {number(found.high)})" if len(figures) > 1 else "")


def _metric_name(text: str) -> str:
    """Words joined by underscores: MLflow takes letters, digits and a few signs.

    >>> _metric_name("99th percentile, ms")
    '99th_percentile_ms'
    """
    return re.sub(r"[^\w.-]+", "_", text)
