"""A linear map behind a tower: embeddings of any dimension, in Keras and in NumPy, by words and beside a vector."""

import keras
import numpy as np
import pytest

from siamese.inference.from_keras import numpy_network
from siamese.inference.to_keras import copy_tower, same_layers
from siamese.model.linear_map import NAME, with_dimension, without_dimension
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.model.towers import conv1d, dense
from siamese.text.inputs import TokenIds

IDS = TokenIds(np.array([3, 1, 4, 1, 5, 9, 2, 6], np.int32), np.array([0, 3, 4, 8]))


def tower_of(dimension: int, seed: int = 0, kind=dense) -> keras.Model:
    keras.utils.set_random_seed(seed)
    rows = np.random.default_rng(seed).normal(size=(10, 6)).astype(np.float32)
    return with_dimension(kind(word_embedding(rows, trainable=True)), dimension)


@pytest.mark.parametrize("kind", [dense, conv1d])
def test_an_embedding_is_a_linear_map_of_what_the_tower_gives(kind):
    tower = tower_of(4, kind=kind)
    network = siamese_network(tower, Cosine())
    embeddings = numpy_network(network).encode(IDS)
    assert embeddings.shape == (3, 4)
    before = numpy_network(siamese_network(without_dimension(tower), Cosine())).encode(IDS)
    kernel, bias = tower.get_layer(NAME).get_weights()
    np.testing.assert_allclose(embeddings, before @ kernel + bias, atol=1e-6)
    padded = np.array([[3, 1, 4, 0], [1, 0, 0, 0], [5, 9, 2, 6]], np.int32)
    np.testing.assert_allclose(embeddings, keras.ops.convert_to_numpy(tower(padded)), atol=1e-6)


def test_a_tower_without_one_is_returned_as_it_is():
    tower = without_dimension(tower_of(4))
    assert without_dimension(tower) is tower


@pytest.mark.parametrize("dimension", [0, -1, 2.5, "many"])
def test_what_is_no_dimension_is_refused(dimension):
    with pytest.raises(ValueError, match=f"dimension must be a whole number of at least 1, or null, got {dimension!r}"):
        tower_of(dimension)


def test_a_tower_that_is_no_functional_model_is_refused():
    with pytest.raises(ValueError, match=r"dimension=3 takes a tower that is keras\.Model"):
        with_dimension(keras.layers.Dense(2), 3)


@pytest.mark.parametrize("dimension", [4, 5])
def test_a_training_goes_on_from_a_map_of_the_same_shape_alone(dimension):
    saved = numpy_network(siamese_network(tower_of(4), Cosine()))
    new = tower_of(dimension, seed=1)
    assert same_layers(new, saved)
    first = new.get_layer(NAME).get_weights()[0]
    copy_tower(new, saved)
    kernel = new.get_layer(NAME).get_weights()[0]
    np.testing.assert_array_equal(kernel, saved.arrays[f"{NAME}/kernel"] if dimension == 4 else first)
