"""Learning curves: the power law of each network's error over the number of training pairs, and its forecasts, as Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from siamese.evaluation.power_law import FEWEST_SIZES, PowerLaw, fit
from siamese.evaluation.tables import markdown

Line = Mapping[int, Sequence[float]]  # number of training pairs -> a metric of each seed
HOW_FITTED = (
    "Of 1 minus the metric, a power law of the number of training pairs, fitted to all trainings. [95 %]: of the exponent, and "
    "of one more training, on the same pairs. The law has no floor, which noisy labels set, so it is too hopeful far away: how "
    "far one that did not see the largest trainings was from these tells how much to believe it."
)


def learning_curve_table(lines: Mapping[str, Line], words: str, forecast: int | None) -> str:
    """A row for each line with trainings of at least three sizes and one more; "" if there is none.

    Args:
        lines: by the name of the network.
        words: the metric in words.
        forecast: the number of pairs to foretell for; None for four times the most.
    """
    rows = []
    for name, line in lines.items():
        sizes = sorted(line)
        if len(sizes) <= FEWEST_SIZES:
            continue
        most, law = sizes[-1], _law(line, sizes)
        wanted = forecast or 4 * most
        earlier, later = _law(line, sizes[:-1]).forecast(most), law.forecast(wanted)
        rows.append([f"`{name}`", f"{sizes[0]:,} to {most:,}", f"{law.exponent:.3f} ± {law.reach:.3f}"])
        rows[-1] += [f"{1 - earlier.value:.4f} [{1 - earlier.high:.4f}, {1 - earlier.low:.4f}]"]
        rows[-1] += [f"{np.mean(line[most]):.4f}", f"{wanted:,}"]
        rows[-1] += [f"{1 - later.value:.4f} [{1 - later.high:.4f}, {1 - later.low:.4f}]"]
    head = ["network", "training pairs", "exponent [95 %]", f"{words} of the most, foretold by the fewer", "reached"]
    return markdown([[*head, "for so many pairs", f"{words} foretold [95 %]"], *rows]) if rows else ""


def _law(line: Line, sizes: Sequence[int]) -> PowerLaw:
    points = [(size, 1 - value) for size in sizes for value in line[size]]
    return fit(*np.array(points, np.float64).T)
