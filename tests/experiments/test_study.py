"""Studies: every cell once, whatever happens on the way; missing cells are reported, and run at the next launch."""

import random
import shlex
import signal
import subprocess
from collections import Counter
from pathlib import Path

import mlflow
import pytest
from hydra import compose, initialize_config_dir

from experiments import grid
from experiments.cli import tree_of
from siamese.commands.config_files import CONF
from tests.programs import TINY

KILLS = 2
TREE = tree_of("config", [], None)


def runs(folder: Path, kind: str):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return mlflow.search_runs(search_all_experiments=True, filter_string=f"tags.kind = '{kind}'", output_format="list")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_program):
    """A folder in which a study of one cell that works and one that cannot was launched twice; both outcomes."""
    folder = tmp_path_factory.mktemp("study")
    grid = ["name=towers", "tower=dense", "similarity=cosine,learned", "loss=ranking", "seed=3", *TINY]
    first, again = (run_program("study", *grid, folder=folder) for _ in range(2))
    return folder, first, again


@pytest.mark.slow
def test_a_failed_cell_is_reported_and_the_others_continue(finished):
    folder, first, _ = finished
    assert first.returncode == 1
    assert "similarity=cosine seed=3: dev ROC AUC" in first.stdout
    assert "similarity=learned seed=3: FAILED, loss=ranking cannot train similarity=learned" in first.stdout
    assert first.stderr.splitlines()[-1].startswith("1 of 2 cells failed")
    assert "Traceback" not in first.stderr
    [parent] = runs(folder, "study")
    assert parent.info.status == "FAILED"


@pytest.mark.slow
def test_launched_again_only_what_is_missing_runs(finished):
    folder, _, again = finished
    assert again.returncode == 1
    assert "2 cells, 1 of them finished before" in again.stdout
    statuses = Counter((cell.data.params["similarity"], cell.info.status) for cell in runs(folder, "model"))
    assert statuses == {("cosine", "FINISHED"): 1, ("learned", "FAILED"): 2}


@pytest.mark.slow
def test_a_cell_has_a_name_and_the_command_that_repeats_it(finished):
    folder, *_ = finished
    [parent] = runs(folder, "study")
    [cell] = [each for each in runs(folder, "model") if each.info.status == "FINISHED"]
    assert cell.info.run_name == "similarity=cosine seed=3"
    assert cell.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (cell.data.tags["study"], cell.data.tags["option"]) == ("towers", "similarity=cosine")
    assert {"level/0_word_embedding", "level/1", "level/output", "model/bytes", "model/questions_per_second"} <= set(
        cell.data.metrics
    )
    command = shlex.split(cell.data.tags["mlflow.note.content"].split("\n\n")[-1].replace("\\\n", " "))
    assert command[:3] == ["python", "-m", "experiments.train"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        again = compose("config", overrides=command[3:])
    assert (again.seed, again.vectors.width, again.training.epochs) == (3, 8, 1)


@pytest.mark.slow
def test_a_combination_names_its_option_and_needs_no_training(tmp_path, run_program):
    """Two intents of the drawn questions are dev; TF-IDF looks for the same nearest questions."""
    rows = [
        f"how do i {verb} a {thing},{verb}" for verb in ("open", "close", "buy", "sell", "paint") for thing in "abcde"
    ]
    (tmp_path / "faq.csv").write_text("\n".join(["text,intent", *rows]) + "\n")
    data = ["data=few_shot", "data.path=faq.csv", "data.per_intent=3", "data.dev=0.4"]
    words = [
        *data,
        "experiment=knowledge/random_words",
        "vectors.width=8",
        "training.epochs=0",
        "seed=0",
        "evaluation.bootstrap_repeats=100",
    ]
    done = run_program("study", "name=knowledge", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    [cell] = runs(tmp_path, "model")
    assert cell.data.tags["option"] == "experiment=knowledge/random_words"
    assert (cell.data.metrics["training/epochs"], cell.data.metrics["training/best_epoch"]) == (0, 0)
    [tfidf] = [each for each in runs(tmp_path, "baseline") if each.data.tags["baseline"] == "tfidf_cosine"]
    for run in (cell, tfidf):
        assert 0 <= run.data.metrics["test/intent_accuracy_top1"] <= 1


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again_ends_with_each_cell_once(tmp_path, start_program, run_program):
    grid = ["name=towers", "tower=dense", "similarity=cosine,euclidean", "seed=0,1", *TINY]
    dice = random.Random(4)
    for _ in range(KILLS):
        process = start_program("study", *grid, folder=tmp_path, PYTHONUNBUFFERED="1")
        assert process.stdout is not None
        process.stdout.readline()  # the cells are composed, the store is made
        try:
            process.wait(timeout=dice.uniform(0, 8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    last = run_program("study", *grid, folder=tmp_path)
    assert last.returncode == 0, last.stderr
    cells = runs(tmp_path, "model")
    done = Counter(
        (each.data.params["similarity"], each.data.params["seed"]) for each in cells if each.info.status == "FINISHED"
    )
    assert done == {(similarity, seed): 1 for similarity in ("cosine", "euclidean") for seed in "01"}
    assert {each.info.status for each in cells} <= {"FINISHED", "KILLED"}
    [parent] = runs(tmp_path, "study")
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_an_interrupted_study_ends_at_once_and_is_marked_killed(tmp_path, start_program):
    grid = ["name=towers", "tower=dense", "similarity=cosine", "seed=0,1,2,3,4,5", *TINY]
    process = start_program("study", *grid, folder=tmp_path, PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("  1 of 6"):
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    [parent] = runs(tmp_path, "study")
    assert parent.info.status == "KILLED"
    assert len(runs(tmp_path, "model")) < 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=nothing"], "name must be one of the studies classical, depth"),
        (["name=towers", "restart=maybe"], "restart must be true or false, got 'maybe'"),
        (
            ["name=towers", "tower.units=[8]"],
            "the cell tower=conv1d similarity=cosine seed=0 tower.units=[8] is no config",
        ),
        (["name=towers", "optimizer.learning_rate=interval(0.1,1)"], "is a range: use a sweep"),
        (["name=knowledge", "experiment=knowledge/tabel"], "did you mean experiment=knowledge/table? The options are"),
        (["name=knowledge", "experiment=knowledge/word_vectors"], "vectors.path must be given"),
    ],
)
def test_a_mistake_is_reported_before_anything_trains(tmp_path, run_program, arguments, message):
    done = run_program("study", *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_without_a_name_the_studies_are_listed(tmp_path, run_program):
    done = run_program("study", folder=tmp_path)
    assert done.returncode == 0
    assert "towers          Which tower and which similarity" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", TREE.options("study"))
def test_every_cell_of_every_study_composes(name):
    """With its first seed: the digest, which tells cells apart, does not hold the seed."""
    needs_files = "pairs_file" in (CONF / "study" / f"{name}.yaml").read_text()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        master, axes = grid._grid(name, ["data.train=train.tsv", "data.dev=dev.tsv"] if needs_files else [])
        assert len(set(axes["seed"])) >= 3
        cells = grid._cells(master, axes | {"seed": axes["seed"][:1]}, TREE)
    assert len({cell.key for cell in cells}) == len(cells)
