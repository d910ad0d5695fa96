"""Publish: a detector is kept with its run; the alias moves to the model of a run, and to nothing else."""

import json
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from experiments import promote
from siamese import tracking
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.model.similarity import Cosine
from siamese.registry import latest, locate, publish
from siamese.serving.protocol import ANSWERS

CONF = Path(__file__).parents[2] / "conf"
EXAMPLE = [("how do i pay my bill", "where can i pay the bill ?")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, build_network, vectorizer):
    """Ids of runs in a fresh store, by name: two with models measured on the same pairs, one on others, …"""
    folder = tmp_path_factory.mktemp("store")
    network = build_network("dense", Cosine)
    detector = Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        tracking.connect(f"sqlite:///{folder}/mlflow.db", "tests")
        ids = {}
        for name, area, digest in (("first", 0.7, "a"), ("second", 0.75, "a"), ("other pairs", 0.9, "b")):
            with tracking.tracked_run(name, "model", tags={"data_digest.dev": digest, "metrics_version": "c"}) as run:
                tracking.log_metrics({"roc_auc": area}, "dev")
                publish.log_detector(detector, network, EXAMPLE, "# a card\n", "some data")
            ids[name] = run
        for name, measured in (
            ("undefined", {}),
            ("of one class", {"dev/roc_auc": 0.0, "data/dev_duplicate_share": 1.0}),
        ):
            with tracking.tracked_run(name, "model") as ids[name]:
                mlflow.log_metrics(measured)
                publish.log_detector(detector, network, EXAMPLE, "# a card\n", "some data")
        with tracking.tracked_run("trial 0", "trial") as ids["trial"]:
            pass
        with tracking.tracked_run("empty", "model") as ids["without model"]:
            pass
        with suppress(RuntimeError), tracking.tracked_run("failed", "model") as ids["failed"]:
            publish.log_detector(detector, network, EXAMPLE, "# a card\n", "some data")
            raise RuntimeError
        yield ids
        mlflow.set_tracking_uri(before)


@pytest.fixture
def promoted(runs, capsys):
    """A function: a run and overrides -> what the program says of its promotion."""

    def promoted(run: str, *overrides: str) -> list[str]:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose(
                "promote",
                overrides=[
                    f"run={run}",
                    f"tracking.uri={mlflow.get_tracking_uri()}",
                    "tracking.experiment=tests",
                    *overrides,
                ],
            )
        capsys.readouterr()
        promote.run(cfg)
        out, err = capsys.readouterr()
        assert err == ""
        return out.splitlines()

    return promoted


def champion(name: str) -> str:
    return mlflow.MlflowClient().get_model_version_by_alias(name, "champion").run_id


@pytest.mark.slow
def test_the_alias_moves_and_both_values_are_printed(runs, promoted):
    assert promoted(runs["first"], "name=moves") == [
        f"models:/moves@champion is now version 1, run {runs['first']}, dev/roc_auc 0.7000"
    ]
    assert champion("moves") == runs["first"]
    assert promoted(runs["second"], "name=moves") == [
        f"models:/moves@champion is now version 2, run {runs['second']}, dev/roc_auc 0.7500",
        f"it replaces version 1, run {runs['first']}, dev/roc_auc 0.7000",
    ]
    assert champion("moves") == runs["second"]
    similarity = locate.load("models:/moves@champion", mlflow.get_tracking_uri(), "tests").similarity(EXAMPLE)
    assert 0 <= similarity[0] <= 1


def test_a_run_that_has_a_version_gets_no_second_one(runs, promoted):
    for run in ("first", "second", "first", "first"):
        lines = promoted(runs[run], "name=again")
    assert lines == [f"models:/again@champion is now version 1, run {runs['first']}, dev/roc_auc 0.7000"]
    assert {each.version for each in mlflow.MlflowClient().search_model_versions("name = 'again'")} == {1, 2}


def test_figures_of_other_pairs_are_noted_not_to_compare(runs, promoted):
    promoted(runs["first"], "name=pairs")
    assert promoted(runs["other pairs"], "name=pairs")[-1].startswith("note: measured on other dev pairs")


def test_another_alias_leaves_the_champion_alone(runs, promoted):
    promoted(runs["first"], "name=aliases")
    assert len(promoted(runs["second"], "name=aliases", "alias=challenger")) == 1
    assert champion("aliases") == runs["first"]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("trial", "is of kind trial and FINISHED; only a run of kind model that is FINISHED can be promoted"),
        ("failed", "is of kind model and FAILED"),
        ("without model", "has no model"),
        ("undefined", "has no ROC AUC on dev, whose pairs have one label only"),
        ("of one class", "has no ROC AUC on dev, whose pairs have one label only"),
        ("no such run", "is no run of"),
    ],
)
def test_a_run_without_a_finished_model_is_refused(runs, promoted, run, message):
    with pytest.raises(ValueError, match=message):
        promoted(runs.get(run, "nowhere"), "name=refused")
    assert not mlflow.MlflowClient().search_registered_models("name = 'refused'")


@pytest.mark.slow
def test_a_run_keeps_detector_card_and_keras_network(model_run):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{output.model_id}")) / "artifacts" / "detector"
    names = ["detector.json", "dev_scores.npz", "light.json", "light.npz", "network.keras", "vectorizer.json"]
    assert sorted(file.name for file in folder.iterdir()) == ["MODEL_CARD.md", *names[:-1], "origin.json", names[-1]]
    assert (folder / "MODEL_CARD.md").read_text() == "# a card\n"


def test_a_finished_run_is_noted_as_the_newest(store, model_run, detector, questions):
    uri = f"sqlite:///{store}/mlflow.db"
    assert latest.find(uri) is None
    publish.note_newest(model_run)
    run, folder = latest.find(uri)
    assert run == model_run
    np.testing.assert_array_equal(Detector.load(folder).similarity(questions), detector.similarity(questions))


def test_mlflow_itself_loads_and_asks_the_model(model_run, detector, questions):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    answer = model.predict(pd.DataFrame(questions, columns=["question1", "question2"]))
    similarity = detector.similarity(questions)
    np.testing.assert_array_equal(answer["similarity"].to_numpy(np.float32), similarity)
    assert answer["duplicate"].tolist() == (similarity >= 0.5).tolist()
    assert model.metadata.signature.inputs.input_names() == ["question1", "question2"]
    assert model.metadata.signature.outputs.input_names() == list(ANSWERS)
    assert model.input_example.to_numpy().tolist() == [list(pair) for pair in questions]


@pytest.mark.slow
def test_serving_needs_no_tensorflow(model_run, run_python):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    folder = mlflow.artifacts.download_artifacts(f"models:/{output.model_id}")
    program = (
        "import sys, mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(len(model.predict(pd.DataFrame([['a', 'b']], columns=['question1', 'question2']))))\n"
        "print(*{'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = run_python("-c", program, folder)
    assert done.stdout == "1\n\n"


@pytest.mark.slow
def test_a_model_brings_the_code_that_answers_and_nothing_else(model_run, detector, questions, tmp_path, run_python):
    """It predicts in a process that cannot see the project."""
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{output.model_id}"))
    code = [file for file in (folder / "code").rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert {file.suffix for file in code} == {".py"}
    assert sum(file.stat().st_size for file in code) < 1_000_000  # corpora and tables would be 16 MB
    assert not (folder / "code" / "siamese" / "training").exists()
    program = (
        "import json, sys, mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "pairs = pd.DataFrame(json.loads(sys.argv[2]), columns=['question1', 'question2'])\n"
        "import siamese\n"
        "print(json.dumps([model.predict(pairs)['similarity'].tolist(), siamese.__file__]))\n"
    )
    done = run_python("-c", program, folder, json.dumps(questions), folder=tmp_path, PYTHONPATH="")
    similarity, package = json.loads(done.stdout)
    np.testing.assert_array_equal(np.float32(similarity), detector.similarity(questions))
    assert Path(package).is_relative_to(folder)
