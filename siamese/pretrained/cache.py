"""Cache: vectors that an encoder computed once, on disk, found by digests of encoder and text.

A folder for each encoder holds shards: a NumPy array of (key, vector), named by the digest of its content. A shard appears
whole or not at all, so that several processes can write at the same time. A damaged one is deleted, and its texts are
encoded again. The shards that were not used for longest are deleted when all together exceed MAX_BYTES. Keys are
digests: no text is stored.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from siamese.data.texts import fingerprints
from siamese.inference.workers import THIS_PROCESS, Workers
from siamese.pretrained.encoders import Encoder

MAX_BYTES = 2_000_000_000
FEW = 64  # texts: as many or fewer, such as those that a user asks about, are neither sought nor kept
SHARD = 1_024  # texts that are encoded and kept together


def vectors(
    encoder: Encoder,
    texts: Sequence[str],
    project: Callable[[np.ndarray], np.ndarray] | None = None,
    workers: Workers = THIS_PROCESS,
) -> np.ndarray:
    """Vectors `float32[texts, dimension]` of distinct texts, from the cache or computed and kept there.

    With a terminal there is a progress bar, and what was computed before an interrupt is kept.

    Args:
        encoder, texts: what is asked.
        project: `float32[n, dimension]` -> `float32[n, width]`, applied to each block of the vectors, so that the whole of them
            is never in memory; None keeps them as they are.
        workers: that compute what is not in the cache.
    """
    project = project or (lambda block: block)
    width = project(np.zeros((1, encoder.dimension), np.float32)).shape[1]
    folder = None if encoder.cache is None or len(texts) <= FEW else encoder.cache / "vectors" / encoder.digest[:32]
    keys = _keys(fingerprints(texts)) if folder else []
    position = {key: row for row, key in enumerate(keys)}
    found = np.zeros(len(texts), bool)
    result = np.empty((len(texts), width), np.float32)
    for shard in _shards(folder, encoder.dimension) if folder else ():
        rows = np.array([position.get(key, -1) for key in _keys(shard["key"])])
        result[rows[rows >= 0]] = project(shard["vector"][rows >= 0])
        found[rows[rows >= 0]] = True
    longest_first = sorted(np.flatnonzero(~found).tolist(), key=lambda row: -len(texts[row]))
    blocks = [longest_first[start : start + SHARD] for start in range(0, len(longest_first), SHARD)]
    each = workers.map(partial(_encoding, encoder), ([texts[row] for row in block] for block in blocks))
    for block, [computed] in zip(_with_progress(blocks, encoder.name), each, strict=True):
        result[block] = project(computed)
        if folder:
            _keep(folder, [keys[row] for row in block], computed)
    if folder and longest_first:
        _make_room(folder.parent)
    return result


def _encoding(encoder: Encoder) -> Callable[[Sequence[str]], tuple[np.ndarray]]:
    """A function: texts -> their vectors."""
    return lambda texts: (encoder.encode(texts),)


def _with_progress(blocks: list[list[int]], title: str) -> Iterator[list[int]]:
    """Blocks of rows, with a progress bar on a terminal."""
    rows = sum(map(len, blocks))
    if rows <= FEW or not sys.stderr.isatty():
        yield from blocks
        return
    from tqdm import tqdm  # which a served model need not have

    with tqdm(total=rows, unit="text", desc=title) as progress:
        for block in blocks:
            yield block
            progress.update(len(block))


def _shards(folder: Path, dimension: int) -> Iterator[np.ndarray]:
    """The shards of an encoder that are whole; each is in memory only until the next one."""
    for file in sorted(folder.glob("*.npy")):
        try:
            content = np.load(file, mmap_mode="r", allow_pickle=False)
            if content.dtype != _record(dimension) or _digest(content) != file.stem:
                raise ValueError("its digest is another one")
            with suppress(OSError):  # a cache that may only be read
                os.utime(file)
        except FileNotFoundError:  # another process made room
            continue
        except (ValueError, OSError, EOFError) as problem:
            print(f"note: the cached vectors {file} are damaged, and computed again: {problem}", file=sys.stderr)  # noqa: T201
            with suppress(OSError):
                file.unlink()
            continue
        yield content


def _keep(folder: Path, keys: Sequence[bytes], computed: np.ndarray) -> None:
    """Write a shard; a disk that is full or may not be written to only costs the time to encode again."""
    shard = np.empty(len(keys), _record(computed.shape[1]))
    shard["key"], shard["vector"] = np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 2), computed
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch:
            np.save(Path(scratch) / "new.npy", shard)
            (Path(scratch) / "new.npy").replace(folder / f"{_digest(shard)}.npy")
    except OSError as problem:
        print(f"note: the vectors cannot be kept: {problem}", file=sys.stderr)  # noqa: T201


def _make_room(folder: Path) -> None:
    """Delete the shards of all encoders that were not used for longest, until the others take at most MAX_BYTES."""
    files = [(each.stat(), each) for each in folder.glob("*/*.npy")]
    total = sum(state.st_size for state, _ in files)
    for state, file in sorted(files, key=lambda each: each[0].st_mtime):
        if total <= MAX_BYTES:
            break
        file.unlink(missing_ok=True)
        total -= state.st_size


def _keys(digests: np.ndarray) -> list[bytes]:
    """`uint64[n, 2]` -> n keys."""
    return np.ascontiguousarray(digests).view("V16").ravel().tolist()


def _record(dimension: int) -> np.dtype:
    return np.dtype([("key", np.uint64, 2), ("vector", np.float32, dimension)])


def _digest(shard: np.ndarray) -> str:
    return blake2b(np.ascontiguousarray(shard).view(np.uint8).data, digest_size=16).hexdigest()
