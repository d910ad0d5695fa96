"""Words with an encoder's vector beside them: NumPy computes what Keras does, however its work is shared out."""

from functools import partial

import keras
import numpy as np
import pytest

from siamese.inference import network as light_module
from siamese.inference.from_keras import numpy_network
from siamese.inference.keras_network import KerasNetwork, choose_runtime
from siamese.inference.network import NumpyNetwork
from siamese.inference.to_keras import copy_tower, same_layers
from siamese.model import towers
from siamese.model.hybrid import with_lexicon
from siamese.model.joined import with_vectors
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Hybrid, Learned
from siamese.text.inputs import QuestionVectors, WordsAndVectors
from tests.inference.test_network import some_questions, with_weights

WIDTH, IDS, SCALE = 5, 20, 3.0
TOWERS = {
    "averaging": partial(towers.averaging, units=[4]),
    "dense": partial(towers.dense, units=[6], pooling=["mean", "max"], normalization="layer"),
    "conv1d": partial(towers.conv1d, filters=[5, 4], kernel_sizes=[1, 3], pooling=["max", "mean"]),
    "bilstm": partial(towers.bilstm, units=[4, 3], pooling=["mean", "last"], shortcuts=True),
    "attention": partial(towers.attention, units=[4, 3], heads=2, pooling=["max", "mean"]),
}


def of_words(name: str) -> keras.Model:
    table = np.random.default_rng(0).normal(size=(IDS, 8)).astype(np.float32)
    return TOWERS[name](word_embedding(table, trainable=True))


def built(name: str, similarity=Cosine, seed: int = 0) -> keras.Model:
    return with_weights(siamese_network(with_vectors(of_words(name), WIDTH, SCALE), similarity()), seed)


@pytest.fixture(scope="module")
def inputs() -> WordsAndVectors:
    words = some_questions(IDS)
    vectors = np.random.default_rng(1).normal(size=(len(words), WIDTH)).astype(np.float32)
    return WordsAndVectors(words, QuestionVectors(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))


def of_keras(network: keras.Model, inputs: WordsAndVectors) -> np.ndarray:
    return np.array(network.get_layer("tower")(inputs.padded(np.arange(len(inputs)))))


@pytest.mark.parametrize("name", TOWERS)
def test_numpy_and_keras_network_are_keras(name, inputs):
    network = built(name, lambda: Learned([6]))
    left, right = np.triu_indices(len(inputs))
    expected = network([inputs.padded(left), inputs.padded(right)])
    runtime, note = choose_runtime(network)
    assert (runtime, note) == (numpy_network, "")
    for own in (numpy_network(network), KerasNetwork(network)):
        assert (own.vocabulary, own.vector_width) == (IDS, WIDTH)
        np.testing.assert_allclose(own.encode(inputs), of_keras(network, inputs), atol=5e-6)
        np.testing.assert_allclose(own.score(inputs, left, right), expected, atol=2e-6)


def test_a_hybrid_similarity_has_its_lexical_blocks_behind_the_vector(inputs):
    rows = np.random.default_rng(2).normal(size=(IDS, 256 + 32 + 1)).astype(np.float32)
    network = siamese_network(with_lexicon(with_vectors(of_words("dense"), WIDTH, SCALE), Hybrid(), rows), Hybrid())
    own = numpy_network(network)
    np.testing.assert_allclose(own.encode(inputs), of_keras(network, inputs), atol=2e-6)
    assert own.vector_width == WIDTH


@pytest.mark.parametrize("name", TOWERS)
def test_blocks_threads_and_neighbors_change_nothing(name, inputs, monkeypatch):
    own = numpy_network(built(name))
    together = own.encode(inputs)
    for row in range(len(inputs)):
        np.testing.assert_allclose(own.encode(inputs.take(np.array([row])))[0], together[row], atol=1e-6)
    for constant, value in (("CHUNK_WORDS", 4), ("CHUNK_TOKENS", 3), ("TABLE_NUMBERS", 50)):
        monkeypatch.setattr(light_module, constant, value)
    for threads in (1, 3):
        np.testing.assert_allclose(own.encode(inputs, threads=threads), together, atol=1e-6)


def test_a_saved_network_is_the_same(inputs, tmp_path):
    own = numpy_network(built("conv1d"))
    own.save(tmp_path)
    again = NumpyNetwork.load(tmp_path)
    np.testing.assert_array_equal(again.encode(inputs), own.encode(inputs))
    assert (again.vocabulary, again.vector_width) == (IDS, WIDTH)


@pytest.mark.parametrize("runtime", [numpy_network, KerasNetwork])
def test_inputs_of_another_kind_are_refused(runtime, inputs):
    own = runtime(built("dense"))
    wider = WordsAndVectors(inputs.token_ids, QuestionVectors(np.zeros((len(inputs), 7), np.float32)))
    for given, problem in (
        (inputs.token_ids, "vectors must have 5 numbers, got none"),
        (inputs.vectors, "vectors must come with token ids"),
        (wider, "vectors must have 5 numbers, got 7"),
    ):
        with pytest.raises(ValueError, match=problem):
            own.encode(given)
    only_words = runtime(siamese_network(of_words("dense"), Cosine()))
    with pytest.raises(ValueError, match="vectors must have 0 numbers, got 5"):
        only_words.encode(inputs)


def test_no_embedding_is_a_sum_over_words_beside_a_vector(inputs):
    dense = towers.dense(word_embedding(np.ones((IDS, 8), np.float32), trainable=True), units=[])
    assert numpy_network(siamese_network(dense, Cosine())).token_shares(inputs.values[:3]) is not None
    joined = siamese_network(with_vectors(dense, WIDTH, SCALE), Cosine())
    assert numpy_network(joined).token_shares(inputs.values[:3]) is None


def test_zeros_that_count_are_refused_beside_a_vector_too():
    words = keras.Input((None,), dtype="int32")
    embedded = word_embedding(np.ones((IDS, 8), np.float32), trainable=True)(words)
    counting = keras.Model(words, keras.layers.GlobalAveragePooling1D()(keras.layers.Activation("tanh")(embedded)))
    assert choose_runtime(siamese_network(with_vectors(counting, WIDTH, SCALE), Cosine()))[1]  # the mean of equal rows
    table = np.arange(IDS * 8, dtype=np.float32).reshape(IDS, 8) / 100
    embedded = word_embedding(table, trainable=True)(words)
    counting = keras.Model(words, keras.layers.GlobalAveragePooling1D()(keras.layers.Activation("tanh")(embedded)))
    with pytest.raises(ValueError, match="zeros behind a question change its embedding"):
        choose_runtime(siamese_network(with_vectors(counting, WIDTH, SCALE), Cosine()))


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize(("first", "then"), [("joined", "joined"), ("words", "joined"), ("joined", "words")])
def test_a_tower_goes_on_where_another_ended_with_or_without_a_vector(name, first, then, inputs):
    def made(kind: str, seed: int) -> keras.Model:
        network = built(name, seed=seed) if kind == "joined" else siamese_network(of_words(name), Cosine())
        return with_weights(network, seed)

    saved, new = made(first, 0), made(then, 1)
    table = saved.get_layer("tower").get_layer("word_embedding").embeddings
    new.get_layer("tower").get_layer("word_embedding").embeddings.assign(table)
    assert same_layers(new.get_layer("tower"), numpy_network(saved))
    copy_tower(new.get_layer("tower"), numpy_network(saved))
    found = [
        numpy_network(network).encode(inputs if kind == "joined" else inputs.token_ids)
        for kind, network in ((first, saved), (then, new))
    ]
    width = min(each.shape[1] for each in found) - (WIDTH if first == then else 0)
    np.testing.assert_array_equal(found[0][:, :width], found[1][:, :width])
