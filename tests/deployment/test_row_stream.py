"""A file of rows in pieces."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from deployment.inspect.row_stream import row_stream

TABLES = [pa.table({"key": ["=1+1", "a"], "value": [1.0, None]}), pa.table({"key": ["@b", "-"], "value": [2.0, 3.0]})]


def test_a_parquet_file_in_pieces_has_the_rows_of_all_tables() -> None:
    *pieces, end = row_stream(TABLES, TABLES[0].schema, "parquet")
    assert all(pieces)
    assert pq.read_table(io.BytesIO(b"".join((*pieces, end)))) == pa.concat_tables(TABLES)


def test_a_csv_file_in_pieces_has_one_head_and_no_formula() -> None:
    data = b"".join(row_stream(TABLES, TABLES[0].schema, "csv"))
    rows = csv.read_csv(io.BytesIO(data))
    assert rows.column("key").to_pylist() == ["'=1+1", "a", "'@b", "'-"]
    assert rows.column("value").to_pylist() == [1.0, None, 2.0, 3.0]
