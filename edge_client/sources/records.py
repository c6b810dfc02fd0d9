"""JSON records, many at a time, as one Arrow table of the columns that the site's file names.

One query of the locked DuckDB reads all of them. Its parser does not recurse, and a broken record spoils nothing but itself. What a
record may be:

- one JSON object in UTF-8. Anything else is a bad record: an array, a number, two objects, a byte order mark, a lone surrogate.
- Types are strict: `"7"` is no number and `7` no text. Whole numbers may be written `3.0`, as JSON has one kind of number.
- A value of another type, a number that a float64 cannot hold (NaN, Infinity, 1e999), and a missing name are null. A null client or
  time makes a bad record later; every other null is a missing value.
- Of a name that stands twice, the first counts. A comma before `}` is read over. A name that begins with `/` is a JSON pointer
  (RFC 6901), such as `/sensor/celsius`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edge_client.event_log.bad_records import BadReason

from .streams.stream import MAX_RECORD
from .text import utf8

if TYPE_CHECKING:
    import duckdb

_STATES: Final = (None, BadReason.NOT_JSON, BadReason.NO_OBJECT)
_NUMBERS: Final = "('UBIGINT', 'BIGINT', 'DOUBLE')"
_AT_ONCE: Final = MAX_RECORD
"""About how many bytes of records are parsed at a time: a parsed record takes up to 70 times its bytes."""
_EXACT: Final = 2**53
"""Up to here float64 holds every whole number."""


class JsonKind(StrEnum):
    """What a value must be in JSON, and its type in the table."""

    TEXT = "text"
    """A string, read as string."""
    NUMBER = "number"
    """A finite number, read as float64."""
    WHOLE = "whole"
    """A number without a fraction, read as int64."""
    BOOLEAN = "boolean"
    """true or false, read as bool."""


@dataclass(frozen=True)
class JsonColumn:
    """A value of the records, by its name in the object or its JSON pointer."""

    name: str
    kind: JsonKind


@dataclass(frozen=True)
class Records:
    """Records that were read.

    Attributes:
        table: a row for each record that is an object, a column for each `JsonColumn` by its name.
        rows: int64[rows of the table], the position of each among the records.
        bad: the position and the reason of every other record.
    """

    table: pa.Table
    rows: pa.Array
    bad: Sequence[tuple[int, BadReason]]


class RecordReader:
    """Reads records by one query, made once.

    Args:
        connection: of `locked_duckdb`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Sequence[JsonColumn]) -> None:
        self._connection = connection
        self._columns = tuple(columns)
        self._query = _query(self._columns)

    def read(self, values: Sequence[bytes]) -> Records:
        """The records of these bytes."""
        texts, bad = _texts(values)
        read = pa.concat_tables([self._run(pa.table({"value": part})) for part in _parts(texts)])
        states = read.column("state")
        for state, reason in enumerate(_STATES):
            if reason is not None:
                rows = pc.indices_nonzero(pc.equal(states, state)).to_pylist()
                bad += [(row, reason) for row in rows]
        kept = pc.indices_nonzero(pc.fill_null(pc.equal(states, 0), False)).cast(pa.int64())
        whole = len(kept) == len(values)
        read = read if whole else read.take(kept)
        columns = {one.name: read.column(f"c{place}") for place, one in enumerate(self._columns)}
        return Records(pa.table(columns), kept, sorted(bad))

    def _run(self, records: pa.Table) -> pa.Table:
        self._connection.register("records", records)
        try:
            return self._connection.sql(self._query).to_arrow_table()
        finally:
            self._connection.unregister("records")


def _texts(values: Sequence[bytes]) -> tuple[pa.Array, list[tuple[int, BadReason]]]:
    """The records as strings, null where a record is bad, and these."""
    array = pa.array(values, pa.binary())
    lengths = pc.binary_length(array)
    bad = [(row, BadReason.EMPTY) for row in pc.indices_nonzero(pc.equal(lengths, 0)).to_pylist()]
    bad += [(row, BadReason.TOO_LARGE) for row in pc.indices_nonzero(pc.greater(lengths, MAX_RECORD)).to_pylist()]
    if bad:
        out = {row for row, _ in bad}
        array = pa.array([None if row in out else value for row, value in enumerate(values)], pa.binary())
    texts = utf8(array)
    if texts.null_count > array.null_count:
        not_utf8 = pc.and_(array.is_valid(), texts.is_null())
        bad += [(row, BadReason.NOT_JSON) for row in pc.indices_nonzero(not_utf8).to_pylist()]
    return texts, bad


def _parts(texts: pa.Array) -> list[pa.Array]:
    """The texts in parts of about `_AT_ONCE` bytes; at least one."""
    sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy()
    begins = np.cumsum(sizes, dtype=np.int64) - sizes
    splits = [0, *(np.flatnonzero(np.diff(begins // _AT_ONCE)) + 1).tolist(), len(texts)]
    return [texts.slice(start, end - start) for start, end in pairwise(splits)]


def _query(columns: Sequence[JsonColumn]) -> str:
    """`state`: 0 an object, 1 not JSON, 2 something else, null without text; `c0`, `c1`, … the values of the columns."""
    paths = "[" + ", ".join(_quoted(_pointer(one.name)) for one in columns) + "]"
    values = [f"{_expression(place, one.kind)} AS c{place}" for place, one in enumerate(columns)]
    return f"""
        WITH parsed AS (
            SELECT value, CASE WHEN json_valid(value) THEN CASE json_type(value) WHEN 'OBJECT' THEN 0 ELSE 2 END
                               WHEN value IS NOT NULL THEN 1 END AS state
            FROM records
        ), found AS (
            SELECT state, CASE WHEN state = 0 THEN json_type(value, {paths}) END AS kinds,
                   CASE WHEN state = 0 THEN json_extract_string(value, {paths}) END AS texts
            FROM parsed
        )
        SELECT {", ".join(["state", *values])} FROM found
    """


def _expression(place: int, kind: JsonKind) -> str:
    found, text = f"kinds[{place + 1}]", f"texts[{place + 1}]"
    number = (
        f"CASE WHEN {found} IN {_NUMBERS} AND isfinite(TRY_CAST({text} AS DOUBLE)) THEN TRY_CAST({text} AS DOUBLE) END"
    )
    whole = (
        f"CASE WHEN {found} IN ('UBIGINT', 'BIGINT') THEN TRY_CAST({text} AS BIGINT) "
        f"WHEN {found} = 'DOUBLE' AND abs(TRY_CAST({text} AS DOUBLE)) <= {_EXACT} "
        f"AND trunc(TRY_CAST({text} AS DOUBLE)) = TRY_CAST({text} AS DOUBLE) "
        f"THEN CAST(TRY_CAST({text} AS DOUBLE) AS BIGINT) END"
    )
    match kind:
        case JsonKind.TEXT:
            return f"CASE WHEN {found} = 'VARCHAR' THEN {text} END"
        case JsonKind.NUMBER:
            return number
        case JsonKind.WHOLE:
            return whole
        case JsonKind.BOOLEAN:
            return f"CASE WHEN {found} = 'BOOLEAN' THEN {text} = 'true' END"
        case _:
            assert_never(kind)


def _pointer(name: str) -> str:
    """The JSON pointer of a column's name."""
    return name if name.startswith("/") else "/" + name.replace("~", "~0").replace("/", "~1")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
