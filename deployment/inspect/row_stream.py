"""The bytes of a file of rows, piece by piece, for a download: only some rows are in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from .row_file import flat_rows, flat_schema

FileKind = Literal["csv", "parquet"]


class _Sink(io.BytesIO):
    """A file that gives away what was written. Arrow counts the bytes itself, because a Parquet file states their places."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        part = self.getvalue()
        self.seek(0)
        self.truncate()
        return part


def row_stream(tables: Iterable[pa.Table], schema: pa.Schema, kind: FileKind) -> Iterator[bytes]:
    """The bytes of a file with the rows of these tables.

    In a CSV file, a text that begins with =, +, -, @, a tab or a line break gets an apostrophe before it, because a spreadsheet
    would compute it as a formula. A Parquet file has every text as it is.
    """
    sink = _Sink()
    flat = schema if kind == "parquet" else flat_schema(schema)
    with (pq.ParquetWriter if kind == "parquet" else csv.CSVWriter)(sink, flat) as writer:
        for table in tables:
            writer.write_table(table if kind == "parquet" else _without_formulas(flat_rows(table, flat)))
            yield sink.taken()
    yield sink.taken()


def _without_formulas(table: pa.Table) -> pa.Table:
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = table.column(at)
            quoted = pc.binary_join_element_wise("'", texts, "")
            is_formula = pc.fill_null(pc.match_substring_regex(texts, r"^[=+\-@\t\r\n]"), False)
            table = table.set_column(at, field, pc.if_else(is_formula, quoted, texts))
    return table
