"""Tracking: runs in MLflow. Starts and ends them, and logs what they measured."""

import hashlib
import importlib.metadata
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from filelock import FileLock
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.numpy_dataset import from_numpy

from siamese.data.pairs import BadRow, PairSplits
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.figures import pair_figures
from siamese.evaluation.report import Report, worst_mistakes

PARAMETER_LIMIT = 6_000  # characters that MLflow keeps of a parameter's value
WORST_MISTAKES = 100


def connect(uri: str, experiment: str) -> None:
    """Use a tracking store, and make it and the experiment first if they do not exist.

    A fresh SQLite store that several processes create at once is ruined for good, so one at a time may.
    """
    mlflow.set_tracking_uri(uri)
    lock = Path(uri.removeprefix("sqlite:///") + ".lock") if uri.startswith("sqlite:///") else None
    with FileLock(lock) if lock else tempfile.TemporaryDirectory():
        mlflow.set_experiment(experiment)
    if lock:
        lock.unlink(missing_ok=True)


@contextmanager
def tracked_run(name: str, kind: str, description: str = "", parent: str | None = None) -> Iterator[str]:
    """A run that ends FINISHED, or FAILED after an error, or KILLED after Ctrl-C or SIGTERM.

    Within it both signals raise KeyboardInterrupt, but never in the middle of a write to the store.

    Args:
        name: shown in the UI's table.
        kind: tag to filter by: "model", "baseline" or "evaluation".
        description: Markdown shown on the run's page.
        parent: id of the run that this one belongs to.

    Yields:
        The id of the run.
    """
    previous = {each: signal.signal(each, _interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with whole_write():
            run = mlflow.start_run(
                run_name=name,
                nested=parent is not None,
                parent_run_id=parent,
                tags={"kind": kind},
                description=description or None,
            )
        status = "FAILED"
        try:
            yield run.info.run_id
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except BaseException as error:
            with whole_write():
                mlflow.set_tag("error", f"{type(error).__name__}: {error}"[:PARAMETER_LIMIT])
            raise
        finally:
            with whole_write():
                mlflow.end_run(status)
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextmanager
def whole_write() -> Iterator[None]:
    """Keep an interruption waiting until the block is over.

    An interrupted transaction would leave the database locked, and the run could no longer be ended.
    """
    _writes.append(None)
    try:
        yield
    finally:
        _writes.pop()
        if not _writes and _interruptions:
            _interruptions.clear()
            raise KeyboardInterrupt


_writes: list[None] = []  # one entry for each `whole_write` that is under way
_interruptions: list[int] = []  # signals that arrived meanwhile


def _interrupt(signum, frame) -> None:
    if _writes:
        _interruptions.append(signum)
    else:
        raise KeyboardInterrupt


@whole_write()
def log_config(config: dict, yaml: str) -> None:
    """The composed config: as flat parameters to compare by, and whole as an artifact to run again."""
    mlflow.log_params({name: str(value)[:PARAMETER_LIMIT] for name, value in flatten(config).items()})
    mlflow.log_text(yaml, "config.yaml")


def flatten(config: dict, prefix: str = "") -> dict[str, object]:
    """Nested config -> dotted names; the name of a node's `_target_` becomes the node's own value.

    >>> flatten({"loss": {"_target_": "siamese.model.losses.SquaredError", "share": [3]}, "seed": 0})
    {'loss': 'squared_error', 'loss.share': [3], 'seed': 0}
    """
    flat: dict[str, object] = {}
    for key, value in config.items():
        path = f"{prefix}.{key}" if prefix else key
        if key == "_target_":
            # the class that a method belongs to says more than the method
            name = next((part for part in value.split(".") if part[0].isupper()), value.rsplit(".", 1)[-1])
            flat[prefix] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        elif isinstance(value, dict):
            flat.update(flatten(value, path))
        elif not key.startswith("_"):
            flat[path] = value
    return flat


@whole_write()
def log_environment(seed: int) -> None:
    """What is needed to run it again besides the config: seed, git commit, package versions."""
    mlflow.set_tags(
        {
            "seed": seed,
            "evaluation_code": evaluation_code(),
            "git_commit": _git("rev-parse", "HEAD"),
            "git_dirty": bool(_git("status", "--porcelain")),
        }
    )
    installed = {f"{each.name}=={each.version}" for each in importlib.metadata.distributions()}
    mlflow.log_text("\n".join(sorted(installed, key=str.lower)) + "\n", "versions.txt")


@whole_write()
def log_data(splits: PairSplits, overlap: dict[str, dict[str, int]]) -> None:
    """The splits' digests, sizes, what they share with training, and the rows that were skipped."""
    mlflow.set_tag("data", splits.name)
    for split, pairs in splits.parts().items():
        digest = pairs.digest()
        mlflow.set_tag(f"data_digest.{split}", digest)
        mlflow.log_metrics(
            {f"data/{split}_pairs": len(pairs), f"data/{split}_duplicate_share": float(pairs.duplicate.mean())}
        )
        dataset = from_numpy(
            {"left": pairs.left, "right": pairs.right},
            source=CodeDatasetSource({"data": splits.name}),
            targets=pairs.label,
            name=f"{splits.name} {split}"[:500],
            digest=digest[:36],
        )
        mlflow.log_input(dataset, context=split)
    for split, counts in overlap.items():
        mlflow.log_metrics({f"data/{split}_{what}_seen_in_train": count for what, count in counts.items()})
    mlflow.log_metric("data/bad_rows", len(splits.bad_rows))
    if splits.bad_rows:
        mlflow.log_table(_bad_row_table(splits.bad_rows), "bad_rows.json")


@whole_write()
def log_metrics(metrics: dict[str, float], prefix: str, step: int | None = None) -> None:
    """Metrics under `prefix/name`."""
    mlflow.log_metrics({f"{prefix}/{name}": value for name, value in metrics.items()}, step=step)


@whole_write()
def log_page(markdown: str, file: str) -> None:
    """Markdown as an artifact, and as the description on the run's page."""
    mlflow.log_text(markdown, file)
    mlflow.set_tag("mlflow.note.content", markdown)


@whole_write()
def log_figure(figure, name: str) -> None:
    """A figure as figures/name.png."""
    mlflow.log_figure(figure, f"figures/{name}.png")


@whole_write()
def log_calibration(calibration: Calibration) -> None:
    """Threshold, temperature and offset, as metrics of their own."""
    mlflow.log_metrics(
        {f"calibration/{name}": getattr(calibration, name) for name in ("threshold", "temperature", "offset")}
    )


@whole_write()
def log_report(report: Report, split: str, calibration: Calibration) -> None:
    """A split's metrics, intervals, figures, predictions and worst mistakes."""
    log_metrics(report.metrics, split)
    for name, (low, high) in report.intervals.items():
        mlflow.log_metrics({f"{split}/{name}_low": low, f"{split}/{name}_high": high})
    table = report.predictions
    for name, figure in pair_figures(
        table["label"].to_numpy() >= 0.5, table["similarity"].to_numpy(), calibration, f"{split}, {len(table):,} pairs"
    ).items():
        log_figure(figure, f"{split}_{name}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{split}.csv"
        table.to_csv(file, index=False)
        mlflow.log_artifact(str(file), "predictions")
    mistakes = worst_mistakes(table, WORST_MISTAKES)
    if len(mistakes):
        mlflow.log_table(mistakes, f"{split}_worst_mistakes.json")


@whole_write()
def set_tags(tags: dict[str, str]) -> None:
    """Tags of the current run."""
    mlflow.set_tags(tags)


@whole_write()
def find_metrics(tags: dict[str, str]) -> dict[str, float] | None:
    """Metrics of the newest finished run that has all these tags, in the current experiment; None if there is none."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = mlflow.search_runs(
        filter_string=f"attributes.status = 'FINISHED' and {wanted}", max_results=1, output_format="list"
    )
    return found[0].data.metrics if found else None


@dataclass(frozen=True)
class Logged:
    """One logged value of a metric, and when it was logged, in seconds since 1970."""

    value: float
    seconds: float


def metric_history(run: str, name: str) -> list[Logged]:
    """All values of a run's metric, by step."""
    found = sorted(mlflow.MlflowClient().get_metric_history(run, name), key=lambda each: each.step)
    return [Logged(each.value, each.timestamp / 1e3) for each in found]


def evaluation_code() -> str:
    """A digest of the code that measures: figures of different digests are not to be compared."""
    sha = hashlib.sha256()
    for file in sorted((Path(__file__).parent / "evaluation").glob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]


def _bad_row_table(rows: tuple[BadRow, ...]) -> pd.DataFrame:
    return pd.DataFrame([vars(row) for row in rows]).astype({"found": str})


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
