"""Collection: answers against the similarity of every question, additions, deletions, and the folder that keeps it."""

import json
import os
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siamese.data.checked_folder import seal
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.model.similarity import Euclidean, Learned
from siamese.retrieval.question_index import Collection, digest
from siamese.retrieval.question_index import answers as rows
from siamese.retrieval.saved_index import EMBEDDINGS, HEAD, INDEX, TABLE
from tests.programs import ROOT

FIXTURE = ROOT / "tests" / "fixtures" / "detector_format_5"
ASKED = "how can i pay the bill"


@pytest.fixture(scope="module")
def questions(pairs) -> pa.Table:
    texts = list(pairs.questions)
    topics = ["money" if "bill" in text or "card" in text else "other" for text in texts]
    return pa.table({"question": pa.array(texts, pa.large_string()), "topic": pa.array(topics, pa.large_string())})


@pytest.fixture(scope="module")
def detector(build_network, vectorizer) -> Detector:
    return Detector.from_network(build_network(), vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture(params=[False, True], ids=["exact", "approximate"])
def collection(request, detector, questions) -> Collection:
    if request.param:
        pytest.importorskip("faiss")
    return Collection.build(detector, questions, request.param)


def answers(collection: Collection, **settings) -> list[str]:
    position = collection.search(ASKED, **{"top": 3, **settings})[0]
    return collection.table["question"].take(pa.array(position)).to_pylist()


def best(detector: Detector, texts: list[str], top: int = 3) -> list[str]:
    similarity = detector.similarity([(ASKED, text) for text in texts])
    return [texts[i] for i in np.argsort(-similarity, kind="stable")[:top]]


def test_answers_are_the_most_similar(collection, detector, questions):
    texts = questions["question"].to_pylist()
    assert answers(collection, top=12) == best(detector, texts, 12)
    position, similarity = collection.search(ASKED, 4)
    expected = detector.similarity([(ASKED, texts[i]) for i in position])
    np.testing.assert_allclose(similarity, expected, atol=1e-6)
    assert len(answers(collection, top=50)) == 12


@pytest.mark.parametrize("similarity", [Learned, Euclidean])
def test_the_whole_network_decides(similarity, build_network, vectorizer, questions):
    detector = Detector.from_network(build_network(similarity=similarity), vectorizer, Calibration(0.5, 1.0, 0.0))
    expected = best(detector, questions["question"].to_pylist())
    assert answers(Collection.build(detector, questions)) == expected


def test_one_candidate_is_the_nearest(collection, detector, questions):
    assert answers(collection, top=1, candidates=1) == best(detector, questions["question"].to_pylist(), 1)


def test_only_among_those_chosen(collection, detector, questions):
    others = [row["question"] for row in questions.to_pylist() if row["topic"] == "other"]
    assert answers(collection, where={"topic": "other"}, top=12) == best(detector, others, 12)
    assert answers(collection, where={"topic": "other", "number": str(len(questions) - 1)}) == [others[-1]]
    assert answers(collection, where={"topic": "nothing"}) == []
    with pytest.raises(ValueError, match="no column 'colour'; the columns are number, question, topic"):
        answers(collection, where={"colour": "red"})


def test_numbers_stay(collection, questions):
    """What is taken out leaves its number free for ever, and what comes gets the next one."""
    assert collection.delete({"number": "11"}) == 1
    assert collection.delete({"topic": "money"}) == 6
    collection.append(pa.table({"question": ["pay the bill", ASKED], "source": ["mail", "phone"]}))
    kept = [number for number, topic in enumerate(questions["topic"].to_pylist()[:11]) if topic == "other"]
    assert collection.table["number"].to_pylist() == [*kept, 12, 13]
    assert collection.table["topic"].to_pylist() == ["other"] * 5 + ["", ""]
    assert collection.table["source"].to_pylist() == [""] * 5 + ["mail", "phone"]
    assert answers(collection, top=1) == [ASKED]
    assert answers(collection, top=50, where={"source": "mail"}) == ["pay the bill"]
    assert len(answers(collection, top=50)) == len(collection) == 7


def test_deleting_nothing_and_everything(collection):
    assert collection.delete({"topic": "nothing"}) == 0
    assert collection.delete({}) == 12
    assert answers(collection) == []
    collection.append(pa.table({"question": [ASKED], "topic": ["x"]}))
    assert answers(collection) == [ASKED]


def test_a_folder_keeps_it(collection, detector, tmp_path):
    folder = tmp_path / "deep" / "faq"
    collection.delete({"number": "0"})
    collection.save(folder)
    loaded = Collection.load(folder, detector)
    assert loaded.table.equals(collection.table)
    assert loaded.approximate == collection.approximate
    assert answers(loaded) == answers(collection)
    loaded.append(pa.table({"question": ["one more"]}))
    assert loaded.table["number"].to_pylist()[-1] == 12
    loaded.save(folder)
    again = Collection.load(folder, detector)
    assert again.table.equals(loaded.table)
    assert answers(again, where={"number": "12"}) == ["one more"]
    assert [path.name for path in folder.parent.iterdir()] == ["faq"]
    names = {"collection.json", "questions.parquet", "embeddings.npy"}
    assert {path.name for path in folder.iterdir()} == names | ({"nearest.faiss"} if again.approximate else set())


SAVER = """
import sys
from pathlib import Path
import pyarrow as pa
from siamese.detector import Detector
from siamese.retrieval.question_index import Collection

detector = Detector.load(sys.argv[1])
versions = [Collection.build(detector, pa.table({"question": [f"{word} {n}" for n in range(50)]})) for word in ("how", "why")]
for version in versions * 10_000:
    version.save(Path("kept"))
    if version is versions[0]:
        print("saved", flush=True)
"""


@pytest.mark.slow
def test_an_index_that_is_replaced_all_the_time_is_read_whole_and_outlives_a_kill_at_any_moment(tmp_path, start_python):
    detector, folder = Detector.load(FIXTURE), tmp_path / "kept"

    def check() -> str:
        loaded = Collection.load(folder, detector)
        texts = loaded.table["question"].to_pylist()
        assert len({text.split()[0] for text in texts}) == 1
        np.testing.assert_array_equal(loaded.embeddings, detector.encode(texts))
        return texts[0]

    seen = set()
    for number in range(3):
        saver = start_python("-c", SAVER, FIXTURE, folder=tmp_path)
        assert saver.stdout.readline() == "saved\n"
        ends = time.monotonic() + 0.3 + 0.0137 * number
        while time.monotonic() < ends:
            seen.add(check())
        saver.kill()
        saver.wait()
        check()
    assert seen == {"how 0", "why 0"}
    Collection.load(folder, detector).save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_index_that_is_replaced_while_it_is_read_is_read_again(detector, tmp_path, monkeypatch):
    before, after = (
        Collection.build(detector, pa.table({"question": pa.array(texts, pa.large_string())}))
        for texts in (["rice", "my card"], ["the bill", "to cook"])
    )
    before.save(tmp_path / "kept")
    load, replacing = np.load, [after]

    def replace_first(*arguments, **options):
        if replacing:
            replacing.pop().save(tmp_path / "kept")
        return load(*arguments, **options)

    monkeypatch.setattr(np, "load", replace_first)
    loaded = Collection.load(tmp_path / "kept", detector)
    assert loaded.table == after.table
    np.testing.assert_array_equal(loaded.embeddings, after.embeddings)


def test_another_detector_is_refused(collection, build_network, vectorizer, detector, tmp_path):
    collection.save(tmp_path / "faq")
    other = Detector.from_network(build_network(seed=1), vectorizer, detector.calibration)
    with pytest.raises(ValueError, match=f"made by another detector .digest {digest(detector)[:12]}.*run="):
        Collection.load(tmp_path / "faq", other)
    stricter = Detector(detector.network, detector.vectorizer, Calibration(0.9, 2.0, 1.0))
    assert len(Collection.load(tmp_path / "faq", stricter)) == 12


def test_a_digest_tells_networks_and_vectorizers_apart(detector, build_network, vectorizer, tmp_path):
    detector.save(tmp_path)
    assert digest(Detector.load(tmp_path)) == digest(detector)
    euclidean = Detector.from_network(build_network(similarity=Euclidean), vectorizer, detector.calibration)
    assert digest(euclidean) != digest(detector)
    shorter = type(vectorizer).from_json(vectorizer.to_json().replace('"max_length": 64', '"max_length": 3'))
    assert digest(Detector(detector.network, shorter, detector.calibration)) != digest(detector)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "has format 3, this program reads up to 2; use a newer version"),
        ({"format_version": None}, "describes no collection"),
        ({"following": None}, "lacks following"),
    ],
)
def test_other_formats_are_refused(detector, questions, tmp_path, change, message):
    Collection.build(detector, questions).save(tmp_path / "faq")
    file = tmp_path / "faq" / "collection.json"
    head = json.loads(file.read_text()) | change
    seal(tmp_path / "faq", {name: value for name, value in head.items() if value is not None}, HEAD)
    with pytest.raises(ValueError, match=message):
        Collection.load(tmp_path / "faq", detector)


def reseal(folder) -> None:
    """Make the checksums those of the files that are there."""
    seal(folder, json.loads((folder / HEAD).read_text()), HEAD)


def test_files_that_do_not_fit_are_refused(detector, questions, tmp_path):
    Collection.build(detector, questions).save(tmp_path / "faq")
    np.save(tmp_path / "faq" / "embeddings.npy", np.zeros((3, 8), np.float32))
    with pytest.raises(ValueError, match=r"embeddings\.npy is not the file that was saved: its SHA-256 is another one"):
        Collection.load(tmp_path / "faq", detector)
    reseal(tmp_path / "faq")
    with pytest.raises(ValueError, match=r"questions.parquet .* has 12 questions, and there are 3 embeddings"):
        Collection.load(tmp_path / "faq", detector)
    with pytest.raises(ValueError, match=r"no collection: it has no collection\.json"):
        Collection.load(tmp_path, detector)


def test_every_flipped_byte_is_found_or_changes_nothing(collection, detector, tmp_path):
    collection.save(tmp_path)
    expected, generator = rows(detector, collection, ASKED, 12), np.random.default_rng(0)
    for file in sorted(tmp_path.iterdir()):
        content = file.read_bytes()
        for _ in range(40):
            flipped = bytearray(content)
            flipped[generator.integers(len(content))] ^= int(generator.choice([1, 4, 16, 64, 255]))
            file.write_bytes(flipped)
            if collection.approximate and file.name == EMBEDDINGS:  # read where a search needs them
                continue
            message = ""
            try:
                assert rows(detector, Collection.load(tmp_path, detector), ASKED, 12) == expected
            except ValueError as problem:
                message = str(problem)
            assert not message or file.name in message or HEAD in message
        file.write_bytes(content)


def other_table(file) -> None:
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "number", pa.array([1] * len(table))), file)


HARM = {
    "a link": lambda file: (file.rename(file.with_suffix(".old")), file.symlink_to(file.with_suffix(".old"))),
    "a FIFO": lambda file: (file.unlink(), os.mkfifo(file)),
    "4 TB": lambda file: os.truncate(file, 2**42),
    "nothing": lambda file: file.unlink(),
    "noise": lambda file: file.write_bytes(b"noise"),
}


@pytest.mark.parametrize("what", HARM)
@pytest.mark.parametrize("name", [HEAD, TABLE, EMBEDDINGS, INDEX])
def test_no_ordinary_file_is_refused_at_once(what, name, detector, questions, tmp_path):
    Collection.build(detector, questions, approximate=True).save(tmp_path)
    HARM[what](tmp_path / name)
    with pytest.raises(ValueError, match=name):
        Collection.load(tmp_path, detector)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (EMBEDDINGS, lambda file: np.save(file, np.full((12, 8), np.nan, np.float32)), "of finite numbers"),
        (EMBEDDINGS, lambda file: np.save(file, np.zeros((12, 8))), r"must be float32.*, got float64"),
        (
            EMBEDDINGS,
            lambda file: np.save(file, np.array([{}]), allow_pickle=True),
            "cannot be read: .*Python objects",
        ),
        (TABLE, other_table, "its numbers do not ascend"),
        (TABLE, lambda file: pq.write_table(pa.table({"number": range(12)}), file), "there is no column question"),
    ],
)
def test_files_of_another_kind_are_refused(name, damage, message, detector, questions, tmp_path):
    Collection.build(detector, questions).save(tmp_path)
    damage(tmp_path / name)
    reseal(tmp_path)
    with pytest.raises(ValueError, match=f"{name} .*{message}"):
        Collection.load(tmp_path, detector)


def test_numbers_that_are_not_finite_are_told_where_a_search_finds_them(detector, questions, tmp_path):
    pytest.importorskip("faiss")
    Collection.build(detector, questions, approximate=True).save(tmp_path)
    np.save(tmp_path / EMBEDDINGS, np.full((12, detector.network.dimension), np.nan, np.float32))
    with pytest.raises(ValueError, match="hold numbers that are not finite"):
        Collection.load(tmp_path, detector).search(ASKED, 1)


def test_a_collection_of_before_the_checksums_is_read_with_a_warning(detector, questions, tmp_path):
    built = Collection.build(detector, questions)
    built.save(tmp_path)
    head = json.loads((tmp_path / HEAD).read_text())
    del head["sha256"]
    (tmp_path / HEAD).write_text(json.dumps(head | {"format_version": 1}))
    with pytest.warns(UserWarning, match="was saved without checksums"):
        assert answers(Collection.load(tmp_path, detector)) == answers(built)
    (tmp_path / HEAD).write_text(json.dumps(head | {"format_version": 2}))
    with pytest.raises(ValueError, match="lacks its checksums"):
        Collection.load(tmp_path, detector)


def test_other_folders_are_not_overwritten(collection, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds something else"):
        collection.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_column_with_the_name_of_an_answer_is_kept_beside_it(detector, questions):
    collection = Collection.build(detector, questions.append_column("similarity", questions["topic"]))
    collection.append(questions.append_column("similarity", questions["topic"]))
    [first] = rows(detector, collection, ASKED, 1)
    assert first["input_similarity"] == first["topic"]
    assert isinstance(first["similarity"], float)


def test_refused(collection, detector, questions):
    with pytest.raises(ValueError, match="no question"):
        Collection.build(detector, questions.slice(0, 0))
    with pytest.raises(ValueError, match="at least 1, got 0 and 100"):
        collection.search(ASKED, top=0)


def test_imports_nothing_heavy(run_python):
    heavy = "{'tensorflow', 'keras', 'mlflow', 'faiss', 'hydra', 'scipy'}"
    program = f"import sys, siamese.retrieval.question_index; print({heavy} & set(sys.modules))"
    assert run_python("-c", program).stdout == "set()\n"
