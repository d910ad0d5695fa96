"""KerasNetwork: the interface of NumpyNetwork, for networks whose layers NumPy does not know."""

import json
import zipfile

import keras
import numpy as np
import pytest
from keras import ops

from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.inference.from_keras import numpy_network
from siamese.inference.keras_network import KerasNetwork, choose_runtime, load_keras
from siamese.inference.network import NumpyNetwork
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Euclidean, Learned
from siamese.retrieval.mining import DistinctTexts, affordable_threshold, duplicates
from siamese.retrieval.question_index import digest
from siamese.text.inputs import TokenIds
from siamese.text.word_vectors import random
from tests.seals import reseal

CALIBRATION = Calibration(0.5, 1.0, 0.0)


@keras.saving.register_keras_serializable("tests")
class Laplace(keras.layers.Layer):
    """exp(-mean |u - v|)"""

    def call(self, left, right):
        return ops.exp(-ops.mean(ops.abs(left - right), axis=-1))


@keras.saving.register_keras_serializable("tests")
class Beyond(keras.layers.Layer):
    def call(self, left, right):
        return 2.0 + 0.0 * ops.sum(left * right, axis=-1)


class Unregistered(keras.layers.Layer):
    def call(self, left, right):
        return ops.exp(-ops.mean(ops.abs(left - right), axis=-1))


def gru(words, mask=True) -> keras.Model:
    questions = keras.Input((None,), dtype="int32")
    there = {"mask": ops.not_equal(questions, 0)} if mask else {}
    return keras.Model(questions, keras.layers.GRU(5)(words(questions), **there))


def tanh(words) -> keras.Model:
    questions = keras.Input((None,), dtype="int32")
    weight = ops.cast(ops.not_equal(questions, 0), "float32")[..., None]
    vectors = keras.layers.Dense(5, activation="tanh")(words(questions))
    return keras.Model(questions, ops.sum(vectors * weight, axis=1))


def network(vectorizer, tower=gru, similarity=Cosine) -> keras.Model:
    keras.utils.set_random_seed(0)
    table = random(vectorizer.vocabulary, vectorizer.size, 0, 8).matrix * 20
    return siamese_network(tower(word_embedding(table, trainable=True)), similarity())


@pytest.mark.slow
@pytest.mark.parametrize("tower", [gru, tanh])
def test_embeddings_and_similarities_are_those_of_keras(tower, vectorizer, pairs, token_ids):
    model = network(vectorizer, tower)
    own = KerasNetwork(model)
    rows = np.arange(len(token_ids))
    np.testing.assert_allclose(own.encode(token_ids), model.get_layer("tower")(token_ids.padded(rows)), atol=1e-6)
    expected = model([token_ids.padded(pairs.left), token_ids.padded(pairs.right)])
    np.testing.assert_allclose(own.score(token_ids, pairs.left, pairs.right), expected, atol=1e-6)
    assert (own.vocabulary, own.dimension, own.name) == (vectorizer.size, 5, "keras")


@pytest.mark.slow
@pytest.mark.parametrize("tower", ["dense", "conv1d", "bilstm", "attention"])
@pytest.mark.parametrize("similarity", [Cosine, lambda: Euclidean(0.5), lambda: Learned([6])])
def test_it_is_what_numpy_computes(tower, similarity, build_network, pairs, token_ids):
    model = build_network(tower, similarity)
    scores = [each(model).score(token_ids, pairs.left, pairs.right) for each in (KerasNetwork, numpy_network)]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_neighbors_in_the_batch_change_nothing(vectorizer, token_ids):
    own = KerasNetwork(network(vectorizer))
    together = own.encode(token_ids)
    for row, (start, end) in enumerate(zip(token_ids.offsets, token_ids.offsets[1:], strict=False)):
        alone = own.encode(TokenIds(token_ids.values[start:end], np.array([0, end - start])))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)


def test_nothing_is_no_embedding(vectorizer):
    own = KerasNetwork(network(vectorizer))
    assert own.encode(TokenIds(np.empty(0, np.int32), np.zeros(1, np.int64))).shape == (0, 5)
    assert own.similarity(np.empty((0, 5), np.float32), np.empty((0, 5), np.float32)).shape == (0,)


def test_a_token_id_outside_the_vocabulary_is_refused(vectorizer):
    with pytest.raises(ValueError, match=r"token ids must lie in \[0, \d+\), got 1 to 10000"):
        KerasNetwork(network(vectorizer)).encode(TokenIds(np.array([1, 10_000], np.int32), np.array([0, 2])))


def test_a_similarity_outside_its_range_is_refused(vectorizer):
    own = KerasNetwork(network(vectorizer, similarity=Beyond))
    with pytest.raises(ValueError, match=r"the similarity tests>Beyond gave 2.0; it must lie in \[0, 1\]"):
        own.similarity(np.ones((1, 5), np.float32), np.ones((1, 5), np.float32))


@pytest.mark.parametrize("tower", [gru, tanh])
def test_layers_unknown_to_numpy_run_in_keras_with_a_note(tower, vectorizer):
    runtime, note = choose_runtime(network(vectorizer, tower))
    assert isinstance(runtime(network(vectorizer, tower)), KerasNetwork)
    assert "\n" not in note
    assert "through Keras instead of NumPy" in note


def test_a_sequential_tower_answers_through_keras(vectorizer):
    def tower(words):
        return keras.Sequential([keras.Input((None,), dtype="int32"), words, keras.layers.GlobalMaxPooling1D()])

    with pytest.raises(ValueError, match="zeros behind a question change its embedding"):
        choose_runtime(network(vectorizer, tower))


def test_layers_known_to_numpy_run_in_numpy(build_network):
    runtime, note = choose_runtime(build_network())
    assert isinstance(runtime(build_network()), NumpyNetwork)
    assert note == ""


def test_what_could_not_be_loaded_again_is_refused_when_it_is_built(vectorizer):
    with pytest.raises(ValueError, match=r"Unregistered is not registered, .*register_keras_serializable"):
        choose_runtime(network(vectorizer, similarity=Unregistered))
    with pytest.raises(ValueError, match="cannot be saved and loaded again"):
        choose_runtime(network(vectorizer, lambda words: with_lambda(words)))


def with_lambda(words) -> keras.Model:
    questions = keras.Input((None,), dtype="int32")
    return keras.Model(
        questions, keras.layers.Lambda(lambda x: ops.max(x, axis=1), output_shape=(8,))(words(questions))
    )


def test_a_tower_that_reads_padding_is_refused(vectorizer):
    with pytest.raises(ValueError, match=r"zeros behind a question change its embedding by .*mask"):
        choose_runtime(network(vectorizer, lambda words: gru(words, mask=False)))


@pytest.fixture
def saved(tmp_path, vectorizer):
    """A detector with a similarity of its own, and its folder."""
    detector = Detector.from_network(network(vectorizer, similarity=Laplace), vectorizer, CALIBRATION)
    detector.save(tmp_path / "own")
    return detector, tmp_path / "own"


@pytest.mark.slow
def test_a_saved_detector_answers_the_same(saved):
    detector, folder = saved
    assert sorted(file.name for file in folder.iterdir()) == ["detector.json", "network.keras", "vectorizer.json"]
    again = Detector.load(folder)
    questions = [("how do i pay my bill", "i lost my card"), ("opening hours", "opening hours")]
    np.testing.assert_array_equal(again.similarity(questions), detector.similarity(questions))
    assert digest(again) == digest(detector)
    assert again.network.token_shares(np.array([1], np.int32)) is None


def test_weights_tell_detectors_apart(saved, vectorizer):
    other = network(vectorizer, similarity=Laplace)
    other.get_layer("tower").weights[-1].assign_add(np.ones_like(other.get_layer("tower").weights[-1]))
    assert digest(Detector.from_network(other, vectorizer, CALIBRATION)) != digest(saved[0])


@pytest.mark.slow
def test_layers_that_are_not_imported_are_named_and_their_module_is_not_imported(saved, run_python):
    program = f"from siamese import Detector; Detector.load({str(saved[1])!r})"
    done = run_python("-c", program)
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"ValueError: {saved[1]}/network.keras has the layers tests>Laplace")
    assert f"give plugins={__name__} " in message


def test_a_model_file_runs_no_code(saved):
    """A Lambda layer put into the file by hand is refused."""
    file = saved[1] / "network.keras"
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    layer = next(each for each in config["config"]["layers"] if each["class_name"] == "Laplace")
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    layer |= {"module": "keras.layers", "class_name": "Lambda", "registered_name": None}
    layer["config"] = {"name": "similarity", "function": code}
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    reseal(saved[1])
    with pytest.raises(ValueError, match="Lambda"):
        Detector.load(saved[1])


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive"])
def test_a_damaged_file_is_refused(saved, content):
    (saved[1] / "network.keras").write_bytes(content)
    reseal(saved[1])
    with pytest.raises(ValueError, match=r"network\.keras is no whole archive"):
        load_keras(saved[1])


def test_a_missing_file_is_named(saved):
    (saved[1] / "network.keras").unlink()
    with pytest.raises(ValueError, match=r"is not a saved detector: it has no network\.keras$"):
        Detector.load(saved[1])


def test_mining_finds_the_duplicates_of_a_similarity_without_a_radius(saved, pairs):
    detector, _ = saved
    texts = DistinctTexts.of(detector, pairs.questions)
    assert affordable_threshold(detector.network, texts.embeddings, 0.1, 1) == 0.1
    found = list(duplicates(detector.network, texts, 0.5, top_k=len(pairs.questions), exact_max_questions=1000))
    mined = {(int(a), int(b)) for some in found for a, b in zip(some.left, some.right, strict=True)}
    left, right = np.triu_indices(len(pairs.questions), 1)
    scores = detector.network.score(detector.vectorizer.encode(pairs.questions), left, right)
    assert mined == {(int(a), int(b)) for a, b in zip(left[scores >= 0.5], right[scores >= 0.5], strict=True)}
