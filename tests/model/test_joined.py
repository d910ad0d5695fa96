"""Joined: the embedding of a word tower, and behind it a linear map of an encoder's vector."""

from functools import partial

import keras
import numpy as np
import pytest

from siamese.model import towers
from siamese.model.joined import MAPPED, first_word, width_beside, with_vectors
from siamese.model.levels import level_towers
from siamese.model.losses import BinaryCrossentropy
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.text.inputs import QuestionVectors, TokenIds, WordsAndVectors
from siamese.training.batches import PairBatch
from siamese.training.optimizers import adam, constant
from siamese.training.step import training_step

WIDTH, SCALE = 5, 3.0
TOWERS = {
    "averaging": partial(towers.averaging, units=[4]),
    "dense": partial(towers.dense, units=[6], dropout=0.2),
    "conv1d": partial(towers.conv1d, filters=[4, 3], kernel_sizes=[1, 2, 3], normalization="layer"),
    "bilstm": partial(towers.bilstm, units=[4], pooling=["mean", "last"]),
    "attention": partial(towers.attention, units=[4], heads=2),
    "sequential": lambda words: keras.Sequential(
        [keras.Input((None,), dtype="int32"), words, keras.layers.GlobalMaxPooling1D()]
    ),
}


def word_tower(name: str, table: np.ndarray | None = None, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    table = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32) if table is None else table
    return TOWERS[name](word_embedding(table, trainable=True, **options))


@pytest.fixture
def vectors(padded_questions) -> np.ndarray:
    drawn = np.random.default_rng(1).normal(size=(len(padded_questions), WIDTH)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture
def both(padded_questions, vectors) -> np.ndarray:
    return np.concatenate([vectors, padded_questions.astype(np.float32)], axis=1)


@pytest.mark.parametrize("name", TOWERS)
def test_the_embedding_is_that_of_the_tower_with_the_vector_behind_it(name, padded_questions, vectors, both):
    tower = word_tower(name)
    joined = with_vectors(tower, WIDTH, SCALE)
    embeddings = np.array(joined(both))
    assert joined.output.shape == (None, tower.outputs[0].shape[-1] + WIDTH)
    np.testing.assert_allclose(embeddings[:, :-WIDTH], tower(padded_questions), atol=1e-6)
    np.testing.assert_allclose(embeddings[:, -WIDTH:], SCALE * vectors, atol=1e-6)
    assert (width_beside(joined), width_beside(tower)) == (WIDTH, 0)


@pytest.mark.parametrize("name", [name for name in TOWERS if name != "sequential"])
def test_padding_and_neighbors_change_nothing(name, both):
    joined = with_vectors(word_tower(name), WIDTH, SCALE)
    together = np.array(joined(np.pad(both, ((0, 0), (0, 4)))))
    for row, own in enumerate(both):
        alone = joined(own[None, : WIDTH + np.count_nonzero(own[WIDTH:])])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)


@pytest.mark.parametrize("name", TOWERS)
def test_the_network_is_symmetric_and_can_be_saved(name, both, tmp_path):
    network = siamese_network(with_vectors(word_tower(name), WIDTH, SCALE), Cosine())
    there, back = network([both, both[::-1]]), network([both[::-1], both])
    np.testing.assert_array_equal(there, back)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_array_equal(again([both, both[::-1]]), there)


def test_tuned_and_weighted_rows_stay_so(both):
    tower = word_tower("averaging", weighted=True, pull=0.1)
    joined = with_vectors(tower, WIDTH, SCALE)
    own, copied = (each.get_layer("word_embedding") for each in (tower, joined))
    assert [each.trainable for each in own.weights] == [each.trainable for each in copied.weights]
    np.testing.assert_array_equal(copied.start, own.embeddings)
    assert len(joined.trainable_weights) == len(tower.trainable_weights) + 2  # those of the map


def test_the_column_of_the_first_word():
    tower = word_tower("dense")
    joined = with_vectors(tower, WIDTH, SCALE)
    found = [first_word(siamese_network(each, Cosine())) for each in (joined, tower, towers.encoder(WIDTH))]
    assert found == [WIDTH, 0, None]


@pytest.mark.parametrize("name", ["averaging", "dense", "conv1d", "bilstm", "attention"])
def test_the_vector_stands_beside_each_level(name, both, vectors):
    levels = level_towers(with_vectors(word_tower(name), WIDTH, SCALE))
    assert next(iter(levels)) == "0_word_embedding"
    assert list(levels)[-1] == "output"
    for level in levels.values():
        np.testing.assert_allclose(level(both)[:, -WIDTH:], SCALE * vectors, atol=1e-6)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match=f"encoder_scale must be a number above 0, got {scale}"):
        with_vectors(word_tower("dense"), WIDTH, scale)


def test_a_tower_without_inputs_is_refused():
    class Own(keras.Model):
        def call(self, questions):
            return questions

    with pytest.raises(ValueError, match=r"takes a tower that is keras.Model\(inputs, outputs\), got"):
        with_vectors(Own(), WIDTH, SCALE)


def test_a_layer_that_cannot_be_copied_is_named_in_one_line():
    class Own(keras.layers.Layer):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, x):
            return self.factor * x

    tower = word_tower("dense")
    own = keras.Model(tower.input, Own(keras.Variable(2.0))(tower.output))
    with pytest.raises(ValueError, match="the layers of the tower cannot be copied: ") as problem:
        with_vectors(own, WIDTH, SCALE)
    assert "\n" not in str(problem.value)


def mean_similarity(tower: keras.Model, both: np.ndarray, word_dropout: float) -> float:
    """What one step sees: the loss is the similarity of neighbors in the batch."""
    network = siamese_network(tower, Cosine())
    optimizer = adam(lambda peak, steps: constant(peak, steps, 0.0), 1, 1e-9)
    step = training_step(network, lambda label, similarity, matrix, negative: similarity, optimizer, word_dropout)
    left = np.arange(len(both) - 1, dtype=np.int32)
    ones = np.ones(len(left), np.float32)
    return float(step(PairBatch(both, left, left + 1, ones, ones, np.arange(len(both), dtype=np.int32))))


def test_word_dropout_leaves_the_vector_alone(both, vectors):
    """Words have rows of zeros here: the similarity is that of the vectors."""
    tower = with_vectors(word_tower("averaging", np.zeros((12, 8), np.float32)), WIDTH, SCALE)
    expected = np.array(Cosine()(vectors[:-1], vectors[1:])).mean()
    assert mean_similarity(tower, both, word_dropout=0.9) == pytest.approx(expected, abs=1e-6)


def test_word_dropout_replaces_words_beside_a_vector(both):
    """With nearly all words unknown, and a vector that hardly counts, all questions are the same."""
    tower = with_vectors(word_tower("conv1d"), WIDTH, 1e-6)
    assert mean_similarity(tower, both, word_dropout=0.0) < 0.99
    assert mean_similarity(tower, both[:, : WIDTH + 1], word_dropout=0.999999) == pytest.approx(1, abs=1e-5)


def test_a_step_moves_words_and_map(both, vectors, train, pairs):
    tower = with_vectors(word_tower("dense", weighted=True, pull=0.5), WIDTH, SCALE)
    network = siamese_network(tower, Cosine())
    before = [weight.numpy() for weight in network.trainable_weights]
    rows = np.random.default_rng(0).integers(len(both), size=len(pairs.questions))
    ids = [row[WIDTH : WIDTH + np.count_nonzero(row[WIDTH:])].astype(np.int32) for row in both[rows]]
    inputs = WordsAndVectors(TokenIds.of(ids), QuestionVectors(vectors[rows]))
    train(network, BinaryCrossentropy(), token_ids=inputs, word_dropout=0.2)
    assert all(np.any(old != new.numpy()) for old, new in zip(before, network.trainable_weights, strict=True))
    kernel = tower.get_layer(MAPPED).kernel.numpy()
    assert 0 < np.abs(kernel - SCALE * np.eye(WIDTH)).max() < 0.1  # from where it started
