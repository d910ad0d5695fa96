"""Parquet, gzipped or not, read in blocks; values that Python cannot hold make bad rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamese.data.blocks import Table, bad_row, require_columns
from siamese.data.gzipped import is_gzipped, opened
from siamese.data.questions import LONGEST

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

UNREADABLE = object()  # a value that Python cannot hold
BLOCK = 2**15  # rows that are Python objects at the same time
LARGEST_COLUMN = 2**28  # bytes of a block: above, a long text is in memory once, however many rows share it
LARGEST_UNPACKED = 2**28  # bytes of a gzipped file, which has to be in memory


@contextmanager
def opened_parquet(file: Path, name: str) -> Iterator["parquet.ParquetFile"]:
    """A file of Parquet, gzipped or not, by its path and the name in messages; ValueError if it is none, or too large."""
    import pyarrow as pa
    from pyarrow import ArrowException, parquet

    with opened(file) as stream:
        whole = stream
        if is_gzipped(file):
            whole = BytesIO(stream.read(LARGEST_UNPACKED + 1))
            if whole.getbuffer().nbytes > LARGEST_UNPACKED:
                raise ValueError(f"{name} unpacks to more than {LARGEST_UNPACKED:,} bytes; give the unpacked file")
        try:
            columns = parquet.read_schema(whole)
            texts = [each.name for each in columns if each.type in (pa.string(), pa.large_string())]
            yield parquet.ParquetFile(whole, read_dictionary=texts)
        except (ArrowException, OSError, UnicodeDecodeError) as error:
            problem = " ".join(str(error).split())
            raise ValueError(f"{name} is not a Parquet file, or is damaged: {problem}") from error


def parquet_blocks(file: Path, name: str, columns: Sequence[str]) -> Iterator[Table]:
    """The named columns, block by block; ValueError if the file lacks one, or as `opened_parquet`."""
    with opened_parquet(file, name) as parquet:
        require_columns(columns, parquet.schema_arrow.names, name)
        first = 1
        for batch in parquet.iter_batches(BLOCK, columns=list(columns)):
            names, last = batch.schema.names, first + batch.num_rows
            values = [_python_values(batch.column(names.index(column))) for column in columns]
            table = Table(name, values, list(range(first, last)))
            _take_out_unreadable(table, columns)
            yield table
            first = last


def _python_values(column: "pa.Array") -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        if column.dictionary.nbytes * len(column) > LARGEST_COLUMN and _longest(column.dictionary) > LONGEST:
            known = [*_python_values(column.dictionary), None]
            return [known[-1 if index is None else index] for index in column.indices.to_pylist()]
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # Arrow would fail on the whole column for one invalid UTF-8 value
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if text is None else text.decode("utf-8", "surrogateescape") for text in column.to_pylist()]
    try:
        return column.to_pylist()
    except (ArithmeticError, ValueError, pa.ArrowException):
        return [_python_value(value) for value in column]


def _longest(texts: "pa.Array") -> int:
    """Bytes of the longest of some texts, or values."""
    import pyarrow as pa
    from pyarrow import compute

    is_text = pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)
    return compute.max(compute.binary_length(texts)).as_py() or 0 if is_text else 0


def _python_value(value: "pa.Scalar") -> Any:
    """The value; a time that Python has not, such as one after the year 9999, as Arrow's text, which is no str; or UNREADABLE."""
    import pyarrow as pa

    with suppress(ArithmeticError, ValueError, pa.ArrowException):
        return value.as_py()
    with suppress(pa.ArrowException):
        return value.cast(pa.string())
    return UNREADABLE


def _take_out_unreadable(table: Table, columns: Sequence[str]) -> None:
    """Make bad rows of those that hold an UNREADABLE value."""
    bad = {
        index: name
        for name, values in zip(columns, table.values, strict=True)
        for index, value in enumerate(values)
        if value is UNREADABLE
    }
    if bad:
        rows, good = table.rows, [index for index in range(len(table.rows)) if index not in bad]
        for index in sorted(bad):
            table.bad_rows.append(bad_row(table.file, rows[index], bad[index], None, "the value cannot be read"))
        table.values = [[values[index] for index in good] for values in table.values]
        table.rows = [rows[index] for index in good]
