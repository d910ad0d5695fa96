"""Figures of a comparison. Each function returns a matplotlib Figure."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from siamese.evaluation.figures import DIFFERENT, DUPLICATE, LINES, MARKERS, NEUTRAL
from siamese.evaluation.significance import Estimate, pareto_front

SPLIT_COLORS = {"dev": DIFFERENT, "test": DUPLICATE}
WIDEST_NAME = 40  # characters in a line


def forest(names: Sequence[str], estimates: Mapping[str, Sequence[Estimate]], metric: str) -> Figure:
    """Mean and 95 % interval, by split, of each of the named options, the first on top; the metric is in words."""
    figure = Figure(
        figsize=(9, 1.4 + sum(0.15 + 0.15 * len(_wrapped(name).splitlines()) for name in names)), layout="constrained"
    )
    axes = figure.subplots()
    rows = np.arange(len(names))
    for place, (split, found) in enumerate(estimates.items()):
        value = np.array([each.value for each in found])
        reach = np.array([(each.value - each.low, each.high - each.value) for each in found]).T
        height = rows + 0.24 * (place - (len(estimates) - 1) / 2)
        axes.errorbar(value, height, xerr=reach, fmt="o", color=SPLIT_COLORS[split], capsize=2, ms=4, label=split)
    axes.set(yticks=rows, xlabel=f"{metric}, mean and 95 % interval", ylim=(len(names) - 0.4, -0.6))
    axes.set_yticklabels(map(_wrapped, names), fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(fontsize=8, loc="outside upper right", ncols=2)
    return figure


def curves(histories: Mapping[str, Sequence[Sequence[float]]], metric: str) -> Figure:
    """A dev metric by epoch, for each seed of each option: mean and range over the seeds that reached it."""
    figure, axes = _with_legend(list(histories))
    for (name, seeds), marker in zip(histories.items(), cycle(MARKERS), strict=False):
        longest = max(len(seed) for seed in seeds)
        table = np.full((len(seeds), longest), np.nan)
        for row, seed in enumerate(seeds):
            table[row, : len(seed)] = seed
        epochs = np.arange(1, longest + 1)
        [line] = axes.plot(epochs, np.nanmean(table, axis=0), marker=marker, ms=4, label=_wrapped(name))
        low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="epoch", ylabel=f"dev {metric}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(fontsize=7, loc="outside right upper")
    return figure


def cost(names: Sequence[str], seconds: Sequence[float], values: Sequence[float], metric: str) -> Figure:
    """A dev metric of each option against its seconds of training, all numbered and named; the Pareto front is connected."""
    figure, axes = _with_legend(names)
    spent, reached = np.array(seconds), np.array(values)
    front = pareto_front(spent, reached)
    order = np.flatnonzero(front)[np.argsort(spent[front])]
    axes.plot(spent[order], reached[order], "-", color=DIFFERENT, label="Pareto front")
    for number, place in enumerate([*order, *np.flatnonzero(~front)], start=1):
        point, color = (spent[place], reached[place]), DIFFERENT if front[place] else NEUTRAL
        axes.plot(*point, "o", color=color, label=_wrapped(f"{number}  {names[place]}"))
        axes.annotate(str(number), point, (-5, 5), textcoords="offset points", ha="right", fontsize=8)
    axes.set(xlabel="seconds of training", ylabel=f"dev {metric}")
    axes.margins(x=0.1, y=0.1)
    axes.grid(alpha=0.3)
    figure.legend(fontsize=7, loc="outside right upper")
    return figure


def growth(lines: Mapping[str, Mapping[int, Sequence[float]]], dashed: Sequence[str], metric: str) -> Figure:
    """A metric against the number of training pairs, line by line: mean and range over seeds; dashed lines are references."""
    figure, axes = _with_legend(list(lines))
    for (name, points), marker in zip(lines.items(), cycle(MARKERS), strict=False):
        sizes = sorted(points)
        style = ":" if name in dashed else "-"
        means = [float(np.mean(points[size])) for size in sizes]
        [line] = axes.plot(sizes, means, style, marker=marker, ms=4, label=_wrapped(name))
        low, high = [min(points[size]) for size in sizes], [max(points[size]) for size in sizes]
        axes.fill_between(sizes, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="training pairs", ylabel=metric, xscale="log")
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside right upper")
    return figure


def importance(shares: Mapping[str, float], metric: str, chance: str | None = None) -> Figure:
    """The share of a metric's variance that each choice explains; that of chance in another color."""
    figure = Figure(figsize=(8, 1.2 + 0.32 * len(shares)), layout="constrained")
    axes = figure.subplots()
    names = list(shares)
    colors = [NEUTRAL if name == chance else DUPLICATE for name in names]
    axes.bar_label(axes.barh(names, list(shares.values()), color=colors), fmt="{:.1%}", padding=3, fontsize=8)
    axes.set(xlabel=f"share of the variance of {metric}", xlim=(0, 1.1))
    axes.invert_yaxis()
    return figure


def _with_legend(names: Sequence[str]) -> tuple[Figure, Axes]:
    """An empty figure, high enough for a legend of the names beside it."""
    lines = sum(len(_wrapped(name).splitlines()) for name in names)
    figure = Figure(figsize=(9, max(4.4, 1 + 0.16 * lines)), layout="constrained")
    axes = figure.subplots()
    axes.set_prop_cycle(color=LINES)
    return figure, axes


def _wrapped(name: str) -> str:
    """A name broken into lines that leave room for the plot."""
    return fill(name, WIDEST_NAME)
