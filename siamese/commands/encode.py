"""Write the vector of each question of a collection, to fill a vector database or an index of your own.

python -m experiments.encode collection=questions.csv output=vectors.parquet
python -m experiments.encode collection=questions.parquet output=vectors.parquet workers=local encoder=minilm

The Parquet file has a row for each good row of the collection, in its order: row (its line in the file; for Parquet its
position, from 1), question and vector. It is written block by block, so that memory does not grow with the collection, and
appears whole or not at all. Its metadata say which model made the vectors and how two of them are compared. With
workers=local (or auto, host:port) the workers of a Ray cluster encode the blocks: the same file.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from siamese.commands.arguments import program_settings
from siamese.commands.detector import chosen, require_movable
from siamese.commands.output import note, note_bad_rows, reading, require_suffix
from siamese.data.columns import question_column
from siamese.data.files import good_texts
from siamese.data.formats import TableFile
from siamese.data.pairs import BadRow
from siamese.detector import Detector
from siamese.inference.chosen_workers import workers_at
from siamese.inference.threads import side_by_side
from siamese.inference.workers import Workers
from siamese.retrieval.vector_file import write_vectors
from siamese.text.vectorizer import Vectorizer

ENCODED_TOGETHER = 2**14  # questions: a block; the last one has up to twice as many
NO_VERDICT = {"threshold": None, "prior": None}  # settings of other programs
DECIDED = "two vectors u and v have the similarity {}"
UNDECIDED = (
    "vectors alone do not decide with this model, whose similarity of u and v is {}: take near ones as candidates, and let the "
    "model score their pairs (python -m experiments.predict pairs=FILE)"
)

Rows = tuple[np.ndarray, list[str]]  # `int64[n]` and n questions


def run(settings: dict[str, Any]) -> dict[str, int]:
    """Encode a file.

    Returns:
        The numbers of questions and of bad rows.
    """
    if settings["collection"] is None or settings["output"] is None:
        raise ValueError("give a file of questions and a Parquet file to write: collection=FILE output=vectors.parquet")
    require_suffix("output", settings["output"], [".parquet"])
    with workers_at(settings["workers"], settings["worker_cores"]) as workers:
        file = TableFile(str(settings["collection"]), reading(settings))
        column = question_column(file.columns, settings["column"], file.name, file.tell)
        detector = chosen(settings | NO_VERDICT, ranks=True, collection=True)
        require_movable(detector, settings["workers"])
        similarity = detector.network.comparison
        formula = similarity.formula.format(**vars(similarity))
        about = {"model": detector.model, "similarity": formula}
        bad_rows: list[BadRow] = []
        blocks = encoded(detector, in_blocks(_questions(file, column, bad_rows)), workers)
        count = write_vectors(settings["output"], blocks, detector.network.dimension, about)
    note_bad_rows(settings["collection"], bad_rows)
    note(DECIDED.format(formula) if similarity.radius(0.5) is not None else UNDECIDED.format(formula))
    return {"questions": count, "bad": len(bad_rows)}


def _questions(file: TableFile, column: str, bad_rows: list[BadRow]) -> Iterator[Rows]:
    """The good rows of a file, as they are read, with progress on a terminal; the others are added to `bad_rows`.

    Raises:
        ValueError: no row is good.
    """
    shown, any_good = sys.stderr.isatty(), False
    total = file.count_rows() if shown else None
    with tqdm(total=total, unit="question", unit_scale=True, disable=not shown) as progress:
        for table in file.blocks([column]):
            file.show_html(table, [column])
            rows, texts, bad = good_texts(table, column)
            bad_rows += bad
            any_good = any_good or bool(texts)
            yield rows, texts
            progress.update(len(rows) + len(bad))
    if not any_good:
        raise ValueError(f"{file.name} has no good row; its first: {bad_rows[0]}")


def encoded(
    detector: Detector, blocks: Iterable[Rows], workers: Workers
) -> Iterator[tuple[np.ndarray, list[str], np.ndarray]]:
    """Blocks with the vectors of their questions, `float32[n, dimension]`, in order."""
    under_way = deque[Rows]()

    def texts() -> Iterator[list[str]]:
        for block in blocks:
            under_way.append(block)
            yield block[1]

    for [vectors] in workers.map(partial(_encoding, detector), texts()):
        yield *under_way.popleft(), vectors


def _encoding(detector: Detector) -> Callable[[list[str]], tuple[np.ndarray]]:
    """A function: questions -> their vectors, which do not depend on the number of threads."""
    if not isinstance(detector.vectorizer, Vectorizer):
        detector.vectorizer.encoder.cache = None  # the output keeps the vectors

    def block(questions: list[str]) -> tuple[np.ndarray]:
        with side_by_side(1):
            return (detector.encode(questions),)

    return block


def in_blocks(read: Iterable[Rows]) -> Iterator[Rows]:
    """Rows as they are read, in blocks of ENCODED_TOGETHER; the last one is longer, never shorter, where there are several.

    So no block is so small that its questions are encoded one by one, which rounds otherwise.
    """
    rows, texts = np.empty(0, np.int64), list[str]()
    for more_rows, more_texts in read:
        rows, texts = np.concatenate([rows, more_rows]), texts + more_texts
        while len(texts) >= 2 * ENCODED_TOGETHER:
            yield rows[:ENCODED_TOGETHER], texts[:ENCODED_TOGETHER]
            rows, texts = rows[ENCODED_TOGETHER:], texts[ENCODED_TOGETHER:]
    if texts:
        yield rows, texts


def main() -> None:
    """Encode, and print the numbers on stderr."""
    settings = program_settings("encode", __doc__)
    print("{questions:,} questions; wrote {output}".format(**run(settings), output=settings["output"]), file=sys.stderr)
