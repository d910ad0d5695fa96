"""The ONNX models compute what Keras computes, whatever the padding and the batch, in whichever precision."""

import functools

import keras
import numpy as np
import onnx
import pytest

from siamese.export.onnx_graph import IR_VERSION, OPSET, Graph, to_float16, to_int8
from siamese.export.onnx_models import network_model, tower_model
from siamese.export.runners import batches, onnx_runner, run
from siamese.inference import similarities
from siamese.inference.from_keras import numpy_network
from siamese.inference.layers import rows
from siamese.inference.network import NumpyNetwork
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan
from siamese.text.inputs import TokenIds

LENGTHS = [1, 9, 2, 9, 1, 40, 5, 3, 12, 1, 7, 2]
SIMILARITIES = {
    "cosine": Cosine,
    "euclidean": lambda: Euclidean(0.7),
    "manhattan": Manhattan,
    "learned": lambda: Learned([6, 4]),
}
TOWERS = {
    "dense without layers": ("dense", {"units": []}),
    "dense": ("dense", {"units": [6, 5]}),
    "conv1d": ("conv1d", {"filters": [5], "kernel_sizes": [1, 2, 3]}),
    "two conv1d": ("conv1d", {"filters": [5, 4], "kernel_sizes": [5, 2]}),
    "bilstm": ("bilstm", {"units": [4]}),
    "two bilstm": ("bilstm", {"units": [4, 3]}),
    "bigru with shortcuts": ("bilstm", {"units": [4, 3], "cell": "gru", "shortcuts": True}),
    "lstm, last": ("bilstm", {"units": [4], "bidirectional": False, "pooling": ["last"]}),
    "bigru, last": ("bilstm", {"units": [4], "cell": "gru", "pooling": ["last", "max"]}),
    "attention": ("attention", {"units": [4], "heads": 2}),
    "two attentions without positions": ("attention", {"units": [4, 3], "heads": 3, "positions": False}),
}
OPTIONS = [  # each pooling, normalization and skip with each other value of the two
    {"pooling": ["mean"], "normalization": "none", "skip": False},
    {"pooling": ["max"], "normalization": "layer", "skip": False},
    {"pooling": ["max"], "normalization": "none", "skip": True},
    {"pooling": ["mean", "max"], "normalization": "layer", "skip": True},
]


@pytest.fixture(scope="module")
def build(build_network):
    """A function: name of a tower, of a similarity, options -> a Keras network, every weight of it at random."""

    @functools.cache
    def make(tower: str, similarity: str, number: int = 3) -> tuple[keras.Model, NumpyNetwork]:
        kind, options = TOWERS[tower]
        network = build_network(kind, SIMILARITIES[similarity], **OPTIONS[number] | options)
        generator = np.random.default_rng(2)
        for weight in network.weights:  # zero biases would hide mistakes
            weight.assign(generator.normal(scale=0.5, size=weight.shape))
        return network, numpy_network(network)

    return make


def questions(network: NumpyNetwork, lengths=tuple(LENGTHS), seed: int = 0) -> TokenIds:
    """Of these lengths, of random words; the first one with the highest id that there is."""
    values = np.random.default_rng(seed).integers(1, network.vocabulary, sum(lengths)).astype(np.int32)
    values[0] = network.vocabulary - 1
    return TokenIds(values, np.concatenate([[0], np.cumsum(lengths)]))


def runner(model: onnx.ModelProto):
    return onnx_runner(model.SerializeToString())


def wider(padded: np.ndarray, columns: int) -> np.ndarray:
    return np.pad(padded, ((0, 0), (0, columns)))


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_embeddings_are_those_of_keras(build, tower, number):
    network, light = build(tower, "cosine", number)
    padded = questions(light).padded(np.arange(len(LENGTHS)))
    expected = keras.ops.convert_to_numpy(network.get_layer("tower")(padded))
    given = runner(tower_model(light))(padded)
    assert given.dtype == np.float32
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_similarities_are_those_of_keras_and_symmetric(build, tower, similarity):
    network, light = build(tower, similarity)
    token_ids, rows = questions(light), np.arange(len(LENGTHS))
    left, right = token_ids.padded(rows), token_ids.padded(rows[::-1][:12] // 2)
    expected = keras.ops.convert_to_numpy(network([left, right]))
    score = runner(network_model(light))
    given = score(left, right)
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(score(right, left), given, rtol=0, atol=1e-6)
    itself = score(left, left)
    if similarity == "learned":
        ceiling = light.arrays["similarity/ceiling"]
        np.testing.assert_allclose(itself, 1 / (1 + np.exp(-ceiling)), atol=1e-6)
    else:
        np.testing.assert_array_equal(itself, 1)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_similarities_of_near_distant_and_zero_embeddings(build, similarity):
    """The comparison alone: an embedding table whose rows are the embeddings, read by questions of one word."""
    _, light = build("dense without layers", similarity, 0)
    generator = np.random.default_rng(1)
    table = generator.normal(size=(light.vocabulary, light.dimension)).astype(np.float32)
    half = light.vocabulary // 2
    table[half : 2 * half] = table[:half] + table[half : 2 * half] * np.logspace(-7, 1, half)[:, None]
    table[[1, half + 1, 2]] = 0
    table[[half - 1, 2 * half - 1]] *= np.float32(
        1e-3
    )  # short, yet far longer than what is added against division by 0
    light = NumpyNetwork(light.description, light.arrays | {"word_embedding/embeddings": table})
    left = np.arange(1, half, dtype=np.int32)[:, None]
    expected = light.similarity(table[left[:, 0]], table[left[:, 0] + half])
    given = runner(network_model(light))(left, left + half)
    np.testing.assert_allclose(given, expected, rtol=0, atol=2e-6)
    assert np.ptp(expected) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_neither_padding_nor_neighbours_change_anything(build, tower, precision):
    """A question alone, without padding, has the embedding that it has in a large batch that is far too wide."""
    _, light = build(tower, "cosine")
    token_ids = questions(light, LENGTHS * 30)
    rows = np.arange(len(token_ids))
    encode = runner(tower_model(light, precision))
    large = encode(wider(token_ids.padded(rows), 11))
    assert large.shape == (360, light.dimension)
    alone = np.concatenate([encode(token_ids.padded(rows[row : row + 1])) for row in range(12)])
    np.testing.assert_allclose(alone, large[:12], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(run(encode, batches(token_ids, rows)), large, rtol=1e-6, atol=1e-6)
    if precision == "float32":
        np.testing.assert_allclose(large, light.encode(token_ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean", "manhattan"])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_equal_questions_get_1_in_any_batch(build, similarity, precision):
    """Beside the third question stand others on the left than on the right, which quantised activations would show."""
    _, light = build("bilstm", similarity)
    token_ids = questions(light)
    left, right = token_ids.padded(np.array([0, 1, 2])), token_ids.padded(np.array([5, 8, 2]))
    assert left.shape != right.shape
    given = runner(network_model(light, precision))(left, right)
    assert given[2] == pytest.approx(1, abs=1e-6)
    assert given[0] < 0.999


@pytest.mark.parametrize("tower", TOWERS)
def test_a_question_without_words_gets_zeros(build, tower):
    network, light = build(tower, "cosine")
    padded = questions(light, [3, 1]).padded(np.array([0, 1]))
    padded[1] = 0
    expected = keras.ops.convert_to_numpy(network.get_layer("tower")(padded))
    given = runner(tower_model(light))(padded)
    assert not given[1].any()
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_models_are_plain_onnx_with_named_inputs_and_free_sizes(build, tower, precision):
    _, light = build(tower, "learned")
    shapes = {}
    for model in (tower_model(light, precision), network_model(light, precision)):
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version == IR_VERSION
        assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
        assert {node.domain for node in model.graph.node} == {""}
        names = [array.name for array in model.graph.initializer]
        assert sorted(names) == sorted({name for node in model.graph.node for name in node.input} & set(names))
        for info in [*model.graph.input, *model.graph.output]:
            dims = [each.dim_param or each.dim_value for each in info.type.tensor_type.shape.dim]
            shapes[info.name] = (info.type.tensor_type.elem_type, dims)
    ids, numbers = onnx.TensorProto.INT32, onnx.TensorProto.FLOAT
    assert shapes == {
        "questions": (ids, ["batch", "length"]),
        "embedding": (numbers, ["batch", light.dimension]),
        "left": (ids, ["batch", "left_length"]),
        "right": (ids, ["batch", "right_length"]),
        "similarity": (numbers, ["batch"]),
    }


def test_both_sides_read_the_same_arrays(build):
    """The whole network has no tower weight twice: beyond the tower's bytes there are only the similarity's."""
    _, light = build("bilstm", "cosine")
    tower, network = (
        {array.name: array for array in model.graph.initializer if len(array.dims) > 1}
        for model in (tower_model(light), network_model(light))
    )
    assert tower.keys() == network.keys()


@pytest.mark.parametrize("tower", ["dense", "two conv1d", "two bilstm", "attention"])
@pytest.mark.parametrize(("precision", "bytes_each", "off"), [("float16", 2, 2e-3), ("int8", 1, 0.1)])
def test_smaller_weights_are_stored_as_such_and_close(build, tower, precision, bytes_each, off):
    """Matrices take their bytes and nothing else does; outputs move, but little."""
    _, light = build(tower, "cosine")
    padded = questions(light).padded(np.arange(len(LENGTHS)))
    model = tower_model(light, precision)
    matrices = sum(array.size for array in light.arrays.values() if array.ndim > 1)
    small = {"float16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}[precision]
    stored = [len(each.raw_data) for each in model.graph.initializer if each.data_type == small]
    assert sum(stored) == matrices * bytes_each
    expected, given = runner(tower_model(light))(padded), runner(model)(padded)
    difference = np.abs(given - expected).max() / np.abs(expected).max()
    assert 1e-7 < difference < off


def test_int8_is_off_by_half_a_scale_at_most_and_scales_are_of_channels():
    array = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32) * np.logspace(-3, 3, 5, dtype=np.float32)
    values, scale = to_int8(array, (0,))
    assert (values.dtype, scale.shape) == (np.int8, (1, 5))
    np.testing.assert_allclose(scale[0] * 127, np.abs(array).max(axis=0), rtol=1e-6)
    assert (np.abs(values * scale - array) <= scale / 2 * 1.0001).all()
    assert (np.abs(values).max(axis=0) == 127).all()


@pytest.mark.parametrize(
    ("tower", "shapes"),
    [
        ("dense", [[1, 6], [1, 5]]),
        ("conv1d", [[5, 1, 1]] * 3),
        ("bilstm", [[2, 16, 1]] * 2),  # kernel and recurrent kernel
    ],
)
def test_every_output_of_a_layer_and_every_word_has_a_scale_of_its_own(build, tower, shapes):
    _, light = build(tower, "cosine")
    model = tower_model(light, "int8")
    scales = [list(each.dims) for each in model.graph.initializer if each.name.endswith("/scale")]
    assert sorted(scales) == sorted([[light.vocabulary, 1], *shapes])


def test_float16_refuses_what_it_cannot_hold():
    assert to_float16(np.float32([65504, -1])).dtype == np.float16
    for strange in (70_000, np.nan):
        with pytest.raises(ValueError, match=r"w holds .*, too large for float16 \(65504\); leave float16 out"):
            to_float16(np.float32([1, strange]), "w")


def test_the_same_operation_is_one_node():
    graph = Graph()
    assert graph.add("Transpose", "x", perm=(1, 0)) == graph.add("Transpose", "x", perm=(1, 0))
    assert graph.add("Transpose", "x", perm=(1, 0)) != graph.add("Transpose", "x", perm=(0, 1))
    assert graph.add("Sub", "x", "y") != graph.add("Sub", "y", "x")


def test_unknown_precisions_and_parts_without_onnx_are_refused(build, monkeypatch):
    _, light = build("dense", "cosine")
    with pytest.raises(ValueError, match="precision must be one of float32, float16, int8, got 'int4'"):
        tower_model(light, "int4")
    monkeypatch.delattr(similarities.Cosine, "onnx")
    with pytest.raises(ValueError, match="similarity, a Cosine, is not written in ONNX; give it a method onnx"):
        network_model(light)
    monkeypatch.delattr(rows.Embedding, "onnx")
    with pytest.raises(ValueError, match="word_embedding, a Embedding, is not written in ONNX"):
        tower_model(light)
