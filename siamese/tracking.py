"""Tracking: the one door to MLflow. Starts runs, logs what they measured, finds what they left behind."""

import importlib.metadata
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import pandas as pd
from filelock import FileLock
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.types import ColSpec, Schema

from siamese.data.pairs import BadRow, PairSplits
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.figures import pair_figures
from siamese.evaluation.report import Report, worst_mistakes

PARAMETER_LIMIT = 6_000  # characters that MLflow keeps of a parameter's value
WORST_MISTAKES = 100
SERVING_PACKAGES = (
    "keras",
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "tensorflow",
    "tokenizers",
    "tqdm",
)


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

    Args:
        name: shown in the UI's table.
        kind: tag to filter by: "model", "baseline" or "evaluation".
        description: Markdown shown on the run's page.
        parent: id of the run that this one belongs to.

    Yields:
        The id of the run.
    """

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    run = mlflow.start_run(
        run_name=name,
        nested=parent is not None,
        parent_run_id=parent,
        tags={"kind": kind},
        description=description or None,
    )
    previous = signal.signal(signal.SIGTERM, interrupt)
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except BaseException as error:
        mlflow.set_tag("error", f"{type(error).__name__}: {error}"[:PARAMETER_LIMIT])
        raise
    finally:
        mlflow.end_run(status)
        signal.signal(signal.SIGTERM, previous)


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


def log_environment(seed: int) -> None:
    """What is needed to run it again besides the config: seed, git commit, package versions."""
    mlflow.set_tags(
        {"seed": seed, "git_commit": _git("rev-parse", "HEAD"), "git_dirty": bool(_git("status", "--porcelain"))}
    )
    installed = {f"{each.name}=={each.version}" for each in importlib.metadata.distributions()}
    mlflow.log_text("\n".join(sorted(installed, key=str.lower)) + "\n", "versions.txt")


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


def log_metrics(metrics: dict[str, float], prefix: str, step: int | None = None) -> None:
    """Metrics under `prefix/name`."""
    mlflow.log_metrics({f"{prefix}/{name}": value for name, value in metrics.items()}, step=step)


def log_figure(figure, name: str) -> None:
    """A figure as figures/name.png."""
    mlflow.log_figure(figure, f"figures/{name}.png")


def log_calibration(calibration: Calibration) -> None:
    """Threshold, temperature and offset, as metrics of their own."""
    mlflow.log_metrics(
        {f"calibration/{name}": getattr(calibration, name) for name in ("threshold", "temperature", "offset")}
    )


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


def log_detector(detector: Detector, example: list[tuple[str, str]]) -> None:
    """The detector's folder, and a model that `mlflow.pyfunc` loads and serves.

    Args:
        detector: what training left.
        example: a few pairs of questions, shown as the model's input example.
    """
    frame = pd.DataFrame(example, columns=["question1", "question2"])
    output = Schema(
        [ColSpec("double", "similarity"), ColSpec("double", "probability"), ColSpec("boolean", "duplicate")]
    )
    signature = infer_signature(frame)
    signature.outputs = output
    package = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "detector")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(package / "served_model.py"),
            artifacts={"detector": str(Path(folder) / "detector")},
            code_paths=[str(package)],
            signature=signature,
            input_example=frame,
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES],
        )


def set_tags(tags: dict[str, str]) -> None:
    """Tags of the current run."""
    mlflow.set_tags(tags)


def find_metrics(tags: dict[str, str]) -> dict[str, float] | None:
    """Metrics of the newest finished run that has all these tags, in the current experiment; None if there is none."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = mlflow.search_runs(
        filter_string=f"attributes.status = 'FINISHED' and {wanted}", max_results=1, output_format="list"
    )
    return found[0].data.metrics if found else None


def newest_run() -> Run:
    """The newest finished run that left a model.

    Raises:
        ValueError: the store has none.
    """
    found = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="attributes.status = 'FINISHED' and tags.kind = 'model'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    if not found:
        raise ValueError(f"{mlflow.get_tracking_uri()} has no finished run with a model; train one first: make train")
    return found[0]


def load_detector(run: str | None) -> tuple[Detector, str]:
    """A trained detector and where it came from.

    Args:
        run: None for the newest finished run, or a run id, a folder, or a registry URI such as
            models:/duplicate-questions@champion.

    Raises:
        ValueError: there is no such run, folder or model.
    """
    if run is not None and Path(run).expanduser().is_dir():
        return Detector.load(_detector_folder(Path(run).expanduser())), run
    if run is not None and run.startswith("models:/"):
        uri = run
    else:
        run = run or newest_run().info.run_id
        uri = _model_uri(run)
    try:
        folder = mlflow.artifacts.download_artifacts(artifact_uri=uri)
    except (MlflowException, OSError) as problem:
        raise ValueError(f"cannot read the model {uri}: {problem}") from None
    return Detector.load(_detector_folder(Path(folder))), run


def parent_of(source: str) -> str | None:
    """`source` if it is the id of a run of the current experiment's store, else None (a folder, a registry URI)."""
    try:
        return mlflow.get_run(source).info.run_id
    except MlflowException:
        return None


def _model_uri(run: str) -> str:
    try:
        outputs = mlflow.get_run(run).outputs
    except MlflowException:
        raise ValueError(
            f"run={run} is no run of {mlflow.get_tracking_uri()}, no folder and no models:/ URI; "
            "the ids are in the MLflow UI (make ui)"
        ) from None
    if outputs is None or not outputs.model_outputs:
        raise ValueError(f"run {run} left no model; choose a finished run of kind 'model'")
    return f"models:/{outputs.model_outputs[0].model_id}"


def _detector_folder(folder: Path) -> Path:
    """The detector inside an MLflow model's folder, or the folder itself."""
    inside = folder / "artifacts" / "detector"
    return inside if inside.is_dir() else folder


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
