"""Levels: a truncated tower gives the intermediate outputs of the whole tower."""

import keras
import numpy as np
import pytest

from siamese.inference.from_keras import numpy_network
from siamese.model import towers
from siamese.model.levels import level_towers
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine

OPTIONS = {
    "dense": {"units": [6, 5]},
    "conv1d": {"filters": [4, 3], "kernel_sizes": [1, 2]},
    "bilstm": {"units": [4, 3]},
    "attention": {"units": [4, 3], "heads": 2},
}
WIDTHS = {"dense": [8, 6, 5], "conv1d": [8, 8, 6], "bilstm": [8, 8, 6], "attention": [8, 8, 8]}


def built(name: str, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    matrix = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    matrix[0] = 0
    return getattr(towers, name)(word_embedding(matrix, True), pooling=["mean"], **OPTIONS[name] | options)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_side_by_side_the_levels_are_the_output_of_a_tower_that_pools_them_all(name, normalization, padded_questions):
    tower = built(name, normalization=normalization, skip=True, dropout=0.1)
    levels = level_towers(tower)
    assert list(levels) == ["0_word_embedding", "1", "2", "output"]
    embeddings = [level(padded_questions).numpy() for level in levels.values()]
    assert [each.shape[1] for each in embeddings[:-1]] == WIDTHS[name]
    np.testing.assert_array_equal(np.concatenate(embeddings[:-1], axis=1), embeddings[-1])


@pytest.mark.slow
def test_levels_behind_shortcuts(padded_questions):
    levels = level_towers(built("bilstm", shortcuts=True, cell="gru", dropout=0.1))
    embeddings = [level(padded_questions).numpy() for level in levels.values()]
    np.testing.assert_array_equal(np.concatenate(embeddings[:-1], axis=1), embeddings[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_the_last_level_is_the_output_of_a_tower_that_pools_it_alone(name, padded_questions):
    levels = level_towers(built(name, skip=False))
    np.testing.assert_array_equal(levels["2"](padded_questions), levels["output"](padded_questions))


@pytest.mark.slow
def test_the_first_level_is_the_mean_of_the_word_vectors(padded_questions):
    tower = built("bilstm")
    matrix = tower.get_layer("word_embedding").embeddings.numpy()
    expected = [matrix[row[row != 0]].mean(axis=0) for row in padded_questions]
    np.testing.assert_allclose(level_towers(tower)["0_word_embedding"](padded_questions), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_level_runs_without_keras(name, vectorizer, token_ids, build_network):
    for level in level_towers(build_network(name, skip=True).get_layer("tower")).values():
        embeddings = numpy_network(siamese_network(level, Cosine())).encode(token_ids)
        assert embeddings.shape == (len(token_ids), level.output.shape[-1])
