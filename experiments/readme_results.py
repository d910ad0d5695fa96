"""Tables of results in a document, rebuilt from tracked runs.

They stand between two markers, in a section for each data set:

    <!-- results -->
    <!-- data 0f3c1a2b4d5e: corpus en by intent -->
    …
    <!-- /results -->

A row is a config: the default, or that of an experiment file. All tracked runs of exactly this config count, if the
newest version of the metrics measured them. A section without runs in the store stays unchanged.
"""

import hashlib
import re
from collections.abc import Sequence
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
START, END = "<!-- results -->", "<!-- /results -->"
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
    text = file.read_text(encoding="utf-8")
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
        print(f"{file}: the store has no finished run of the default or of an experiment file; nothing is changed")


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
    newest: dict[str, str] = {}
    runs = []
    for run in find_runs("tags.kind = 'model' and attributes.status = 'FINISHED'"):
        row = next((row for row in known if row.is_of(run)), None)
        measured = Measured.of(run)
        if row and newest.setdefault(_key(measured), measured.metrics_version) == measured.metrics_version:
            runs.append(replace(run, tags=run.tags | {"config_digest": row.name, "option": row.name}))
    baselines = find_runs("tags.kind = 'baseline' and attributes.status = 'FINISHED'")
    return group_runs(runs, baselines, "roc_auc")


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
    values = option.values(column)
    if np.isnan(values).any():
        return ""
    mean = f"{values.mean():,.{decimals}f}"
    shown = f"**{mean}**" if values.mean() == best else mean
    return f"{shown} ± {values.std(ddof=1):,.{decimals}f}" if len(values) > 1 else shown
