"""Options: groups of runs that differ only in the seed. Only options measured alike can be ranked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from siamese.evaluation.significance import Estimate, mean_over_seeds, variance_of_interval
from siamese.tracking.provenance import metrics_version
from siamese.tracking.queries import TrackedRun

METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision")  # all grow with quality
CHANCE_AND_PLACE = ("seed", "subset.seed", "tracking", "tracking.uri", "tracking.experiment")  # not compared


@dataclass(frozen=True)
class Measured:
    """Runs with equal values may be in one table: digests of the pairs, and the version of the metrics.

    Training pairs are digested before a subset is drawn, so that runs of different sizes can be ranked.
    """

    dev: str
    test: str | None
    drawn_from: str
    metrics_version: str

    @classmethod
    def of(cls, run: TrackedRun) -> "Measured":
        """Read from the tags of a run."""
        tags = run.tags
        drawn_from = tags.get("data_digest.drawn_from") or tags.get("data_digest.train", "")
        return cls(tags.get("data_digest.dev", ""), tags.get("data_digest.test"), drawn_from, metrics_version(tags))


@dataclass(frozen=True, eq=False)
class Option:
    """A way of training, with a run for each seed, or a baseline, which does not depend on the seed."""

    name: str
    runs: tuple[TrackedRun, ...]
    baseline: bool = False

    def values(self, metric: str) -> np.ndarray:
        """A metric of each run, `float64[seeds]`; nan if a run lacks it."""
        return np.array([run.metrics.get(metric, np.nan) for run in self.runs])

    def mean(self, metric: str) -> float:
        """The mean of a metric over the runs; nan if one has none."""
        return float(np.mean(self.values(metric)))

    def estimate(self, metric: str) -> Estimate | None:
        """The mean over seeds, with an interval for new seeds and new pairs; None if the runs logged no intervals.

        The variance over pairs is the mean of the runs' variances, an upper bound of that of their mean.
        """
        limits = zip(self.values(f"{metric}_low"), self.values(f"{metric}_high"), strict=True)
        variance = float(np.mean([variance_of_interval(low, high) for low, high in limits]))
        return None if np.isnan(variance) else mean_over_seeds(self.values(metric), variance)

    def summary(self, metric: str) -> dict[str, float]:
        """Mean of a metric on dev and test and of the seconds of training, where logged; with several seeds `…_sd`, too."""
        measured = {name: self.values(name) for name in (f"dev/{metric}", f"test/{metric}", "training/seconds")}
        known = {name: values for name, values in measured.items() if not np.isnan(values).any()}
        spread = {f"{name}_sd": float(np.std(values, ddof=1)) for name, values in known.items() if len(values) > 1}
        return {name: float(np.mean(values)) for name, values in known.items()} | spread

    def best_run(self, metric: str) -> TrackedRun:
        """The run with the best value on dev."""
        values = self.values(f"dev/{metric}")
        return self.runs[int(np.argmax(np.where(np.isnan(values), -np.inf, values)))]  # undefined is not best

    @property
    def training_pairs(self) -> int:
        """Pairs trained on; 0 for a run that logged no number."""
        return int(self.runs[0].metrics.get("data/train_pairs", 0))


@dataclass(frozen=True)
class Group:
    """Options and baselines measured on the same pairs by the same version of the metrics, best on dev first."""

    data: str
    measured: Measured
    options: tuple[Option, ...]
    baselines: tuple[Option, ...]

    @property
    def split(self) -> str:
        """The split of the tests: "test", or "dev" for data without a test part."""
        return "test" if self.measured.test else "dev"

    @property
    def sizes(self) -> list[int]:
        """The numbers of training pairs, ascending."""
        return sorted({option.training_pairs for option in self.options})

    def pairs(self, split: str) -> int:
        """The number of pairs of a split."""
        return int(self.options[0].runs[0].metrics.get(f"data/{split}_pairs", 0))

    def of_size(self, size: int) -> tuple[list[Option], list[Option]]:
        """Options and baselines trained on `size` pairs."""
        return (
            [option for option in self.options if option.training_pairs == size],
            [option for option in self.baselines if option.training_pairs == size],
        )


def group_runs(
    runs: Iterable[TrackedRun], baselines: Iterable[TrackedRun], metric: str, each_run: bool = False
) -> list[Group]:
    """Sort runs into groups and options; the group with the most options comes first.

    Args:
        runs: of networks, newest first; of several of one option and seed the newest counts, as they are equal.
        baselines: newest first; each joins the group that was measured alike, the others are left out.
        metric: options are ranked by its mean on dev; ValueError if a run lacks it.
        each_run: every run is an option of its own, to compare seeds.
    """
    networks: dict[Measured, dict[str, dict[str, TrackedRun]]] = {}  # by option, by seed
    for run in runs:
        if f"dev/{metric}" not in run.metrics:
            raise ValueError(f"run {run.id} ({run.name}) has no metric dev/{metric}; leave it out, or give metric=")
        option = run.id if each_run else run.tags.get("config_digest", run.id)
        seeds = networks.setdefault(Measured.of(run), {}).setdefault(option, {})
        seeds.setdefault(run.tags.get("seed", ""), run)
    classical: dict[Measured, dict[tuple[str, int], dict[str, TrackedRun]]] = {}  # by name and size, by training pairs
    for run in baselines:
        kind = run.name, int(run.metrics.get("data/train_pairs", 0))
        drawn = classical.setdefault(Measured.of(run), {}).setdefault(kind, {})
        drawn.setdefault(run.tags.get("data_digest.train", ""), run)

    groups = []
    for measured, options in networks.items():
        ordered = [tuple(seeds[seed] for seed in sorted(seeds)) for seeds in options.values()]
        names = _names([seeds[0] for seeds in ordered])
        beside = classical.get(measured, {})
        several_sizes = len({size for _, size in beside}) > 1
        own = _ranked(map(Option, names, ordered), metric)
        others = [
            Option(f"{name}, {size:,} pairs" if several_sizes else name, tuple(drawn.values()), baseline=True)
            for (name, size), drawn in beside.items()
        ]
        data = ordered[0][0].tags.get("data", "unnamed data")
        groups.append(Group(data, measured, own, _ranked(others, metric)))
    return sorted(groups, key=lambda group: -len(group.options))


def varied(runs: Sequence[TrackedRun]) -> list[str]:
    """Names of the parameters that differ between runs or that some lack, without seed and store."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    return [name for name in names if name not in CHANCE_AND_PLACE and len({run.params.get(name) for run in runs}) > 1]


def _ranked(options: Iterable[Option], metric: str) -> tuple[Option, ...]:
    return tuple(sorted(options, key=lambda option: -option.mean(f"dev/{metric}")))


def _names(runs: Sequence[TrackedRun]) -> list[str]:
    """A name for the option of each run; equal names get the parameters that differ."""
    plain = [
        run.tags.get("option") or run.tags.get("experiment") or run.tags.get("network") or run.name for run in runs
    ]
    names = list(plain)
    for name in dict.fromkeys(plain):
        places = [place for place, own in enumerate(plain) if own == name]
        differing = _without_followers(varied([runs[place] for place in places]), [runs[place] for place in places])
        for place in places if len(places) > 1 else ():
            run = runs[place]
            choices = [f"{param}={run.params[param]}" for param in differing if param in run.params]
            names[place] = f"{name} ({' '.join(choices) or 'seed=' + run.tags.get('seed', '')})"
    return [f"{name} {run.id[:8]}" if names.count(name) > 1 else name for name, run in zip(names, runs, strict=True)]


def _without_followers(names: Sequence[str], runs: Sequence[TrackedRun]) -> list[str]:
    """Parameters without those that a `kind` beside them implies: text.kind=bpe implies text.max_length."""
    followers = set()
    for kind in (name for name in names if name.endswith(".kind")):
        group = kind.removesuffix("kind")
        for name in names:
            values = {(run.params.get(kind), run.params.get(name)) for run in runs}
            if name != kind and name.startswith(group) and len(values) == len({value for value, _ in values}):
                followers.add(name)
    return [name for name in names if name not in followers]
