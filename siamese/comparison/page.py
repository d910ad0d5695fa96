"""The page of a comparison: conclusion, tables, tests and figures of each group, as Markdown and PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from siamese.comparison import figures as draw
from siamese.comparison.conclusion import caveats, conclude, in_words
from siamese.comparison.importance import SEED, importances
from siamese.comparison.learning_curve import HOW_FITTED, learning_curve_table
from siamese.comparison.options import Group
from siamese.comparison.paired_tests import couples, paired_tests
from siamese.comparison.tables import importance_table, option_table, tests_table
from siamese.tracking.queries import metric_history

FILE = "comparison.md"
DRAWN, CURVES = 30, 8  # maximal number of options in the forest plot, and with learning curves
SUMMARISED = 15  # maximal number of options in a table of the summary, which MLflow cuts at 8,000 characters


@dataclass(frozen=True)
class Page:
    """A comparison in Markdown: a summary (conclusion and tables), and the whole page."""

    summary: str
    whole: str


def write_page(
    groups: Sequence[Group],
    metric: str,
    against: str,
    max_options: int,
    command: str,
    folder: Path,
    title: str,
    forecast: int | None = None,
) -> Page:
    """Test, conclude and draw; write comparison.md and its figures into an existing folder.

    Args:
        groups, metric: from `group_runs`, which ranks options by the mean of the metric on dev.
        against, max_options: as in `couples`.
        command, folder: that makes this page, and to write into.
        title: of the figures, before the name of the data.
        forecast: as in `learning_curve_table`.
    """
    summary = ["# Comparison", *([_apart(groups)] if len(groups) > 1 else [])]
    whole = list(summary)
    for number, group in enumerate(groups, start=1):
        tests = paired_tests(group, couples(group, against, max_options), metric)
        sizes = [f"{group.pairs(part):,} {part} pairs" for part in dict.fromkeys(["dev", group.split])]
        opening = [f"## {group.data} ({', '.join(sizes)})", *conclude(group, tests, metric)]
        notes = ["\n".join(f"- {each}" for each in caveats(group, tests))] if caveats(group, tests) else []
        curve = learning_curve_table(_lines(group, metric)[0], in_words(metric), forecast)
        notes = [f"### Learning curve, on {group.split}", curve, HOW_FITTED, *notes] if curve else notes
        left_out = len(group.options) - SUMMARISED
        more = [f"{left_out} more options in {FILE}."] if left_out > 0 else []
        summary += [*opening, option_table(group, metric, SUMMARISED), *more, *notes]
        whole += [*opening, option_table(group, metric), *notes]
        digests = ", ".join(f"{name} `{(value or 'none')[:12]}`" for name, value in vars(group.measured).items())
        whole.append(f"Digests that all of these runs share: {digests}.")
        if tests:
            whole += [f"### Tests on the same {group.split} pairs", tests_table(tests, metric), HOW_TESTED]
        shares = importances([run for option in group.options for run in option.runs], f"dev/{metric}")
        if shares:
            whole += ["### Which choice matters", importance_table(shares), HOW_IMPORTANT]
        for name, figure in _figures(group, metric, shares).items():
            file = f"{number}_{name}.png" if len(groups) > 1 else f"{name}.png"
            figure.suptitle(f"{title}: {group.data}", fontsize=9)
            figure.savefig(folder / file, dpi=120)
            whole.append(f"![{name}]({file})")
    foot = f"Made by `{command}`.\n"
    page = Page("\n\n".join([*summary, foot]), "\n\n".join([*whole, foot]))
    (folder / FILE).write_text(page.whole, encoding="utf-8")
    return page


HOW_TESTED = (
    "Difference: over new seeds and new pairs, by a paired bootstrap over pairs and Welch's t over seeds. McNemar (mid-p): "
    "of the two networks that dev would choose among the seeds. Holm: corrected for all tests of the table."
)
HOW_IMPORTANT = (
    "Functional ANOVA over the runs (dev). A choice that explains no more than the seed does may explain nothing."
)


def _apart(groups: Sequence[Group]) -> str:
    """The differences between runs that cannot be ranked together."""
    words = {"dev": "dev pairs", "test": "test pairs", "drawn_from": "training data"}
    words["metrics_version"] = "version of the metrics"
    parts = {word: {getattr(group.measured, name) for group in groups} for name, word in words.items()}
    differing = [word for word, values in parts.items() if len(values) > 1]
    return (
        f"**These runs were not all measured alike: they differ in {', '.join(differing)}. So there are {len(groups)} "
        "tables with tests of their own; figures of different tables cannot be compared.**"
    )


def _figures(group: Group, metric: str, shares: dict[str, float]) -> dict[str, Figure]:
    words, options, on_dev = in_words(metric), group.options, f"dev/{metric}"
    trained = [option for option in options if option.mean("training/seconds") > 0]  # not as with training.epochs=0
    figures = {}
    shown = [*options[:DRAWN], *group.baselines]
    estimates = {
        split: [option.estimate(f"{split}/{metric}") for option in shown]
        for split in dict.fromkeys(["dev", group.split])
    }
    known = {split: [each for each in found if each] for split, found in estimates.items()}
    if all(len(each) == len(shown) for each in known.values()):
        figures["forest"] = draw.forest([option.name for option in shown], known, words)
    logged = f"epoch/dev_{metric}"
    histories = {
        option.name: [[each.value for each in metric_history(run.id, logged)] for run in option.runs]
        for option in trained[:CURVES]
    }
    longest = max((len(seed) for seeds in histories.values() for seed in seeds), default=0)
    if longest > 1 and all(all(seeds) for seeds in histories.values()):
        figures["learning_curves"] = draw.curves(histories, words)
    if len(trained) > 1:
        seconds, values = ([option.mean(name) for option in trained] for name in ("training/seconds", on_dev))
        figures["cost"] = draw.cost([option.name for option in trained], seconds, values, words)
    if len(group.sizes) > 1:
        figures["growth"] = draw.growth(*_lines(group, metric), f"{group.split} {words}")
    if shares:
        figures["importance"] = draw.importance(shares, f"dev {words}", SEED)
    return figures


def _lines(group: Group, metric: str) -> tuple[dict[str, dict[int, list[float]]], list[str]]:
    """The values of each network and baseline by the number of training pairs; the names of the baselines."""
    lines: dict[str, dict[int, list[float]]] = {}
    for option in (*group.options, *group.baselines):
        choices = [word for word in option.name.split() if not word.strip("()").startswith("subset.")]
        name = option.runs[0].name if option.baseline else " ".join(choices) or "network"
        lines.setdefault(name, {})[option.training_pairs] = option.values(f"{group.split}/{metric}").tolist()
    return lines, [option.runs[0].name for option in group.baselines]
