"""Distill: from a file of unlabeled questions to a tracked table that training starts from."""

import mlflow
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from experiments import distill
from siamese.commands.config_files import CONF
from siamese.pretrained.piece_table import PieceTable, piece_vectors, pieces
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
    table = distill.run(composed("texts=more.txt", "pieces=en"))
    assert "5 questions and 2 other texts, read by tiny" in (printed := capsys.readouterr().out)
    assert "1 bad rows left out" in printed
    again = PieceTable.load(tmp_path / "own")
    np.testing.assert_array_equal(again.matrix, table.matrix)
    [run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.data.tags["kind"], run.info.status) == ("table", "FINISHED")
    assert run.data.metrics["table/questions"] == 5
    vectorizer = pieces(list(QUESTIONS), table="own")
    assert piece_vectors(vectorizer.vocabulary, vectorizer.size, 0, table="own").matrix.shape == (vectorizer.size, 4)


def test_pieces_can_be_learned_from_the_texts(composed):
    table = distill.run(composed("texts=more.txt", "pieces=learned"))
    assert "card" in table.tokenizer.get_vocab()
    assert len(table.rows) < 100


def test_without_an_encoder_the_choices_are_named(composed):
    cfg = composed("pieces=en")
    cfg.encoder = {}
    with pytest.raises(ValueError, match="encoder must name what to distill from: encoder=minilm"):
        distill.run(cfg)
