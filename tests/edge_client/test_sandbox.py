from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import numpy as np
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


def test_what_does_not_fit_into_memory_is_written_to_a_private_folder_that_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    connect = duckdb.connect
    monkeypatch.setattr("duckdb.connect", lambda name: connect(name, config={"memory_limit": "60MB", "threads": 1}))
    rows = pa.table({"a": np.random.default_rng(0).integers(0, 2**60, 4_000_000)})
    with locked_duckdb() as db:
        db.register("t", rows)
        (folder,) = (Path(one[0]) for one in db.execute("SELECT current_setting('temp_directory')").fetchall())
        db.execute("CREATE TEMP TABLE sorted AS SELECT a, row_number() OVER (ORDER BY a) AS r FROM t")
        written = sum(path.stat().st_size for path in folder.iterdir())
        mode = folder.stat().st_mode & 0o777
    assert written > 10**6
    assert mode == 0o700
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []
