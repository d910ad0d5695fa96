"""Detector: a saved folder of plain files loads unchanged, without TensorFlow."""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores, PrecisionNotReachedError
from siamese.model.similarity import Learned
from siamese.text.vectorizer import Vectorizer
from tests.seals import reseal

ROOT = Path(__file__).parents[1]
QUESTIONS = [("how do i pay my bill", "what are the ways to pay a bill"), ("rice", "Rice ?"), ("?", "!")]
CALIBRATION = Calibration(threshold=0.75, temperature=1.5, offset=0.25)
DEV = DevScores(np.array([0.9, 0.8, 0.4, 0.2], np.float32), np.array([True, False, True, False]))
NO_DUPLICATE = DevScores(np.array([0.9, 0.8], np.float32), np.array([False, False]))
FIXTURES = Path(__file__).parent / "fixtures"
# what the detectors of the fixtures answered when they were saved
ANSWERS = {
    ("How do I pay my bill?", "Where can I pay the bill?"): (0.9873811, 0.81742772, True),
    ("How do I pay my bill?", "How do I cook rice?"): (0.06250003, 0.03720377, False),
    ("I lost my card!", "card gone, what now?"): (0.99869794, 0.95408057, True),
    ("When do you open?", "opening hours"): (0.37724572, 0.14559362, False),
}


@pytest.fixture(scope="module")
def detector(build_network, train, vectorizer):
    network = build_network("dense", lambda: Learned([6]))
    train(network)
    return Detector.from_network(network, vectorizer, CALIBRATION)


@pytest.fixture
def folder(detector, tmp_path):
    detector.save(tmp_path / "a" / "detector")
    return tmp_path / "a" / "detector"


def rewrite(file: Path, **changes) -> None:
    """Change entries of a JSON file of a detector's folder, and the checksums with them."""
    state = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(state | changes), encoding="utf-8")
    reseal(file.parent)


@pytest.mark.slow
def test_a_round_trip_keeps_scores_and_verdicts(detector, folder):
    again = Detector.load(folder)
    similarity = detector.similarity(QUESTIONS)
    np.testing.assert_array_equal(again.similarity(QUESTIONS), similarity)
    np.testing.assert_array_equal(again.probability(similarity), detector.probability(similarity))
    np.testing.assert_array_equal(again.is_duplicate(QUESTIONS), similarity >= 0.75)
    assert again.calibration == CALIBRATION


@pytest.mark.slow
def test_it_scores_what_the_network_scores(build_network, train, vectorizer, pairs):
    network = build_network("conv1d", lambda: Learned([6]))
    train(network)
    token_ids = vectorizer.encode(pairs.questions)
    expected = network.predict_on_batch([token_ids.padded(pairs.left), token_ids.padded(pairs.right)])
    detector = Detector.from_network(network, vectorizer, CALIBRATION)
    np.testing.assert_allclose(detector.score(pairs), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("version", [2, 3, 5])
def test_folders_of_every_format_keep_loading_and_answering(version):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        detector = Detector.load(FIXTURES / f"detector_format_{version}")
    expected = ["was saved without checksums, by an older version"] * (version < 5)
    assert [part for each in told for part in expected if part in str(each.message)] == expected
    assert len(told) == len(expected)
    similarity = detector.similarity(list(ANSWERS))
    expected_similarity, expected_probability, expected_verdict = zip(*ANSWERS.values(), strict=True)
    np.testing.assert_allclose(similarity, expected_similarity, atol=1e-6)
    np.testing.assert_allclose(detector.probability(similarity), expected_probability, atol=1e-5)
    assert detector.is_duplicate(list(ANSWERS)).tolist() == list(expected_verdict)
    assert (detector.dev is None) == (version == 2)
    nothing = QuestionPairs.from_texts([""], ["zyzzyva"], [1])
    np.testing.assert_allclose(detector.score(nothing), [1.0], atol=1e-6)  # what it knows no token of is all the same


LONE = "half \ud83d an emoji"


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ("rice", r"a list of questions is expected, got the text 'rice'; give \['rice'\]"),
        (["rice", None], "question 2 of 2: the text is missing"),
        (["rice", float("nan")], "question 2 of 2: the text is missing"),
        ([7], "question 1 of 1: a text is expected, not int"),
        (["rice", LONE], "question 2 of 2: the text is not UTF-8"),
        (["rice", " \t", "card"], "question 2 of 3: the text is empty"),
    ],
)
def test_what_is_no_list_of_questions_is_refused_with_its_place(questions, message):
    detector = Detector.load(FIXTURES / "detector_format_5")
    with pytest.raises(ValueError, match=message):
        detector.encode(questions)
    if not isinstance(questions, str):
        with pytest.raises(ValueError, match=message.replace("question", "question 2 of pair")):
            detector.similarity([("rice", question) for question in questions])


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["ab", "cd"], r"pair 1 of 2: two questions are expected, got 'ab'; give a list of pairs"),
        ("ab", "pair 1 of 1: two questions are expected, got 'ab'"),
        (("How do I pay?", "Where can I pay?"), "pair 1 of 2: two questions are expected, got 'How do I pay"),
        ([("a", "b"), ("a", "b", "c")], r"pair 2 of 2: two questions are expected, got \('a', 'b', 'c'\)"),
        ([5], "pair 1 of 1: two questions are expected, got 5"),
    ],
)
def test_what_is_no_list_of_pairs_is_refused_with_its_place(pairs, message):
    detector = Detector.load(FIXTURES / "detector_format_5")
    for ask in (detector.similarity, detector.is_duplicate):
        with pytest.raises(ValueError, match=message):
            ask(pairs)


def test_pairs_and_questions_may_be_any_sequence():
    detector = Detector.load(FIXTURES / "detector_format_5")
    expected = detector.similarity(list(ANSWERS))
    np.testing.assert_array_equal(detector.similarity(np.array(list(ANSWERS))), expected)
    np.testing.assert_array_equal(detector.similarity(list(pair) for pair in ANSWERS), expected)
    assert detector.similarity([]).shape == (0,)
    assert detector.encode(np.array(["rice", "card"])).shape == (2, 8)


def test_what_is_written(folder):
    """Four files of data; a fifth where dev scores are kept. The SHA-256 of each is written, too."""
    names = ["detector.json", "light.json", "light.npz", "vectorizer.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    unknown = {"purpose": None, "prior": None, "precision": None, "recall": None}
    state = json.loads((folder / "detector.json").read_text())
    noted = state.pop("sha256")
    del noted["detector.json"]
    assert noted == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names[1:]}
    assert state == {
        "format_version": 5,
        "runtime": "numpy",
        "calibration": {"threshold": 0.75, "temperature": 1.5, "offset": 0.25, **unknown},
        "dev": None,
    }


def test_the_threshold_is_written_with_its_metrics_on_dev(detector, tmp_path):
    """T F T F from the top, 0.9, 0.8, 0.4, 0.2: from 0.3 on precision is 2/3 and all is found."""
    Detector(detector.network, detector.vectorizer, CALIBRATION, DEV).at("best_f1").save(tmp_path)
    state = json.loads((tmp_path / "detector.json").read_text())
    assert state["dev"] == {"pairs": 4, "duplicates": 2}
    written = state["calibration"]
    assert written["threshold"] == pytest.approx(0.3)
    assert (written["purpose"], written["prior"], written["recall"]) == ("best_f1", 0.5, 1.0)
    assert written["precision"] == pytest.approx(2 / 3)
    again = Detector.load(tmp_path)
    written["criterion"] = written.pop("purpose")
    assert again.calibration == Calibration(**written)
    assert again.dev.similarity.dtype == np.float32
    np.testing.assert_array_equal(again.dev.similarity, DEV.similarity)
    np.testing.assert_array_equal(again.dev.duplicate, DEV.duplicate)


def test_another_criterion_and_prior(detector):
    """The verdicts and probabilities are those of the calibration there; the detector itself stays as it was."""
    asked = Detector(detector.network, detector.vectorizer, CALIBRATION, DEV)
    other = asked.at("precision@0.6", prior=0.1)
    similarity = detector.similarity(QUESTIONS)
    expected = CALIBRATION.at(DEV, "precision@0.6", 0.1)
    assert other.calibration == expected
    assert other.calibration.threshold == pytest.approx(0.85)
    np.testing.assert_array_equal(other.is_duplicate(QUESTIONS), similarity >= expected.threshold)
    np.testing.assert_array_equal(other.probability(similarity), expected.probability(similarity))
    np.testing.assert_array_equal(other.similarity(QUESTIONS), similarity)
    assert asked.calibration == CALIBRATION
    assert asked.at() is asked
    with pytest.raises(PrecisionNotReachedError, match=r"the highest precision is 0\.0000"):
        Detector(detector.network, detector.vectorizer, CALIBRATION, NO_DUPLICATE).at("precision@0.5")


def test_the_note_of_a_threshold_has_its_metrics(detector):
    """From 0.3 on one of the two others of dev is called a duplicate."""
    asked = Detector(detector.network, detector.vectorizer, CALIBRATION, DEV)
    assert asked.at("best_f1").threshold_note() == (
        "threshold=best_f1: 0.3, at 50 % duplicates precision 0.6667, recall 1.0000 (4 dev pairs, false alarms: 1 of 2)"
    )
    assert asked.at(0.5, prior=0.005).threshold_note() == (
        "threshold=0.5: 0.5, at 0.5 % duplicates precision 0.0050, recall 0.5000 (4 dev pairs, false alarms: 1 of 2)"
    )


@pytest.mark.parametrize("threshold", [0.6, "0.6"])
def test_without_dev_scores_only_a_number_can_be_set(detector, threshold):
    other = detector.at(threshold)
    assert other.calibration == Calibration(0.6, 1.5, 0.25, criterion="0.6")
    assert other.threshold_note() == "threshold=0.6: 0.6"
    for arguments in ({"threshold": "best_f1"}, {"prior": 0.1}, {"threshold": threshold, "prior": 0.1}):
        with pytest.raises(ValueError, match=r"saved without dev scores, .* give the threshold as a number, or train"):
            detector.at(**arguments)
    with pytest.raises(ValueError, match=r"threshold must be best_accuracy, .* got 'f1'"):
        detector.at("f1")


def test_saving_again_replaces(detector, folder):
    Detector(detector.network, detector.vectorizer, Calibration(0.1, 1.0, 0.0)).save(folder)
    assert Detector.load(folder).calibration.threshold == 0.1


def test_text_in_and_table_in_give_the_same(detector, pairs):
    """`similarity` takes texts, `score` a table; both encode each distinct question once."""
    texts = list(zip(pairs.left_texts(), pairs.right_texts(), strict=True))
    np.testing.assert_allclose(detector.similarity(texts), detector.score(pairs), atol=1e-6)
    embeddings = detector.encode(["rice", "my card is lost", "rice"])
    assert embeddings.shape == (3, detector.network.dimension)
    np.testing.assert_array_equal(embeddings[0], embeddings[2])


def test_nothing_in_nothing_out(detector):
    assert detector.similarity([]).tolist() == []
    assert detector.is_duplicate([]).tolist() == []
    assert detector.encode([]).shape[0] == 0


def test_strange_questions_have_finite_scores(detector):
    scores = detector.similarity([("?", "?"), ("!", "zyzzyva"), ("漢字", "😀"), ("\u200ba", "a " * 500)])
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_probability_and_verdict(detector):
    """logit(1/2) = 0: sigmoid((0 - 0.25) / 1.5) = 1 / (1 + e^(1/6)); the threshold itself is a duplicate."""
    assert detector.probability(np.array([0.5])) == pytest.approx([1 / (1 + np.exp(1 / 6))])
    assert detector.calibration.duplicate(np.array([0.7499, 0.75])).tolist() == [False, True]


@pytest.mark.parametrize("name", ["detector.json", "vectorizer.json", "light.json", "light.npz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"is not a saved detector: it has no {name}$"):
        Detector.load(folder)


def test_an_empty_folder_is_no_detector(tmp_path):
    with pytest.raises(ValueError, match=r"is not a saved detector: it has no detector\.json$"):
        Detector.load(tmp_path)


@pytest.mark.parametrize("kind", [str, Path])
def test_what_is_no_folder_is_never_looked_up(tmp_path, kind):
    with pytest.raises(ValueError, match=r"nowhere is no folder; for a run or a registry URI use siamese\.registry\."):
        Detector.load(kind(tmp_path / "nowhere"))


def test_a_detector_from_before_the_light_network_is_refused(folder):
    """Its format counts, not the files that it lacks."""
    rewrite(folder / "detector.json", format_version=1)
    (folder / "light.npz").unlink()
    with pytest.raises(ValueError, match="has format 1, this program reads formats 2 to 5; train again"):
        Detector.load(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("detector.json", "has format 1000, this program reads formats 2 to 5; use a newer version of the project"),
        ("vectorizer.json", "has format 1000, .*; use a newer version of the project"),
        ("light.json", "has format 1000, .*; use the version of the project that wrote it"),
    ],
)
def test_a_newer_format_is_refused(folder, name, message):
    rewrite(folder / name, format_version=1000)
    with pytest.raises(ValueError, match=message):
        Detector.load(folder)


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"format_version": 2}', '{"format_version": 2, "calibration": 3}']
)
def test_a_damaged_detector_is_refused(folder, content):
    (folder / "detector.json").write_text(content)
    with pytest.raises(ValueError, match=r"detector\.json (holds no calibration|is no JSON|has format None)"):
        Detector.load(folder)


@pytest.fixture
def folder_with_dev(detector, tmp_path):
    Detector(detector.network, detector.vectorizer, CALIBRATION, DEV).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "damaged", "missing"])
def test_damaged_dev_scores_are_refused(folder_with_dev, content):
    file = folder_with_dev / "dev_scores.npz"
    file.unlink() if content is None else file.write_bytes(content)
    reseal(folder_with_dev)
    with pytest.raises(ValueError, match=r"dev_scores\.npz is no whole archive|it has no dev_scores\.npz"):
        Detector.load(folder_with_dev)


def test_dev_scores_of_another_detector_are_refused(folder_with_dev):
    rewrite(folder_with_dev / "detector.json", dev={"pairs": 4, "duplicates": 3})
    with pytest.raises(ValueError, match=r"do not belong together: detector.json counts .*3}, dev_scores.npz .*2}"):
        Detector.load(folder_with_dev)


def test_a_vectorizer_and_a_network_that_do_not_belong_together_are_refused(folder, vectorizer):
    other = Vectorizer.fit(["one two three"], min_frequency=1, oov_buckets=1)
    (folder / "vectorizer.json").write_text(other.to_json(), encoding="utf-8")
    reseal(folder)
    with pytest.raises(ValueError, match=rf"{other.size} token ids, but the network {vectorizer.size}"):
        Detector.load(folder)


def test_a_folder_may_be_given_as_text(detector, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    for source in (str(folder), f"~/{folder.name}", Path(f"~/{folder.name}")):
        np.testing.assert_array_equal(Detector.load(source).similarity(QUESTIONS), detector.similarity(QUESTIONS))


def test_an_mlflow_model_that_keeps_a_detector_is_read(detector, tmp_path):
    detector.save(tmp_path / "artifacts" / "detector")
    np.testing.assert_array_equal(Detector.load(tmp_path).similarity(QUESTIONS), detector.similarity(QUESTIONS))


def test_a_fresh_process_answers_the_same_without_tensorflow(detector, folder, run_python):
    program = (
        "import sys\n"
        "from siamese.detector import Detector\n"
        "detector = Detector.load(sys.argv[1])\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'matplotlib', 'sklearn', 'scipy', 'hydra', 'pandas'}\n"
        "print(*detector.similarity([('how do i pay my bill', 'rice')]), *detector.is_duplicate([('a', 'a')]))\n"
        "print(*heavy & set(sys.modules))"
    )
    done = run_python("-c", program, folder)
    similarity = detector.similarity([("how do i pay my bill", "rice")])[0]
    duplicate = detector.is_duplicate([("a", "a")])[0]
    assert done.stdout == f"{similarity!s} {duplicate}\n\n"


def test_a_question_that_occurs_in_many_pairs_is_encoded_once(detector, monkeypatch):
    encoded = []
    encode = detector.network.encode
    monkeypatch.setattr(detector.network, "encode", lambda ids: encoded.append(len(ids)) or encode(ids))
    detector.similarity([("rice", "card"), ("card", "rice"), ("rice", "rice")])
    detector.score(QuestionPairs.from_texts(["rice"] * 3, ["card", "bill", "rice"], [1, 0, 1]))
    assert encoded == [2, 3]
