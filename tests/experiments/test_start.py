"""Start: a training goes on from the table of a run, or from a former training, and its run says from what."""

import mlflow
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from experiments import training_run
from experiments.start import identified
from siamese import tracking
from siamese.commands.config_files import CONF
from siamese.data.sources import corpus
from siamese.detector import Detector
from siamese.inference.from_keras import numpy_network
from siamese.model import towers
from siamese.pretrained.piece_table import PieceTable
from siamese.registry.locate import locate
from siamese.text.vocabulary import word_pieces
from siamese.tracking import config_digest
from siamese.training.building import build

pytestmark = pytest.mark.slow
WIDTH = 6
SMALL = ["data.duplicates_per_question=0.3", "tower.units=[5]", "baselines=none", "evaluation.bootstrap_repeats=50"]


@pytest.fixture(scope="module")
def table() -> PieceTable:
    tokenizer = word_pieces(corpus().train.questions, 300)
    rows = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), WIDTH)).astype(np.float32)
    return PieceTable.of(tokenizer, rows)


@pytest.fixture(scope="module")
def table_run(store, table) -> str:
    table.save(store / "own")
    with tracking.tracked_run("table tiny", "table") as run_id:
        tracking.log_folder(store / "own", "table")
    return run_id


@pytest.fixture(scope="module")
def train(store):
    """A function: overrides -> the tracked run."""

    def run(*overrides: str) -> mlflow.entities.Run:
        words = [*SMALL, f"tracking.uri=sqlite:///{store}/mlflow.db", "tracking.experiment=tests", *overrides]
        return mlflow.get_run(training_run.run(composed(*words)).run_id)

    return run


def composed(*words: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(words))


@pytest.fixture(scope="module")
def first(train, table_run) -> mlflow.entities.Run:
    return train(f"start=run:{table_run}", "training.epochs=1")


def detector_of(run, store) -> Detector:
    return Detector.load(locate(run.info.run_id, f"sqlite:///{store}/mlflow.db", "tests").folder)


def test_a_training_starts_from_the_table_of_a_run(first, table, table_run, store):
    """Each row times the weight of its token, which training learned."""
    rows = detector_of(first, store).network.arrays["word_embedding/embeddings"]
    weight = np.linalg.norm(rows, axis=1) / np.maximum(np.linalg.norm(table.matrix, axis=1), 1e-12)
    np.testing.assert_allclose(rows, table.matrix * weight[:, None], atol=1e-6)
    assert 0.2 < weight[2:].min() < weight[2:].max() < 5
    params = first.data.params
    assert (params["start"], params["text.table"]) == (f"run:{table_run}", f"run:{table_run}")
    assert len(params["start_digest"]) == 64


def test_the_same_start_by_its_folder_is_the_same_training(first, train, store, monkeypatch):
    monkeypatch.chdir(store)
    again = train("start=own", "training.epochs=1")
    assert again.data.params["start_digest"] == first.data.params["start_digest"]
    assert again.data.metrics["dev/roc_auc"] == first.data.metrics["dev/roc_auc"]


def test_another_table_in_the_same_folder_is_another_config(store, table, tmp_path):
    tables = table, PieceTable(table.tokenizer, table.rows, table.scale * np.float32(2))
    config = {"start": str(tmp_path / "own"), "tracking": {"uri": "sqlite:///nowhere.db", "experiment": "tests"}}
    digests = []
    for each in tables:
        each.save(tmp_path / "own")
        digests.append(config_digest(identified(config)))
    assert digests[0] != digests[1]
    assert identified(config | {"start": "shipped"}) == config | {"start": "shipped"}


def test_a_training_goes_on_from_a_former_one(first, train, store):
    """Its words, their rows and the head are those that the former one ended with; a rate near 0 leaves them there."""
    again = train(f"start=run:{first.info.run_id}", "training.epochs=1", "optimizer.learning_rate=1e-9")
    before, after = (detector_of(run, store) for run in (first, again))
    assert after.vectorizer.vocabulary == before.vectorizer.vocabulary
    for (name, one), other in zip(after.network.arrays.items(), before.network.arrays.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=name)
    assert np.abs(before.network.arrays["projection/kernel"] - np.eye(WIDTH)).max() > 1e-3


def test_a_tower_of_other_layers_takes_the_rows_alone_and_says_so(first, store):
    folder = locate(first.info.run_id, f"sqlite:///{store}/mlflow.db", "tests").folder
    built = build(["how do i pay"], start=folder, tower=towers.dense)
    assert f"note: the tower starts at random, as its layers are not those of {folder}" in built.note
    rows = numpy_network(built.network).arrays["word_embedding/embeddings"]
    np.testing.assert_array_equal(rows, Detector.load(folder).network.arrays["word_embedding/embeddings"])


def test_a_run_that_is_nowhere_is_refused_before_anything_is_tracked(train, store):
    before = len(mlflow.search_runs(search_all_experiments=True))
    with pytest.raises(ValueError, match="start=run:0123: it must be shipped, en, fr, the folder of a table"):
        train("start=run:0123")
    assert len(mlflow.search_runs(search_all_experiments=True)) == before
