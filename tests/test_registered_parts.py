"""Every registered similarity and layer through build, training, NumPy, ONNX, mining, saving and loading.

What is walked are the files of conf/similarity/ and conf/tower/, so that a new one needs no change here.
"""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from hydra.utils import get_object, instantiate

from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.export.onnx_models import network_model, tower_model
from siamese.export.runners import onnx_runner
from siamese.inference.from_keras import check
from siamese.inference.parts import Layer, Part, registered
from siamese.inference.similarities import Similarity
from siamese.model.hybrid import with_lexicon
from siamese.model.joined import with_vectors
from siamese.model.linear_map import with_dimension
from siamese.model.network import siamese_network, word_embedding
from siamese.pretrained.joined import JoinedVectorizer
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.retrieval import embedding_space
from siamese.retrieval.mining import DistinctTexts, duplicates
from siamese.text.lexicon import Lexicon
from siamese.text.word_vectors import random
from tests.encoders import WIDTH

CONF = Path(__file__).parents[1] / "conf"
SIMILARITIES = sorted(file.stem for file in (CONF / "similarity").glob("*.yaml"))
TOWERS = sorted(file.stem for file in (CONF / "tower").glob("*.yaml"))
EVERY_OPTION = {"units": [6, 5], "pooling": ["mean", "max"], "normalization": "layer", "skip": True, "dropout": 0.1}
OTHER_RECURRENT = (
    {"cell": "gru", "pooling": ["last", "max"]},
    {"cell": "gru", "bidirectional": False},
    {"bidirectional": False, "shortcuts": True, "units": [6, 5], "pooling": ["last"]},
)
AS_SETS = {"positions": False, "heads": 3, "units": [6, 5], "normalization": "none"}
BESIDE_WORDS = {"encoder_scale": 3.0}
NARROW = {"dimension": 7}
STEEP = {"power": 16}
WALKS = [
    *((tower, "cosine", {}) for tower in TOWERS),
    *((tower, "cosine", EVERY_OPTION) for tower in TOWERS),
    *(("bilstm", "cosine", more) for more in OTHER_RECURRENT),
    ("attention", "cosine", AS_SETS),
    *(("dense", similarity, {}) for similarity in SIMILARITIES if similarity != "cosine"),
    ("encoder", "hybrid", EVERY_OPTION),
    *((tower, "cosine", BESIDE_WORDS) for tower in TOWERS if tower != "encoder"),
    ("conv1d", "learned", BESIDE_WORDS),
    ("dense", "hybrid", BESIDE_WORDS),
    ("conv1d", "cosine", NARROW),
    ("conv1d", "cosine", STEEP),
    ("dense", "hybrid", BESIDE_WORDS | NARROW),
]


def settings(group: str, option: str) -> dict:
    config = yaml.safe_load((CONF / group / f"{option}.yaml").read_text(encoding="utf-8"))
    return {name: value for name, value in config.items() if name != "defaults"}


@pytest.fixture(scope="session")
def lexicon(vectorizer, pairs) -> Lexicon:
    return Lexicon.learn(vectorizer, pairs.questions)


@pytest.fixture(scope="session")
def build(vectorizer, lexicon):
    """A function: options of conf/tower and conf/similarity -> a Keras network over vectors of width 8."""

    def make(tower: str, similarity: str, options: dict) -> keras.Model:
        keras.utils.set_random_seed(0)
        words = word_embedding(random(vectorizer.vocabulary, vectorizer.size, 0, 8).matrix, trainable=True)
        cfg = settings("tower", tower)
        given = {name: value for name, value in options.items() if name in cfg}
        of_similarity = settings("similarity", similarity)
        of_similarity |= {name: value for name, value in options.items() if name in of_similarity}
        compared = instantiate(of_similarity, _convert_="all")()
        hybrid = similarity == "hybrid"
        given |= {"unread": lexicon.rows.shape[1]} if hybrid and tower == "encoder" else {}
        own = instantiate(cfg | given, _convert_="all")(WIDTH if tower == "encoder" else words)
        if "encoder_scale" in options:
            own = with_vectors(own, WIDTH, options["encoder_scale"])
        if "dimension" in options:
            own = with_dimension(own, options["dimension"])
        return siamese_network(with_lexicon(own, compared, lexicon.rows) if hybrid else own, compared)

    return make


@pytest.fixture(
    scope="session",
    params=WALKS,
    ids=lambda walk: f"{'-'.join([walk[0], walk[1], *walk[2]])}",
)
def trained(request, build, train, vectorizer, encoder_vectorizer, lexicon, pairs) -> tuple[keras.Model, Detector]:
    """A network after one step of training, and the detector that it makes."""
    network = build(*request.param)
    check(network)
    before = [weight.numpy() for weight in network.trainable_weights]
    tower, similarity, options = request.param
    if "encoder_scale" in options:
        vectorizer = JoinedVectorizer(vectorizer, encoder_vectorizer)
    if tower == "encoder":
        vectorizer = EncoderVectorizer(encoder_vectorizer.encoder, lexicon if similarity == "hybrid" else None)
    train(network, token_ids=vectorizer.encode(pairs.questions))
    moved = [np.any(old != new.numpy()) for old, new in zip(before, network.trainable_weights, strict=True)]
    assert any(moved)
    return network, Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture
def inputs(trained, pairs):
    return trained[1].vectorizer.encode(pairs.questions)


@pytest.fixture
def padded(inputs, pairs) -> tuple[np.ndarray, np.ndarray]:
    return inputs.padded(pairs.left), inputs.padded(pairs.right)


def of_keras(function: Callable, *inputs: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(function(*inputs))


def test_every_registered_similarity_is_an_option_and_the_other_way_round():
    classes = {path for part in registered(Similarity).values() for path in part.keras_classes}
    assert {settings("similarity", option)["_target_"] for option in SIMILARITIES} == classes


@pytest.mark.slow
def test_every_registered_layer_is_used_by_a_tower(build):
    """With every option of the towers; their layers are all registered, or they would have no detector."""
    walks = [walk for walk in WALKS if walk[2]]
    used = {type(layer).__name__ for walk in walks for layer in build(*walk).get_layer("tower").layers}
    for kind, part in registered(Layer).items():
        assert {path.rpartition(".")[2] for path in part.keras_classes} & used, f"no tower of conf/tower/ uses {kind}"


def test_the_keras_classes_exist_and_belong_to_one_part_each():
    paths = [path for part in registered(Part).values() for path in part.keras_classes]
    assert len(paths) == len(set(paths))
    assert all(issubclass(get_object(path), keras.layers.Layer) for path in paths)


@pytest.mark.slow
def test_numpy_is_keras(trained, padded, inputs, pairs):
    network, detector = trained
    embeddings = of_keras(network.get_layer("tower"), inputs.padded(np.arange(len(inputs))))
    scale = max(1, np.abs(embeddings).max())  # layer normalization of nearly equal numbers magnifies rounding
    np.testing.assert_allclose(detector.encode(pairs.questions) / scale, embeddings / scale, rtol=0, atol=5e-6)
    expected = of_keras(lambda *sides: network(list(sides)), *padded)
    np.testing.assert_allclose(detector.score(pairs), expected, rtol=0, atol=1e-6)
    assert ((expected >= 0) & (expected <= 1)).all()
    assert np.ptp(expected) > 1e-4


@pytest.mark.slow
def test_onnx_is_keras(trained, padded):
    network, detector = trained
    for model, function, inputs in (
        (tower_model, network.get_layer("tower"), padded[:1]),
        (network_model, lambda *sides: network(list(sides)), padded),
    ):
        given = onnx_runner(model(detector.network).SerializeToString())(*inputs)
        np.testing.assert_allclose(given, of_keras(function, *inputs), rtol=0, atol=1e-5)


def test_equal_questions_are_most_similar_and_the_order_does_not_count(trained, pairs):
    _, detector = trained
    embeddings = detector.encode(pairs.questions)
    of_all = np.stack([detector.network.similarity(embeddings, np.roll(embeddings, i, axis=0)) for i in range(12)])
    assert (of_all[0] >= of_all.max(axis=0) - 1e-6).all()
    left, right = embeddings[pairs.left], embeddings[pairs.right]
    np.testing.assert_array_equal(detector.network.similarity(left, right), detector.network.similarity(right, left))


@pytest.mark.slow
def test_no_pair_above_the_threshold_lies_outside_the_radius(trained):
    """Embeddings of many lengths, from nearly equal to opposite; where a threshold is no radius there is nothing to show."""
    network = trained[1].network
    generator = np.random.default_rng(0)
    left, other = generator.normal(size=(2, 4_000, network.dimension)) * generator.uniform(0.01, 3, (4_000, 1))
    left = left.astype(np.float32)
    right = (left * generator.uniform(-1, 2, (4_000, 1)) + other * np.logspace(-6, 0, 4_000)[:, None]).astype(
        np.float32
    )
    similarity = network.similarity(left, right)
    points = [embedding_space.points(network.comparison, each).astype(np.float64) for each in (left, right)]
    distance = np.linalg.norm(points[0] - points[1], axis=1)
    usual = similarity[(similarity > 0.02) & (similarity < 0.98)]  # beyond, a radius is lost in rounding
    assert len(usual) > 20
    for threshold in np.quantile(usual, [0.1, 0.5, 0.9]):
        radius = embedding_space.radius(network.comparison, float(threshold))
        if radius is not None:
            assert (distance[similarity >= threshold] <= radius * (1 + 1e-4) + 1e-3).all()
            assert (distance > radius * (1 + 1e-4) + 1e-3).any()


@pytest.mark.slow
def test_mining_finds_every_pair(trained, pairs):
    network, texts = trained[1].network, DistinctTexts.of(trained[1], pairs.questions)
    left, right = np.triu_indices(len(texts.first), 1)
    similarity = network.similarity(texts.embeddings[left], texts.embeddings[right])
    gaps = np.sort(similarity)[20:40]
    threshold = float(gaps[np.diff(gaps).argmax() :][:2].mean())  # between two scores that rounding cannot swap
    found = list(duplicates(network, texts, threshold, top_k=100, exact_max_questions=100))
    mined = {pair for some in found for pair in zip(some.left.tolist(), some.right.tolist(), strict=True)}
    above = similarity >= threshold
    assert 20 < above.sum() < 50
    first = texts.first
    assert mined == set(zip(first[left[above]].tolist(), first[right[above]].tolist(), strict=True))


def test_a_saved_detector_answers_the_same(trained, pairs, tmp_path):
    detector = trained[1]
    detector.save(tmp_path)
    again = Detector.load(tmp_path)
    np.testing.assert_array_equal(again.score(pairs), detector.score(pairs))
    on_disk = json.loads((tmp_path / "light.json").read_text())
    assert on_disk["similarity"]["layer"] == type(again.network.comparison).__name__


def test_the_formula_in_words_holds_the_numbers(trained):
    comparison = trained[1].network.comparison
    formula = comparison.formula.format(**vars(comparison))
    assert formula
    config = trained[1].network.description["similarity"]["config"]
    assert all(str(value) in formula for value in config.values() if isinstance(value, float | int))
