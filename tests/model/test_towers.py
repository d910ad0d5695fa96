"""Towers: with any options, padding and other questions of a batch never change an embedding."""

import keras
import numpy as np
import pytest

from siamese.model import towers
from siamese.model.network import word_embedding

IDS, WIDTH = 20, 8
TOWERS = ("dense", "conv1d", "bilstm", "attention")
OPTIONS = {
    "one layer": {},
    "two layers": {"layers": [6, 5]},
    "no layer": {"layers": []},
    "mean": {"pooling": ["mean"]},
    "max": {"pooling": ["max"]},
    "both poolings": {"pooling": ["mean", "max"]},
    "normalized": {"layers": [6, 5], "normalization": "layer"},
    "skip": {"layers": [6, 5], "skip": True},
    "everything": {
        "layers": [6, 5],
        "pooling": ["max", "mean"],
        "normalization": "layer",
        "skip": True,
        "dropout": 0.5,
    },
}
ORDERED = {  # options of bilstm alone
    "gru": {"cell": "gru"},
    "shortcuts": {"layers": [6, 5, 4], "shortcuts": True, "skip": True},
    "forward, last": {"bidirectional": False, "pooling": ["last"]},
    "last and more": {"layers": [6, 5], "cell": "gru", "pooling": ["mean", "last"], "skip": True, "dropout": 0.5},
}
SETS = {  # options of attention alone
    "three heads": {"layers": [6, 5], "heads": 3, "skip": True},
    "without positions": {"layers": [6, 5], "positions": False, "normalization": "none"},
}
MIXING = {"dense": "dense", "conv1d": "n_grams", "bilstm": "bidirectional", "attention": "self_attention"}
QUESTION = [3, 7, 7, 12, 19]
OTHERS = [[4, 5], [6, 6, 8, 9, 10, 11, 2, 3, 4], [1]]


def build(name: str, layers=(6,), **options) -> keras.Model:
    """A tower whose every weight is random: biases of 0 would hide what padding does."""
    matrix = np.random.default_rng(0).normal(size=(IDS, WIDTH))
    sizes = {"filters" if name == "conv1d" else "units": list(layers)}
    pooling = ["mean", "max"] if name == "dense" else ["max"]
    options = {"pooling": pooling, "skip": False} | options
    tower = getattr(towers, name)(word_embedding(matrix, trainable=True), **sizes, **options)
    generator = np.random.default_rng(1)
    tower.set_weights([generator.normal(size=weight.shape) for weight in tower.get_weights()])
    return tower


def padded(questions: list[list[int]], length: int) -> np.ndarray:
    return np.array([question + [0] * (length - len(question)) for question in questions], np.int32)


def embed(tower: keras.Model, questions: list[list[int]], length: int) -> np.ndarray:
    return np.asarray(tower(padded(questions, length), training=False))


@pytest.fixture(scope="module", params=TOWERS)
def name(request) -> str:
    return request.param


@pytest.fixture(
    scope="module",
    params=[
        *((name, option) for name in TOWERS for option in OPTIONS),
        *(("bilstm", option) for option in ORDERED),
        *(("attention", option) for option in SETS),
    ],
    ids="-".join,
)
def tower(request) -> keras.Model:
    name, option = request.param
    return build(name, **(OPTIONS | ORDERED | SETS)[option])


@pytest.mark.slow
def test_padding_changes_nothing(tower):
    """The same question at its own length, a little longer and much longer."""
    short, longer, long = (embed(tower, [QUESTION], length)[0] for length in (5, 9, 17))
    assert np.isfinite(short).all()
    assert np.ptp(short) > 1e-3
    np.testing.assert_allclose(longer, short, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(long, short, atol=1e-6, rtol=1e-6)


@pytest.mark.slow
def test_padding_to_the_width_of_the_words_changes_nothing(tower):
    """A lone question of 8 positions with 8 numbers each: Keras' `ops.add` takes float32[1, 8, 1] for a bias of 8."""
    np.testing.assert_allclose(embed(tower, [QUESTION], WIDTH)[0], embed(tower, [QUESTION], 5)[0], atol=1e-6, rtol=1e-6)


@pytest.mark.slow
def test_neighbours_in_the_batch_change_nothing(tower):
    alone = embed(tower, [QUESTION], 9)[0]
    among = embed(tower, [*OTHERS, QUESTION, *OTHERS], 9)
    np.testing.assert_allclose(among[len(OTHERS)], alone, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(among[: len(OTHERS)], among[len(OTHERS) + 1 :], atol=1e-6, rtol=1e-6)
    assert np.abs(among[0] - alone).max() > 1e-3  # another question has another embedding


@pytest.mark.slow
def test_one_unknown_token_has_a_finite_embedding(tower):
    for length in (1, 4):
        embedding = embed(tower, [[1]], length)
        assert embedding.shape == (1, tower.output.shape[-1])
        assert np.isfinite(embedding).all()
        assert np.abs(embedding).max() < 1e4  # not what a masked position counts as in a maximum


def test_shapes_and_dtypes_of_a_tower(tower):
    assert tower.name == "tower"
    assert (tower.input.dtype, tower.input.shape) == ("int32", (None, None))
    assert (tower.output.dtype, len(tower.output.shape)) == ("float32", 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "dimension"),
    [
        ("dense", {}, 12),  # 6, mean and max
        ("dense", {"pooling": ["max"]}, 6),
        ("dense", {"layers": [6, 5], "skip": True}, 2 * (8 + 6 + 5)),  # the words and both layers, twice
        ("dense", {"layers": []}, 16),
        ("conv1d", {}, 18),  # 6 detectors of each of 3 widths
        ("conv1d", {"kernel_sizes": [4]}, 6),
        ("conv1d", {"skip": True, "pooling": ["mean"]}, 8 + 18),
        ("bilstm", {}, 12),  # 6 in each direction
        ("bilstm", {"layers": [6, 5], "skip": True}, 8 + 12 + 10),
        ("bilstm", {"bidirectional": False}, 6),
        ("bilstm", {"layers": [6, 5], "skip": True, "shortcuts": True}, 8 + 12 + 10),
        ("bilstm", {"pooling": ["last", "max"]}, 24),
        ("attention", {}, 8),  # of the words
        ("attention", {"layers": [6, 5], "heads": 3, "skip": True}, 8 + 8 + 8),
    ],
    ids=str,
)
def test_dimension(name, options, dimension):
    assert embed(build(name, **options), [QUESTION], 5).shape == (1, dimension)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[1], [2], [5], [1, 2, 3, 4]], ids=str)
def test_padding_changes_nothing_for_any_kernel(sizes):
    """Even widths reach further to one side; a width of 5 sees beyond a short question on both."""
    tower = build("conv1d", [6, 5], kernel_sizes=sizes)
    for question in ([3], [3, 7], QUESTION):
        own, long = embed(tower, [question], len(question)), embed(tower, [question], 16)
        np.testing.assert_allclose(long, own, atol=1e-6, rtol=1e-6)


def test_word_order_matters_to_all_but_dense(name):
    forward, backward = embed(build(name), [[3, 7, 12], [12, 7, 3]], 3)
    assert (np.abs(forward - backward).max() < 1e-5) == (name == "dense")


def test_without_positions_attention_sees_a_set_of_words():
    forward, backward, other = embed(
        build("attention", [6, 5], positions=False), [[3, 7, 12], [12, 7, 3], [3, 7, 7]], 3
    )
    np.testing.assert_allclose(forward, backward, rtol=1e-5, atol=1e-6)
    assert np.abs(forward - other).max() > 1e-3


def test_without_layers_dense_is_an_average_of_words():
    """Tokens 3 and 7 are rows 3 and 7 of the table; padding is not averaged in."""
    tower = build("dense", [], pooling=["mean", "max"])
    table = tower.get_weights()[0]
    expected = np.concatenate([(table[3] + table[7]) / 2, np.maximum(table[3], table[7])])
    np.testing.assert_allclose(embed(tower, [[3, 7]], 6)[0], expected, atol=1e-6)


@pytest.mark.slow
def test_dropout_works_in_training_alone(name):
    tower = build(name, dropout=0.5)
    question = padded([QUESTION], 5)
    still = [np.asarray(tower(question, training=False)) for _ in range(2)]
    noisy = [np.asarray(tower(question, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("pooling", [[], ["sum"], ["mean", "median"], ["ends"]], ids=str)
def test_bad_pooling_is_refused(name, pooling):
    with pytest.raises(ValueError, match=r"tower\.pooling must list some of mean, max(, last)?; got"):
        build(name, pooling=pooling)


@pytest.mark.parametrize("name", ["averaging", "dense", "conv1d", "attention"])
def test_the_last_word_is_refused_where_words_have_no_order(name):
    words = word_embedding(np.ones((IDS, WIDTH)), trainable=True)
    with pytest.raises(ValueError, match=r"tower\.pooling must list some of mean, max; got \['last'\]"):
        getattr(towers, name)(words, pooling=["last"])


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_last_outputs_are_those_of_the_first_and_the_last_word(cell):
    """With words behind them, forward outputs stay; with words before them, backward outputs stay."""
    tower = build("bilstm", cell=cell, pooling=["last"])
    short, behind, before = embed(tower, [[3, 7], [3, 7, 7], [7, 3, 7]], 3)
    assert np.abs(short - behind)[:6].max() > 1e-3
    assert np.abs(short - before)[6:].max() > 1e-3
    forward = build("bilstm", cell=cell, pooling=["last"], bidirectional=False)
    own, kernel, recurrent, *biases = tower.get_weights()
    forward.set_weights([own, np.split(kernel, 2, axis=1)[0], recurrent[:1], *(half_of(each) for each in biases)])
    np.testing.assert_allclose(embed(forward, [[3, 7], [3, 7, 7]], 3), [short[:6], behind[:6]], atol=1e-6)


def half_of(bias: np.ndarray) -> np.ndarray:
    """That of the forward direction."""
    return np.split(bias, 2)[0]


def test_shortcuts_read_the_words_and_every_layer_before():
    tower = build("bilstm", [6, 5, 4], shortcuts=True)
    assert [layer.kernel.shape[0] for layer in tower.layers if hasattr(layer, "recurrent_kernel")] == [8, 20, 30]


def test_without_shortcuts_a_layer_reads_the_one_before_alone():
    tower = build("bilstm", [6, 5, 4])
    assert [layer.kernel.shape[0] for layer in tower.layers if hasattr(layer, "recurrent_kernel")] == [8, 12, 10]


def test_a_head_has_its_map_and_two_layers_for_each_residual():
    """Map 8 x 8; then 8 x 6 and 6 x 8; then 8 x 5 and 5 x 8."""
    words = word_embedding(np.zeros((IDS, WIDTH)), trainable=True)
    for tower in (towers.averaging(words, [6, 5]), towers.encoder(WIDTH, [6, 5])):
        kernels = [layer.kernel.shape for layer in tower.layers if hasattr(layer, "kernel")]
        assert kernels == [(8, 8), (8, 6), (6, 8), (8, 5), (5, 8)]


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match=r"tower\.cell must be one of lstm, gru, got 'rnn'"):
        build("bilstm", cell="rnn")


def test_bad_normalisation_is_refused(name):
    """A misspelt option must not train a network without normalisation."""
    with pytest.raises(ValueError, match="normalization"):
        build(name, normalization="batch")


@pytest.mark.parametrize("name", TOWERS)
def test_each_layer_reads_the_one_before(name):
    tower = build(name, layers=[6, 5, 4], skip=False, normalization="none")
    changed = build(name, layers=[6, 5, 4], skip=False, normalization="none")
    for depth in range(3):  # a change of any layer reaches the end, through all behind it
        weights = tower.get_weights()
        layers = [each for each in changed.layers if each.name.startswith(MIXING[name])]
        assert len(layers) == 3
        changed.set_weights(weights)
        layers[depth].set_weights([0 * each for each in layers[depth].get_weights()])
        assert not np.allclose(changed(np.array([QUESTION])), tower(np.array([QUESTION])))


def test_by_default_every_layer_is_pooled():
    for name, sizes in (("dense", [6, 5]), ("conv1d", [6, 5]), ("bilstm", [6, 5]), ("attention", [8, 8])):
        matrix = np.zeros((IDS, WIDTH))
        tower = getattr(towers, name)(word_embedding(matrix, trainable=True), sizes)
        per_layer = {"dense": 1, "conv1d": 3, "bilstm": 2, "attention": 1}[name]
        assert tower.output_shape[-1] == WIDTH + per_layer * sum(sizes)
