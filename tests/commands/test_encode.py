"""encode: a file of questions in, their rows and vectors out as Parquet, block by block, whole or not at all."""

import csv
import json
import resource
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from siamese.commands import encode
from siamese.commands.arguments import command_line
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.model.similarity import Learned, Manhattan
from tests.encoders import write_encoder

WORDS = ("how", "do", "i", "pay", "my", "bill", "card", "lost", "rice", "cook", "where")


@pytest.fixture(scope="module")
def detector(build_network, vectorizer) -> Detector:
    return Detector.from_network(build_network(), vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture
def questions() -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 9))) for _ in range(205)]


@pytest.fixture
def folder(detector, questions, tmp_path, monkeypatch) -> Path:
    """A working directory with a detector and a file of questions, of which line 4 is empty."""
    detector.save(tmp_path / "detector")
    write(tmp_path / "faq.csv", [*questions[:2], "", *questions[2:]])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, questions: list[str]) -> None:
    with file.open("w", newline="") as to:
        csv.writer(to).writerows([["id", "question"], *enumerate(questions)])


def run(*words: str) -> dict[str, int]:
    return encode.run(
        command_line("encode", ["run=detector", "collection=faq.csv", "output=vectors.parquet", *words])[0]
    )


def vectors(table) -> np.ndarray:
    return np.stack(table["vector"].to_numpy())


@pytest.mark.parametrize("together", [2**14, 100, 50])
def test_the_vectors_are_those_of_the_detector_to_the_bit(detector, questions, folder, monkeypatch, capsys, together):
    """Whatever the blocks, of which the last is never a small one."""
    monkeypatch.setattr(encode, "ENCODED_TOGETHER", together)
    assert run() == {"questions": 205, "bad": 1}
    table = parquet.read_table("vectors.parquet")
    assert table["row"].to_pylist() == [2, 3, *range(5, 208)]
    assert table["question"].to_pylist() == questions
    assert str(table.schema.field("vector").type) == f"fixed_size_list<element: float>[{detector.network.dimension}]"
    np.testing.assert_array_equal(vectors(table), detector.encode(questions))
    assert parquet.ParquetFile("vectors.parquet").num_row_groups == {2**14: 1, 100: 2, 50: 4}[together]
    printed = capsys.readouterr().err
    assert (
        "note: 1 bad rows of faq.csv were left out; the first: faq.csv, row 4, column question: the text is empty"
        in printed
    )
    assert "note: two vectors u and v have the similarity ((1 + cos(u, v)) / 2) ** 4" in printed
    about = json.loads(table.schema.metadata[b"siamese"])
    assert about["similarity"] == "((1 + cos(u, v)) / 2) ** 4"
    assert about["model"].startswith("detector")


@pytest.mark.parametrize("similarity", [Learned, Manhattan])
def test_vectors_that_do_not_decide_are_told(build_network, vectorizer, folder, capsys, similarity):
    network = build_network(similarity=similarity)
    Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0)).save(folder / "detector")
    run()
    assert "note: vectors alone do not decide with this model" in capsys.readouterr().err


def test_an_encoder_without_training(folder, questions, tmp_path):
    encoder = write_encoder(tmp_path / "tiny")
    run("run=", f"encoder={encoder}")
    expected = Detector.from_encoder(str(encoder)).encode(questions)
    np.testing.assert_array_equal(vectors(parquet.read_table("vectors.parquet")), expected)


def test_a_file_of_parquet_counts_its_rows(folder):
    run()
    run("collection=vectors.parquet", "output=again.parquet")
    first, again = (parquet.read_table(name) for name in ("vectors.parquet", "again.parquet"))
    assert again["row"].to_pylist() == list(range(1, 206))
    np.testing.assert_array_equal(vectors(again), vectors(first))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output=vectors.csv"], "output must end in .parquet, got vectors.csv"),
        (["output="], "give a file of questions and a Parquet file to write"),
        (["column=text"], "text"),
    ],
)
def test_refused(folder, words, message):
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match=message):
        run(*words)
    assert sorted(folder.iterdir()) == before


def test_nothing_is_left_where_no_row_is_good(folder):
    write(folder / "faq.csv", ["", " "])
    with pytest.raises(ValueError, match=r"faq\.csv has no good row; its first: faq\.csv, row 2"):
        run()
    assert not [file for file in folder.iterdir() if "parquet" in file.name]


def test_nothing_is_left_after_an_error_in_the_middle(folder, monkeypatch):
    monkeypatch.setattr(encode, "ENCODED_TOGETHER", 50)
    computed = []

    def interrupted(self, questions):
        computed.append(len(questions))
        if len(computed) == 3:
            raise KeyboardInterrupt
        return np.zeros((len(questions), self.network.dimension), np.float32)

    monkeypatch.setattr(Detector, "encode", interrupted)
    Path("vectors.parquet").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        run()
    assert computed == [50, 50, 50]
    assert Path("vectors.parquet").read_text() == "before"
    assert not [file for file in folder.iterdir() if ".part" in file.name]


def test_a_disk_that_is_full_and_a_missing_folder_are_named(folder, questions):
    with pytest.raises(FileNotFoundError, match=r"none/vectors\.parquet"):
        run("output=none/vectors.parquet")
    write(folder / "faq.csv", questions * 20)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: 'vectors\.parquet'"):
            run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [file for file in folder.iterdir() if "parquet" in file.name]


def test_a_network_of_keras_stays_in_this_process(folder, detector):
    detector = Detector.load("detector")
    detector.network.name = "keras"
    with pytest.raises(ValueError, match=r"workers=auto needs a network that answers in NumPy.*leave out workers="):
        encode.require_movable(detector, "auto")
    encode.require_movable(detector, None)


@pytest.mark.slow
def test_the_program(run_program, folder):
    done = run_program("encode", "run=detector", "collection=faq.csv", "output=vectors.parquet", folder=folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("205 questions; wrote vectors.parquet\n")
