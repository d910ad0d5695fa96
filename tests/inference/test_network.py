"""The light network computes what Keras computes, however its work is shared out, and reads nothing but its own files."""

import json
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest

from siamese.inference import network as light_module
from siamese.inference.from_keras import UnknownLayerError, check, numpy_network, save_keras
from siamese.inference.network import NumpyNetwork
from siamese.model.network import siamese_network
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan
from siamese.text.inputs import TokenIds

ROOT = Path(__file__).parents[2]
LENGTHS = [1, 9, 2, 9, 1, 64, 5, 3, 12, 1, 7, 2]
SIMILARITIES = [Cosine, lambda: Euclidean(0.7), Manhattan, lambda: Learned([6, 4])]
TOWERS = [
    ("dense", {"units": []}),
    ("dense", {"units": [6]}),
    ("dense", {"units": [6, 5]}),
    ("conv1d", {"filters": [5], "kernel_sizes": [1, 2, 3]}),
    ("conv1d", {"filters": [5, 4], "kernel_sizes": [5, 2]}),
    ("bilstm", {"units": [4]}),
    ("bilstm", {"units": [4, 3]}),
    ("bilstm", {"units": [4, 3, 2], "shortcuts": True}),
    ("bilstm", {"units": [4, 3], "cell": "gru"}),
    ("bilstm", {"units": [4], "cell": "gru", "bidirectional": False}),
    ("bilstm", {"units": [4, 3], "bidirectional": False}),
    ("attention", {"units": [4, 3], "heads": 2}),
    ("attention", {"units": [4], "heads": 3, "positions": False}),
]
OPTIONS = [  # each value of one with each value of another
    (["mean"], "none", False),
    (["mean"], "layer", True),
    (["max"], "none", True),
    (["max"], "layer", False),
    (["max", "mean"], "none", False),
    (["max", "mean"], "layer", True),
]


def some_questions(ids: int, lengths=tuple(LENGTHS), seed: int = 0) -> TokenIds:
    """Questions of these lengths, of random words."""
    generator = np.random.default_rng(seed)
    values = generator.integers(1, ids, sum(lengths)).astype(np.int32)
    return TokenIds(values, np.concatenate([[0], np.cumsum(lengths)]))


def with_weights(network: keras.Model, seed: int = 0) -> keras.Model:
    """Every weight drawn at random, for zero biases would hide mistakes."""
    generator = np.random.default_rng(seed)
    for weight in network.weights:
        weight.assign(generator.normal(scale=0.5, size=weight.shape))
    return network


@pytest.fixture(scope="module")
def bilstm(build_network):
    """A NumPy network of two layers with all options, and the Keras network that it was converted from."""
    network = with_weights(
        build_network("bilstm", lambda: Learned([6]), units=[4, 3], pooling=["mean", "max"], skip=True)
    )
    return numpy_network(network), network


@pytest.fixture
def folder(bilstm, tmp_path):
    bilstm[0].save(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("tower", "options"), TOWERS)
@pytest.mark.parametrize(("pooling", "normalization", "skip"), OPTIONS)
def test_embeddings_are_those_of_keras(build_network, tower, options, pooling, normalization, skip):
    assert_embeddings_are_those_of_keras(
        build_network(tower, pooling=pooling, normalization=normalization, skip=skip, dropout=0.1, **options)
    )


def assert_embeddings_are_those_of_keras(network: keras.Model) -> None:
    with_weights(network)
    keras_tower, light = network.get_layer("tower"), numpy_network(network)
    questions = some_questions(network.get_layer("tower").get_layer("word_embedding").input_dim)
    expected = keras.ops.convert_to_numpy(keras_tower(questions.padded(np.arange(len(questions)))))
    assert light.dimension == expected.shape[1]
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(light.encode(questions) / scale, expected / scale, rtol=0, atol=2e-6)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_last_outputs_are_those_of_keras(build_network, bidirectional):
    """The pooling "ends" or "last", of tokens with vectors of their own and, with skip, of words."""
    options = {"units": [3], "bidirectional": bidirectional}
    assert_embeddings_are_those_of_keras(build_network("bilstm", pooling=["last", "mean"], skip=True, **options))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_similarities_are_those_of_keras(build_network, similarity):
    """Close and distant pairs, zero vectors, and more of them than are worked on at once."""
    network = with_weights(build_network(similarity=similarity))
    light = numpy_network(network)
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2, 1500, light.dimension)).astype(np.float32)
    right[:700] = left[:700] + right[:700] * np.logspace(-7, 0, 700, dtype=np.float32)[:, None]
    left[-3:] = right[-2:] = 0
    expected = keras.ops.convert_to_numpy(network.get_layer("similarity")(left, right))
    given = light.similarity(left, right)
    np.testing.assert_allclose(given, expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(given, light.similarity(right, left))
    itself = light.similarity(left, left)
    if isinstance(network.get_layer("similarity"), Learned):
        assert len(set(itself.tolist())) == 1  # the learned ceiling
        assert (itself >= given).all()
    else:
        assert (itself == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize(("tower", "options"), TOWERS)
def test_sharing_out_the_work_changes_nothing(build_network, monkeypatch, tower, options):
    """Neither threads to the bit, nor chunks, blocks and the other questions of a batch beyond rounding."""
    light = numpy_network(with_weights(build_network(tower, **options)))
    questions = some_questions(light.vocabulary, LENGTHS * 40)
    expected = light.encode(questions)
    scale = max(1, np.abs(expected).max())
    assert np.abs(light.encode(some_questions(light.vocabulary, LENGTHS[:1])) - expected[:1]).max() / scale < 1e-6
    monkeypatch.setattr(light_module, "CHUNK_TOKENS", 50)
    monkeypatch.setattr(light_module, "CHUNK_WORDS", 7)
    monkeypatch.setattr(light_module, "TABLE_NUMBERS", (light.vocabulary - 1) * light._plan.table_width)
    split = light.encode(questions, threads=1)
    np.testing.assert_allclose(split / scale, expected / scale, rtol=0, atol=1e-6)
    for threads in (2, 5):
        np.testing.assert_array_equal(light.encode(questions, threads=threads), split)


@pytest.mark.slow
def test_more_pairs_than_are_compared_at_once(bilstm, token_ids, pairs, monkeypatch):
    light, _ = bilstm
    whole = light.score(token_ids, pairs.left, pairs.right)
    monkeypatch.setattr("siamese.inference.runtime.PAIRS_AT_ONCE", 5)
    np.testing.assert_allclose(light.score(token_ids, pairs.left, pairs.right), whole, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = light.score(token_ids, pairs.right[order], pairs.left[order])
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-6)
    assert np.ptp(whole) > 1e-3


def test_a_question_without_words_and_no_question_at_all(bilstm):
    """Zeros, as in the Keras network; in a question of its own and among others."""
    light, network = bilstm
    questions = some_questions(light.vocabulary, [3, 0, 1])
    expected = keras.ops.convert_to_numpy(network.get_layer("tower")(questions.padded(np.arange(3))))
    np.testing.assert_allclose(light.encode(questions), expected, atol=1e-5)
    assert not light.encode(some_questions(light.vocabulary, [0])).any()
    assert light.encode(some_questions(light.vocabulary, [])).shape == (0, light.dimension)
    assert light.similarity(expected[:0], expected[:0]).shape == (0,)


@pytest.mark.parametrize("strange", [-1, 10_000])
def test_a_token_id_outside_the_vocabulary_is_refused(bilstm, strange):
    with pytest.raises(ValueError, match=r"token ids must lie in \[0, \d+\), got .*; encode the texts with"):
        bilstm[0].encode(TokenIds(np.array([1, strange], np.int32), np.array([0, 2])))


def test_the_export_is_a_copy(build_network):
    network = build_network()
    light = numpy_network(network)
    questions = some_questions(light.vocabulary)
    before = light.encode(questions)
    with_weights(network)
    np.testing.assert_array_equal(light.encode(questions), before)


def test_a_round_trip_keeps_every_bit(bilstm, folder):
    light, again = bilstm[0], NumpyNetwork.load(folder)
    questions = some_questions(light.vocabulary)
    embeddings = again.encode(questions)
    np.testing.assert_array_equal(embeddings, light.encode(questions))
    np.testing.assert_array_equal(
        again.similarity(embeddings, embeddings[::-1]), light.similarity(embeddings, embeddings[::-1])
    )
    assert sorted(file.name for file in folder.iterdir()) == ["light.json", "light.npz"]
    assert json.loads((folder / "light.json").read_text())["format_version"] == 1


def test_loading_and_encoding_bring_in_neither_keras_nor_tensorflow(folder, run_python):
    program = (
        "import sys, pathlib, numpy as np\n"
        "from siamese.inference.network import NumpyNetwork\n"
        "from siamese.text.inputs import TokenIds\n"
        "light = NumpyNetwork.load(pathlib.Path(sys.argv[1]))\n"
        "light.encode(TokenIds(np.array([1, 2], np.int32), np.array([0, 2])))\n"
        "print(*{'keras', 'tensorflow', 'mlflow', 'pandas', 'scipy'} & set(sys.modules))"
    )
    done = run_python("-c", program, folder)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("name", ["light.json", "light.npz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"holds no network: it has no {name}$"):
        NumpyNetwork.load(folder)


def edit(folder: Path, change) -> None:
    """Rewrite light.json."""
    description = json.loads((folder / "light.json").read_text())
    change(description)
    (folder / "light.json").write_text(json.dumps(description))


def replace(folder: Path, **changes) -> None:
    """Rewrite light.npz; None drops an array. Names have __ for /."""
    with np.load(folder / "light.npz") as file:
        arrays = dict(file)
    arrays |= {name.replace("__", "/"): array for name, array in changes.items()}
    np.savez(folder / "light.npz", **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize("version", [0, 3, "one"])
def test_another_format_is_refused(folder, version):
    edit(folder, lambda description: description.update(format_version=version))
    with pytest.raises(ValueError, match=rf"has format {version}, this program reads 1 and 2; use the version"):
        NumpyNetwork.load(folder)


def test_a_table_of_bytes_takes_a_byte_a_number_and_comes_back_to_the_bit(tmp_path):
    draw = np.random.default_rng(0)
    scale = draw.uniform(0.01, 1, 4_000).astype(np.float32) / np.float32(127)
    table = draw.integers(-127, 128, (4_000, 80)).astype(np.int8)
    table[:, 0] = 127  # the largest of a row, by which its scale is found
    description = {
        "tower": [
            {"layer": "Embedding", "name": "words", "inputs": [], "config": {"ids": 4_000, "width": 80}},
            {"layer": "Pool", "name": "pool", "inputs": ["words"], "config": {"pooling": ["mean"]}},
        ],
        "similarity": {"layer": "Cosine", "config": {}},
    }
    network = NumpyNetwork(description, {"words/embeddings": table * scale[:, None]})
    network.save(tmp_path)
    assert (tmp_path / "light.npz").stat().st_size < 4_000 * 80 * 1.1
    assert json.loads((tmp_path / "light.json").read_text())["format_version"] == 2
    again = NumpyNetwork.load(tmp_path)
    np.testing.assert_array_equal(again.arrays["words/embeddings"], network.arrays["words/embeddings"])


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "{}", "null", '{"format_version": 1}'])
def test_a_description_that_is_none_is_refused(folder, content):
    (folder / "light.json").write_text(content)
    with pytest.raises(ValueError, match=r"light\.json"):
        NumpyNetwork.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"similarity__ceiling": None}, "the array similarity/ceiling is missing"),
        (
            {"word_embedding__embeddings": np.zeros((3, 8), np.float32)},
            r"must be float32\[\d+, 8\], but it is float32\[3, 8\]",
        ),
        ({"similarity__ceiling": np.float64(4)}, r"must be float32\[\], but it is float64\[\]"),
        ({"mine": np.zeros(3, np.float32)}, "no layer has the arrays mine"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(folder, changes, message):
    replace(folder, **changes)
    with pytest.raises(ValueError, match=message):
        NumpyNetwork.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda network: network["tower"][1].update(layer="Lambda"),
            "is a layer of the unknown kind Lambda, expected one of Add, BidirectionalGRU, BidirectionalLSTM, Col",
        ),
        (
            lambda network: next(step for step in network["tower"] if step["layer"] == "Pool").update(
                config={"pooling": ["first"]}
            ),
            r"pooling must be some of mean, max, last, ends, each once, got \['first'\]",
        ),
        (
            lambda network: network["similarity"].update(layer="os.system"),
            "similarity is a similarity of the unknown kind os.system, expected one of Cosine, Euclidean",
        ),
        (lambda network: network["tower"][1].update(inputs=["nothing"]), "light.json and light.npz are no network"),
        (lambda network: network["tower"][1]["config"].clear(), "light.json and light.npz are no network"),
        (lambda network: network["tower"].pop(), "light.json and light.npz are no network|gives no row|no layer has"),
    ],
)
def test_a_description_with_mistakes_is_refused(folder, change, message):
    edit(folder, change)
    with pytest.raises(ValueError, match=message):
        NumpyNetwork.load(folder)


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


def test_a_pickle_is_not_opened(folder, capsys):
    (folder / "light.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"light\.npz is no whole archive"):
        NumpyNetwork.load(folder)
    assert capsys.readouterr().out == ""


def test_objects_among_the_arrays_are_not_unpickled(folder, bilstm, capsys):
    np.savez(folder / "light.npz", allow_pickle=True, **bilstm[0].arrays, mine=np.array([Evil()], object))
    with pytest.raises(ValueError, match=r"light\.npz holds no arrays: mine.npy is of type \|O"):
        NumpyNetwork.load(folder)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("cut", [0, 100, -50])
def test_a_damaged_archive_is_refused(folder, cut):
    content = (folder / "light.npz").read_bytes()
    (folder / "light.npz").write_bytes(content[:cut])
    with pytest.raises(ValueError, match=r"light\.npz is no whole archive"):
        NumpyNetwork.load(folder)


class OwnDense(keras.layers.Dense):
    """A subclass may compute anything."""


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: keras.layers.Dense(4, activation="gelu"),
            "is a keras.layers.Dense with activation='gelu', but NumPy computes only activation='linear'",
        ),
        (lambda: keras.layers.Dense(4, use_bias=False), "use_bias=False, but NumPy computes only use_bias=True"),
        (lambda: keras.layers.LeakyReLU(), "is a keras.layers.LeakyReLU, which no registered layer computes in NumPy"),
        (lambda: OwnDense(4), "is a tests.inference.test_network.OwnDense, which no registered layer"),
    ],
)
def test_a_layer_without_a_numpy_version_is_named(build_network, layer, message):
    tower = build_network().get_layer("tower")
    named = layer()
    network = siamese_network(keras.Model(tower.inputs, named(tower.outputs[0]), name="tower"), Cosine())
    for ask in (check, numpy_network):
        with pytest.raises(UnknownLayerError, match=rf"the layer {named.name}.*{message}"):
            ask(network)


class OwnSimilarity(Cosine):
    """A subclass may compute anything."""


def test_a_similarity_that_is_not_registered_is_named(build_network):
    with pytest.raises(
        UnknownLayerError, match=r"the layer similarity is a .*OwnSimilarity, which no registered similar"
    ):
        check(build_network(similarity=OwnSimilarity))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda questions, x: keras.Model(questions, keras.ops.tanh(x)), "the layer tanh is a keras.*Tanh, which no"),
        (lambda questions, x: keras.Model(questions, keras.layers.ReLU()(questions)), "reads no vectors of words"),
        (lambda questions, x: keras.Sequential([keras.layers.GRU(4)]), "the tower is a .*Sequential, expected"),
    ],
)
def test_towers_that_only_keras_can_run_are_noted(build_network, make, message):
    tower = build_network().get_layer("tower")
    own = make(tower.input, tower.output)
    own.name = "tower"
    network = keras.Model(tower.input, Cosine(name="similarity")(tower.output, tower.output))
    network.get_layer = {"tower": own, "similarity": network.get_layer("similarity")}.__getitem__
    with pytest.raises(UnknownLayerError, match=message):
        check(network)


def test_a_layer_behind_the_pooling_is_computed(build_network):
    """Whatever stands on embeddings works as well, although no tower of the project does it."""
    tower = build_network().get_layer("tower")
    network = siamese_network(
        keras.Model(tower.inputs, keras.layers.Dense(4)(tower.outputs[0]), name="tower"), Cosine()
    )
    light = numpy_network(with_weights(network))
    questions = some_questions(light.vocabulary)
    expected = network.get_layer("tower")(questions.padded(np.arange(len(questions))))
    np.testing.assert_allclose(light.encode(questions), expected, atol=1e-5)


@pytest.mark.slow
def test_the_keras_file_comes_back_as_the_same_network(bilstm, tmp_path):
    light, network = bilstm
    save_keras(network, tmp_path)
    again = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    questions = some_questions(light.vocabulary)
    np.testing.assert_array_equal(numpy_network(again).encode(questions), light.encode(questions))


def test_the_optimizers_slots_are_left_out(build_network, tmp_path):
    """They would triple the file."""
    network = build_network()
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    save_keras(network, tmp_path)
    network.save(tmp_path / "with_slots.keras")
    sizes = {file.stem: file.stat().st_size for file in tmp_path.iterdir()}
    assert sizes["network"] < sizes["with_slots"]
