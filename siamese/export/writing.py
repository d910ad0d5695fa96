"""Writing: models in every format and the tokenizer, each with a runner."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from siamese.export import example, runners, tokenizer
from siamese.export.onnx_models import network_model, tower_model
from siamese.export.runners import Runner, onnx_runner
from siamese.export.sample import Sample
from siamese.inference.network import NumpyNetwork
from siamese.pretrained.joined import AnyVectorizer, JoinedVectorizer
from siamese.pretrained.onnx_encoder import OnnxEncoder
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text.inputs import TokenIds, parts
from siamese.text.vectorizer import Vectorizer

ROWS = "lexicon.npy"
PRECISION = {"onnx": "float32", "float16": "float16", "int8": "int8"}  # of the weights, by format


@dataclass(frozen=True)
class Exported:
    """A part of a network ("tower", or the whole "network") in one format: its file or folder, ready to run."""

    file: str
    part: str
    precision: str
    runner: Runner


def write_text(vectorizer: AnyVectorizer, sample: Sample, folder: Path) -> dict[str, Any]:
    """Write `tokenizer.json`, or also the files of an ONNX encoder and of a lexicon, and return the rule for their use.

    Raises ValueError if the code of the example gives a question of the sample other ids than the vectorizer.
    """
    if isinstance(vectorizer, EncoderVectorizer):
        encoder, lexicon = vectorizer.encoder, vectorizer.lexicon
        files = {"files": encoder.copy(folder)} if isinstance(encoder, OnnxEncoder) else {}
        described: dict[str, Any] = {"encoder": encoder.describe() | files}
        if lexicon is not None:
            np.save(folder / ROWS, lexicon.rows)
            described["lexicon"] = tokenizer.write_tokenizer(lexicon.vectorizer, folder) | {"rows": ROWS}
        return described
    token_ids, _ = parts(sample.token_ids)
    assert token_ids is not None
    if isinstance(vectorizer, JoinedVectorizer):
        described = write_text(vectorizer.of_encoder, sample, folder)
        return described | {"words": _write_words(vectorizer.of_words, sample.pairs.questions, token_ids, folder)}
    return _write_words(vectorizer, sample.pairs.questions, token_ids, folder)


def _write_words(vectorizer: Vectorizer, questions: Sequence[str], token_ids: TokenIds, folder: Path) -> dict[str, Any]:
    """Write `tokenizer.json`, and return the rule; errors as in `write_text`."""
    text = tokenizer.write_tokenizer(vectorizer, folder)
    written = Tokenizer.from_file(str(folder / text["tokenizer"]))
    offsets = token_ids.offsets
    for question, start, end in zip(questions, offsets[:-1], offsets[1:], strict=True):
        expected, ids = token_ids.values[start:end].tolist(), example.token_ids(question, written, text)
        if ids != expected:
            raise ValueError(
                f"the exported tokenizer gives the ids {ids}, the detector {expected}, for {question!r}; "
                "nothing was written. This is an error of the export: please report it with the run's config"
            )
    return text


def write_onnx(network: NumpyNetwork, formats: list[str], folder: Path) -> list[Exported]:
    """Write tower and network in each ONNX format."""
    exported = []
    for precision in (PRECISION[each] for each in formats if each in PRECISION):
        for part, model in (("tower", tower_model), ("network", network_model)):
            file = f"{part}.onnx" if precision == "float32" else f"{part}_{precision}.onnx"
            (folder / file).write_bytes(model(network, precision).SerializeToString())
            exported.append(Exported(file, part, precision, onnx_runner(folder / file)))
    return exported


def write_saved_models(detector: Path, sample: Sample, folder: Path) -> tuple[list[Exported], dict[str, np.ndarray]]:
    """Write tower and network as SavedModels, from a folder with a Keras network.

    Returns:
        The models, and the outputs of each part of the Keras network for the sample.
    """
    from siamese.inference.keras_network import load_keras  # isort: skip (before TensorFlow, which it silences)
    from siamese.export import saved_model

    network = load_keras(detector)
    exported, expected = [], {}
    for part in runners.INPUTS:
        saved_model.save(network, part, folder / part)
        exported.append(Exported(f"{part}/", part, "float32", saved_model.saved_runner(folder / part, part)))
        expected[part] = runners.run(saved_model.keras_runner(network, part), sample.arguments(part), "Keras")
    return exported, expected
