"""Encoders: the interface of sentence encoders, and how one is found again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from siamese.data.checked_folder import CheckedFolder
from siamese.pretrained.encoder_files import ENCODER

FILE = "encoder.json"  # of a detector's folder
SETTINGS = ("name", "model", "tokenizer", "pooling", "install", "license", "trained_on")  # texts that describe one
UNTRAINED = Path(__file__).with_name("untrained")
NO_ENCODER = "tower=encoder reads the vectors of an encoder, such as encoder=minilm, and none is given"
READY = {"minilm": ("en",), "use_multilingual": ("en", "fr")}  # the shipped questions that each was calibrated on


class Encoder(Protocol):
    """The interface of a sentence encoder; it is never trained here.

    It may also have `coverage(texts) -> siamese.text.inputs.Coverage`, which tells how much of each text it reads.

    Attributes:
        name: for the reader.
        digest: SHA-256 of weights, tokenizer and settings, 64 hexadecimal digits: encoders with one digest give the same
            vectors.
        dimension: numbers of a vector.
        cache: folder for vectors; None for none.
    """

    name: str
    digest: str
    cache: Path | None

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors `float32[texts, dimension]`, which depend on no other text beyond rounding."""

    def describe(self) -> dict[str, Any]:
        """How `load` finds the encoder again, as JSON: its kind, digest and settings."""

    def save(self, folder: Path) -> None:
        """Write the files that no installed package holds into the folder of a detector."""


def save(encoder: Encoder, folder: Path) -> None:
    """Write `encoder.json`, and the encoder's files unless an installed package holds them."""
    encoder.save(folder)
    (folder / FILE).write_text(json.dumps(encoder.describe(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path | CheckedFolder) -> Encoder:
    """The encoder that `save` wrote, if its weights and its tokenizer are still the same. No module is named by the file.

    Raises:
        ValueError: a file or a package is missing, or is not the one that was saved.
    """
    from siamese.pretrained.onnx_encoder import OnnxEncoder
    from siamese.pretrained.use_encoder import USEEncoder

    folder = CheckedFolder.of(folder)
    settings, own = folder.json(FILE), {}
    try:
        kind, digest = settings.pop("kind"), settings.pop("digest")
        if wrong := [name for name, value in settings.items() if not _is_setting(name, value)]:
            raise TypeError(f"{', '.join(wrong)}: no settings of an encoder, or not of their type")
        if not settings.get("install"):
            own = {"folder": folder.path}
            folder.check(ENCODER)
        encoder: Encoder = {"onnx": OnnxEncoder, "use": USEEncoder}[kind](**settings, **own)
    except (KeyError, TypeError) as problem:
        raise ValueError(f"{folder.path / FILE} describes no encoder: {problem!r}") from None
    except ValueError as problem:
        raise ValueError(f"{folder.path / FILE}: {problem}" if own else str(problem)) from None
    if encoder.digest != digest:
        raise ValueError(
            f"{encoder.name} has the digest {encoder.digest[:12]}, but {folder.path / FILE} was made with {str(digest)[:12]}"
        )
    return encoder


def _is_setting(name: str, value: object) -> bool:
    """Whether a setting of `encoder.json` is one that `describe` writes: no other folder and no cache is named by the file."""
    if name == "max_length":
        return type(value) is int
    if name == "sha256":
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return name in SETTINGS and isinstance(value, str)


def find(name: str) -> Encoder:
    """An encoder by what a command line says.

    Args:
        name: one of READY, a folder in Hugging Face's layout, or REPOSITORY@REVISION of the hub.

    Raises:
        ValueError: there is none, or it is not installed.
    """
    from siamese.pretrained.hugging_face import from_folder, from_hub

    if name in READY:
        return load(UNTRAINED / name)
    if Path(name).expanduser().is_dir():
        return from_folder(name)
    repository, at, revision = name.partition("@")
    if not at:
        raise ValueError(
            f"encoder must be {', '.join(READY)}, a folder with model.onnx and tokenizer.json, or REPOSITORY@REVISION of the "
            f"Hugging Face hub; got {name}"
        )
    return from_hub(repository, revision)
