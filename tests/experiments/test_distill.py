"""Distill: from a file of unlabeled questions to a tracked table that training starts from."""

import importlib.util
import signal
import tempfile
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from experiments import distill_run
from siamese.commands.config_files import CONF
from siamese.detector import Detector
from siamese.model import towers
from siamese.pretrained.piece_table import PieceTable, find, piece_vectors, pieces
from siamese.registry.start import find_start
from siamese.training.building import build
from tests.encoders import write_encoder

pytestmark = pytest.mark.slow
QUESTIONS = (
    "how do i pay my bill",
    "where do i pay my card",
    "i lost my card",
    "how do i cook my rice",
    "where i lost my bill",
)


@pytest.fixture
def composed(tmp_path, monkeypatch):
    """A function: overrides -> the composed config, with a tiny encoder and a file of questions."""
    monkeypatch.chdir(tmp_path)
    encoder = write_encoder(tmp_path / "tiny")
    (tmp_path / "tickets.csv").write_text("text\n" + "\n".join([*QUESTIONS, '""', QUESTIONS[0]]) + "\n")
    (tmp_path / "more.txt").write_text("my rice\nwhere do i cook\n")

    def compose_with(*overrides):
        own = [
            "encoder=onnx",
            f"encoder.folder={encoder}",
            "encoder.cache=false",
            "questions=tickets.csv",
            "output=own",
            f"tracking.uri=sqlite:///{tmp_path}/mlflow.db",  # MLflow keeps what a relative address meant at first
        ]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("distill", overrides=[*own, "distillation.width=4", *overrides])

    return compose_with


def test_the_table_is_written_tracked_and_read_by_training(composed, tmp_path, capsys):
    assert distill_run.run(composed("texts=more.txt", "pieces=en", "tuning.epochs=2")) == Path("own")
    assert "5 questions and 2 other texts, read by tiny" in (printed := capsys.readouterr().out)
    assert "1 bad rows left out" in printed
    table = PieceTable.load(tmp_path / "own")
    assert not (tmp_path / "own.state").exists()
    [run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.data.tags["kind"], run.info.status) == ("table", "FINISHED")
    assert run.data.metrics["table/questions"] == 5
    assert 0 < run.data.metrics["table/peak_memory_gb"] < 8
    assert {"epoch/held_out_loss", "epoch/held_out_cosine", "epoch/held_out_divergence"} <= set(run.data.metrics)
    logged = find(str(find_start(f"run:{run.info.run_id}", f"sqlite:///{tmp_path}/mlflow.db", "tests").folder), [])
    np.testing.assert_array_equal(logged.matrix, table.matrix)
    vectorizer = pieces(list(QUESTIONS), table="own")
    assert piece_vectors(vectorizer.vocabulary, vectorizer.size, 0, table="own").matrix.shape == (vectorizer.size, 4)


def test_pieces_can_be_learned_from_the_texts(composed):
    table = PieceTable.load(distill_run.run(composed("texts=more.txt", "pieces=learned")))
    assert "card" in table.tokenizer.get_vocab()
    assert len(table.rows) < 100


def test_without_an_encoder_the_choices_are_named(composed):
    cfg = composed("pieces=en")
    cfg.encoder = {}
    with pytest.raises(ValueError, match="encoder must name what to distill from: encoder=minilm"):
        distill_run.run(cfg)


def test_a_tower_of_several_layers_is_left_as_a_detector_that_training_starts_from(composed, tmp_path):
    folder = distill_run.run(composed("pieces=en", "tower=dense", "tower.units=[5]", "tuning.epochs=1"))
    detector = Detector.load(folder)
    assert detector.similarity([("i lost my card", "i lost my card")])[0] == pytest.approx(1)
    built = build(list(QUESTIONS), start=folder, tower=partial(towers.dense, units=[5]))
    assert built.note == ""
    started = built.runtime(built.network).encode(built.vectorizer.encode(QUESTIONS))
    np.testing.assert_array_equal(started, detector.encode(QUESTIONS))


def test_the_averaging_tower_is_a_table_and_an_encoder_is_no_student(composed):
    assert PieceTable.load(distill_run.run(composed("pieces=en", "tower=averaging"))).matrix.shape[1] == 4
    with pytest.raises(
        ValueError, match="tower must read words: averaging, dense, conv1d, bilstm or attention; got encoder"
    ):
        distill_run.run(composed("pieces=en", "tower=encoder"))


def test_killed_and_started_again_it_ends_with_the_same_weights(composed, tmp_path, start_program, run_program):
    """The process gets SIGKILL in the midst of its epochs; the second one goes on in the same run."""
    composed()  # the files
    words = ["encoder=onnx", f"encoder.folder={tmp_path / 'tiny'}", "encoder.cache=false", "questions=tickets.csv"]
    words += ["distillation.width=4", "pieces=learned", "tower=dense", "tower.units=[5]", "tower.dropout=0.3"]
    words += ["tuning.epochs=15", "tuning.patience=null", "texts=more.txt"]
    whole = run_program("distill", *words, "output=whole", "tracking.uri=sqlite:///other.db", folder=tmp_path)
    assert whole.returncode == 0, whole.stderr
    victim = start_program("distill", *words, "output=own", folder=tmp_path)
    assert any(line.startswith("epoch 3:") for line in victim.stdout)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    assert not (tmp_path / "own").exists()
    assert (tmp_path / "own.state").is_dir()
    again = run_program("distill", *words, "output=own", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "going on from own.state, with run " in again.stdout
    assert "epoch 2:" not in again.stdout
    assert "epoch 15:" in again.stdout
    for name in ("light.npz", "light.json", "vectorizer.json"):
        assert (tmp_path / "own" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    [run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "FINISHED"
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "epoch/held_out_loss")
    assert sorted(each.step for each in history) == list(range(16))


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="Ray is optional: conf/hydra/launcher/ray_cluster.yaml says how to install it",
)
def test_workers_read_the_texts_and_the_table_is_the_same(composed, tmp_path, monkeypatch):
    distill_run.run(composed("texts=more.txt"))
    with tempfile.TemporaryDirectory() as home:  # Ray keeps a token and its sessions; a socket's path must be short
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("RAY_TMPDIR", home)
        distill_run.run(composed("texts=more.txt", "workers=local", "output=by_workers"))
    table, of_workers = (PieceTable.load(tmp_path / name) for name in ("own", "by_workers"))
    np.testing.assert_array_equal(of_workers.rows, table.rows)
