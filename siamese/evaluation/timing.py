"""Timing: contestants in turn, and the spread of what they show."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tqdm import tqdm

Figure = TypeVar("Figure")  # a number, or several by name


@dataclass(frozen=True)
class Spread:
    """The median of some repeats, and the lowest and highest of them."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median, lowest and highest.

    >>> spread([3.0, 1.0, 2.0, 10.0])
    Spread(median=2.5, low=1.0, high=10.0)
    """
    return Spread(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """ours / theirs, repeat by repeat: a slow spell of the machine hits both and cancels.

    >>> ratios([8.0, 4.0], [2.0, 1.0])
    [4.0, 4.0]
    """
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def in_turn(contestants: Mapping[str, Callable[[], Figure]], repeats: int, title: str) -> dict[str, list[Figure]]:
    """Let every contestant, already warm, measure itself once a repeat, one after the other: its figures by name.

    The title is shown with the progress, on stderr, if that is a terminal. Repeats below 1 raise ValueError.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    figures: dict[str, list[Figure]] = {name: [] for name in contestants}
    turns = [(name, measure) for _ in range(repeats) for name, measure in contestants.items()]
    for name, measure in tqdm(turns, desc=title, unit="turn", leave=False, disable=not sys.stderr.isatty()):
        figures[name].append(measure())
    return figures


def time_left(seconds: float) -> str:
    """
    >>> time_left(59.4), time_left(150)
    ('about 59 s left', 'about 2 min left')
    """
    return f"about {seconds / 60:.0f} min left" if seconds >= 60 else f"about {seconds:.0f} s left"


def seconds_of(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
