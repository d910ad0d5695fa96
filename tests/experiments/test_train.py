"""The main job, as a user runs it: a process of its own, its screen, its exit code and what MLflow holds then."""

import json
import re
import signal
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.programs import STAGE, TINY

SMALL = ["data.duplicates_per_question=0.3", "vectors.width=16", "tower.units=[16]", "evaluation.bootstrap_repeats=100"]
BY_INTENT = ["intent_accuracy_top1", "intent_accuracy_top5", "intent_mrr_at_10"]
BY_INTENT += [f"out_of_scope_{name}" for name in ("recall", "f1", "threshold")] + ["in_scope_refused"]
pytestmark = pytest.mark.slow


def runs(folder: Path, filter_string: str = ""):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return mlflow.search_runs(search_all_experiments=True, filter_string=filter_string, output_format="list")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_program):
    """A folder in which one small network was trained, with its baselines."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, run_program("train", *SMALL, "training.epochs=2", folder=folder, fresh=True)


def artifacts(folder: Path, run_id: str, path: str = "") -> list[str]:
    return sorted(item.path for item in mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path=path))


def test_the_screen_shows_metrics_baselines_and_verdicts_and_no_noise(trained):
    _, done = trained
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not STAGE.fullmatch(line)] == []
    for word in (
        "epoch 2",
        "roc_auc",
        "among the other questions of its part",
        "training=auto chose training.batch_size=",
        "intent_accuracy_top1",
        "logistic_regression",
        "verdicts on test pairs",
        "make ui",
    ):
        assert word in done.stdout


def test_the_run_and_its_baselines_are_in_mlflow_with_all_that_is_needed_to_repeat_it(trained):
    folder, _ = trained
    (model,) = runs(folder, "tags.kind = 'model'")
    assert model.info.status == "FINISHED"
    assert model.data.params["tower"] == "averaging"
    assert model.data.params["tower.units"] == "[16]"
    assert (model.data.params["training.epochs"], model.data.params["training.batch_size"]) == ("2", "auto")
    assert "auto.epochs" not in model.data.params
    assert int(model.data.params["auto.batch_size"]) > 0
    assert model.data.tags["seed"] == "0"
    assert model.info.run_name.startswith("averaging cosine ")
    note = model.data.tags["mlflow.note.content"]
    assert f"| {model.data.metrics['dev/roc_auc']:.4f} " in note
    assert note.index("| this network ") < note.index("| tfidf_cosine ") < note.index("Run it again with")
    assert {"git_commit", "git_dirty", "data_digest.train", "data_digest.dev", "data_digest.test"} <= set(
        model.data.tags
    )
    assert {item.dataset.name for item in model.inputs.dataset_inputs} == {
        f"corpus en by intent {split}" for split in ("train", "dev", "test")
    }
    expected = ["accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss", "brier"]
    for split in ("dev", "test"):
        for name in [*expected, "expected_calibration_error"]:
            low, value, high = (model.data.metrics[f"{split}/{name}{end}"] for end in ("_low", "", "_high"))
            assert 0 <= low <= high
            assert low < high or name in ("precision", "recall", "f1")  # 0 where no resample has a positive verdict
            assert value <= high  # the least that resampling, which biases a calibration error upwards, leaves of it
            assert low <= value or name == "expected_calibration_error"
    found = {name: [model.data.metrics[f"{split}/{name}"] for split in ("dev", "test")] for name in BY_INTENT}
    assert all(0 <= value <= 1 for values in found.values() for value in values)
    assert found["out_of_scope_threshold"][0] == found["out_of_scope_threshold"][1]
    for first, later in zip(found["intent_accuracy_top1"], found["intent_accuracy_top5"], strict=True):
        assert 0.1 < first < later  # by chance it is below 0.02
    assert {"config.yaml", "versions.txt", "figures", "predictions", "test_worst_mistakes.json"} <= set(
        artifacts(folder, model.info.run_id)
    )
    figures = {Path(path).stem for path in artifacts(folder, model.info.run_id, "figures")}
    kinds = ("roc", "precision_recall", "reliability", "similarity_histogram", "confusion_matrix")
    assert figures == {"learning_curves", "levels", *(f"{split}_{kind}" for split in ("dev", "test") for kind in kinds)}
    assert {each.info.run_name for each in runs(folder, "tags.kind = 'baseline'")} == {
        "majority",
        "word_overlap",
        "tfidf_cosine",
        "logistic_regression",
    }


def test_the_model_card_has_the_figures_of_the_run(trained):
    """The card is in the detector's folder and in the run; baselines are runs below it."""
    folder, _ = trained
    (model,) = runs(folder, "tags.kind = 'model'")
    card = mlflow.artifacts.load_text(f"runs:/{model.info.run_id}/MODEL_CARD.md")
    [uri] = [f"models:/{each.model_id}" for each in model.outputs.model_outputs]
    inside = Path(mlflow.artifacts.download_artifacts(uri)) / "artifacts" / "detector" / "MODEL_CARD.md"
    assert inside.read_text(encoding="utf-8") == card
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in card.splitlines() if line.startswith("| ")}
    metrics = model.data.metrics
    for place, split in enumerate(("dev", "test")):
        names = [name.removeprefix(f"{split}/") for name in metrics if name.startswith(f"{split}/")]
        measured = [name for name in names if f"{split}/{name}_low" in metrics]
        assert len(measured) >= 9
        for name in measured:
            value, low, high = (metrics[f"{split}/{name}{end}"] for end in ("", "_low", "_high"))
            assert rows[name][place].strip() == f"{value:.4f} [{low:.4f}, {high:.4f}]"
        assert f"`{model.data.tags[f'data_digest.{split}']}`" in card
    columns = [f"{split}/{name}" for split in ("dev", "test") for name in ("accuracy", "roc_auc", "average_precision")]
    for baseline in runs(folder, "tags.kind = 'baseline'"):
        assert baseline.data.tags["mlflow.parentRunId"] == model.info.run_id
        printed = [cell.strip() for cell in rows[baseline.info.run_name]]
        assert printed == [f"{baseline.data.metrics[column]:.4f}" for column in columns]
    assert f"from a similarity of {metrics['calibration/threshold']:.6g} on" in card
    assert f"| {metrics['model/parameters']:,.0f} " in card
    for text in (model.info.run_id, "| tower "):
        assert text in card


def test_the_tracked_model_loads_in_mlflow_and_agrees_with_the_tracked_predictions(trained):
    folder, _ = trained
    (model,) = runs(folder, "tags.kind = 'model'")
    loaded = mlflow.pyfunc.load_model(f"models:/{model.outputs.model_outputs[0].model_id}")
    table = pd.read_csv(
        mlflow.artifacts.download_artifacts(run_id=model.info.run_id, artifact_path="predictions/test.csv")
    )
    scored = loaded.predict(table[["question1", "question2"]].head(50))
    assert (scored["similarity"] - table["similarity"].head(50)).abs().max() < 1e-6
    assert (scored["duplicate"] == table["verdict"].head(50)).all()


def test_same_seed_and_config_give_the_same_metrics_to_the_bit(trained, run_program):
    folder, _ = trained
    (model,) = runs(folder, "tags.kind = 'model'")
    chosen = {
        name.removeprefix("auto."): value for name, value in model.data.params.items() if name.startswith("auto.")
    }
    words = [f"training.{name}={value}" for name, value in chosen.items()]  # as the first run prints them
    again = run_program("train", *SMALL, "training.epochs=2", *words, folder=folder)
    assert again.returncode == 0, again.stderr
    first, second = (each.data.metrics for each in runs(folder, "tags.kind = 'model'"))
    timed = {"epoch/pairs_per_second", "training/seconds", "model/questions_per_second"}
    assert {k: v for k, v in first.items() if k not in timed} == {k: v for k, v in second.items() if k not in timed}
    # and the baselines of this data were not measured a second time
    assert len(runs(folder, "tags.kind = 'baseline'")) == 4


def test_predict_answers_with_the_newest_run(trained, run_program):
    folder, _ = trained
    done = run_program("predict", "How do I reset my password?", "How do I reset my password?", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("duplicate: similarity 1.0000")
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.fullmatch(
        rf"model: run \w{{32}}, trained on .+, {when}; duplicate from a probability of .+\n", done.stderr
    )


def test_predict_scores_a_file_in_order_and_explains_bad_rows(trained, run_program):
    folder, _ = trained
    (folder / "pairs.csv").write_text("question1,question2\na card,my card\n,x\nl'eau,où ?\n", encoding="utf-8")
    done = run_program("predict", "pairs=pairs.csv", "output=scored.jsonl", folder=folder)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "scored.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["question1"] for row in rows] == ["a card", "", "l'eau"]
    assert "row 3, column question1" in rows[1]["error"]
    assert all(0 <= row["similarity"] <= 1 for row in (rows[0], rows[2]))


def test_evaluate_scores_another_file_as_an_evaluation_of_the_run(trained, run_program):
    folder, _ = trained
    rows = [f"where is item {i},find item {i},1\nwhere is item {i},stop item {i},0\n" for i in range(30)]
    (folder / "other.csv").write_text("question1,question2,is_duplicate\n" + "".join(rows))
    newest = runs(folder, "tags.kind = 'model'")[0].info.run_id
    done = run_program(
        "evaluate",
        f"run={newest}",
        "data=pairs_file",
        "data.train=other.csv",
        "split=all",
        "predictions=out.csv",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(folder / "out.csv")
    assert len(table) == 60
    (evaluation,) = runs(folder, "tags.kind = 'evaluation'")
    assert evaluation.data.tags["mlflow.parentRunId"] == newest
    assert evaluation.data.metrics["all/accuracy"] == pytest.approx(
        (table["verdict"] == (table["label"] >= 0.5)).mean()
    )
    trained_threshold = mlflow.get_run(newest).data.metrics["calibration/threshold"]
    assert evaluation.data.metrics["calibration/threshold"] == trained_threshold
    assert "all_roc" in {Path(path).stem for path in artifacts(folder, evaluation.info.run_id, "figures")}


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (
            "train",
            ["tower=transformer"],
            "there is no tower=transformer; the options are attention, averaging, bilstm, conv1d, dense",
        ),
        ("train", ["+tower.depth=3", "baselines=none", *SMALL], "unexpected keyword argument 'depth'"),
        (
            "train",
            ["similarity=learned", "loss=ranking", "baselines=none", *SMALL],
            "loss=ranking cannot train similarity=learned",
        ),
        ("train", ["data=pairs_file", "data.train=nowhere.csv"], "nowhere.csv"),
        ("predict", ["one question"], "give two questions"),
        ("predict", ["a", "b", "run=no-such-run"], "run=no-such-run is no folder, and there is no tracking store"),
        ("evaluate", ["run=no-such-run"], "run=no-such-run is no folder, and there is no tracking store"),
    ],
)
def test_a_mistake_is_explained_without_a_traceback(program, arguments, message, tmp_path, run_program):
    done = run_program(program, *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_data_is_told_before_tensorflow_starts_and_leaves_no_run(tmp_path, run_program):
    (tmp_path / "bad.csv").write_text("question1,question2,is_duplicate\na,b,7\n")
    heavy = ("tensorflow", "keras", "mlflow", "matplotlib")
    done = run_program("train", "data=pairs_file", "data.train=bad.csv", folder=tmp_path, watched=heavy)
    assert done.returncode == 1
    assert "bad.csv, row 2, column is_duplicate" in done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"
    assert not (tmp_path / "mlflow.db").exists()


def test_a_guaranteed_threshold_reserves_dev_pairs_and_predict_may_ask_for_another(tmp_path, run_program):
    done = run_program("train", *TINY, "evaluation.threshold=guarantee@0.2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    reserved = int(re.search(r"note: threshold=guarantee@…: (\d+) of 581 dev pairs, no two of which", done.stdout)[1])
    assert re.search(rf"threshold=guarantee@0.2: .* \({reserved} reserved dev pairs, false alarms: ", done.stdout)
    (run,) = runs(tmp_path)
    assert run.data.metrics["data/reserved_pairs"] == reserved
    assert not [name for name in run.data.metrics if name.startswith("reserved/")]
    asked = run_program(
        "predict", "question1=pay bill", "question2=pay the bill", "threshold=guarantee@0.1", folder=tmp_path
    )
    assert "chosen for guarantee@0.1" in asked.stderr, asked.stderr
    for wish, answer in (("guarantee@0.9999", "needs at least"), ("guarantee@0.1 prior=0.1", "leave out the prior")):
        words = f"threshold={wish}".split()
        refused = run_program("predict", "question1=pay bill", "question2=pay the bill", *words, folder=tmp_path)
        assert refused.returncode == 1
        assert answer in refused.stderr


def test_a_threshold_that_is_not_guaranteed_is_told(tmp_path, run_program):
    done = run_program("train", *TINY, "evaluation.threshold=guarantee@0.85", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: guarantee@0.85 cannot be given: of the " in done.stdout
    assert "The threshold is that of precision@0.85, which promises nothing" in done.stdout


def test_a_guarantee_from_too_few_pairs_is_refused_before_the_training(tmp_path, run_program):
    done = run_program("train", *TINY, "evaluation.threshold=guarantee@0.99", folder=tmp_path)
    assert done.returncode == 1
    assert re.search(r"error: guarantee@0\.99 needs at least 230 reserved pairs .* give more dev pairs", done.stderr)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_failing_run_is_marked_failed_and_keeps_its_parameters(tmp_path, run_program):
    done = run_program("train", "similarity=learned", "loss=ranking", "baselines=none", *SMALL, folder=tmp_path)
    assert done.returncode == 1
    (failed,) = runs(tmp_path, "tags.kind = 'model'")
    assert failed.info.status == "FAILED"
    assert failed.data.params["similarity.dropout"] == "0.2"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_marked_killed(signum, tmp_path, start_program):
    endless = ["training.epochs=1000", "training.patience=null", "baselines=none", *SMALL]
    process = start_program("train", *endless, folder=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1:"):
            break
    time.sleep(0.2)
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == 130
    (killed,) = runs(tmp_path, "tags.kind = 'model'")
    assert killed.info.status == "KILLED"
    assert "epoch/loss" in killed.data.metrics
