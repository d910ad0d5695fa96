"""Start: a table or a detector is found in a folder or a run; what is none is refused with the choices."""

import numpy as np
import pytest

from siamese import tracking
from siamese.pretrained.piece_table import PieceTable, find, piece_vectors, pieces
from siamese.registry.start import find_start
from siamese.text.vocabulary import word_pieces


@pytest.fixture
def uri(store) -> str:
    return f"sqlite:///{store}/mlflow.db"


@pytest.fixture(scope="module")
def table(store) -> PieceTable:
    tokenizer = word_pieces(["how do i pay my bill", "i lost my card"] * 2, 50)
    rows = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 4)).astype(np.float32)
    table = PieceTable.of(tokenizer, rows)
    table.save(store / "own")
    return table


@pytest.fixture(scope="module")
def table_run(store, table) -> str:
    """The id of a run that left the table."""
    with tracking.tracked_run("table tiny", "table") as run_id:
        tracking.log_folder(store / "own", "table")
    return run_id


@pytest.mark.parametrize("start", ["shipped", "en", "fr"])
def test_shipped_tables_have_no_folder_of_their_own(start):
    assert find_start(start, "sqlite:///nowhere.db", "tests") is None


def test_a_run_of_a_distillation_is_its_table(uri, table_run, store, table):
    start = find_start(f"run:{table_run}", uri, "tests")
    np.testing.assert_array_equal(find(str(start.folder), []).matrix, table.matrix)
    assert start.digest == find_start(str(store / "own"), uri, "tests").digest
    assert len(start.digest) == 64


def test_the_digest_is_that_of_the_content(uri, store, table, tmp_path):
    before = find_start(str(store / "own"), uri, "tests").digest
    PieceTable(table.tokenizer, table.rows, table.scale * np.float32(2)).save(tmp_path / "own")
    other = find_start(str(tmp_path / "own"), uri, "tests")
    assert other.digest != before
    find(str(other.folder), [])
    table.save(tmp_path / "own")  # in place of the other, in the same process
    assert find_start(str(tmp_path / "own"), uri, "tests").digest == before
    np.testing.assert_array_equal(find(str(tmp_path / "own"), []).matrix, table.matrix)


def test_a_former_training_has_words_and_their_rows(uri, model_run, detector, vectorizer):
    start = find_start(f"run:{model_run}", uri, "tests")
    own = pieces(["a foreign language"], table=str(start.folder))
    question = "how do i pay my überweisung"
    np.testing.assert_array_equal(own.encode([question]).values, vectorizer.encode([question]).values)
    vectors = piece_vectors(own.vocabulary, own.size, 0, table=str(start.folder))
    np.testing.assert_array_equal(vectors.matrix, detector.network.arrays["word_embedding/embeddings"])


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        (
            "run:0123",
            r"start=run:0123: it must be shipped, en, fr, the folder of .*; in sqlite:.* 0123 is no run, and the ",
        ),
        ("run:", r"start=run:: it must be shipped"),
        (
            "nowhere",
            r"start=nowhere: it must be shipped, en, fr, the folder .* or run:ID .*; there is no folder nowhere",
        ),
    ],
)
def test_a_start_that_is_nowhere_is_one_line_with_the_choices(uri, table_run, start, problem):
    with pytest.raises(ValueError, match=problem) as refusal:
        find_start(start, uri, "tests")
    assert "\n" not in str(refusal.value)
    assert start == "nowhere" or f"newest tables are of run:{table_run}" in str(refusal.value)


def test_a_run_without_a_table_is_refused_with_the_choices(uri, table_run):
    with tracking.tracked_run("majority", "baseline") as run_id:
        pass
    with pytest.raises(
        ValueError, match=f"{run_id} is of kind baseline and FINISHED, and the newest tables are of run:"
    ):
        find_start(f"run:{run_id}", uri, "tests")


def test_a_distillation_that_did_not_finish_is_refused(uri):
    with pytest.raises(RuntimeError), tracking.tracked_run("table tiny", "table") as run_id:
        raise RuntimeError
    with pytest.raises(ValueError, match=f"{run_id} is of kind table and FAILED"):
        find_start(f"run:{run_id}", uri, "tests")


def test_a_table_that_is_gone_is_named(uri, store, table):
    with tracking.tracked_run("table tiny", "table") as run_id:
        pass
    with pytest.raises(ValueError, match=f"run {run_id} has no artifacts table"):
        find_start(f"run:{run_id}", uri, "tests")


def test_a_folder_with_something_else_is_refused(uri, tmp_path):
    with pytest.raises(
        ValueError, match=r"is no table of word pieces and no detector .*: it has no tokenizer.json, rows.npz"
    ):
        find_start(str(tmp_path), uri, "tests")
    (tmp_path / "light.json").write_text("{}")
    with pytest.raises(ValueError, match=r"it has no light.npz, vectorizer.json"):
        find_start(str(tmp_path), uri, "tests")
