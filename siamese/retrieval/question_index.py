"""Question index: questions with their embeddings, to search, extend and reduce."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from siamese.data.columns import beside
from siamese.detector import Detector
from siamese.retrieval import embedding_space, saved_index
from siamese.retrieval.approximate_index import ApproximateIndex
from siamese.retrieval.exact_search import exact_top
from siamese.text.inputs import as_shares

Row = dict[str, Any]  # by column
Where = Mapping[str, str] | None  # column -> value
TAKEN = ("number", "asked", "similarity", "probability", "duplicate", "model")  # columns that every answer has


@dataclass(eq=False, repr=False)
class Collection:
    """Questions that can be searched with the detector that encoded them.

    Attributes:
        table: the questions: number (`int64`, ascending), question, and other columns of texts.
        embeddings: `float32[questions, dimension]`.
        index: the approximate one, if there is one.
        following: the number of the next question.
    """

    detector: Detector
    table: pa.Table
    embeddings: np.ndarray
    index: ApproximateIndex | None
    following: int
    _vectors: np.ndarray | None = field(default=None, init=False)  # for exact search; made when it is first wanted

    @classmethod
    def build(cls, detector: Detector, questions: pa.Table, approximate: bool = False) -> "Collection":
        """Encode the texts of the column question; other columns of texts stay beside it.

        Args:
            detector: encodes and scores.
            questions: ValueError if there is none. A column named as one of the answers, such as similarity, is kept as
                input_similarity.
            approximate: whether to search by an approximate index (faiss), for millions of questions.
        """
        table = _numbered(questions, 0)
        embeddings = detector.encode(table["question"].to_pylist())
        index = ApproximateIndex.build(_points(detector, embeddings), metric="euclidean") if approximate else None
        return cls(detector, table, embeddings, index, len(table))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def approximate(self) -> bool:
        """Whether searches use an approximate index, which may miss a near question."""
        return self.index is not None

    def append(self, questions: pa.Table) -> None:
        """Add questions, as in `build`; columns that one side lacks are filled with ""."""
        new = _numbered(questions, self.following)
        embeddings = self.detector.encode(new["question"].to_pylist())
        if self.index is not None:
            self.index.add(_points(self.detector, embeddings), new["number"].to_numpy())
        joined = pa.concat_tables([self.table, new], promote_options="default")
        filled = [column.fill_null("" if position else 0) for position, column in enumerate(joined.columns)]
        self.table = pa.table(filled, joined.column_names).combine_chunks()
        self.embeddings = np.concatenate([self.embeddings, embeddings])
        self.following += len(new)
        self._vectors = None

    def delete(self, where: Mapping[str, str]) -> int:
        """Remove the questions that `chosen` gives for `where`; returns their number."""
        gone = self.chosen(where)
        if self.index is not None:
            self.index.remove(self.table["number"].to_numpy()[gone])
        kept = np.delete(np.arange(len(self)), gone)
        self.table = self.table.take(_int64(kept)).combine_chunks()
        self.embeddings = self.embeddings[kept]
        self._vectors = None
        return len(gone)

    def chosen(self, where: Mapping[str, str]) -> np.ndarray:
        """Positions `int64[n]` of the questions with the given value in each given column; ValueError if one is not there."""
        mask = np.ones(len(self), bool)
        for column, value in where.items():
            if column not in self.table.column_names:
                raise ValueError(f"there is no column {column!r}; the columns are {', '.join(self.table.column_names)}")
            mask &= pc.equal(self.table[column].cast(pa.large_string()), value).to_numpy()
        return np.flatnonzero(mask)

    def search(
        self, question: str, top: int, where: Where = None, candidates: int = 100
    ) -> tuple[np.ndarray, np.ndarray]:
        """The questions most similar to one.

        The nearest embeddings are candidates, which the whole network scores. For the cosine and the Euclidean
        similarity both orders agree, so an exact search finds the best of all.

        Args:
            question: any text.
            top: number of answers, at most the number of questions; ValueError below 1.
            where: column → value; only questions with these values are searched.
            candidates: number of questions that are scored, at least `top`.

        Returns:
            Positions `int64[n]`, most similar first, and similarities `float32[n]`.
        """
        if top < 1 or candidates < 1:
            raise ValueError(f"top and candidates must be at least 1, got {top} and {candidates}")
        embedding = self.detector.encode([question])
        position = self._nearest(_points(self.detector, embedding), max(top, candidates), where or {})
        repeated = np.repeat(embedding, len(position), axis=0)
        similarity = self.detector.network.similarity(repeated, self.embeddings[position])
        if not np.isfinite(similarity).all():
            raise ValueError("the embeddings of the collection hold numbers that are not finite; build it anew")
        best = np.argsort(-similarity, kind="stable")[:top]
        return position[best], similarity[best]

    def _nearest(self, point: np.ndarray, count: int, where: Mapping[str, str]) -> np.ndarray:
        """Positions `int64[n]` of the points nearest to `float32[1, dimension]`."""
        among = self.chosen(where) if where else None
        if self.index is not None:
            numbers = self.table["number"].to_numpy()
            found = self.index.search(point, count, None if among is None else numbers[among])[1][0]
            return np.searchsorted(numbers, found)
        if self._vectors is None:
            self._vectors = embedding_space.augment_vectors(_points(self.detector, self.embeddings))
        vectors = self._vectors if among is None else self._vectors[among]
        found = exact_top(embedding_space.augment_queries(point), vectors, count)[1][0]
        return found if among is None else among[found]

    def save(self, folder: Path) -> None:
        """Write the folder atomically; an older index there is replaced, anything else raises ValueError.

        Who changes an index that others may change at the same time loads and saves it within `siamese.data.locks.exclusive`.
        """
        made = saved_index.Saved(self.table, self.embeddings, self.index, self.following)
        saved_index.write(folder, digest(self.detector), made)

    @classmethod
    def load(cls, folder: Path, detector: Detector) -> "Collection":
        """Read a folder that `save` wrote, embeddings memory-mapped; ValueError if it is another or no detector's index."""
        saved = saved_index.read(folder, digest(detector), detector.network.dimension)
        return cls(detector, saved.table, saved.embeddings, saved.index, saved.following)


def answers(
    detector: Detector, collection: Collection, question: str, top: int, where: Where = None, candidates: int = 100
) -> list[Row]:
    """The questions of a collection most similar to one, best first, as rows to print; arguments as in `search`.

    Returns:
        Rows of asked (the question), similarity and probability in [0, 1], duplicate (bool), known_words (of the question: see
        `Verdicts`) and cut (bool), number and all columns of the collection.
    """
    coverage = detector.coverage([question])
    read = {"known_words": as_shares(coverage.known_words)[0], "cut": bool(coverage.cut[0])}
    position, similarity = collection.search(question, top, where, candidates)
    probability, duplicate = detector.probability(similarity), detector.calibration.duplicate(similarity)
    rows, found = collection.table.take(_int64(position)).to_pylist(), []
    for row, similar, probable, verdict in zip(rows, similarity, probability, duplicate, strict=True):
        digits = float(str(similar))  # as few digits as a float32 needs
        scores = {"similarity": digits, "probability": round(float(probable), 6), "duplicate": bool(verdict)}
        found.append({"asked": question, **scores, **read, **row})
    return found


def digest(detector: Detector) -> str:
    """A digest of a detector's vectorizer and network (not of its thresholds), as 64 hexadecimal digits."""
    blake = hashlib.blake2b(detector.vectorizer.to_json().encode(), digest_size=32)
    blake.update(json.dumps(detector.network.description, sort_keys=True).encode())
    for name, array in sorted(detector.network.arrays.items()):
        blake.update(f"{name} {array.shape}".encode() + array.tobytes())
    return blake.hexdigest()


def _numbered(questions: pa.Table, first: int) -> pa.Table:
    """The table with a number for each question; columns with the name of a column of answers get another one."""
    questions = questions.rename_columns(beside(questions.column_names, TAKEN))
    if not len(questions):
        raise ValueError("there is no question; give at least one")
    texts = questions.cast(pa.schema([(name, pa.large_string()) for name in questions.column_names]))
    return texts.add_column(0, "number", _int64(np.arange(first, first + len(texts))))


def _int64(values: np.ndarray) -> pa.Array:
    """An Arrow array; `pa.array` would import pandas, which takes as long as the rest of a search."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values, np.int64))])


def _points(detector: Detector, embeddings: np.ndarray) -> np.ndarray:
    return embedding_space.points(detector.network.comparison, embeddings)
