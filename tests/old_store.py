"""The store of an earlier version (tests/fixtures/old_store/README.md), restored in a folder for the tests."""

import csv
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.programs import ended, start_forked

ROOT = Path(__file__).parents[1]
OLD_STORE = ROOT / "tests" / "fixtures" / "old_store"
PLACEHOLDER = "{FOLDER}"  # for the folder of the store
ANSWERS = json.loads((OLD_STORE / "answers.json").read_text(encoding="utf-8"))  # of the old version
CHAMPION = "models:/duplicate-questions@champion"
PLAIN = ANSWERS["champion"]["run"]  # a plain training, promoted
CELL = ANSWERS["run"]["run"]  # similarity=euclidean, seed=0 of the study
DATA = [
    "data=intents_file",
    "data.path=questions.csv",
    "data.dev=0.25",
    "data.test=0.25",
    "data.duplicates_per_question=1",
]
TINY = [*DATA, "text.oov_buckets=16", "vectors.width=8", "tower.units=[8]", "training.epochs=1"]
TINY += ["evaluation.bootstrap_repeats=100"]
STUDY = ["name=towers", "tower=dense", "similarity=cosine,euclidean", "seed=0,1", *TINY]
SWEEP = ["sweep.seed=2", "sweep.retrain_seeds=[1]", *TINY]
BASELINES = {"majority", "word_overlap", "tfidf_cosine", "logistic_regression"}
PARAMETERS = 584  # of each network
PATIENCE = 120  # seconds until a server answers


def restored(folder: Path) -> Path:
    """A folder with the old version's store, as if its trainings had been run there."""
    shutil.unpack_archive(OLD_STORE / "mlruns.zip", folder)
    for name in ("mlflow.db.newest.json", "questions.csv", "other_pairs.csv"):
        shutil.copy(OLD_STORE / name, folder)
    for model in folder.glob("mlruns/1/models/*/artifacts/MLmodel"):
        model.write_text(model.read_text(encoding="utf-8").replace(PLACEHOLDER, str(folder)), encoding="utf-8")
    for dump, database in {"store.sql": "mlflow.db", "sweeps.sql": "sweeps.db"}.items():
        connection = sqlite3.connect(folder / database)
        text = (OLD_STORE / dump).read_text(encoding="utf-8")
        connection.executescript(text.replace(PLACEHOLDER, str(folder)))
        connection.close()
    return folder


def environment(project: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": project, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}


def run(folder: Path, *words: str) -> str:
    """Run `python -m …` in a folder; returns its output."""
    result = ended(start_forked("-m", *words, folder=folder, MLFLOW_TRACKING_URI="sqlite:///mlflow.db"))
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def runs(folder: Path) -> dict[str, dict[str, str]]:
    """All runs: id -> name, status and tags, and metrics under their own names."""
    connection = sqlite3.connect(folder / "mlflow.db")
    found = {id: {"name": name, "status": status} for id, name, status in connection.execute(
        "SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage = 'active'")}  # fmt: skip
    for table in ("tags", "latest_metrics"):
        for id, key, value in connection.execute(f"SELECT run_uuid, key, value FROM {table}"):
            found[id][key] = value
    connection.close()
    return found


def seeds_by_option(table: str) -> dict[str, int]:
    """The number of seeds of each row of a comparison's tables."""
    return {name: int(seeds) for name, seeds in re.findall(r"^\| `?([\w=]+)`? +\| (\d+) +\|", table, re.MULTILINE)}


def assert_same_answers(rows: list[dict], expected: dict) -> None:
    for name in ("similarity", "probability"):
        assert [float(row[name]) for row in rows] == pytest.approx(expected[name], abs=1e-5)
    assert [str(row["duplicate"]) == "True" for row in rows] == expected["duplicate"]


def other_pairs(folder: Path) -> list[dict[str, str]]:
    with (folder / "other_pairs.csv").open(encoding="utf-8", newline="") as file:
        return [{name: row[name] for name in ("question1", "question2")} for row in csv.DictReader(file)]
