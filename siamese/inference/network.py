"""NumpyNetwork: a trained network in NumPy alone. Token ids, an encoder's vectors, or both in; embeddings, similarities out.

It is saved as `light.json` (the steps of the tower, and the similarity) and `light.npz` (float32 arrays by name). Both
are data, and loading them runs no code.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese.data.checked_folder import CheckedFolder
from siamese.inference.packing import Packing
from siamese.inference.parts import Arrays, Layer, Tables, bind
from siamese.inference.plan import Plan
from siamese.inference.runtime import FILES, Runtime, import_plugins
from siamese.inference.similarities import Similarity
from siamese.inference.threads import Each, OneBlasThread, cores, side_by_side
from siamese.text.inputs import Inputs, QuestionVectors, TokenIds, WordsAndVectors

FORMAT_VERSION = 1
FORMAT_WITH_BYTES = 2  # a table of bytes is kept as such
BYTES, SCALE = "#bytes", "#scale"  # behind the name of an array
LARGEST_SCALE = 1e30  # by which no byte becomes infinite
ROUNDING = 1e-5  # that a similarity may be above 1 by
TABLE = 2**18  # numbers from which on an array may be a table of bytes
CHUNK_NUMBERS = 2**19  # maximal size of an array of a chunk, 2 MB: near a core's cache, and few calls of NumPy
CHUNK_TOKENS = 4_096  # maximal tokens of a chunk, whose questions are the rows of an LSTM's matrix products
CHUNK_WORDS = VECTORS_AT_ONCE = 1_024
FEW = 8  # questions that are faster one by one
FEW_TOKENS = 256  # of few questions together
BATCH_TOKENS = 2**16  # of questions whose words are remembered: a request to a server rather than a collection
TABLE_NUMBERS = 2**26  # maximal size of the tables of distinct words, 256 MB; larger inputs are encoded in blocks


class NumpyNetwork(Runtime):
    """A tower and a similarity in NumPy, as `siamese.inference.from_keras` describes them.

    Args:
        description: {"tower": steps, "similarity": {"layer", "config"}}; a step is {"layer", "name", "inputs",
            "config"}, its inputs are names of earlier steps, and the last one gives the embeddings.
        arrays: "name of the step/name of the weight" -> `float32[...]`.

    Attributes:
        steps: the layers of the tower with the names of their inputs, in the order of computation.

    Raises:
        ValueError: a layer is unknown, or an array is missing, superfluous or of the wrong shape.
    """

    name = "numpy"

    def __init__(self, description: dict[str, Any], arrays: Arrays):
        self.description, self.arrays = description, arrays
        unused = dict(arrays)
        self._plan = Plan(description["tower"], unused)
        self.vocabulary, self.dimension = self._plan.vocabulary, self._plan.dimension
        self.vector_width = self._plan.vector_width
        self.steps: list[tuple[Layer, list[str]]] = self._plan.steps
        kind, config = description["similarity"]["layer"], description["similarity"]["config"]
        self.comparison = bind(Similarity, kind, config, self.dimension, unused, "similarity")
        if unused:
            raise ValueError(f"no layer has the arrays {', '.join(sorted(unused))}")

    def __reduce__(self) -> tuple[Any, ...]:
        """What a worker on another machine makes it from: locks and buffers stay here."""
        return _moved, (self.plugins, self.description, self.arrays)

    def _modules(self) -> Iterable[str]:
        return (type(part).__module__ for part in (self.comparison, *(layer for layer, _ in self.steps)))

    def encode(self, token_ids: Inputs, threads: int | None = None) -> np.ndarray:
        """As `Runtime.encode`, with a number of threads, None for one on each core; the embeddings do not depend on it."""
        self.check(token_ids)
        if isinstance(token_ids, QuestionVectors):
            return self._encode_vectors(token_ids.values)
        if isinstance(token_ids, WordsAndVectors):
            return self._encode_words(token_ids.token_ids, token_ids.vectors.values, threads)
        return self._encode_words(token_ids, None, threads)

    def _encode_words(self, words: TokenIds, vectors: np.ndarray | None, threads: int | None) -> np.ndarray:
        """Embeddings of token ids, and of the vectors beside them, `float32[questions, vector_width]`, if there are any."""
        ids = words.values
        embeddings = np.empty((len(words), self.dimension), np.float32)
        if len(words) <= FEW and len(ids) <= FEW_TOKENS:
            offsets, listed = words.offsets.tolist(), ids.tolist()
            with OneBlasThread():
                for i in range(len(words)):
                    own = None if vectors is None else vectors[i : i + 1]
                    embeddings[i] = self._plan.embed_one(listed[offsets[i] : offsets[i + 1]], own)
            return embeddings
        tokens = TABLE_NUMBERS // self._plan.table_width
        if self.vocabulary <= tokens:  # there cannot be more distinct words
            tokens = max(1, len(ids))
        with side_by_side(1 if len(ids) <= CHUNK_WORDS else threads or cores()) as each:
            for first, end in _blocks(words.offsets, tokens):
                offsets = words.offsets[first : end + 1]
                block = TokenIds(ids[offsets[0] : offsets[-1]], offsets - offsets[0])
                own = None if vectors is None else vectors[first:end]
                self._encode_block(block, own, embeddings[first:end], each)
        return embeddings

    def _encode_vectors(self, vectors: np.ndarray) -> np.ndarray:
        embeddings = np.empty((len(vectors), self.dimension), np.float32)
        for start in range(0, len(vectors), VECTORS_AT_ONCE):
            part = slice(start, start + VECTORS_AT_ONCE)
            embeddings[part] = self._plan.embed_vectors(vectors[part])
        return embeddings

    def _encode_block(
        self, token_ids: TokenIds, vectors: np.ndarray | None, embeddings: np.ndarray, each: Each
    ) -> None:
        """Fill `embeddings`, `float32[questions, dimension]`."""
        words, word_row = _distinct(token_ids.values, self.vocabulary)
        if len(token_ids.values) <= BATCH_TOKENS:
            tables = self._plan.known.of_batch(words, each)
        else:
            tables = _joined(each(self._plan.tabulate, np.array_split(words, max(1, -(-len(words) // CHUNK_WORDS)))))

        def encode_chunk(questions: np.ndarray) -> None:
            own = None if vectors is None else vectors[questions]
            embeddings[questions] = self._plan.embed(tables, Packing.of(token_ids, questions, word_row), own)

        tokens = max(1, min(CHUNK_TOKENS, CHUNK_NUMBERS // max(1, self._plan.widest)))
        each(encode_chunk, _chunks(token_ids.lengths, tokens))

    def token_shares(self, token_ids: np.ndarray) -> np.ndarray | None:
        """As `Runtime.token_shares`; None where neighbors change a word's vector, and for an encoder's vector beside words."""
        if not self._plan.additive:
            return None
        words, word_row = _distinct(token_ids, self.vocabulary)
        question = TokenIds(token_ids, np.array([0, len(token_ids)]))
        packing = Packing.of(question, np.zeros(1, np.int64), word_row)
        with side_by_side(1):
            return self._plan.shares(self._plan.tabulate(words), packing)

    def save(self, folder: Path) -> None:
        """Write `light.json` and `light.npz` into an existing folder."""
        arrays = _packed(self.arrays)
        version = FORMAT_VERSION if set(arrays) == set(self.arrays) else FORMAT_WITH_BYTES
        description = {"format_version": version, **self.description}
        (folder / "light.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        np.savez(folder / "light.npz", allow_pickle=False, **arrays)

    @classmethod
    def load(cls, folder: Path | CheckedFolder) -> "NumpyNetwork":
        """Read what `save` wrote; ValueError if a file is missing or not whole, is of another format, or holds no network."""
        folder = CheckedFolder.of(folder)
        head, weights = FILES["numpy"]
        missing = [name for name in FILES["numpy"] if not folder.has(name)]
        if missing:
            raise ValueError(f"{folder.path} holds no network: it has no {', '.join(missing)}")
        description = folder.json(head)
        version = description.pop("format_version", None)
        if version not in (FORMAT_VERSION, FORMAT_WITH_BYTES):
            raise ValueError(
                f"{folder.path / head} has format {version}, this program reads {FORMAT_VERSION} and {FORMAT_WITH_BYTES}; "
                "use the version of the project that wrote it, or train again"
            )
        arrays = folder.arrays(weights)
        try:
            network = cls(description, _unpacked(arrays))
            network._try()
        except Exception as problem:  # whatever a layer makes of what it cannot compute
            raise ValueError(f"{folder.path}: {head} and {weights} are no network: {problem}") from None
        return network

    def _try(self) -> None:
        """Raise an error if two questions cannot be compared."""
        token_ids = TokenIds(np.array([0, 0, self.vocabulary - 1], np.int32), np.array([0, 1, 3]))
        vectors = QuestionVectors(np.eye(2, self.vector_width, dtype=np.float32))
        inputs: Inputs = token_ids
        if self.vector_width:
            inputs = WordsAndVectors(token_ids, vectors) if self.vocabulary else vectors
        with np.errstate(all="ignore"):
            [similarity] = self.score(inputs, np.array([0]), np.array([1]))
        if not 0 <= similarity <= 1 + ROUNDING:
            raise ValueError(f"it gave the similarity {similarity}, which must lie in [0, 1]")


def _moved(plugins: list[str], description: dict[str, Any], arrays: Arrays) -> NumpyNetwork:
    """A network in another process, once the modules with layers of its own are imported."""
    import_plugins(plugins)
    return NumpyNetwork(description, arrays)


def _packed(arrays: Arrays) -> Arrays:
    """The arrays, where a table that came as bytes with a scale for each row, and was not trained, is that again."""
    packed: Arrays = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.size >= TABLE:
            scale = np.abs(array).max(axis=1) / np.float32(127)
            rounded = np.rint(array / np.maximum(scale, np.float32(1e-30))[:, None]).astype(np.int8)
            if (rounded * scale[:, None] == array).all():
                packed |= {name + BYTES: rounded, name + SCALE: scale}
                continue
        packed[name] = np.asarray(array, order="C")
    return packed


def _unpacked(arrays: Arrays) -> Arrays:
    """The arrays that `_packed` was given, to the bit."""
    unpacked = {name: array for name, array in arrays.items() if not name.endswith((BYTES, SCALE))}
    for name in [name.removesuffix(BYTES) for name in arrays if name.endswith(BYTES)]:
        table, scale = arrays[name + BYTES], arrays[name + SCALE]
        if table.dtype != np.int8 or scale.shape != table.shape[:1] or not np.abs(scale).max() <= LARGEST_SCALE:
            raise ValueError(f"the table of bytes {name} and its scale do not belong together")
        unpacked[name] = table * scale[:, None]
    return unpacked


def _distinct(ids: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct token ids, `int64[words]`, and the index of each id among them, `int64[vocabulary]`."""
    seen = np.zeros(vocabulary, bool)
    seen[ids] = True
    words = np.flatnonzero(seen)
    row = np.empty(vocabulary, np.int64)
    row[words] = np.arange(len(words))
    return words, row


def _blocks(offsets: np.ndarray, tokens: int) -> Iterator[tuple[int, int]]:
    """Blocks of consecutive questions, as (first, end), of at most `tokens` tokens or of one question."""
    first = 0
    while first < len(offsets) - 1:
        end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + tokens, side="right")) - 1)
        yield first, end
        first = end


def _chunks(lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """All questions, longest first, in chunks of about `tokens` tokens."""
    longest_first = np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths[longest_first])
    cuts = np.searchsorted(ends, np.arange(tokens, ends[-1], tokens))
    return [part for part in np.split(longest_first, cuts) if len(part)]


def _joined(parts: Sequence[dict[str, Tables]]) -> dict[str, Tables]:
    """Concatenated tables of consecutive words."""
    if len(parts) == 1:
        return parts[0]
    return {
        name: [np.concatenate(tables) for tables in zip(*(part[name] for part in parts), strict=True)]
        for name in parts[0]
    }
