"""Read a CSV file of events as a table: the columns that the views need, each with the type that its use demands.

No type comes from the data. A value that does not fit its column's type is missing. A row that cannot be read becomes a row of
nulls, which counts as an event without a client. So one client's bytes change the events of this client only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from ...errors import EventsError
from ..text import utf8
from .csv_records import MAX_RECORD, Records

UNTYPED: Final = {b"covey.untyped": b"csv"}
"""Field metadata of a text column from CSV: its text may be read as whole numbers or booleans for join keys."""
_TRUTHS: Final = (["true", "True", "TRUE", "1"], ["false", "False", "FALSE", "0"])
_NUMBER: Final = r"^-?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|inf(inity)?)$"
_EXPECTED: Final = {
    pa.float64(): ("number", "numbers such as 12, -1.5 or 2e3"),
    pa.int64(): ("whole number", "whole numbers such as 12 or -3, of 64 bits"),
    pa.bool_(): ("boolean", "true or 1, and false or 0"),
}
"""What a column of a type holds, and how its values are written."""
_MISSING: Final = csv.ConvertOptions().null_values
"""Spellings of a missing value: NA, null, NaN and similar ones."""


def read_csv(path: Path, needed: Mapping[str, pa.DataType]) -> pa.Table:
    """Read the needed columns of a file for a person, who is told if there is nothing to read. See `csv_batches`.

    Raises:
        EventsError: as `csv_batches`; no row of the file, or no value of a column, can be read.
    """
    with path.open("rb") as file:
        records = Records(file)
        names = _names(path, records.first())
        require_columns(path, list(needed), names, logged=False)
        columns = {name: _Column(name, kind) for name, kind in needed.items()}
        for chunk in records.chunks(len(names)):
            raw = _fields(chunk, names, list(needed))
            for name, column in columns.items():
                column.add(raw.column(name))
    for column in columns.values():
        column.require_a_value(path, every_row=not records.left_out)
    unreadable = records.left_out
    table = pa.table([column.values(unreadable) for column in columns.values()], pa.schema(_schema(needed)))
    if 0 < table.num_rows == unreadable:
        raise EventsError(
            f"{path} holds no events: none of its {unreadable:,} rows can be read. As its first line, each row needs {len(names)} "
            f"field(s), and every quote must be closed in its line, which has at most {MAX_RECORD:,} bytes"
        )
    return table


def csv_batches(path: Path, needed: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    """The needed columns, many rows at a time; at least one batch. Rows that cannot be read become rows of nulls, after all others.

    Raises:
        EventsError: the first record does not name each needed column once.
    """
    schema = pa.schema(_schema(needed))
    yield schema.empty_table()
    with path.open("rb") as file:
        records = Records(file)
        names = _names(path, records.first())
        require_columns(path, list(needed), names, logged=False)
        for chunk in records.chunks(len(names)):
            raw = _fields(chunk, names, list(needed))
            yield pa.table([_typed(_texts(raw.column(name)), kind) for name, kind in needed.items()], schema)
    yield pa.table([pa.nulls(records.left_out, kind) for kind in needed.values()], schema)


def csv_schema(path: Path, needed: Mapping[str, pa.DataType]) -> pa.Table:
    """A table of the needed columns without a row: only the first record of the file is read. Raises EventsError."""
    with path.open("rb") as file:
        require_columns(path, list(needed), _names(path, Records(file).first()), logged=False)
    return pa.schema(_schema(needed)).empty_table()


def csv_names(path: Path) -> list[str]:
    """The names of the columns, from the first record of the file. Raises EventsError."""
    with path.open("rb") as file:
        return _names(path, Records(file).first())


def require_columns(place: Path | str, needed: Sequence[str], names: Sequence[str], *, logged: bool = True) -> None:
    """Raise EventsError unless the file or table has each needed column once.

    Args:
        logged: whether a log may have the names. The first line of a CSV file without names is an event.
    """
    for column in needed:
        if names.count(column) != 1:
            what, found = "no column" if column not in names else "several columns named", f"it has: {', '.join(names)}"
            raise EventsError(f"{place} has {what} {column!r}; {found}", "" if logged else found)


def whole_numbers(texts: pa.Array) -> pa.Array:
    """Text as int64; null where the text is not a whole number of 64 bits."""
    texts = pc.utf8_trim_whitespace(texts)
    digits = pc.match_substring_regex(texts, "^-?[0-9]{1,38}$")
    numbers = pc.if_else(digits, texts, pa.scalar(None, texts.type)).cast(pa.decimal128(38, 0))
    low, high = (pa.scalar(Decimal(bound), numbers.type) for bound in (-(2**63), 2**63 - 1))
    fits = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    return pc.if_else(fits, numbers, pa.scalar(None, numbers.type)).cast(pa.int64())


def numbers(texts: pa.Array) -> pa.Array:
    """Text as float64; null where the text is not a number."""
    texts = pc.utf8_trim_whitespace(texts)
    is_number = pc.match_substring_regex(texts, _NUMBER, ignore_case=True)
    return pc.if_else(is_number, texts, pa.scalar(None, texts.type)).cast(pa.float64())


def truths(texts: pa.Array) -> pa.Array:
    """Text as booleans; null where the text is not a boolean."""
    is_true, is_false = (pc.is_in(texts, pa.array(spelled, texts.type)) for spelled in _TRUTHS)
    return pc.if_else(pc.or_(is_true, is_false), is_true, pa.scalar(None, pa.bool_()))


class _Column:
    """One column of the file, a chunk at a time. Privacy-sensitive."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self._name, self._kind = name, kind
        self._chunks: list[pa.Array] = []
        self._has_value = False
        self._rows = 0
        self._odd: tuple[int, str] | None = (
            None  # the first text that does not fit the column's type, and its row from 1
        )

    def add(self, raw: pa.ChunkedArray) -> None:
        """Add bytes of the file, read as the column's type."""
        texts = _texts(raw)
        values = _typed(texts, self._kind)
        self._chunks.append(values)
        self._has_value |= values.null_count < len(values)
        if not self._has_value and self._odd is None:
            odd = pc.and_not(pc.is_valid(texts), pc.is_in(texts, pa.array(_MISSING, texts.type)))
            first = int(pc.index(pc.fill_null(odd, False), True).as_py())
            self._odd = (self._rows + first + 1, texts[first].as_py()) if first >= 0 else None
        self._rows += len(values)

    def require_a_value(self, path: Path, *, every_row: bool) -> None:
        """Raise EventsError if the column has text and none of it fits the column's type.

        Args:
            every_row: every row of the file was readable, so that rows can be counted as in the file.
        """
        if self._odd is not None and not self._has_value:
            (row, text), (what, expected) = self._odd, _EXPECTED[self._kind]
            where, quoted = "row" if every_row else "readable row", repr(text[:60])
            raise EventsError(
                f"{path}, column {self._name!r}: no value is a {what}; the first is {quoted} in {where} {row:,}. Write "
                f"{expected}, or leave the field empty",
                quoted,
            )

    def values(self, nulls: int) -> pa.ChunkedArray:
        """The whole column, followed by `nulls` nulls."""
        return pa.chunked_array([*self._chunks, pa.nulls(nulls, self._kind)], self._kind)


def _names(path: Path, first: bytes | None) -> list[str]:
    """The names of the columns."""
    if path.stat().st_size == 0:
        raise EventsError(f"{path} holds no events")
    why = f"its first line, of at most {MAX_RECORD:,} bytes, must name the columns"
    if first is None:
        raise EventsError(f"{path} cannot be read as CSV: {why}")
    try:
        names: list[str] = csv.read_csv(pa.py_buffer(first)).column_names
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        quoted = str(error).splitlines()[0]  # Arrow may quote the line
        raise EventsError(f"{path} cannot be read as CSV: {why} ({quoted})", quoted) from None
    return names


def _fields(chunk: bytes, names: list[str], needed: list[str]) -> pa.Table:
    """The needed fields of well-formed records, as bytes."""
    return csv.read_csv(
        pa.py_buffer(chunk),
        csv.ReadOptions(column_names=names, block_size=4 * MAX_RECORD),
        csv.ParseOptions(newlines_in_values=False),
        csv.ConvertOptions(include_columns=needed, column_types=dict.fromkeys(needed, pa.binary())),
    )


def _texts(raw: pa.ChunkedArray) -> pa.Array:
    """Bytes as text; null where the field is empty (it is missing, not an empty text) or not UTF-8."""
    texts = utf8(raw.combine_chunks())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _typed(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Text as values of a type; null where the text does not fit."""
    if pa.types.is_string(kind):
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    if pa.types.is_boolean(kind):
        return truths(trimmed)
    if pa.types.is_integer(kind):
        return whole_numbers(trimmed)
    return numbers(trimmed)


def _schema(needed: Mapping[str, pa.DataType]) -> list[pa.Field]:
    return [
        pa.field(name, kind, metadata=UNTYPED if pa.types.is_string(kind) else None) for name, kind in needed.items()
    ]
