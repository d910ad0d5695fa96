"""The register of parts: a user's own similarity, known once its module is imported."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from siamese.inference import parts
from siamese.inference.similarities import Similarity

ROOT = Path(__file__).parents[2]
OWN = """
import numpy as np
from siamese.inference.parts import register
from siamese.inference.similarities import Similarity

@register
class Chebyshev(Similarity):
    keras_classes = ("mine.Chebyshev",)
    settings = ("scale",)

    def __init__(self, take, dimension, /, scale):
        self.scale = scale

    def __call__(self, left, right):
        return np.exp(-np.abs(left - right).max(axis=-1) / np.float32(self.scale))
"""
ASK = """
import pathlib, sys
import numpy as np
from siamese.inference.network import NumpyNetwork
network = NumpyNetwork.load(pathlib.Path(sys.argv[1]))
[similarity] = network.similarity(np.float32([[1, 4]]), np.float32([[1, 2]]))
print(f"{similarity:.4f}")
"""


@pytest.fixture
def own_registered(monkeypatch):
    """What a test registers is forgotten behind it."""
    monkeypatch.setattr(parts, "_parts", dict(parts._parts))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A network with the similarity of the package `mine`, both in a folder."""
    tower = [
        {"layer": "Embedding", "name": "words", "inputs": [], "config": {"ids": 3, "width": 2}},
        {"layer": "Pool", "name": "pool", "inputs": ["words"], "config": {"pooling": ["mean"]}},
    ]
    similarity = {"layer": "Chebyshev", "config": {"scale": 2.0}}
    description = {"format_version": 1, "tower": tower, "similarity": similarity}
    (tmp_path / "light.json").write_text(json.dumps(description))
    np.savez(tmp_path / "light.npz", **{"words/embeddings": np.ones((3, 2), np.float32)})
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path


@pytest.fixture
def ask(run_python):
    """A function: folder, program -> the ended process, whose path has the folder."""

    def run(folder: Path, program: str = ASK) -> subprocess.CompletedProcess:
        return run_python("-c", program, folder, PYTHONPATH=f"{ROOT}:{folder}")

    return run


def test_a_package_registers_its_own_similarity(folder, ask):
    """exp(-max |u - v| / 2) of (1, 4) and (1, 2) is exp(-1)."""
    assert ask(folder, f"import mine\n{ASK}").stdout == "0.3679\n"
    error = ask(folder).stderr
    assert "similarity is a similarity of the unknown kind Chebyshev, expected one of Cosine, " in error
    assert "give plugins=MODULE (in Python: import it), the module that registers it" in error


def test_two_parts_of_one_name_are_refused(own_registered):
    def another(module: str) -> type:
        return type("Cosine", (Similarity,), {"__module__": module})

    with pytest.raises(ValueError, match=r"a part Cosine is registered already, .*give .* another name"):
        parts.register(another("mine"))
    again = parts.register(another("siamese.inference.similarities"))  # as when its module is loaded again
    assert parts.registered(Similarity)["Cosine"] is again


def test_a_setting_that_a_part_does_not_have_is_refused():
    with pytest.raises(TypeError, match=r"Manhattan has no settings, got \{'scale': 2\}"):
        parts.bind(Similarity, "Manhattan", {"scale": 2}, 8, {}, "similarity")
