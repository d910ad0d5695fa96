"""Old stores: what an earlier version tracked is found, resumed, compared and evaluated."""

import csv
import re

import pytest

from tests.old_store import (
    ANSWERS,
    BASELINES,
    CELL,
    CHAMPION,
    DATA,
    PARAMETERS,
    PLAIN,
    STUDY,
    SWEEP,
    assert_same_answers,
    restored,
    run,
    runs,
    seeds_by_option,
)

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def store(tmp_path):
    return restored(tmp_path)


@pytest.mark.parametrize(("which", "words"), [("champion", [f"run={CHAMPION}"]), ("run", [f"run={CELL}"])])
def test_a_detector_of_an_old_store_answers_the_same(store, which, words):
    run(store, "experiments.predict", "pairs=other_pairs.csv", "output=scored.csv", *words)
    with (store / "scored.csv").open(encoding="utf-8", newline="") as file:
        assert_same_answers(list(csv.DictReader(file)), ANSWERS[which])


def test_the_newest_detector_is_found_without_mlflow(store):
    (store / "mlflow.db").unlink()  # a query to MLflow would find nothing
    run(store, "experiments.predict", "pairs=other_pairs.csv", "output=scored.csv")
    with (store / "scored.csv").open(encoding="utf-8", newline="") as file:
        assert_same_answers(list(csv.DictReader(file)), ANSWERS["newest"])
    assert not (store / "mlflow.db").exists()


def test_the_keras_network_still_loads(store):
    [network] = store.glob("mlruns/1/models/*/artifacts/artifacts/detector/network.keras")
    code = (
        "import sys, keras, siamese.model.similarity, siamese.model.towers\n"
        "print(keras.saving.load_model(sys.argv[1]).count_params())"
    )
    (store / "load.py").write_text(code, encoding="utf-8")
    assert run(store, "load", str(network)).split()[-1] == str(PARAMETERS)


def test_an_old_study_is_compared(store):
    printed = run(store, "experiments.compare", "study=towers")
    assert printed.count("\n## ") == 1
    assert seeds_by_option(printed) == {
        "similarity=cosine": 2, "similarity=euclidean": 1, **dict.fromkeys(BASELINES, 1)
    }  # fmt: skip
    assert "1 KILLED, 3 FINISHED" in printed


def test_an_old_study_is_resumed_with_its_missing_cell_alone(store):
    before = runs(store)
    printed = run(store, "experiments.study", *STUDY)
    assert "towers: 4 cells, 3 of them finished before" in printed
    after = runs(store)
    [cell] = after.keys() - before.keys()  # no other cell, no second study, and the baselines are known
    assert (after[cell]["name"], after[cell]["status"]) == ("similarity=euclidean seed=1", "FINISHED")
    [study] = [id for id, each in after.items() if each["kind"] == "study"]
    assert (after[study]["status"], after[cell]["mlflow.parentRunId"]) == ("FINISHED", study)
    # the old cells and the new one are in one table, the two seeds of a choice in one row
    assert printed.count("\n## ") == 1
    assert seeds_by_option(printed) == {
        "similarity=cosine": 2, "similarity=euclidean": 2, **dict.fromkeys(BASELINES, 1)
    }  # fmt: skip


def test_an_old_sweep_that_is_finished_trains_nothing(store):
    before = runs(store)
    printed = run(store, "experiments.sweep", "sweep.trials=2", *SWEEP)
    assert not re.search(r"^trial \d", printed, re.MULTILINE)
    assert "2 of 2 trials: 2 complete" in printed
    assert runs(store).keys() == before.keys()


def test_an_old_run_is_evaluated_as_it_was_in_training(store):
    before = runs(store)
    words = [f"run={PLAIN}", *DATA, "split=test", "bootstrap_repeats=100", "predictions=scored.csv"]
    run(store, "experiments.evaluate", *words)
    after = runs(store)
    [new] = after.keys() - before.keys()
    assert (after[new]["kind"], after[new]["mlflow.parentRunId"]) == ("evaluation", PLAIN)
    other = re.compile(r"test/expected_calibration_error.*_(low|high)")  # intervals that are measured otherwise today
    tracked = {
        name: value for name, value in before[PLAIN].items() if name.startswith("test/") and not other.match(name)
    }
    assert tracked
    assert {name: after[new][name] for name in tracked} == pytest.approx(tracked, abs=1e-4)
    assert len((store / "scored.csv").read_text(encoding="utf-8").splitlines()) == 1 + 54


def test_an_old_run_replaces_an_old_champion(store):
    printed = run(store, "experiments.promote", f"run={CELL}")
    assert f"{CHAMPION} is now version 2, run {CELL}" in printed
    assert f"it replaces version 1, run {PLAIN}" in printed
    assert "note:" not in printed  # both were measured on the same pairs by the same code
