"""Grid: the cells of a study, each trained once, also across interruptions."""

import itertools
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.cli import plain, refuse_misspelt_nodes
from experiments.compare_runs import compare_study
from experiments.config_checks import check
from experiments.config_tree import ConfigTree
from experiments.hydra_words import as_overrides, as_words
from experiments.start import identified
from siamese import tracking
from siamese.evaluation.metrics import METRICS_VERSION
from siamese.evaluation.timing import time_left
from siamese.tracking.child_runs import children, end_as_killed
from siamese.tracking.queries import find_runs
from siamese.tracking.views import save_view_of

QUIET = ("hydra/hydra_logging=none", "hydra/job_logging=none")  # each cell has a line of its own


@dataclass(frozen=True)
class Cell:
    """One config of a study."""

    overrides: tuple[str, ...]  # of conf/config.yaml, as on the command line
    key: tuple[str, str]  # digest of the config, and the seed: identifies the cell, also at the next start


def run(name: str, words: Sequence[str], tree: ConfigTree, restart: bool, take_over: bool) -> None:
    """Train the unfinished cells, compare all, and report which failed. Hydra must be initialized.

    Args:
        name, restart, take_over: settings of conf/study.yaml.
        words: of the command line, for every cell; those with several values replace or extend the axes of the grid.
        tree: the choices and settings of the study.

    Raises:
        ValueError: a cell is not a valid config, or another process runs the study.
        SystemExit: a cell is not finished.
    """
    master, axes = _grid(name, as_overrides(words, tree, several=True))
    cells = _cells(master, axes, tree)
    config = _choices(master)
    tracking.connect(**config["tracking"])
    tags = {"study": name, "config_digest": tracking.config_digest(config)}
    known = None if restart else _known_study(tags, take_over)
    # an experiment names an option also where it is the only one
    varied = [axis for axis, values in axes.items() if axis == "experiment" or (len(values) > 1 and axis != "seed")]
    with tracking.tracked_run(name, "study", _introduction(name, words, tree), tags=tags, resume=known) as parent:
        tracking.log_environment(config["seed"])
        missing, busy = _unfinished(cells, parent, take_over)
        finished = len(cells) - len(missing) - len(busy)
        print(f"{name}: {len(cells)} cells, {finished} of them finished before", flush=True)
        complaint = ""
        if missing:
            job = partial(_train_cell, parent, name, tuple(varied), len(missing), time.time())
            complaint = _launch(master, job, missing)
        missing, busy = _unfinished(cells, parent)
        if len(missing) + len(busy) < len(cells):
            compare_study(parent)
            save_view_of(parent)
        if missing or busy:
            sys.exit(complaint + _what_is_left(missing, busy, len(cells)))

    print(f"\nall {len(cells)} cells of {name} are finished; look at run {parent} with: make ui")


def _grid(name: str, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, list[str]]]:
    """The config that all cells share, with Hydra's own node, and the values of each key that is set.

    The axes of the study's file come first; an override of the command line replaces one of the same key.
    """
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    fixed = [each for each in overrides if not parser.parse_override(each).is_sweep_override()]
    master = compose("config", [f"study={name}", *QUIET, *fixed], return_hydra_config=True)
    params = [f"{key}={values}" for key, values in master.hydra.sweeper.params.items()]
    axes: dict[str, list[str]] = {"study": [f"study={name}"]}
    for each in parser.parse_overrides([*params, *overrides]):
        key = each.get_key_element()
        if each.key_or_group.startswith("hydra"):
            continue
        if each.is_sweep_override() and not each.is_discrete_sweep():
            raise ValueError(f"a study needs values to try one by one; {each.input_line} is a range: use a sweep")
        values = each.sweep_string_iterator() if each.is_sweep_override() else [each.get_value_element_as_str()]
        axes[key] = [f"{key}={value}" for value in values]
    return master, axes


def _cells(master: DictConfig, axes: dict[str, list[str]], tree: ConfigTree) -> list[Cell]:
    """Each combination of the axes, composed here so that a mistake is reported before the first training."""
    loader = GlobalHydra.instance().config_loader()
    cells = []
    for mix in itertools.product(*axes.values()):
        try:
            composed = loader.load_sweep_config(master, list(mix))
            refuse_misspelt_nodes(composed, tree)
            config = _choices(composed)
        except (HydraException, OmegaConfBaseException) as problem:
            raise ValueError(f"the cell {' '.join(mix[1:])} is no config: {problem}") from None
        check(config)
        cells.append(Cell(mix, (tracking.config_digest(config), str(config["seed"]))))
    return cells


def _known_study(tags: dict[str, str], take_over: bool) -> str | None:
    """The newest study with these tags, to be continued."""
    found = find_runs(" and ".join(f"tags.`{name}` = '{value}'" for name, value in {"kind": "study", **tags}.items()))
    newest = next((run for run in found if tracking.metrics_version(run.tags) == METRICS_VERSION), None)
    if newest is None:
        return None
    if newest.status == "RUNNING" and not tracking.process_is_dead(newest.tags["process"], elsewhere=take_over):
        raise ValueError(
            f"the study {tags['study']} is being run by process {newest.tags['process']} (host, pid, start); "
            "wait for it, or start another one with restart=true; if it died on another host, continue with take_over=true"
        )
    return newest.id


def _unfinished(cells: Sequence[Cell], parent: str, take_over: bool = False) -> tuple[list[Cell], list[Cell]]:
    """The cells that are neither trained nor in training, and those that a living process trains.

    Runs whose process died are marked KILLED.
    """
    done, busy = set(), set()
    for child in children(parent, {"kind": "model"}):
        key = child.tags.get("config_digest", ""), child.tags.get("seed", "")
        if child.status == "FINISHED":
            done.add(key)
        elif child.status == "RUNNING" and tracking.process_is_dead(child.tags["process"], elsewhere=take_over):
            end_as_killed(child.id)
        elif child.status == "RUNNING":
            busy.add(key)  # a worker that survives its study finishes its cell
    unfinished = [cell for cell in cells if cell.key not in done]
    return [cell for cell in unfinished if cell.key not in busy], [cell for cell in unfinished if cell.key in busy]


def _what_is_left(missing: Sequence[Cell], busy: Sequence[Cell], cells: int) -> str:
    lines = [f"  {' '.join(cell.overrides[1:])}" for cell in (*busy, *missing)]
    if busy:
        lines.append(
            f"{len(busy)} of {cells} cells, the first above, are still being trained by other processes; "
            "if those died on another host, start again with take_over=true."
        )
    if missing:
        lines.append(
            f"{len(missing)} of {cells} cells failed (see the tag `error` of each), were killed or did not begin; "
            "the others are kept. Started again, the study runs only these."
        )
    return "\n".join(lines)


def _launch(master: DictConfig, job: partial, cells: Sequence[Cell]) -> str:
    """Run the cells with the launcher of the config: serially, or by joblib, submitit or Ray.

    Returns:
        The error of the launcher, such as a killed worker or a missing queue; "" if there is none. A failed cell is
        not an error of the launcher.
    """
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks(master))
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=job, config=master)
    try:
        launcher.launch([list(cell.overrides) for cell in cells], initial_job_idx=0)
    except Exception as problem:  # each launcher has its own errors
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        return f"the launcher gave up: {type(problem).__name__}: {problem}\n\n"
    return ""


def _train_cell(parent: str, study: str, varied: tuple[str, ...], cells: int, begun: float, cfg: DictConfig) -> None:
    """Train one cell, in a process of the launcher, and print its outcome in a line."""
    from experiments import training_run  # imports TensorFlow, which a study needs only where its cells run

    hydra_config = HydraConfig.get()
    overrides, number = list(hydra_config.overrides.task), int(hydra_config.job.num) + 1
    option = " ".join(each for each in overrides if each.split("=")[0] in varied) or "the only one"
    tags = {"study": study, "option": option, "experiment": study}
    started = time.time()
    outcome = "interrupted"  # unless the cell finishes or fails
    try:
        with Path(os.devnull).open("w") as screen, redirect_stdout(screen):
            again = [*as_words(overrides), "hydra.mode=RUN"]  # the study's file alone would run the whole grid
            job = training_run.Job(again, f"{option} seed={cfg.seed}", parent, tags, resume=True)
            trained = training_run.run(cfg, job)
        outcome = ", ".join(f"{split} ROC AUC {each.metrics['roc_auc']:.4f}" for split, each in trained.reports.items())
    except Exception as problem:
        outcome = f"FAILED, {problem}"
        raise
    finally:
        now = time.time()
        times = f"({now - started:.0f} s; {time_left((now - begun) / number * (cells - number))})"
        print(f"{number:>3} of {cells}  {option} seed={cfg.seed}: {outcome} {times}", flush=True)


def _introduction(name: str, words: Sequence[str], tree: ConfigTree) -> str:
    folders = [f"--config-dir={folder}" for folder in tree.folders[1:]]
    command = shlex.join(["python", "-m", "experiments.study", f"name={name}", *folders, *words])
    return f"{tree.headline(f'study/{name}')}\n\nRun it, or continue it:\n\n    {command}"


def _choices(cfg: DictConfig) -> dict[str, Any]:
    """The config of a cell, without Hydra's own node."""
    return identified(plain(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])))
