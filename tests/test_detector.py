"""Detector: a folder of plain files comes back as what was saved, and nothing foreign is ever loaded."""

import json
import zipfile

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.model.similarity import Learned

QUESTIONS = [("how do i pay my bill", "what are the ways to pay a bill"), ("rice", "Rice ?"), ("", "!")]
CALIBRATION = Calibration(threshold=0.75, temperature=1.5, offset=0.25)


@pytest.fixture(scope="module")
def detector(build_network, train, vectorizer):
    network = build_network("dense", lambda: Learned([6]))
    train(network)
    return Detector(network, vectorizer, CALIBRATION)


@pytest.fixture
def folder(detector, tmp_path):
    detector.save(tmp_path / "a" / "detector")
    return tmp_path / "a" / "detector"


def edit_network(folder, change) -> None:
    """Rewrite the configuration inside network.keras."""
    file = folder / "network.keras"
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    change(config)
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def layer_of(config: dict, class_name: str) -> dict:
    """The first description of a layer of this class."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and node.get("class_name") == class_name:
            return node
        waiting += list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    raise AssertionError(f"no {class_name} in the network")


def test_a_round_trip_keeps_scores_and_verdicts(detector, folder):
    again = Detector.load(folder)
    similarity = detector.similarity(QUESTIONS)
    np.testing.assert_array_equal(again.similarity(QUESTIONS), similarity)
    np.testing.assert_array_equal(again.probability(similarity), detector.probability(similarity))
    np.testing.assert_array_equal(again.is_duplicate(QUESTIONS), similarity >= 0.75)
    assert again.calibration == CALIBRATION


def test_what_is_written(folder):
    """Three files of data, and no Lambda layer."""
    assert sorted(path.name for path in folder.iterdir()) == ["detector.json", "network.keras", "vectorizer.json"]
    assert json.loads((folder / "detector.json").read_text()) == {
        "format_version": 1,
        "calibration": {"threshold": 0.75, "temperature": 1.5, "offset": 0.25},
    }
    with zipfile.ZipFile(folder / "network.keras") as archive:
        config = archive.read("config.json").decode()
    assert "Lambda" not in config


def test_the_optimizers_slots_are_left_out(build_network, vectorizer, tmp_path):
    """They would triple the file."""
    network = build_network()
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    Detector(network, vectorizer, CALIBRATION).save(tmp_path)
    network.save(tmp_path / "with_slots.keras")
    slots = {}
    for name in ("network", "with_slots"):
        with zipfile.ZipFile(tmp_path / f"{name}.keras") as archive:
            slots[name] = b"optimizer" in archive.read("model.weights.h5")
    assert slots == {"network": False, "with_slots": True}


def test_saving_again_replaces(detector, folder):
    Detector(detector.network, detector.vectorizer, Calibration(0.1, 1.0, 0.0)).save(folder)
    assert Detector.load(folder).calibration.threshold == 0.1


def test_text_in_and_table_in_give_the_same(detector, pairs):
    """`similarity` takes texts, `score` a table; both encode each distinct question once."""
    texts = list(zip(pairs.left_texts(), pairs.right_texts(), strict=True))
    np.testing.assert_allclose(detector.similarity(texts), detector.score(pairs), atol=1e-6)
    embeddings = detector.encode(["rice", "my card is lost", "rice"])
    assert embeddings.shape == (3, detector.network.get_layer("tower").output.shape[-1])
    np.testing.assert_array_equal(embeddings[0], embeddings[2])


def test_nothing_in_nothing_out(detector):
    assert detector.similarity([]).tolist() == []
    assert detector.is_duplicate([]).tolist() == []
    assert detector.encode([]).shape[0] == 0


def test_strange_questions_have_finite_scores(detector):
    scores = detector.similarity([("", ""), ("!", "zyzzyva"), ("漢字", "😀"), ("\u200b", "a " * 500)])
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_probability_and_verdict(detector):
    """logit(1/2) = 0: sigmoid((0 - 0.25) / 1.5) = 1 / (1 + e^(1/6)); the threshold itself is a duplicate."""
    assert detector.probability(np.array([0.5])) == pytest.approx([1 / (1 + np.exp(1 / 6))])
    assert detector.calibration.duplicate(np.array([0.7499, 0.75])).tolist() == [False, True]


@pytest.mark.parametrize("name", ["detector.json", "vectorizer.json", "network.keras"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"is not a saved detector: it has no {name}$"):
        Detector.load(folder)


def test_an_empty_folder_is_no_detector(tmp_path):
    with pytest.raises(ValueError, match=r"it has no detector\.json, vectorizer\.json, network\.keras"):
        Detector.load(tmp_path)


@pytest.mark.parametrize("name", ["detector.json", "vectorizer.json"])
def test_a_newer_format_is_refused(folder, name):
    state = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps(state | {"format_version": 2}), encoding="utf-8")
    with pytest.raises(
        ValueError, match="has format 2, this program reads up to 1; use a newer version of the project"
    ):
        Detector.load(folder)


@pytest.mark.parametrize(
    ("module", "name", "registered"),
    [
        ("os", "system", None),
        ("siamese.model.similarity", "Cosine", None),  # ours are known by their registered names alone
        ("subprocess", "Popen", "siamese>Popen"),
        ("keras_hub.layers", "Dense", None),
        ("kerasevil", "Dense", None),
        ("keras.layers", "Lambda", None),
        ("builtins", "Lambda", None),
        ("mine", "Dense", "mine>Dense"),
    ],
)
def test_a_foreign_class_or_a_lambda_is_refused(folder, module, name, registered):
    def change(config):
        layer_of(config, "Dense").update(module=module, class_name=name, registered_name=registered)

    edit_network(folder, change)
    with pytest.raises(ValueError, match=rf"names the class {module}\.{name}, which no network of this project has"):
        Detector.load(folder)


@pytest.mark.parametrize(
    "initializer",
    [
        {"class_name": "__lambda__", "config": {"value": "", "code": "4wAA"}},
        {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"},
        {"module": "keras.src.utils.python_utils", "class_name": "function", "config": "func_load"},
    ],
    ids=["lambda", "builtin function", "a function of keras"],
)
def test_code_in_disguise_is_not_run(folder, initializer):
    """As the initialiser of a layer, where Keras would accept any callable."""

    def change(config):
        layer_of(config, "Dense")["config"]["kernel_initializer"] = initializer

    edit_network(folder, change)
    with pytest.raises((ValueError, TypeError)):
        Detector.load(folder)


def test_a_network_that_is_no_archive_is_refused(folder):
    (folder / "network.keras").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"network\.keras is not a network saved by Keras"):
        Detector.load(folder)


def test_an_unedited_network_passes_the_edit(detector, folder):
    """The tool of the tests above breaks nothing by itself."""
    edit_network(folder, lambda config: None)
    np.testing.assert_array_equal(Detector.load(folder).similarity(QUESTIONS), detector.similarity(QUESTIONS))


def test_a_question_that_occurs_in_many_pairs_is_encoded_once(detector, monkeypatch):
    encoded = []
    encode = detector._scorer.encode
    monkeypatch.setattr(detector._scorer, "encode", lambda ids: encoded.append(len(ids)) or encode(ids))
    detector.similarity([("rice", "card"), ("card", "rice"), ("rice", "rice")])
    detector.score(QuestionPairs.from_texts(["rice"] * 3, ["card", "bill", "rice"], [1, 0, 1]))
    assert encoded == [2, 3]
