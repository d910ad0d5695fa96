"""Records of lines: the rows of CSV and TSV, which may span lines, and the objects of JSONL."""

import csv
import json
from collections import Counter
from typing import Any

from siamese.data.blocks import WHOLE_ROW, Table, bad_row
from siamese.data.dialects import Dialect
from siamese.data.questions import UNDECODABLE

LONGEST_FIELD = 2**24  # characters; an unclosed quote ends there, so that it cannot hold a whole file in memory

csv.field_size_limit(LONGEST_FIELD)


def read_records(
    lines: list[str],
    dialect: Dialect,
    width: int,
    before: int,
    at_end: bool,
    table: Table,
    spanning: list[tuple[int, int]],
) -> tuple[list[list[str]], int]:
    """The records of `width` fields in `lines`, and the number of their lines; adds rows and bad rows to `table`.

    The first and the last line of each record of several lines are added to `spanning`.

    The remaining lines (none at the end of the file) begin a record that further lines may complete.
    """
    records, start = list[list[str]](), 0
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), **dialect.options())
        done, problem = 0, ""  # lines of this reader that belong to finished records
        try:
            for fields in reader:
                if len(fields) == width:
                    table.rows.append(before + start + done + 1)
                    records.append(fields)
                    if reader.line_num > done + 1:
                        spanning.append((before + start + done + 1, before + start + reader.line_num))
                elif fields:
                    problem = f"it has {len(fields)} columns, the header has {width}"
                    break
                done = reader.line_num
        except csv.Error:
            if start + reader.line_num == len(lines) and not at_end:
                return records, start + done
            problem = "broken quoting; quote the whole field and double each quote inside it"
        if not problem:
            break
        table.bad_rows.append(bad_row(table.file, before + start + done + 1, WHOLE_ROW, lines[start + done], problem))
        start += done + 1
    return records, len(lines)


def json_object(line: str) -> dict[str, Any]:
    """The object of a line of JSONL; a ValueError says why it is none, without the line."""
    try:
        record = json.loads(line, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON, {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists nested too deeply
        raise ValueError(f"unreadable JSON, {error}") from None
    if not isinstance(record, dict):
        raise ValueError("a JSON object is expected")
    keys = "".join(record)
    if not keys.isascii() and UNDECODABLE.search(keys):
        raise ValueError("a key is not UTF-8")
    return record


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {key!r} occurs twice")
    return record
