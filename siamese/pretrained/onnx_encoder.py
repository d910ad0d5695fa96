"""ONNX encoder: a transformer from token ids to a vector for each token, and a pooling, run by ONNX Runtime.

Model and tokenizer are data. Batches hold texts with as many tokens as each other, so that nothing is padded.
"""

import gzip
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from siamese.inference.threads import cores
from siamese.pretrained.encoder_files import ENCODER, cache_folder, digest_of, package_file, verify
from siamese.text import known_words
from siamese.text.chunk_reader import LONGEST_TOKEN
from siamese.text.inputs import Coverage

if TYPE_CHECKING:
    import onnxruntime

BATCH_TOKENS = 4_096  # of a batch: bounds the memory
MODELS = ("model.onnx", "onnx/model.onnx")
TOKENIZER = "tokenizer.json"
POOLINGS = ("mean", "max", "cls")
EXTERNAL = re.compile(rb"\n\x08location\x12(.)", re.DOTALL)  # before the name of a file with weights, and its length
LONGEST = 256  # tokens that are read where the model does not say
EPSILON = 1e-12
UNKNOWN_TOKENS = ("[UNK]", "<unk>")


class OnnxEncoder:
    """A transformer and the pooling over its tokens; vectors have length 1.

    Args:
        name: for the reader.
        model, tokenizer: their files in `folder`, or "package/file" of installed packages; *.gz is unpacked.
        pooling: mean, max or cls, which is the first token.
        max_length: tokens that are read of a text, from its start.
        sha256: of "model" and "tokenizer", where they are known.
        install: the command that brings the packages; "" for files in a folder.
        license, trained_on: for the model card.
        cache: see `cache_folder`.
        folder: of the files.

    Raises:
        ValueError: a file is missing or not the expected one, or an argument is out of its range.
    """

    def __init__(
        self,
        name: str,
        model: str,
        tokenizer: str,
        pooling: str = "mean",
        max_length: int = LONGEST,
        sha256: Mapping[str, str] = {},
        install: str = "",
        license: str = "not known",
        trained_on: str = "not known",
        cache: bool | str = True,
        folder: str | Path | None = None,
    ):
        if pooling not in POOLINGS or max_length < 3:
            raise ValueError(
                f"encoder.pooling must be one of {', '.join(POOLINGS)} and encoder.max_length at least 3; "
                f"got {pooling} and {max_length}"
            )
        self.name, self.pooling, self.max_length, self.cache = name, pooling, max_length, cache_folder(cache)
        self._about = {"install": install, "license": license, "trained_on": trained_on}
        self._paths = {"model": model, "tokenizer": tokenizer}
        self.files = {what: _file(path, folder, install) for what, path in self._paths.items()}
        content = {what: _content(file) for what, file in self.files.items()}
        for inside in _external(content["model"]):
            if inside != Path(inside).name or not (file := self.files["model"].with_name(inside)).is_file():
                raise ValueError(f"{self.files['model']} keeps weights in {inside!r}, which is no file beside it")
            self.files[inside], content[inside] = file, file.read_bytes()
        self._sha256 = {what: digest_of(each) for what, each in content.items()}
        verify(name, self.files, self._sha256, sha256)
        settings = {**self._sha256, "pooling": pooling, "max_length": max_length}
        self.digest = digest_of(json.dumps(settings, sort_keys=True).encode())
        self._tokenizer_json = content["tokenizer"].decode("utf-8")

    def __getstate__(self) -> dict[str, Any]:
        """What another process makes it from, which finds the files at the same place and starts the model itself."""
        return {name: value for name, value in vars(self).items() if name not in ("_tokenizer", "_session")}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self._tokenizer_json)
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        tokenizer.encode_special_tokens = True  # "[SEP]" in a question is ordinary text
        return tokenizer

    @cached_property
    def _session(self) -> "onnxruntime.InferenceSession":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(self.files["model"]), options, providers=["CPUExecutionProvider"]
            )
        except Exception as problem:  # the runtime's errors have no common type
            raise ValueError(f"{self.files['model']} cannot be run: {problem}") from None
        unknown = {each.name for each in session.get_inputs()} - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or len(session.get_outputs()[0].shape) != 3:
            raise ValueError(
                f"{self.files['model']} is no transformer from token ids to a vector for each token: it has the inputs "
                f"{', '.join(each.name for each in session.get_inputs())} and a first output of shape "
                f"{session.get_outputs()[0].shape}"
            )
        return session

    @cached_property
    def dimension(self) -> int:
        """Numbers of a vector."""
        width = self._session.get_outputs()[0].shape[-1]
        return width if isinstance(width, int) else self._embed([[0]]).shape[1]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors `float32[texts, dimension]`; zeros for a text without any token."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(self._read(texts))]
        vectors = np.zeros((len(ids), self.dimension), np.float32)
        for rows in _same_length(np.fromiter(map(len, ids), np.int64, len(ids))):
            vectors[rows] = self._embed([ids[row] for row in rows])
        return vectors

    def coverage(self, texts: Sequence[str]) -> Coverage:
        """How much of each text is read, where a vocabulary that has a word whole knows it, see `siamese.text.known_words`."""
        read = self._read(texts)
        unknown = {self._tokenizer.token_to_id(name) for name in UNKNOWN_TOKENS} - {None}
        shares = known_words.share(known_words.count(self._tokenizer, None, read, unknown))
        encodings = self._tokenizer.encode_batch(read)
        cut = [
            bool(encoding.overflowing) or len(some) < len(text)
            for text, some, encoding in zip(texts, read, encodings, strict=True)
        ]
        return Coverage(shares, np.array(cut, bool))

    def _read(self, texts: Sequence[str]) -> list[str]:
        """Of each text the characters that are tokenized, as in `Vectorizer`."""
        return [text[: LONGEST_TOKEN * self.max_length] for text in texts]

    def _embed(self, ids: list[list[int]]) -> np.ndarray:
        """Token ids, equally many of each text -> `float32[texts, dimension]`."""
        tokens = np.array(ids, np.int64)
        given = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
        inputs = {each.name: given[each.name] for each in self._session.get_inputs()}
        states = self._session.run([self._session.get_outputs()[0].name], inputs)[
            0
        ]  # float32[texts, length, dimension]
        pooled = {"mean": states.mean(axis=1), "max": states.max(axis=1), "cls": states[:, 0]}[self.pooling]
        return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), EPSILON)

    def describe(self) -> dict[str, Any]:
        """The arguments that make the encoder again, its kind and its digest."""
        return {
            "kind": "onnx",
            "digest": self.digest,
            "name": self.name,
            **(self._paths if self._about["install"] else {what: _stored(what) for what in self._paths}),
            "pooling": self.pooling,
            "max_length": self.max_length,
            "sha256": self._sha256,
            **self._about,
        }

    def save(self, folder: Path) -> None:
        """Copy the files into `folder`/encoder, unless packages hold them."""
        if not self._about["install"]:
            self.copy(folder)

    def copy(self, folder: Path) -> dict[str, str]:
        """Copy the files into `folder`/encoder; returns their names there."""
        (folder / ENCODER).mkdir()
        for what, file in self.files.items():
            if what == "tokenizer":
                (folder / _stored(what)).write_text(self._tokenizer_json, encoding="utf-8")
            else:
                shutil.copyfile(file, folder / _stored(what))
        return {what: _stored(what) for what in self.files}


def _file(path: str, folder: str | Path | None, install: str) -> Path:
    if folder is None:
        return package_file(path, install)
    file = Path(folder) / path
    if not file.resolve().is_relative_to(Path(folder).resolve()) or not file.is_file():
        raise ValueError(f"{folder} has no {path}; an encoder needs {MODELS[0]} or {MODELS[1]}, and {TOKENIZER}")
    return file


def _stored(what: str) -> str:
    """The name of a file in a detector's folder."""
    return f"{ENCODER}/{ {'model': MODELS[0], 'tokenizer': TOKENIZER}.get(what, what) }"


def _content(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def _external(model: bytes) -> list[str]:
    """The names of the files in which a model keeps weights, besides its own."""
    found = {model[match.end() : match.end() + match[1][0]] for match in EXTERNAL.finditer(model)}
    return sorted(name.decode("utf-8", "replace") for name in found)


def _same_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """All texts with a token, longest first, in batches of one length and of at most BATCH_TOKENS tokens."""
    order = np.argsort(-lengths, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if len(rows) and lengths[rows[0]]:
            size = max(1, BATCH_TOKENS // int(lengths[rows[0]]))
            yield from (rows[start : start + size] for start in range(0, len(rows), size))
