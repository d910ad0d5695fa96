"""Hugging Face: encoders in the layout of its hub, from a folder or from a repository at one commit.

model.onnx or onnx/model.onnx       input_ids, attention_mask, token_type_ids -> float32[batch, length, dimension]
tokenizer.json
modules.json                        Transformer, Pooling and, if any, Normalize; no other module
1_Pooling/config.json               the mean, the maximum or the first of the tokens' vectors
sentence_bert_config.json           max_seq_length, the tokens that are read
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamese.pretrained.encoder_files import cache_folder
from siamese.pretrained.onnx_encoder import LONGEST, MODELS, POOLINGS, TOKENIZER, OnnxEncoder

MODULES, POOLING, LENGTH = "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"
MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max", "pooling_mode_cls_token": "cls"}
KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}
PATIENCE_S = 5.0  # until the hub answers


def from_folder(
    folder: str | Path,
    name: str | None = None,
    pooling: str | None = None,
    max_length: int | None = None,
    license: str = "not known",
    trained_on: str = "not known",
    sha256: Mapping[str, str] = {},
    cache: bool | str = True,
) -> OnnxEncoder:
    """The encoder of a folder in Hugging Face's layout.

    Args:
        folder: with the files that stand at the head of this module.
        name: None for that of the folder.
        pooling, max_length: None for what the folder says: else the mean, and 256 tokens.
        license, trained_on, sha256, cache: as in `OnnxEncoder`.

    Raises:
        ValueError: a file is missing or not the expected one, or the model has other modules than a transformer and a pooling.
    """
    folder = Path(folder).expanduser()
    model = next((each for each in MODELS if (folder / each).is_file()), MODELS[0])
    modules = {str(each.get("type", "")).rpartition(".")[2] for each in _read(folder / MODULES, [])}
    if modules - KNOWN_MODULES:
        raise ValueError(
            f"{folder / MODULES} lists {', '.join(sorted(modules - KNOWN_MODULES))}, which are not in model.onnx; only "
            "a transformer, a pooling and a normalization are run"
        )
    return OnnxEncoder(
        name or folder.resolve().name,
        model,
        TOKENIZER,
        pooling or _pooling(folder / POOLING),
        max_length or _read(folder / LENGTH, {}).get("max_seq_length") or LONGEST,
        sha256,
        license=license,
        trained_on=trained_on,
        cache=cache,
        folder=folder,
    )


def from_hub(repository: str, revision: str, name: str | None = None, **settings: Any) -> OnnxEncoder:
    """The encoder of a repository of the Hugging Face hub, downloaded once.

    Args:
        repository: such as "sentence-transformers/all-MiniLM-L6-v2".
        revision: a commit, 40 hexadecimal digits: a branch may change.
        name: None for that of the repository.
        settings: as in `from_folder`.

    Raises:
        ValueError: the revision is no commit, or a file neither is here nor can be downloaded.
    """
    return from_folder(_download(repository, revision), name or repository.rpartition("/")[2], **settings)


def _download(repository: str, revision: str) -> Path:
    """The folder of a repository's encoder, downloaded unless it is there; arguments and errors are those of `from_hub`."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ValueError(
            f"encoder.revision must be a commit, 40 hexadecimal digits, which nobody can change; got {revision}"
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"encoder.repository must be OWNER/NAME, got {repository}")
    root = cache_folder(True)
    assert root is not None
    folder = root / "hub" / f"{repository.replace('/', '--')}@{revision}"
    if (folder / TOKENIZER).is_file() and any((folder / model).is_file() for model in MODELS):
        return folder
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    try:
        found = []
        for file in (*reversed(MODELS), MODULES, POOLING, LENGTH, TOKENIZER):  # the last one says that all are here
            if file == MODELS[0] and MODELS[1] in found:
                continue
            try:  # asked beforehand, as the download itself waits minutes for a hub that does not answer
                get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), timeout=PATIENCE_S)
            except EntryNotFoundError:
                continue
            hf_hub_download(repository, file, revision=revision, local_dir=folder)
            found.append(file)
    except Exception as problem:  # of the network, the hub or the disk; none has a common type
        raise ValueError(
            f"{repository} cannot be downloaded ({type(problem).__name__}); put these files of "
            f"https://huggingface.co/{repository}/tree/{revision} into {folder}: {MODELS[1]}, {TOKENIZER}, and "
            f"{MODULES}, {POOLING}, {LENGTH} where it has them"
        ) from None
    return folder


def _read(file: Path, default: Any) -> Any:
    """The content of a JSON file."""
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else default
    except ValueError as problem:
        raise ValueError(f"{file} is no JSON: {problem}") from None


def _pooling(file: Path) -> str:
    """The one pooling that a config turns on."""
    config = _read(file, {"pooling_mode_mean_tokens": True})
    on = [MODES.get(key, key) for key, value in config.items() if key.startswith("pooling_mode") and value]
    if len(on) != 1 or on[0] not in POOLINGS:
        raise ValueError(f"{file} asks for the poolings {', '.join(on)}; one of {', '.join(POOLINGS)} is run")
    return on[0]
