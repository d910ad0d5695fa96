"""The network as a whole: symmetric, trainable to the last weight, repeatable, and the same in another process."""

import numpy as np
import pytest

from siamese.inference.from_keras import numpy_network, save_keras
from siamese.inference.keras_network import load_keras
from siamese.model import towers
from siamese.model.losses import BinaryCrossentropy
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan
from siamese.text.inputs import TokenIds

TOWERS = ("dense", "conv1d", "bilstm", "attention")
SIMILARITIES = {
    "cosine": Cosine,
    "euclidean": Euclidean,
    "manhattan": Manhattan,
    "learned": lambda: Learned([6], dropout=0.1),
}
SAVED = (
    ("dense", "learned"),
    ("conv1d", "manhattan"),
    ("bilstm", "euclidean"),
    ("attention", "cosine"),
    ("dense", "cosine"),
)
QUESTIONS = [
    ("how do i pay my bill", "where can i pay the bill ?"),
    ("zyzzyva", "!"),
    ("", "my card is lost and so is the card of my brother, what now ?"),
    ("opening hours", "opening hours"),
]
FRESH_PROCESS = """
import sys
import siamese.model.quiet_tensorflow
import keras
import numpy as np
from siamese.model import similarity, towers
ids = np.load(sys.argv[1])
for folder in sys.argv[2:]:
    network = keras.saving.load_model(f"{folder}/network.keras")
    print(network.predict_on_batch([ids[0], ids[1]]).tobytes().hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("similarity", list(SIMILARITIES))
@pytest.mark.parametrize("tower", TOWERS)
def test_symmetric_whatever_the_batch(tower, similarity, build_network, vectorizer, token_ids, pairs):
    """f(a, b) among all pairs at once, and f(b, a) of the pair alone, whose batches have other lengths."""
    light = numpy_network(build_network(tower, SIMILARITIES[similarity]))
    together = light.score(token_ids, pairs.left, pairs.right)
    for row in range(0, len(pairs), 8):
        one = pairs.take(np.array([row]))
        swapped = light.score(vectorizer.encode(one.questions), one.right, one.left)
        assert swapped[0] == pytest.approx(together[row], abs=1e-6)
    assert np.ptp(together) > 1e-3
    assert together.min() >= 0
    assert together.max() <= 1 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
def test_the_keras_model_gives_what_the_light_network_gives(tower, build_network, token_ids, pairs):
    network = build_network(tower, Euclidean)
    left, right = token_ids.padded(pairs.left), token_ids.padded(pairs.right)
    expected = numpy_network(network).score(token_ids, pairs.left, pairs.right)
    np.testing.assert_allclose(network.predict_on_batch([left, right]), expected, atol=1e-6)
    np.testing.assert_allclose(network.predict_on_batch([right, left]), expected, atol=1e-6)


def test_the_tower_is_one_object(build_network):
    """Its weights count once: an embedding, and a dense layer's kernel and bias."""
    network = build_network("dense")
    assert [layer.name for layer in network.layers] == ["left", "right", "tower", "similarity"]
    assert len(network.weights) == 3
    assert [(each.name, each.dtype) for each in network.inputs] == [("left", "int32"), ("right", "int32")]


@pytest.mark.parametrize("trainable", [True, False])
def test_the_embedding_starts_from_the_given_matrix(trainable):
    matrix = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    layer = word_embedding(matrix, trainable)
    np.testing.assert_array_equal(layer(np.array([[4, 0]], np.int32))[0], matrix[[4, 0]])
    assert len(layer.trainable_weights) == int(trainable)
    assert str(matrix[0, 0])[:6] not in str(layer.get_config())  # the matrix is no part of the configuration


def test_a_tokens_weight_scales_its_row_in_keras_and_in_numpy():
    matrix = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    words = word_embedding(matrix, trainable=False, weighted=True)
    network = siamese_network(towers.averaging(words, units=[]), Cosine())
    np.testing.assert_array_equal(words.rows, matrix)
    words.token_weight.assign([[0], [0], [0.2], [-0.1], [0]])
    expected = matrix * np.exp([[0], [0], [1], [-0.5], [0]])
    np.testing.assert_allclose(words(np.array([2, 3, 4])), expected[2:], rtol=1e-6)
    questions = np.array([[2, 3, 4]], np.int32)
    embedding = network.get_layer("tower")(questions)
    np.testing.assert_allclose(embedding[0], expected[2:].mean(axis=0), rtol=1e-5)
    alone = numpy_network(network).encode(TokenIds.of([np.array([2, 3, 4], np.int32)]))
    np.testing.assert_allclose(alone, embedding, rtol=1e-5)


def test_training_moves_the_weights_of_tokens_and_not_the_frozen_rows(pairs, token_ids, train):
    matrix = np.random.default_rng(0).normal(size=(token_ids.values.max() + 1, 6)).astype(np.float32)
    words = word_embedding(matrix, trainable=False, weighted=True)
    train(siamese_network(towers.averaging(words), Cosine()))
    assert np.any(words.token_weight)
    assert np.array_equal(words.embeddings, matrix)


def test_a_pull_is_the_squared_distance_from_the_start_relative_to_its_length():
    """Words 1 and 2 are asked, rows (3, 4) and (0, 5); the second moved by 2: pull · 4 / (25 + 25)."""
    matrix = np.array([[0, 0], [3, 4], [0, 5], [9, 9]], np.float32)
    words = word_embedding(matrix, trainable=True, pull=0.5)
    words.embeddings.assign(matrix + np.array([[7, 7], [0, 0], [2, 0], [1, 1]], np.float32))
    assert float(words.pull_back(np.array([[1, 2, 2, 0]], np.int32))) == pytest.approx(0.5 * 4 / 50)


def test_rows_with_a_pull_stay_nearer_to_their_start(pairs, token_ids, train):
    matrix = np.random.default_rng(0).normal(size=(token_ids.values.max() + 1, 6)).astype(np.float32)
    moved = []
    for pull in (0.0, 100.0):
        words = word_embedding(matrix, trainable=True, pull=pull)
        better = iter(range(10))  # the last epoch is the best
        network = siamese_network(towers.averaging(words, dropout=0.0), Cosine())
        train(network, epochs=10, evaluate=lambda better=better: {"roc_auc": next(better)})
        moved.append(np.abs(words.embeddings - matrix).sum())
    assert 0 < moved[1] < moved[0]


@pytest.mark.parametrize(("trainable", "pull"), [(False, 0.0), (True, 0.5)])
def test_weights_and_start_of_an_embedding_are_saved(trainable, pull, tmp_path):
    words = word_embedding(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), trainable, True, pull)
    words.token_weight.assign(np.arange(5.0)[:, None] / 10)
    words.embeddings.assign(words.embeddings + float(trainable))
    network = siamese_network(towers.averaging(words), Cosine())
    save_keras(network, tmp_path)
    loaded = load_keras(tmp_path)
    assert [each.path.rpartition("/")[2] for each in loaded.weights] == [
        each.path.rpartition("/")[2] for each in network.weights
    ]
    for one, other in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pull_below_0_is_refused():
    with pytest.raises(ValueError, match=r"vectors\.pull must be at least 0, got -1"):
        word_embedding(np.ones((3, 2), np.float32), trainable=True, pull=-1)


@pytest.mark.slow
@pytest.mark.parametrize("similarity", ["cosine", "learned"])
@pytest.mark.parametrize(
    ("tower", "options"),
    [
        ("dense", {}),
        ("conv1d", {}),
        ("bilstm", {}),
        ("bilstm", {"units": [4, 3], "cell": "gru", "shortcuts": True}),
        ("attention", {"units": [4, 3], "skip": True, "pooling": ["mean"], "dropout": 0.2}),
        ("attention", {"normalization": "none", "positions": False}),
        ("dense", {"units": [6, 5], "normalization": "layer", "skip": True, "dropout": 0.2}),
    ],
    ids=[
        "dense",
        "conv1d",
        "bilstm",
        "gru with shortcuts",
        "attention",
        "attention as a set",
        "dense with all options",
    ],
)
def test_one_step_moves_every_weight(tower, options, similarity, build_network, train):
    network = build_network(tower, SIMILARITIES[similarity], **options)
    before = [np.array(weight) for weight in network.trainable_weights]
    history = train(network)
    assert len(history) == 1
    moved = {
        weight.path: np.abs(np.array(weight) - old).max()
        for weight, old in zip(network.trainable_weights, before, strict=True)
    }
    assert all(change > 0 for change in moved.values()), moved
    assert all(np.isfinite(weight).all() for weight in network.get_weights())


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
def test_the_same_seed_gives_bit_equal_weights(tower, build_network, train):
    """With dropout of weights and of words: nothing but the seed decides; and another seed decides otherwise."""
    weights = []
    for seed in (0, 0, 1) if tower == "dense" else (0, 0):
        network = build_network(tower, SIMILARITIES["learned"], seed=seed, dropout=0.3)
        train(network, BinaryCrossentropy(), epochs=2, batch_size=8, word_dropout=0.2, seed=seed)
        weights.append(network.get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(weights[0], weights[1], strict=True))
    for one, other in zip(weights[0], weights[-1], strict=True):
        assert np.array_equal(one, other) == (tower != "dense")


@pytest.mark.slow
def test_a_saved_network_scores_the_same_to_the_bit_in_a_fresh_process(
    tmp_path, build_network, train, vectorizer, run_python
):
    """Keras loads each tower and each similarity; trained for a step, so that no weight is where it started."""
    token_ids = vectorizer.encode([question for pair in QUESTIONS for question in pair])
    left, right = (token_ids.padded(np.arange(side, len(token_ids), 2)) for side in (0, 1))
    length = max(left.shape[1], right.shape[1])
    ids = np.stack([np.pad(each, [(0, 0), (0, length - each.shape[1])]) for each in (left, right)])
    np.save(tmp_path / "ids.npy", ids)
    expected, folders = [], []
    for tower, similarity in SAVED:
        network = build_network(tower, SIMILARITIES[similarity])
        train(network)
        folders.append(tmp_path / f"{tower}_{similarity}")
        folders[-1].mkdir()
        save_keras(network, folders[-1])
        expected.append(network.predict_on_batch([ids[0], ids[1]]))
    done = run_python("-c", FRESH_PROCESS, tmp_path / "ids.npy", *folders)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [scores.tobytes().hex() for scores in expected]
    assert done.stderr == ""  # and nothing chatters
    assert len({scores.tobytes() for scores in expected}) == len(SAVED)
