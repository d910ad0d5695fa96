"""Compare tracked runs, and log the page with its tests and figures to MLflow."""

import shlex
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from siamese import tracking
from siamese.commands.arguments import command_line
from siamese.comparison.options import METRICS, group_runs
from siamese.comparison.page import FILE, Page, write_page
from siamese.comparison.paired_tests import ALL, BEST
from siamese.data.folders import atomic_folder
from siamese.tracking.child_runs import retag
from siamese.tracking.logs import log_to_run
from siamese.tracking.queries import TrackedRun, find_runs, tracked

PROGRAM = "compare"
NOT_CHOSEN = ("output", "tracking.uri", "tracking.experiment")  # settings that do not select runs


def run(settings: dict[str, Any]) -> Page:
    """Compare the runs that the settings of conf/compare.yaml select, and log the page to MLflow.

    Raises:
        ValueError: a setting is out of range, or there is nothing to compare.
    """
    if settings["metric"] not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {settings['metric']!r}")
    if settings["max_options"] < 1:
        raise ValueError(f"max_options must be a number of options, at least 1; got {settings['max_options']!r}")
    if settings["forecast"] < 0:
        raise ValueError(f"forecast must be a number of training pairs, or 0; got {settings['forecast']!r}")
    tracking.open_store(settings["tracking.uri"], settings["tracking.experiment"])
    if settings["study"]:
        return _compare(settings, study_run(settings["study"]).id)
    with tracking.tracked_run(_in_words(settings) or "all networks", "comparison") as run_id:
        return _compare(settings, run_id)


def compare_study(parent_run_id: str) -> None:
    """Compare the cells of a study of the current store, and log the page to the run of the study."""
    _compare(command_line(PROGRAM, [f"study={tracked(parent_run_id).name}"])[0], parent_run_id)


def study_run(name: str) -> TrackedRun:
    """The newest run of a study, the parent of its cells.

    Raises:
        ValueError: there is none.
    """
    found = find_runs(f"tags.kind = 'study' and attributes.run_name = '{name}'")
    if not found:
        raise ValueError(f"the store has no study {name!r}; run it first: python -m experiments.study name={name}")
    return found[0]


def choose(settings: dict[str, Any], study: str | None) -> list[TrackedRun]:
    """The runs that the settings select, finished or not, newest first; if `study` is an id, only its cells."""
    if settings["runs"]:
        return [tracked(run) for run in _listed(settings["runs"])]
    conditions = [f"tags.kind = '{settings['kind']}'"]
    conditions += [f"tags.`{name}` = '{value}'" for name, value in settings["tag"].items()]
    conditions += [f"tags.`mlflow.parentRunId` = '{study}'"] if study else []
    conditions += [settings["filter"]] if settings["filter"] else []
    experiments = [[f"tags.experiment = '{name}'"] for name in _listed(settings["experiment"] or "")]
    return [run for own in experiments or [[]] for run in find_runs(" and ".join(conditions + own))]


def _compare(settings: dict[str, Any], page_run: str) -> Page:
    chosen = choose(settings, page_run if settings["study"] else None)
    finished = [run for run in chosen if run.status == "FINISHED" and run.tags.get("state") != "pruned"]
    states = ", ".join(f"{count} {status}" for status, count in Counter(run.status for run in chosen).items())
    words = _in_words(settings)
    if not finished:
        kind = settings["kind"]
        raise ValueError(f"there is no finished run of kind {kind} to compare for {words} ({states or 'none'})")
    # runs of one config that were selected by id are compared individually
    each_run = bool(settings["runs"]) and len({run.tags.get("config_digest") for run in finished}) == 1
    baselines = find_runs("tags.kind = 'baseline' and attributes.status = 'FINISHED'")
    groups = group_runs(finished, baselines, settings["metric"], each_run)
    names = [option.name for group in groups for option in (*group.options, *group.baselines)]
    if settings["against"] not in (BEST, ALL, *names):
        raise ValueError(f"against must be {BEST}, {ALL} or one of {', '.join(names)}; got {settings['against']!r}")

    command = f"python -m experiments.{PROGRAM} {words}".strip()
    output = settings["output"] and atomic_folder(Path(settings["output"]), lambda old: (old / FILE).is_file())
    with output or tempfile.TemporaryDirectory() as folder:
        shown = settings["metric"], settings["against"], settings["max_options"]
        forecast = settings["forecast"] or None
        page = write_page(groups, *shown, command, Path(folder), tracked(page_run).name, forecast)
        # figures of different data cannot be compared
        best = groups[0].options[0].summary(settings["metric"]) if len(groups) == 1 else {}
        log_to_run(page_run, Path(folder), "comparison", page.summary, best)
    if len(groups) == 1:
        retag(page_run, "data", groups[0].data)
    print(page.summary)
    if len(finished) < len(chosen):
        print(f"note: only finished runs are compared ({states})")
    print(f"the page with its tests and figures: run {page_run}, artifacts comparison/; look at it with: make ui")
    return page


def _listed(text: str) -> list[str]:  # "[a, b]", "a" or ""
    return [part.strip() for part in text.strip("[]").split(",") if part.strip()]


def _in_words(settings: dict[str, Any]) -> str:
    """The settings that differ from their defaults, as on the command line."""
    defaults, _ = command_line(PROGRAM, [])
    given = {key: value for key, value in settings.items() if value != defaults[key] and key not in NOT_CHOSEN}
    given |= {f"tag.{name}": value for name, value in given.pop("tag", {}).items()}
    return shlex.join(f"{key}={value}" for key, value in given.items())
