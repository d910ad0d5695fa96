"""Logs: parameters, metrics, tags and artifacts of a run."""

import importlib.metadata
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from math import isnan
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.numpy_dataset import from_numpy

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.metrics import METRICS_VERSION
from siamese.inference.threads import cores
from siamese.tracking.local_store import continuation
from siamese.tracking.outages import writing
from siamese.tracking.provenance import CHOSEN, PARAMETER_LIMIT, config_digest, git
from siamese.tracking.runs import is_logged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from siamese.evaluation.probes import Probes
    from siamese.evaluation.report import Report

WORST_MISTAKES = 100
PASSWORD = re.compile(r"(://[^\s:/@]+:)[^\s@]+@")  # of a database, in a URI


@writing
def log_config(config: dict, yaml: str) -> None:
    """Log the composed config without passwords: as flat parameters, and as an artifact to run it again."""
    flat = flatten(config)
    _log_parameters({name: PASSWORD.sub(r"\1***@", str(value))[:PARAMETER_LIMIT] for name, value in flat.items()})
    mlflow.set_tag("config_digest", config_digest(config))
    mlflow.log_text(PASSWORD.sub(r"\1***@", yaml), "config.yaml")


def flatten(config: dict, prefix: str = "") -> dict[str, object]:
    """Nested config → dotted names; the name of a node's `_target_` becomes its value.

    >>> flatten({"loss": {"_target_": "siamese.model.losses.SquaredError", "second_weight": [3]}, "seed": 0})
    {'loss': 'squared_error', 'loss.second_weight': [3], 'seed': 0}
    """
    flat: dict[str, object] = {}
    for key, value in config.items():
        path = f"{prefix}.{key}" if prefix else key
        if key == "_target_":
            # the class of a method says more than the method
            name = next((part for part in value.split(".") if part[0].isupper()), value.rsplit(".", 1)[-1])
            flat[prefix] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        elif isinstance(value, dict):
            flat.update(flatten(value, path))
        elif not key.startswith("_"):
            flat[path] = value
    return flat


@writing
def log_chosen(settings: Mapping[str, object]) -> None:
    """Log settings that were chosen for the data, as parameters beside those of the config."""
    _log_parameters({f"{CHOSEN}{name}": value for name, value in settings.items()})


def _log_parameters(values: Mapping[str, object]) -> None:
    """Log parameters; a resumed run keeps those that it began with, such as the place of its store."""
    mlflow.log_params({name: value for name, value in values.items() if not is_logged(name)})


@writing
def log_environment(seed: int) -> None:
    """Log what a repetition needs besides the config: seed, git commit, number of cores, package versions."""
    code = {"git_commit": git("rev-parse", "HEAD"), "git_dirty": bool(git("status", "--porcelain"))}
    mlflow.set_tags({"seed": seed, "metrics_version": METRICS_VERSION, "cores": cores(), **code})
    mlflow.log_text("".join(f"{each}\n" for each in _installed()), "versions.txt")


@cache  # a process of many runs reads hundreds of files once
def _installed() -> list[str]:
    """Packages and their versions, as "name==version"."""
    return sorted({f"{each.name}=={each.version}" for each in importlib.metadata.distributions()}, key=str.lower)


@writing
def log_data(splits: PairSplits, overlap: dict[str, dict[str, int]], drawn_from: QuestionPairs | None = None) -> None:
    """Log digests and sizes of the splits, their overlap with training, what else was found, and the skipped rows.

    `drawn_from` are all training pairs, if the run uses a sample of them.
    """
    mlflow.set_tags({"data": splits.name, "data_digest.drawn_from": (drawn_from or splits.train).digest()})
    counts: dict[str, float] = {"bad_rows": len(splits.bad_rows)}
    for split, pairs in splits.parts().items():
        digest = pairs.digest()
        mlflow.set_tag(f"data_digest.{split}", digest)
        counts |= {f"{split}_pairs": len(pairs), f"{split}_duplicate_share": float(pairs.duplicate.mean())}
        columns, source = {"left": pairs.left, "right": pairs.right}, CodeDatasetSource({"data": splits.name})
        name = f"{splits.name} {split}"[:500]
        dataset = from_numpy(columns, source=source, targets=pairs.label, name=name, digest=digest[:36])
        mlflow.log_input(dataset, context=split)
    for split, seen in overlap.items():
        counts |= {f"{split}_{what}_seen_in_train": count for what, count in seen.items()}
    log_metrics(counts, "data")
    if splits.notes:
        mlflow.log_text("".join(f"{note}\n" for note in splits.notes), "data_notes.txt")
    if splits.bad_rows:
        mlflow.log_table(pd.DataFrame(map(vars, splits.bad_rows)).astype({"found": str}), "bad_rows.json")


@writing
def log_metrics(metrics: dict[str, float], prefix: str, step: int | None = None) -> None:
    """Log metrics under `prefix/name`; one that is undefined, nan, is left out, and one that a resumed run has already."""
    defined = {f"{prefix}/{name}": value for name, value in metrics.items() if not isnan(value)}
    mlflow.log_metrics({name: value for name, value in defined.items() if not is_logged(name, step or 0)}, step=step)


@writing
def log_page(markdown: str, file: str) -> None:
    """Log Markdown as an artifact and as the description of the run."""
    mlflow.log_text(markdown, file)
    mlflow.set_tag("mlflow.note.content", markdown)


@writing
def log_folder(folder: str | Path, name: str) -> None:
    """Log a folder as artifacts `name` of the current run."""
    mlflow.log_artifacts(str(folder), name)


@writing
def log_to_run(
    run: str, folder: Path, name: str, description: str, metrics: Mapping[str, float] = MappingProxyType({})
) -> None:
    """Log a folder as artifacts `name` of a run, ended or not, with metrics, and set its description (Markdown).

    A metric that is undefined, nan, is left out.
    """
    client, run = mlflow.MlflowClient(), continuation(run)
    client.log_artifacts(run, str(folder), name)
    client.set_tag(run, "mlflow.note.content", description)
    for metric, value in metrics.items():
        if not isnan(value):
            client.log_metric(run, metric, value)


@writing
def log_figure(figure: "Figure", name: str) -> None:
    """Log a figure as figures/name.png, with the name of the run above its title."""
    run = mlflow.active_run()
    title = [run.info.run_name if run else "", figure.get_suptitle()]
    figure.suptitle("\n".join(filter(None, title)), fontsize=9)
    quick = {"pil_kwargs": {"compress_level": 1}}  # a tenth more bytes in a quarter less time
    mlflow.log_figure(figure, f"figures/{name}.png", save_kwargs=quick)


@writing
def log_calibration(calibration: Calibration) -> None:
    """Log threshold, temperature, offset, and precision and recall on dev, as metrics."""
    names = ("threshold", "temperature", "offset", "prior", "precision", "recall")
    measured = {name: getattr(calibration, name) for name in names}
    log_metrics({name: value for name, value in measured.items() if value is not None}, "calibration")
    if calibration.criterion is not None:
        mlflow.set_tag("threshold", calibration.criterion)


@writing
def log_report(report: "Report", split: str, calibration: Calibration) -> None:
    """Log metrics, intervals, figures, predictions and worst mistakes of a split."""
    from siamese.evaluation.figures import pair_figures  # matplotlib, scikit-learn and SciPy: only training needs them
    from siamese.evaluation.report import worst_mistakes

    low = {f"{name}_low": limits[0] for name, limits in report.intervals.items()}
    high = {f"{name}_high": limits[1] for name, limits in report.intervals.items()}
    log_metrics(report.metrics | low | high, split)
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


@writing
def log_probes(probes: "Probes") -> None:
    """Log what a model cannot do: metrics under probes/, and each pair with its answer in tables of that folder."""
    log_metrics(probes.metrics, "probes")
    with tempfile.TemporaryDirectory() as folder:
        for name, table in probes.files().items():
            table.to_csv(Path(folder) / f"{name}.tsv", sep="\t", index=False)
        mlflow.log_artifacts(folder, "probes")
