"""Vector file: the rows, questions and vectors of a collection as Parquet, to fill a vector database or an index from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese.data.folders import atomic_path

ABOUT = "siamese"  # the key in the file's metadata that holds what the vectors are, as JSON
VECTOR = "vector"


def write_vectors(
    path: str | Path,
    blocks: Iterable[tuple[np.ndarray, Sequence[str], np.ndarray]],
    dimension: int,
    about: Mapping[str, Any],
) -> int:
    """Write a file, whole or not at all, block by block: one is in memory at a time.

    Args:
        path: of the file; its folder must exist.
        blocks: rows `int64[n]`, questions and vectors `float32[n, dimension]`; each becomes a row group.
        dimension: of a vector.
        about: what the vectors are, as JSON.

    Returns:
        The number of rows.

    Raises:
        OSError: the file cannot be written; it names `path`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = [("row", pa.int64()), ("question", pa.string()), (VECTOR, pa.list_(pa.float32(), dimension))]
    schema = pa.schema(types, {ABOUT: json.dumps(about, ensure_ascii=False)})
    how = {  # numbers of vectors hardly recur
        "compression": {"row": "zstd", "question": "zstd", f"{VECTOR}.list.element": "none"},
        "use_dictionary": False,
        "write_statistics": ["row"],
    }
    written = 0
    with (
        atomic_path(path) as new,
        new.open("wb") as file,  # Python's own errors have a number
        parquet.ParquetWriter(file, schema, **how) as writer,
    ):
        for rows, questions, vectors in blocks:
            flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
            columns = [pa.array(rows), pa.array(questions), pa.FixedSizeListArray.from_arrays(flat, dimension)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=len(rows))
            written += len(rows)
    return written
