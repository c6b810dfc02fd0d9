from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from edge_client.sandbox import locked_duckdb


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "COPY (SELECT 1) TO '{file}.out'",
        "ATTACH '{file}.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "PRAGMA enable_external_access = true",
        "SELECT getenv('HOME')",
        "EXPORT DATABASE '{file}.dir'",
    ],
)
def test_nothing_outside_can_be_reached(tmp_path: Path, sql: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n")
    with locked_duckdb() as db, pytest.raises(duckdb.Error):
        db.execute(sql.format(file=file)).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv"]


def test_python_variables_of_the_caller_are_no_tables() -> None:
    hidden = pa.table({"a": [1]})
    with locked_duckdb() as db, pytest.raises(duckdb.Error):
        db.execute("SELECT * FROM hidden").fetchall()
    assert hidden.num_rows == 1
    assert "hidden" in sys._getframe().f_locals


def test_registered_tables_can_be_queried() -> None:
    with locked_duckdb() as db:
        db.register("t", pa.table({"a": [1, 2]}))
        assert db.execute("SELECT sum(a) FROM t").fetchall() == [(3,)]
