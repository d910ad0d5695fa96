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
        rows = [[line.subject, *(_cell(line.figures.get(name, ())) for name in quantities)] for line in self.lines]
        return markdown([["", *quantities], *rows])

    def markdown(self) -> str:
        """The table with the notes below it."""
        return "\n".join([self.table(), *(["", *(f"- {note}" for note in self.notes)] if self.notes else [])])

    def repeats(self) -> list[dict[str, float]]:
        """Metrics of each repeat, "subject/quantity" -> figure."""
        metrics = self._metrics()
        longest = max(map(len, metrics.values()), default=0)
        return [
            {name: figures[repeat] for name, figures in metrics.items() if repeat < len(figures)}
            for repeat in range(longest)
        ]

    def spreads(self) -> dict[str, float]:
        """Median, lowest and highest of the repeats, "subject/quantity/median" and so on -> figure."""
        spreads = {metric: vars(spread(figures)) for metric, figures in self._metrics().items()}
        return {f"{metric}/{name}": value for metric, each in spreads.items() for name, value in each.items()}

    def _metrics(self) -> dict[str, Sequence[float]]:
        return {
            f"{_metric_name(line.subject)}/{_metric_name(quantity)}": figures
            for line in self.lines
            for quantity, figures in line.figures.items()
        }


def by_quantity(repeats: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """The figures of a line from those of each repeat.

    >>> by_quantity([{"s": 2.0}, {"s": 3.0}])
    {'s': [2.0, 3.0]}
    """
    return {quantity: [figures[quantity] for figures in repeats] for quantity in repeats[0]}


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
