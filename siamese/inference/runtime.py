"""Runtime: what computes embeddings and similarities of a trained network, NumPy or Keras."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from siamese.inference.network import NumpyNetwork
from siamese.inference.similarities import Similarity
from siamese.model.silence import silent_stderr
from siamese.text.vectorizer import TokenIds


class Runtime(Protocol):
    """The interface of `NumpyNetwork` and `KerasNetwork`; their docstrings give shapes and errors.

    Attributes:
        name: "numpy" or "keras", as in detector.json.
        vocabulary: number of token ids.
        dimension: width of an embedding.
        comparison: what compares two embeddings, as far as it is known.
        description: {"similarity": {"layer", "config"}} and more.
    """

    name: str
    vocabulary: int
    dimension: int
    comparison: Similarity
    description: dict[str, Any]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name."""

    def encode(self, token_ids: TokenIds) -> np.ndarray:
        """Embeddings of questions."""

    def similarity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Similarities of embeddings."""

    def score(self, token_ids: TokenIds, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Similarities of pairs of questions."""

    def token_shares(self, token_ids: np.ndarray) -> np.ndarray | None:
        """What each token adds to the embedding of a question; None where there is no such share."""

    def save(self, folder: Path) -> None:
        """Write the files of the network."""


FILES = {"numpy": ("light.json", "light.npz"), "keras": ("network.keras",)}  # what each runtime needs of a folder


def load_network(name: str, folder: Path) -> Runtime:
    """The network of a detector's folder; TensorFlow is imported for "keras" alone.

    Raises:
        ValueError: the folder holds no such network, or its layers are not imported.
    """
    if name == NumpyNetwork.name:
        return NumpyNetwork.load(folder)
    import siamese.model.quiet_tensorflow  # noqa: F401
    from siamese.inference.keras_network import KerasNetwork

    return KerasNetwork.load(folder)


def import_plugins(modules: str | Sequence[str] | None) -> None:
    """Import the modules that hold or describe layers of a detector: the setting `plugins` of the programs.

    Args:
        modules: names, or one text with commas between them; None for none.

    Raises:
        ValueError: a module cannot be imported.
    """
    if not modules:
        return
    for module in modules.split(",") if isinstance(modules, str) else modules:
        try:
            with silent_stderr():  # a plugin may bring TensorFlow in
                importlib.import_module(module.strip())
        except ImportError as problem:
            raise ValueError(
                f"plugins={module.strip()} cannot be imported: {problem}; install its package, or put its folder on PYTHONPATH"
            ) from None
