"""KerasNetwork: a trained network that answers through Keras, where it has layers that NumPy does not know.

Slower than `NumpyNetwork`, with the same interface. Importing this brings in TensorFlow. One file holds the network,
`network.keras`. Loading it runs no code of the file: layers come from Keras, from this project, or from modules that
the user has imported; a module is never imported because the file names it.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import siamese.model.quiet_tensorflow  # isort: skip (before TensorFlow)
import keras
import numpy as np
import tensorflow as tf

import siamese.model.similarity
import siamese.model.towers  # noqa: F401 (importing them registers their layers)
from siamese.data.checked_folder import CheckedFolder, json_object
from siamese.inference.from_keras import UnknownLayerError, check, numpy_network, read_part, save_keras, weight_array
from siamese.inference.network import NumpyNetwork
from siamese.inference.parts import bind, take_array
from siamese.inference.runtime import Runtime
from siamese.inference.similarities import Similarity
from siamese.model.joined import first_word
from siamese.text.inputs import Inputs

FILE = "network.keras"
BATCH_TOKENS = 16_384
PADDING_TOLERANCE = 1e-4
ROUNDING = 1e-5  # that a similarity may leave [0, 1] by


class KerasNetwork(Runtime):
    """A tower and a similarity in Keras, of a network from `siamese_network`, which is kept, not copied.

    `comparison` tells the radius of a similarity that NumPy knows; the similarities themselves come from Keras.

    Raises:
        ValueError: the tower has no embedding table.
    """

    name = "keras"

    def __init__(self, network: keras.Model):
        self._network = network
        tower, similarity = network.get_layer("tower"), network.get_layer("similarity")
        tables = [each.shape[0] for each in tower.weights if each.path.rsplit("/", 1)[-1] == "embeddings"]
        start, width, dtype = first_word(network), network.inputs[0].shape[-1], network.inputs[0].dtype
        if not tables and start is not None:
            raise ValueError("the tower has no embedding table; call the word_embedding that it is given")
        self.vocabulary, self.vector_width = (0, width) if start is None else (tables[0], start)
        self.dimension = tower(np.ones((1, width or self.vector_width + 1), dtype)).shape[-1]
        described, self.comparison = _comparison(similarity, self.dimension)
        self.description: dict[str, Any] = {"similarity": described}
        embedding = tf.TensorSpec([None, self.dimension], tf.float32)
        self._encode = _compiled(tower, tf.TensorSpec([None, width], dtype))
        self._compare = _compiled(similarity, embedding, embedding)

    @property
    def arrays(self) -> dict[str, np.ndarray]:  # type: ignore[override]  # weights may be trained on
        """The weights by their number in the network: names that Keras gives depend on what else a process built."""
        return {f"{number:06d}": weight.numpy() for number, weight in enumerate(self._network.weights)}

    def _modules(self) -> Iterable[str]:
        return (module for _, module in _own_classes(keras.saving.serialize_keras_object(self._network)))

    def encode(self, token_ids: Inputs) -> np.ndarray:
        """As `Runtime.encode`. Questions of one length are encoded together, so that no padding is computed."""
        self.check(token_ids)
        embeddings = np.empty((len(token_ids), self.dimension), np.float32)
        for rows in _same_length(token_ids.lengths):
            embeddings[rows] = self._encode(token_ids.padded(rows))
        return embeddings

    def _similarity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Raises ValueError if the similarity gives numbers outside [0, 1]."""
        similarity = self._compare(left, right)
        outside = ~((similarity >= -ROUNDING) & (similarity <= 1 + ROUNDING))
        if outside.any():
            kind = self.description["similarity"]["layer"]
            raise ValueError(f"the similarity {kind} gave {similarity[outside][0]}; it must lie in [0, 1]")
        return similarity.clip(0, 1)

    def save(self, folder: Path) -> None:
        """Write `network.keras`."""
        save_keras(self._network, folder)

    @classmethod
    def load(cls, folder: Path | CheckedFolder) -> "KerasNetwork":
        """Read what `save` wrote; errors as in `load_keras`."""
        return cls(load_keras(folder))


def choose_runtime(network: keras.Model) -> tuple[Callable[[keras.Model], NumpyNetwork | KerasNetwork], str]:
    """What makes the runtime of a network: NumPy if it knows all layers, otherwise Keras.

    Returns:
        A function from this network, or one with the same layers, to its runtime; and a note for the user, "" for NumPy.

    Raises:
        ValueError: the network cannot be saved and loaded again, or its embeddings depend on padding.
    """
    try:
        check(network)
    except UnknownLayerError as problem:
        _check_saving(network)
        start = first_word(network)
        if start is not None:
            _check_padding(network, start)
        note = (
            f"note: {problem}. The network answers through Keras instead of NumPy: a program starts in seconds, not in "
            "0.3 s, and a pair takes about 20 ms, not 1 ms"
        )
        # it reads the weights where they are, so that one for all epochs is enough
        runtime: Callable[[keras.Model], KerasNetwork] = cache(KerasNetwork)
        return runtime, note
    return numpy_network, ""


def load_keras(folder: Path | CheckedFolder) -> keras.Model:
    """The Keras network of a detector's folder.

    Raises ValueError if there is none, it is not whole, or it has layers of modules that are not imported.
    """
    checked = CheckedFolder.of(folder)
    file = checked.path / FILE
    if not checked.has(FILE):
        raise ValueError(
            f"{checked.path} has no {FILE}, which only training writes; export a run instead, "
            "or leave saved_model out: formats=onnx,float16,int8"
        )
    entries = checked.entries(FILE)
    try:
        config = json_object(entries["config.json"].tobytes().decode())
    except (ValueError, KeyError) as problem:
        raise ValueError(f"{file} is no network that Keras saved: {problem!r}") from None
    missing = [each for each in _own_classes(config) if keras.saving.get_registered_object(each[0]) is None]
    if missing:
        names, modules = (list(dict.fromkeys(part)) for part in zip(*missing, strict=True))
        raise ValueError(
            f"{file} has the layers {', '.join(names)} of a package that is not imported; "
            f"give plugins={','.join(modules)} (in Python: import it before Detector.load)"
        )
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as problem:  # of Keras, TensorFlow, h5py or a layer; they have no common type
        raise ValueError(f"{file} cannot be loaded: {' '.join(str(problem).split())}") from None


def _check_saving(network: keras.Model) -> None:
    """Raise where `load_keras` could not make the network again, in this process or in another one."""
    try:
        with warnings.catch_warnings(action="ignore"):
            config = keras.saving.serialize_keras_object(network)
            unregistered = [name for name, _ in _own_classes(config) if ">" not in name]
            if not unregistered:
                keras.saving.deserialize_keras_object(config, safe_mode=True)
    except (ValueError, TypeError, KeyError, NotImplementedError) as problem:
        raise ValueError(f"the network cannot be saved and loaded again: {problem}") from None
    if unregistered:
        raise ValueError(
            f"the layer class {unregistered[0]} is not registered, so a saved network cannot be loaded again; put "
            '@keras.saving.register_keras_serializable("PACKAGE") above it'
        )


def _check_padding(network: keras.Model, start: int) -> None:
    """Raise where zeros behind a question change its embedding: batches are padded in training, but not here.

    The token ids begin at the column `start`.
    """
    tower, before, dtype = network.get_layer("tower"), [0] * start, network.inputs[0].dtype
    alone, padded = (np.array(tower(np.array([before + ids], dtype))) for ids in ([1, 1], [1, 1, 0, 0, 0]))
    difference = np.abs(alone - padded).max()
    if not difference <= PADDING_TOLERANCE:
        raise ValueError(
            f"zeros behind a question change its embedding by {difference:.2g}; the tower must leave out the places "
            "where the token id is 0, for example by mask=keras.ops.not_equal(questions, 0)"
        )


def _comparison(similarity: keras.layers.Layer, dimension: int) -> tuple[dict[str, Any], Similarity]:
    """{"layer", "config"} of a similarity, and its part; one of the user's own has a registered name and no radius."""
    try:
        part, config, weights = read_part(Similarity, similarity)
    except UnknownLayerError:
        described = {"layer": keras.saving.get_registered_name(type(similarity)), "config": {}}
        return described, Similarity(take_array, dimension)
    arrays = {name: weight_array(weight) for name, weight in weights.items()}
    kind = part.__name__
    return {"layer": kind, "config": config}, bind(Similarity, kind, config, dimension, arrays, similarity.name)


def _own_classes(config: Any) -> Iterator[tuple[str, str]]:
    """Registered name and module of each class, or function, in a saved config that is not part of Keras."""
    if isinstance(config, dict):
        module, name = config.get("module"), config.get("registered_name")
        if module and name and "class_name" in config and module.partition(".")[0] not in ("keras", "builtins"):
            yield name if config["class_name"] != "function" else config["config"], module
        for value in config.values():
            yield from _own_classes(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _own_classes(value)


def _compiled(layer: keras.layers.Layer, *signature: tf.TensorSpec) -> Callable[..., np.ndarray]:
    """A layer as a function of arrays, traced once."""
    traced = tf.function(lambda *inputs: layer(*inputs, training=False), input_signature=signature, autograph=False)
    return lambda *inputs: traced(*map(tf.constant, inputs)).numpy()


def _same_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """All questions, in parts of one length each and of about BATCH_TOKENS tokens."""
    order = np.argsort(lengths, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if len(rows):
            size = max(1, BATCH_TOKENS // int(lengths[rows[0]]))
            yield from (rows[start : start + size] for start in range(0, len(rows), size))
