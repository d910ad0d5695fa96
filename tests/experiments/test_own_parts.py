"""Parts in the user's own package, named by the user's own config folder, from training to a served answer."""

import json
import os
import subprocess
import warnings
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from siamese.commands import export, mine, predict, why
from siamese.commands.arguments import command_line
from siamese.commands.detector import chosen
from siamese.serving.protocol import ROUTE
from siamese.serving.scoring_server import ScoringServer
from tests.programs import STAGE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS = """
import keras
from keras import ops

from siamese.model.layers import PackWords, Pool


def gru(word_embedding, units):
    questions = keras.Input((None,), dtype="int32")
    vectors = keras.layers.GRU(units)(word_embedding(questions), mask=ops.not_equal(questions, 0))
    return keras.Model(questions, vectors)


def mean_of_words(word_embedding):
    questions = keras.Input((None,), dtype="int32")
    words, position, question = PackWords()(questions)
    return keras.Model(questions, Pool(["mean"])(word_embedding(words), position, question, questions))


@keras.saving.register_keras_serializable("ownpackage")
class Laplace(keras.layers.Layer):
    def call(self, left, right):
        return ops.exp(-ops.mean(ops.abs(left - right), axis=-1))


def absolute_error(label, similarity, matrix, negative):
    return ops.abs(label - similarity)
"""
CONFIG = {
    "tower/own_gru": "_target_: ownpackage.parts.gru\n_partial_: true\nunits: 6\n",
    "tower/own_mean": "_target_: ownpackage.parts.mean_of_words\n_partial_: true\n",
    "similarity/laplace": "_target_: ownpackage.parts.Laplace\n_partial_: true\n",
    "loss/absolute": "_target_: ownpackage.parts.absolute_error\n_partial_: true\n",
}
SMALL = ["training.epochs=1", "data.duplicates_per_question=0.3", "vectors.width=8", "evaluation.bootstrap_repeats=100"]
PAIR = ("How do I reset my password?", "I forgot my password, what now?")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The user's folder, with a package and a config folder."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "ownpackage").mkdir()
    (folder / "ownpackage" / "__init__.py").touch()
    (folder / "ownpackage" / "parts.py").write_text(PARTS)
    for name, text in CONFIG.items():
        file = folder / "ownconf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# A part of my own.\n{text}")
    return folder


@pytest.fixture(scope="module")
def run(home, run_program):
    """A function: a program of experiments/ and its arguments -> it, ended, where the package can be imported."""
    return partial(run_program, folder=home, PYTHONPATH=os.pathsep.join([str(ROOT), str(home)]))


@pytest.fixture(scope="module")
def trained(run) -> subprocess.CompletedProcess:
    """A training with a tower, a similarity and a loss of the user's own."""
    own = ["--config-dir", "ownconf", "tower=own_gru", "similarity=laplace", "loss=absolute", "baselines=none"]
    done = run("train", *own, *SMALL, "evaluation.retrieval=true")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def here(home, trained, monkeypatch):
    """The user's folder as the working directory of this process, with the user's package on its path."""
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(home)
    return home


def settings(program: str, *words: str) -> dict:
    return command_line(program, ["plugins=ownpackage.parts", *words])[0]


def test_keras_is_noted_before_the_first_epoch_and_missing_levels_after_it(trained):
    lines = trained.stdout.splitlines()
    noted = next(number for number, line in enumerate(lines) if "through Keras instead of NumPy" in line)
    assert noted < next(number for number, line in enumerate(lines) if line.startswith("epoch 1"))
    assert any(
        line.startswith("note: the layers of this tower have no names that layer probing knows") for line in lines
    )
    assert [line for line in trained.stderr.splitlines() if not STAGE.fullmatch(line)] == []


def test_predict_names_the_plugin_that_it_needs_and_answers_with_it(run, trained):
    without = run("predict", *PAIR)
    assert without.returncode == 1
    error = without.stderr.splitlines()[0]
    assert error.startswith("error: ")
    assert "has the layers ownpackage>Laplace" in error
    assert "give plugins=ownpackage.parts " in error
    answered = run("predict", "plugins=ownpackage.parts", *PAIR)
    assert answered.stdout.startswith(("duplicate: similarity", "not duplicate: similarity")), answered.stderr
    assert answered.stderr.startswith("model: run ")


def test_the_model_card_names_the_plugin(home, trained):
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    [found] = mlflow.search_runs(search_all_experiments=True, filter_string="tags.kind = 'model'", output_format="list")
    card = mlflow.artifacts.load_text(f"runs:/{found.info.run_id}/MODEL_CARD.md")
    assert "give each program\n`plugins=ownpackage.parts`." in card


def test_evaluate_gives_the_metrics_of_the_training(run, home, trained):
    words = ["data.duplicates_per_question=0.3", "bootstrap_repeats=10", "predictions=test.csv"]
    done = run("evaluate", "plugins=ownpackage.parts", *words)
    assert done.returncode == 0, done.stderr
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    areas = {each.data.tags["kind"]: each.data.metrics["test/roc_auc"] for each in found}
    assert areas["evaluation"] == pytest.approx(areas["model"], abs=1e-6)


def test_mine_why_and_the_server_answer(here):
    collection = here / "questions.txt.csv"
    collection.write_text("question\n" + "\n".join(f'"{text}"' for text in (*PAIR, PAIR[0])) + "\n", encoding="utf-8")
    mined = mine.run(settings("mine", "collection=questions.txt.csv", "output=pairs.csv", "threshold=0.1"))
    assert mined["pairs"] == 2  # the repeat, and the two different texts
    explained = why.run(settings("why"), PAIR)
    assert explained.contributions is None
    (answer,), *_ = predict.run(settings("predict"), PAIR)
    assert answer["similarity"] == pytest.approx(explained.similarity, abs=1e-6)
    client = TestClient(ScoringServer(chosen(settings("serve", "run=")), 10_000, ["*"]))
    asked = {"dataframe_records": [dict(zip(("question1", "question2"), PAIR, strict=True))]}
    served = client.post(ROUTE, json=asked).json()["predictions"][0]
    assert served["similarity"] == pytest.approx(explained.similarity, abs=1e-6)


def test_only_onnx_is_refused(here):
    with pytest.raises(ValueError, match=r"layers that only Keras can run, .*give formats=saved_model"):
        export.run(settings("export", "output=exported"))
    with warnings.catch_warnings(action="error", category=UserWarning):  # a user would see them
        head = export.run(settings("export", "output=exported", "formats=saved_model"))
    assert sorted(file.name for file in (here / "exported").iterdir()) == [
        "README.md",
        "export.json",
        "network",
        "tokenizer.json",
        "tower",
    ]
    assert max(value for model in head["models"].values() for value in model["difference"].values()) < 1e-5
    assert "onnx" not in (here / "exported" / "README.md").read_text().replace("no ONNX model", "")
    assert json.loads((here / "exported" / "export.json").read_text())["similarity"]["layer"] == "ownpackage>Laplace"


def test_mlflow_loads_the_model_with_the_packages_that_it_needs(here):
    detector = chosen(settings("predict"))  # imports the plugin
    mlflow.set_tracking_uri(f"sqlite:///{here}/mlflow.db")
    (model,) = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.kind = 'model'", output_format="list"
    )
    loaded = mlflow.pyfunc.load_model(f"models:/{model.outputs.model_outputs[0].model_id}")
    answer = loaded.predict(pd.DataFrame([PAIR], columns=["question1", "question2"]))
    np.testing.assert_allclose(answer["similarity"], detector.similarity([PAIR]), atol=1e-6)
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{model.outputs.model_outputs[0].model_id}")
    names = {line.partition("==")[0] for line in Path(needed).read_text().splitlines()}
    assert {"keras", "tensorflow", "numpy"} <= names


def test_an_own_tower_of_known_layers_needs_no_plugin_and_no_tensorflow(run, run_python, here, tmp_path):
    own = [
        "--config-dir",
        str(here / "ownconf"),
        "tower=own_mean",
        "baselines=none",
        f"tracking.uri=sqlite:///{tmp_path}/m.db",
    ]
    done = run("train", *own, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "Keras" not in done.stdout
    program = (
        "import sys; from siamese.commands import predict\n"
        f"sys.argv = ['predict', 'tracking.uri=sqlite:///{tmp_path}/m.db', 'a b', 'a c']; predict.main()\n"
        "print('tensorflow' in sys.modules, 'ownpackage' in sys.modules)"
    )
    answered = run_python("-c", program, folder=ROOT)
    assert answered.stdout.splitlines()[-1] == "False False", answered.stderr
