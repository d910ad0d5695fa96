"""Runtime: what computes embeddings and similarities of a trained network, NumPy or Keras."""

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese.inference.similarities import Similarity
from siamese.model.silence import silent_stderr
from siamese.text.inputs import Inputs, parts

FILES = {"numpy": ("light.json", "light.npz"), "keras": ("network.keras",)}  # what each runtime needs of a folder
PAIRS_AT_ONCE = 256  # whose embeddings are in a core's cache


class Runtime:
    """A trained network: token ids, an encoder's vectors, or both in; embeddings and similarities out.

    Attributes:
        name: "numpy" or "keras", as in detector.json.
        vocabulary: number of token ids; 0 for a tower over an encoder's vectors alone.
        vector_width: numbers of such a vector; 0 for a tower over words alone.
        dimension: width of an embedding.
        comparison: what compares two embeddings, as far as it is known.
        description: {"similarity": {"layer", "config"}} and more.
        arrays: the weights by name.
    """

    name: str
    vocabulary: int
    vector_width: int
    dimension: int
    comparison: Similarity
    description: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def encode(self, token_ids: Inputs) -> np.ndarray:
        """Embeddings `float32[questions, dimension]`, in order; ValueError as `check`."""
        raise NotImplementedError

    @property
    def plugins(self) -> list[str]:
        """The modules outside this package that hold or describe its layers; `import_plugins` takes them before it loads."""
        return sorted({module for module in self._modules() if module.partition(".")[0] != "siamese"})

    def _modules(self) -> Iterable[str]:
        """The modules of its layers."""
        raise NotImplementedError

    def check(self, token_ids: Inputs) -> None:
        """Raise ValueError if a token id lies outside the vocabulary, or vectors are missing or have another width."""
        words, vectors = parts(token_ids)
        width = 0 if vectors is None else vectors.values.shape[1]
        if width != self.vector_width:
            raise ValueError(f"vectors must have {self.vector_width} numbers, got {width or 'none'}")
        if words is None and self.vocabulary:
            raise ValueError("vectors must come with token ids; encode the texts with the vectorizer of the network")
        ids = np.empty(0) if words is None else words.values
        if len(ids) and not (ids.min() >= 0 and ids.max() < self.vocabulary):
            raise ValueError(
                f"token ids must lie in [0, {self.vocabulary}), got {ids.min()} to {ids.max()}; "
                "encode the texts with the vectorizer that the network was trained with"
            )

    def token_shares(self, token_ids: np.ndarray) -> np.ndarray | None:
        """The contribution of each token, `int32[tokens]`, to the embedding of a question, `float32[tokens, dimension]`.

        They sum to the embedding up to rounding; None if it is no sum over words.
        """
        return None

    def similarity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Similarities `float32[pairs]` in [0, 1] of embeddings, `float32[pairs, dimension]` each."""
        return self._in_parts(len(left), lambda part: self._similarity(left[part], right[part]))

    def compare(self, embeddings: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Similarities `float32[pairs]` of pairs of positions among embeddings, `int[pairs]` each."""
        return self._in_parts(len(left), lambda part: self._similarity(embeddings[left[part]], embeddings[right[part]]))

    def score(self, token_ids: Inputs, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Similarities `float32[pairs]` of pairs of positions among questions, `int[pairs]` each; each is encoded once."""
        return self.compare(self.encode(token_ids), left, right)

    @staticmethod
    def _in_parts(pairs: int, of_part: Callable[[slice], np.ndarray]) -> np.ndarray:
        similarity = np.empty(pairs, np.float32)
        for start in range(0, pairs, PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            similarity[part] = of_part(part)
        return similarity

    def _similarity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Those of a few pairs, all at once."""
        return self.comparison(left, right)

    def save(self, folder: Path) -> None:
        """Write the files of the network into an existing folder."""
        raise NotImplementedError


def import_plugins(modules: str | Sequence[str] | None) -> None:
    """Import the modules that hold or describe layers of a detector: the setting `plugins` of the programs.

    `modules` are names, or one text with commas between them. Raises ValueError if one cannot be imported.
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
