"""To Keras: a new network with the weights of a saved tower gives the same embeddings."""

import numpy as np
import pytest

from siamese.inference.from_keras import numpy_network
from siamese.inference.network import NumpyNetwork
from siamese.inference.to_keras import copy_tower, same_layers
from siamese.model.similarity import Learned
from tests.inference.test_network import some_questions, with_weights


@pytest.mark.parametrize(
    ("tower", "options"),
    [
        ("dense", {"units": [6, 5], "skip": True}),
        ("conv1d", {}),
        ("bilstm", {"units": [4, 3]}),
        ("bilstm", {"units": [4, 3], "cell": "gru", "shortcuts": True}),
        ("attention", {"units": [4, 3]}),
    ],
)
def test_a_tower_goes_on_where_another_ended(build_network, tmp_path, tower, options):
    first = with_weights(build_network(tower, Learned, **options))
    numpy_network(first).save(tmp_path)
    saved, new = NumpyNetwork.load(tmp_path), build_network(tower, seed=1, dropout=0.3, **options)
    questions = some_questions(saved.vocabulary)
    embedding = new.get_layer("tower").get_layer("word_embedding").embeddings
    embedding.assign(first.get_layer("tower").get_layer("word_embedding").embeddings)
    assert np.abs(numpy_network(new).encode(questions) - saved.encode(questions)).max() > 0.01
    assert same_layers(new.get_layer("tower"), saved)
    copy_tower(new.get_layer("tower"), saved)
    np.testing.assert_array_equal(numpy_network(new).encode(questions), saved.encode(questions))


@pytest.mark.parametrize(
    ("tower", "options"), [("dense", {"units": [7]}), ("dense", {"units": [6], "pooling": ["max"]}), ("conv1d", {})]
)
def test_other_layers_are_told_apart(build_network, tower, options):
    assert not same_layers(
        build_network(tower, **options).get_layer("tower"), numpy_network(build_network("dense", units=[6]))
    )
