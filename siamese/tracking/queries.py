"""Queries of tracked runs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from siamese.evaluation.metrics import METRICS_VERSION
from siamese.tracking.outages import patient, writing
from siamese.tracking.provenance import CHOSEN, current_name, metrics_version

PARENT = "mlflow.parentRunId"
MULTIRUN = "multirun"  # tag of the runs of one command


@writing
def find_metrics(tags: dict[str, str]) -> dict[str, float] | None:
    """Metrics of the newest finished run of the current experiment that has all these tags; None if there is none.

    Only runs of the current METRICS_VERSION count.
    """
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = mlflow.search_runs(filter_string=f"attributes.status = 'FINISHED' and {wanted}", output_format="list")
    return next((run.data.metrics for run in found if metrics_version(run.data.tags) == METRICS_VERSION), None)


@dataclass(frozen=True)
class Logged:
    """A logged value of a metric, and the time of logging in seconds since 1970."""

    value: float
    seconds: float


@patient
def metric_history(run: str, name: str) -> list[Logged]:
    """All values of a run's metric, by step."""
    found = sorted(mlflow.MlflowClient().get_metric_history(run, name), key=lambda each: each.step)
    return [Logged(each.value, each.timestamp / 1e3) for each in found]


@dataclass(frozen=True)
class TrackedRun:
    """A run as tracked; `metrics` holds the last value of each."""

    id: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def find_runs(condition: str = "") -> list[TrackedRun]:
    """Runs of the current experiment, the newest first.

    The condition is in MLflow's notation, such as "tags.kind = 'model' and metrics.`dev/roc_auc` > 0.7"; ValueError if MLflow
    does not understand it.
    """
    try:
        with _no_garbage_collection():
            found = patient(mlflow.search_runs)(filter_string=condition, max_results=100_000, output_format="list")
    except MlflowException as problem:
        raise ValueError(f"MLflow cannot search for {condition}: {problem}") from None
    return [_tracked(run) for run in found]


def newest_model_run() -> str:
    """The id of the plain training that finished last in the current store; ValueError if there is none.

    Cells of studies and sweeps have a parent, jobs of `--multirun` a tag.
    """
    found = patient(mlflow.search_runs)(
        search_all_experiments=True,
        filter_string="attributes.status = 'FINISHED' and tags.kind = 'model'",
        order_by=["attributes.end_time DESC"],
        max_results=100_000,
        output_format="list",
    )
    plain = (run.info.run_id for run in found if not run.data.tags.keys() & {PARENT, MULTIRUN})
    newest = next(plain, None)
    if newest is None and found:
        raise ValueError(
            f"the models of {mlflow.get_tracking_uri()} belong to studies, sweeps or --multirun; give run=ID, or make one the "
            "champion: python -m experiments.promote run=ID"
        )
    if newest is None:
        raise ValueError(f"{mlflow.get_tracking_uri()} has no finished run with a model; train one first: make train")
    return newest


def tracked(run: str) -> TrackedRun:
    """One run by its id; ValueError if the store has no such run."""
    try:
        return _tracked(patient(mlflow.get_run)(run))
    except MlflowException:
        raise ValueError(
            f"{run!r} is no run of {mlflow.get_tracking_uri()}; the ids are in the MLflow UI (make ui)"
        ) from None


def predictions(run: str, split: str) -> pd.DataFrame:
    """A run's table of scored pairs, in their order, with the columns of `Report.predictions`; ValueError if it is gone."""
    try:
        file = patient(mlflow.artifacts.download_artifacts)(run_id=run, artifact_path=f"predictions/{split}.csv")
    except (MlflowException, OSError) as problem:
        raise ValueError(f"run {run} has no predictions for {split}: {problem}") from None
    # a question may read "null" or "1"
    texts = {"question1": str, "question2": str}
    return pd.read_csv(Path(file), dtype=texts, keep_default_na=False, na_filter=False)


def artifact_folder(run: str, name: str) -> Path:
    """A folder of a run's artifacts on this machine; ValueError if it is gone."""
    try:
        return Path(patient(mlflow.artifacts.download_artifacts)(run_id=run, artifact_path=name))
    except (MlflowException, OSError) as problem:
        raise ValueError(f"run {run} has no artifacts {name}: {problem}") from None


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause garbage collection while very many objects are created.

    With it, a search for 1,000 runs (150,000 rows in SQLAlchemy) takes three times as long.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tracked(run: Run) -> TrackedRun:
    data = run.data
    params = {current_name(name): value for name, value in data.params.items() if not name.startswith(CHOSEN)}
    return TrackedRun(run.info.run_id, run.info.run_name, run.info.status, data.tags, params, data.metrics)
