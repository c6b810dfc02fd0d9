"""A DuckDB file is opened read-only, for the time of one read, and reaches nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from edge_client.errors import EventsError, SourceAway
from edge_client.sources.source import Query
from tests.edge_client.sources.making import counted, day, planned, row, view

from .making import Made, duckdb_made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return duckdb_made(tmp_path)


HOLD = """
import duckdb, sys
file = duckdb.connect(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_file_that_a_program_writes_is_away_until_the_program_closes_it(made: Made, tmp_path: Path) -> None:
    made.table(row("a", day(0)))
    run = [sys.executable, "-c", HOLD, str(tmp_path / "events.duckdb")]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(SourceAway, match="Could not set lock on file"):
            made.opened().read([planned([0])])
        process.communicate()
    assert made.opened().read([planned([0])]).table["c"].to_pylist() == ["a"]
    made.table(row("b", day(0)))  # the site holds no lock between two plans


def test_a_missing_file_is_away_and_none_is_made(made: Made) -> None:
    for _ in range(2):
        with pytest.raises(SourceAway, match=r"there is no file .*events\.duckdb"):
            made.opened().schema([view()])


def test_a_file_that_is_no_database_is_away(made: Made, tmp_path: Path) -> None:
    (tmp_path / "events.duckdb").write_bytes(b"x" * 50_000)
    with pytest.raises(SourceAway, match="not a valid DuckDB database file"):
        made.opened().schema([view()])


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM outside",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sqlite_scan('other.db', 'e')",
    ],
)
def test_a_query_reaches_no_other_file(made: Made, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.csv").write_text("c,t,k,x\n")
    made.run(f"CREATE VIEW outside AS SELECT * FROM '{tmp_path}/other.csv'")
    with pytest.raises(
        (EventsError, SourceAway), match=r"disabled by configuration|sqlite_scan.*not in the catalog|does not exist"
    ):
        made.opened(Query(text)).schema([view()])


@pytest.mark.parametrize(
    "kind", ["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMPTZ", "DATE", "TEXT"]
)
def test_times_of_every_type_are_read(made: Made, kind: str) -> None:
    made.run("SET TimeZone = 'UTC'")
    made.table(columns=f"c TEXT, t {kind}, u TIMESTAMP, k TEXT, x DOUBLE")
    made.insert(
        "e",
        *(
            (name, time, None, "a", 1.0)
            for name, time in (("a", "2013-01-01"), ("b", "2013-01-02"), ("c", "1969-12-31"))
        ),
    )
    made.run("INSERT INTO e VALUES ('d', NULL, NULL, 'a', 1), (NULL, '2013-01-02', NULL, 'a', 1)")
    if kind in ("TIMESTAMP", "DATE"):
        made.run(
            "INSERT INTO e VALUES ('e', 'infinity', NULL, 'a', 1), ('f', '-infinity', NULL, 'a', 1), ('g', '0044-03-15 (BC)', NULL, 'a', 1)"
        )
    events = made.opened().read([planned([1])])
    assert (events.table["c"].to_pylist(), counted(events, view())) == (["b"], {-15_707: 1, 0: 1, 1: 1})


@pytest.mark.parametrize("kind", ["FLOAT", "DECIMAL(9, 2)", "INTEGER", "HUGEINT", "UTINYINT", "BIGINT"])
def test_numbers_of_every_type_are_read(made: Made, kind: str) -> None:
    made.table(
        row("a", day(0), 3.0),
        columns=f"c INTEGER, t TIMESTAMP, u TIMESTAMP, k TEXT, x {kind}".replace("c INTEGER", "c TEXT"),
    )
    from edge_client.events import typed_column

    found = made.opened().read([planned([0])])
    assert typed_column(found.table, "x", "number").to_pylist() == [3.0]


def test_a_value_that_a_query_cannot_convert_is_an_error_of_the_query_and_not_logged(made: Made) -> None:
    made.run(
        "CREATE TABLE e AS SELECT 'a' AS c, TIMESTAMP '2013-01-01' AS t, 'a' AS k, i::TEXT AS x FROM range(300000) r(i)"
    )
    made.run("UPDATE e SET x = 'planted' WHERE x = '250000'")
    source = made.opened(Query("SELECT c, t, k, x::DOUBLE AS x FROM e"))
    assert source.schema([view()]).num_rows == 0
    with pytest.raises(EventsError, match="Could not convert string 'planted' to DOUBLE") as caught:
        source.read([planned([0])])
    assert "planted" not in caught.value.logged


def test_an_interrupted_read_is_a_keyboard_interrupt(made: Made) -> None:
    made.table(row("a", day(0)))
    with pytest.raises(KeyboardInterrupt), made.opened()._open():
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")
