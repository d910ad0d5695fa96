"""Hub: the files of an encoder from a repository of the Hugging Face hub, at one commit."""

import re
from pathlib import Path

from siamese.pretrained.encoders import cache_folder
from siamese.pretrained.onnx_encoder import LENGTH, MODELS, MODULES, POOLING, TOKENIZER

PATIENCE_S = 5.0  # until the hub answers


def download(repository: str, revision: str) -> Path:
    """The folder of a repository's encoder, downloaded unless it is there.

    Args:
        repository: such as "sentence-transformers/all-MiniLM-L6-v2".
        revision: a commit, 40 hexadecimal digits.

    Raises:
        ValueError: the revision is no commit, or a file neither is here nor can be downloaded.
    """
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
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        found = []
        for file in (
            *reversed(MODELS),
            MODULES,
            POOLING,
            LENGTH,
            TOKENIZER,
        ):  # the tokenizer last: it says all are here
            if file == MODELS[0] and MODELS[1] in found:
                continue
            try:
                hf_hub_download(repository, file, revision=revision, local_dir=folder, etag_timeout=PATIENCE_S)
                found.append(file)
            except LocalEntryNotFoundError:  # the hub was not asked
                raise
            except EntryNotFoundError:
                continue
    except Exception as problem:  # of the network, the hub or the disk; none has a common type
        raise ValueError(
            f"{repository} cannot be downloaded ({type(problem).__name__}); put these files of "
            f"https://huggingface.co/{repository}/tree/{revision} into {folder}: {MODELS[1]}, {TOKENIZER}, and "
            f"{MODULES}, {POOLING}, {LENGTH} where it has them"
        ) from None
    return folder
