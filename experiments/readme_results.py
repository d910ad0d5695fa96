"""Tables of results in a document, rebuilt from tracked runs.

They stand between two markers, in a section for each data set:

    <!-- results -->
    <!-- data 0f3c1a2b4d5e: corpus en by intent -->
    …
    <!-- /results -->

A row is a config: the default, or that of an experiment file. All tracked runs of exactly this config count, if the
newest version of the metrics measured them. A section without runs in the store stays unchanged.

The table of a study stands between markers of its own, which choose a metric and, by how their names begin, the data sets:

    <!-- study knowledge: test/roc_auc of corpus -->
    …
    <!-- /study -->

Its rows are the options of all runs of the study, its columns the data sets.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import yaml
from hydra import compose
from omegaconf import OmegaConf

from experiments.cli import hydra_over
from siamese import tracking
from siamese.commands.config_files import CONF
from siamese.comparison.conclusion import in_words
from siamese.comparison.options import Group, Measured, Option, group_runs
from siamese.data.folders import atomic_file
from siamese.evaluation.tables import markdown
from siamese.tracking.provenance import PARAMETER_LIMIT
from siamese.tracking.queries import TrackedRun, find_runs

FROM_SCRATCH = {("text", "word"), ("vectors", "random"), ("training", "default")}
FINISHED = "attributes.status = 'FINISHED'"
START, END = "<!-- results -->", "<!-- /results -->"
STUDY = re.compile(r"(<!-- study (\w+): (\S+) of (.*?) -->\n).*?(<!-- /study -->)", re.DOTALL)
SECTION = re.compile(r"<!-- data (\w+): .*? -->\n.*?(?=\n*<!-- data |\s*\Z)", re.DOTALL)
NO_CHOICE = frozenset({"seed", "tracking", "baselines"})  # groups of the config that do not affect a network
BROUGHT = "???"  # a value that the user must give
WITH_TEST = {"dev/roc_auc": 3, "test/roc_auc": 3}  # columns, with their decimals
WITHOUT_TEST = {"dev/accuracy": 4, "dev/roc_auc": 4}


@dataclass(frozen=True)
class Row:
    """A config of the table: its name there, and its parameters as a run logs them."""

    name: str
    params: dict[str, str]

    def is_of(self, run: TrackedRun) -> bool:
        """Whether a run has this config. If the user gives the files, any data match."""
        ignored = NO_CHOICE | ({"data"} if BROUGHT in self.params.values() else set())
        names = (name for name in self.params.keys() | run.params.keys() if name.split(".")[0] not in ignored)
        return all(self.params.get(name) == run.params.get(name) for name in names)


def rebuild(file: Path) -> None:
    """Rebuild the sections of a document whose runs are in the current store, and print which.

    Raises:
        ValueError: the file does not have each marker once, in this order.
    """
    text = STUDY.sub(_rebuilt_study, file.read_text(encoding="utf-8"))
    found = re.fullmatch(f"(.*{START}\n)(.*)({END}.*)", text, re.DOTALL)
    if found is None or text.count(START) != 1 or text.count(END) != 1:
        raise ValueError(f"{file} must have the lines {START} and {END}, once each, for the results to stand between")
    before, inside, after = found.groups()
    old = {section[1]: section[0] for section in SECTION.finditer(inside)}
    new = {_key(group.measured): _section(group) for group in _groups(rows())}
    sections = "\n\n".join((old | new).values())
    with atomic_file(file) as written:
        written.write(f"{before}{sections}\n\n{after}")
    for key, section in (old | new).items():
        state = "from tracked runs" if key in new else "unchanged, its runs are not in the store"
        print(f"{file}: {section.splitlines()[0]} {state}")
    if not new:
        print(f"{file}: the store has no finished run of the default or of an experiment file; their sections stay")


def _rebuilt_study(marked: re.Match[str]) -> str:
    """The table of a study with its markers; as it is if the store has none of its runs."""
    start, name, metric, prefix, end = marked.groups()
    table = study_table(name, metric, prefix)
    state = "from tracked runs" if table else "unchanged, its runs are not in the store"
    print(f"{start.strip()} {state}")
    return f"{start}{table}\n{end}" if table else marked[0]


def study_table(study: str, metric: str, prefix: str) -> str:
    """A row for each option of a study and each baseline that has the metric, a column for each data set; "" without runs.

    Args:
        study: name of the study; all of its finished runs count.
        metric: with its split, such as "test/roc_auc".
        prefix: with which the names of the data sets begin. Draws of one name are seeds of one column.
    """
    runs = _newest_measured(find_runs(f"tags.kind = 'model' and tags.study = '{study}' and {FINISHED}"))
    values: dict[str, dict[str, list[float]]] = {}  # by option, by data set
    columns: dict[str, float] = {}  # with their training pairs
    for group in group_runs(runs, _baselines(), "roc_auc"):
        if group.data.startswith(prefix):
            columns[group.data] = min(columns.get(group.data, np.inf), group.pairs("train"))
            for option in (*group.options, *group.baselines):
                name = option.name if option.baseline else _without_data(option.name, study)
                if not np.isnan(option.mean(metric)):
                    values.setdefault(name, {}).setdefault(group.data, []).extend(option.values(metric))
    data = sorted(columns, key=lambda each: columns[each])
    means = {name: [np.mean(own.get(each, np.nan)) for each in data] for name, own in values.items()}
    ordered = sorted(means, key=lambda name: -np.nan_to_num(means[name][0]))
    best = np.nanmax(list(means.values()), axis=0) if means else []
    table = [["", *(each.removeprefix(prefix).strip(" ,") for each in data)]]
    for name in ordered:
        cells = (
            _shown(np.array(values[name].get(each, [np.nan])), 3, top) for each, top in zip(data, best, strict=True)
        )
        table.append([name, *cells])
    return markdown(table) if data else ""


def _without_data(option: str, study: str) -> str:
    """
    >>> _without_data("experiment=knowledge/table data=corpus", "knowledge")
    '`table`'
    """
    words = [word.removeprefix(f"experiment={study}/") for word in option.split() if not word.startswith("data")]
    return f"`{' '.join(words)}`"


def rows() -> list[Row]:
    """The default and each experiment file."""
    with hydra_over(None):
        default = _params([])
        found = [Row(f"`{default['tower']}`, the default", default)]
        for file in sorted((CONF / "experiment").glob("*.yaml")):
            content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            found.append(Row(_name(file.stem, content), _params([f"experiment={file.stem}"])))
    return found


def _name(experiment: str, content: dict) -> str:
    """The name of the file and the options that it chooses, without the data and what all of them choose."""
    chosen = [item for entry in content.get("defaults", []) if isinstance(entry, dict) for item in entry.items()]
    options = {key.removeprefix("override /"): option for key, option in chosen}
    shown = {
        group: option for group, option in options.items() if group != "data" and (group, option) not in FROM_SCRATCH
    }
    words = " ".join(f"{group}={option}" for group, option in shown.items())
    return f"`{experiment}`: {words}" if words else f"`{experiment}`"


def _params(overrides: list[str]) -> dict[str, str]:
    config = cast(dict, OmegaConf.to_container(compose("config", overrides=overrides), resolve=True))
    return {name: str(value)[:PARAMETER_LIMIT] for name, value in tracking.flatten(config).items()}


def _groups(known: Sequence[Row]) -> list[Group]:
    """The runs of the rows, named as in the table, for each data set by the newest version of the metrics."""
    runs = []
    for run in find_runs(f"tags.kind = 'model' and {FINISHED}"):
        row = next((row for row in known if row.is_of(run)), None)
        if row:
            runs.append(replace(run, tags=run.tags | {"config_digest": row.name, "option": row.name}))
    return group_runs(_newest_measured(runs), _baselines(), "roc_auc")


def _newest_measured(runs: Iterable[TrackedRun]) -> list[TrackedRun]:
    """Those of the runs, newest first, that the newest version of the metrics measured on their data set."""
    newest: dict[str, str] = {}
    versions = ((run, Measured.of(run)) for run in runs)
    return [run for run, own in versions if newest.setdefault(_key(own), own.metrics_version) == own.metrics_version]


def _baselines() -> list[TrackedRun]:
    return find_runs(f"tags.kind = 'baseline' and {FINISHED}")


def _key(measured: Measured) -> str:
    """The identity of a data set, independent of the version of the metrics."""
    return hashlib.sha256(f"{measured.dev} {measured.test} {measured.drawn_from}".encode()).hexdigest()[:12]


def _section(group: Group) -> str:
    sizes = ", ".join(f"{group.pairs(part):,} {part}" for part in dict.fromkeys(["train", "dev", group.split]))
    columns = WITH_TEST if group.split == "test" else WITHOUT_TEST
    best = {column: max(option.mean(column) for option in group.options) for column in columns}
    heads = [f"{split} {in_words(metric)}" for split, metric in (column.split("/") for column in columns)]
    table = [["", *heads, "seeds"]]
    for option in (*group.options, *group.baselines):
        cells = [_cell(option, column, decimals, best[column]) for column, decimals in columns.items()]
        table.append([option.name, *cells, str(len(option.runs))])
    return (
        f"<!-- data {_key(group.measured)}: {group.data} -->\n"
        f"{group.data}: {sizes} pairs; mean ± sd over seeds, the best on dev first, baselines below.\n\n{markdown(table)}"
    )


def _cell(option: Option, column: str, decimals: int, best: float) -> str:
    return _shown(option.values(column), decimals, best)


def _shown(values: np.ndarray, decimals: int, best: float) -> str:
    """Mean and standard deviation of a value for each seed; the best in bold; "" where one is missing."""
    if np.isnan(values).any():
        return ""
    mean = f"{values.mean():,.{decimals}f}"
    shown = f"**{mean}**" if values.mean() == best else mean
    return f"{shown} ± {values.std(ddof=1):,.{decimals}f}" if len(values) > 1 else shown
