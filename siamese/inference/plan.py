"""Plan: the steps of a tower in the order of computation, first on words, then on questions."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from siamese.inference.layers import Embedding, Vectors
from siamese.inference.layers.attention import PositionalEncoding, SelfAttention
from siamese.inference.packing import Packing
from siamese.inference.parts import Arrays, Layer, QuestionLayer, RowLayer, Tables, bind
from siamese.inference.word_tables import WordTables

WIDEST = 2**20  # numbers of a vector; steps that read one step twice could double it for ever


class Plan:
    """A tower, ready to run.

    Every step is computed as rarely as possible: once for each distinct word while it depends on words alone, then
    once for each token, and after the pooling once for each question. Arguments and errors as in `NumpyNetwork`; the arrays
    of the tower are removed.

    Attributes:
        steps: each layer with the names of its inputs, in the order of their computation.
        vocabulary, vector_width: number of token ids, and numbers of an encoder's vector; 0 for what the tower does not read.
        dimension: width of an embedding.
        table_width: numbers stored for each distinct word.
        known: the tables of words that are kept from call to call.
        widest: numbers in the widest vector of a token; 0 if tokens have no vectors of their own.
        additive: whether an embedding is a sum over its words, see `shares`.
    """

    def __init__(self, tower: Sequence[dict[str, Any]], arrays: Arrays):
        readers = Counter(name for step in tower for name in step["inputs"])
        self.steps: list[tuple[Layer, list[str]]] = []
        self._inputs = {step["name"]: step["inputs"] for step in tower}
        self._on_words: dict[str, RowLayer] = {}
        self._behind: dict[str, RowLayer | QuestionLayer] = {}
        # layers linear in words with positions: their products are taken once for each distinct word, and each position
        self._encoded: dict[str, str] = {}  # name of such a step -> that of its positions
        rows: dict[str, str] = {}  # name of a step -> what its rows are: words, tokens or questions
        width: dict[str, int] = {}
        self.vocabulary = self.vector_width = self.table_width = 0
        for step in tower:
            name, inputs = step["name"], step["inputs"]
            layer = bind(Layer, step["layer"], step["config"], sum(width[each] for each in inputs), arrays, name)
            self.steps.append((layer, inputs))
            source = _source(layer, name in width, {rows[each] for each in inputs}, len(inputs))
            width[name], rows[name] = layer.width, source
            if isinstance(layer, QuestionLayer):
                encoding = self._behind.get(inputs[0])
                is_encoded = isinstance(layer, SelfAttention) and isinstance(encoding, PositionalEncoding)
                if is_encoded and rows[self._inputs[inputs[0]][0]] == "words":
                    self._encoded[name] = inputs[0]
                    self.table_width += layer.table_width
                rows[name] = layer.rows
                self.table_width += layer.table_width if source == "words" else 0
                self._behind[name] = layer
                continue
            assert isinstance(layer, RowLayer), f"{layer} must be a RowLayer or a QuestionLayer"
            layer.in_place = all(readers[each] == 1 for each in inputs)
            if isinstance(layer, Embedding):
                self.vocabulary = layer.ids
            elif isinstance(layer, Vectors):
                self.vector_width = layer.width
            (self._on_words if source == "words" else self._behind)[name] = layer
        self._output = tower[-1]["name"]
        if rows[self._output] != "questions":
            raise ValueError(f"{self._output}, the last step of the tower, gives no row for each question")
        tables = {each.ids for each, _ in self.steps if isinstance(each, Embedding)}
        vectors = {each.width for each, _ in self.steps if isinstance(each, Vectors)}
        if not tables | vectors or len(tables) > 1 or len(vectors) > 1:
            raise ValueError(
                "the tower must begin with tables of the same token ids, with vectors of one width, or both"
            )
        self.dimension = width[self._output]
        self.known = WordTables(self.tabulate, self.vocabulary)
        self.widest = max((width[name] for name in rows if rows[name] == "tokens"), default=0)
        # a token's own vector depends on its neighbors
        self.additive = not self.widest and all(layer.additive for layer in self._behind.values())

    def tabulate(self, words: np.ndarray) -> dict[str, Tables]:
        """Everything that depends on words alone, `int64[words]`: name of a QuestionLayer -> its tables."""
        values: dict[str, np.ndarray] = {}
        for name, layer in self._on_words.items():
            inputs = [values[each] for each in self._inputs[name]]
            values[name] = layer.compute(*inputs or [words])
        tables: dict[str, Tables] = {}
        for name, behind in self._behind.items():
            [read, *_] = self._inputs[self._encoded.get(name, name)] or [""]
            if isinstance(behind, QuestionLayer) and read in values:
                tables[name] = behind.tabulate(values[read])
        return tables

    def embed(self, tables: dict[str, Tables], packing: Packing, vectors: np.ndarray | None = None) -> np.ndarray:
        """Embeddings `float32[questions, dimension]` of packed questions, with the tables of their words.

        `vectors`, `float32[questions, vector_width]`, are those of the packed questions, where the tower reads them, too.
        """
        return self._embed(tables, packing.word, packing, vectors)

    def _embed(
        self, tables: dict[str, Tables], source: np.ndarray | None, packing: Packing, vectors: np.ndarray | None
    ) -> np.ndarray:
        """As `embed`; `source` is None if the rows of the tables are those of the tokens, in the order of the packing."""
        values: dict[str, np.ndarray] = {}
        beside = [] if vectors is None else [vectors]
        for name, layer in self._behind.items():
            if isinstance(layer, RowLayer):
                values[name] = layer.compute(*[values[each] for each in self._inputs[name]] or beside)
            elif name in self._encoded:
                encoding = self._behind[self._encoded[name]]
                assert isinstance(layer, SelfAttention)
                assert isinstance(encoding, PositionalEncoding)
                waves = encoding.waves(packing, layer.linear)
                values[name] = layer.compute_encoded(tables[name], source, packing, waves)
            elif name in tables:
                values[name] = layer.compute(tables[name], source, packing)
            else:
                values[name] = layer.compute(layer.tabulate(values[self._inputs[name][0]]), None, packing)
        return values[self._output]

    def embed_one(self, words: list[int], vector: np.ndarray | None = None) -> np.ndarray:
        """The embedding `float32[1, dimension]` of one question; `vector`, `float32[1, vector_width]`, as in `embed`.

        What depends on words alone is kept from one call to the next.
        """
        return self._embed(self.known.of(words), None, Packing.of_one(len(words)), vector)

    def embed_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """Embeddings `float32[questions, dimension]` of an encoder's vectors, `float32[questions, vector_width]`."""
        values: dict[str, np.ndarray] = {}
        for layer, inputs in self.steps:
            assert isinstance(layer, RowLayer)
            values[layer.name] = layer.compute(*[values[each] for each in inputs] or [vectors])
        return values[self._output]

    def shares(self, tables: dict[str, Tables], packing: Packing) -> np.ndarray:
        """The contribution of each token to the embedding, `float32[tokens, dimension]`, for additive towers.

        For one question they sum to what `embed` gives, up to rounding.
        """
        values: dict[str, np.ndarray] = {}
        for name, layer in self._behind.items():
            if isinstance(layer, RowLayer):
                values[name] = layer.compute(*(values[each] for each in self._inputs[name]))
            else:
                values[name] = layer.shares(tables[name], packing.word, packing)
        return values[self._output]


def _source(layer: Layer, is_named_twice: bool, read: set[str], inputs: int) -> str:
    """What the rows are that a layer reads, or gives where it begins the tower; ValueError if it cannot read them."""
    if is_named_twice or not layer.width <= WIDEST:
        raise ValueError(f"the step {layer.name} has the name of another one, or {layer.width} numbers, over {WIDEST}")
    begins = {Embedding: "words", Vectors: "questions"}.get(type(layer))  # type: ignore[call-overload]
    if begins is not None and not read:
        return begins
    if (
        begins is not None
        or len(read) != 1
        or (isinstance(layer, QuestionLayer) and (inputs != 1 or read == {"questions"}))
    ):
        raise ValueError(
            f"the step {layer.name} cannot read {inputs} inputs, of {', '.join(sorted(read)) or 'nothing'}"
        )
    return next(iter(read))
