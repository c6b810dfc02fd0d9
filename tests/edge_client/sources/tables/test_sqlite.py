"""SQLite's columns have no types: each gets the type of its use, and a value of another type is missing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from edge_client.errors import EventsError, SourceAway
from edge_client.sources.source import Query, SqliteFile, TableName
from edge_client.sources.tables import sqlite as module
from edge_client.sources.tables.sqlite import open_sqlite
from tests.edge_client.sources.making import day, planned, row, view

from .making import EVENTS, Made, sqlite_made

pytest.importorskip("adbc_driver_sqlite")

TYPES = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "boolean": pa.bool_()}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return sqlite_made(tmp_path)


def read(made: Made, kind: str, *values: str) -> list[object]:
    """Values of SQL in one column, as a type."""
    made.run("DROP TABLE IF EXISTS e", "CREATE TABLE e (v)", *(f"INSERT INTO e VALUES ({value})" for value in values))
    with open_sqlite("here", made.database, EVENTS) as table:  # type: ignore[arg-type]
        return pa.concat_tables(table.rows({"v": TYPES[kind]}))["v"].to_pylist()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", ["7", None, None, "text", "7", "", None, "é\0z"]),
        ("number", [7.0, 1.5, float("inf"), None, None, None, None, None]),
        ("whole", [7, None, None, None, None, None, None, None]),
        ("boolean", [None] * 8),
    ],
)
def test_a_value_of_another_type_is_missing(made: Made, kind: str, expected: list[object]) -> None:
    values = ("7", "1.5", "9e999", "'text'", "'7'", "''", "x'6162'", "'é' || char(0) || 'z'")
    assert read(made, kind, *values) == expected
    assert read(made, kind, "NULL", *values) == [None, *expected]


def test_a_path_may_begin_with_two_slashes(made: Made) -> None:
    made.table(row("a", day(0)))
    made.database = SqliteFile(Path(f"/{made.database.path}"))  # type: ignore[union-attr]
    assert made.opened().read([planned([0])]).table["c"].to_pylist() == ["a"]


def test_booleans_are_0_and_1(made: Made) -> None:
    assert read(made, "boolean", "0", "1", "2", "1.0", "'true'", "TRUE", "-1") == [
        False,
        True,
        None,
        None,
        None,
        True,
        None,
    ]


def test_the_type_does_not_depend_on_the_first_values(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver guesses the type of a column from the values of the first batch."""
    monkeypatch.setattr("edge_client.sources.tables.adbc.BATCH_ROWS", 2)
    assert read(made, "text", *["NULL"] * 5, "'a'", "7") == [*[None] * 5, "a", "7"]
    assert read(made, "number", *["7"] * 5, "1.5", "'a'", "NULL") == [*[7.0] * 5, 1.5, None, None]
    assert read(made, "whole", "'a'", "NULL", str(2**63 - 1), str(-(2**63))) == [None, None, 2**63 - 1, -(2**63)]
    assert read(made, "text") == []


def test_text_that_is_not_utf_8_is_missing_and_spoils_no_other_row(made: Made) -> None:
    assert read(made, "text", "'a'", "CAST(x'ff41' AS TEXT)", "'b'") == ["a", None, "b"]


def test_clients_may_be_text_and_whole_numbers(made: Made) -> None:
    made.table(row("7", day(0)), row("a", day(0)), columns="c, t, u, k, x")
    made.run(
        "INSERT INTO e VALUES (7, '2013-01-01 12:00:00', NULL, 'a', 1)",
        "INSERT INTO e VALUES (7.5, '2013-01-01', NULL, 'a', 1)",
    )
    events = made.opened().read([planned([0])])
    assert (events.table["c"].to_pylist(), events.clients) == (["7", "a", "7"], 2)


def test_a_missing_file_is_away_and_none_is_made(made: Made) -> None:
    for _ in range(2):
        with pytest.raises(SourceAway, match=r"there is no file .*events\.db"):
            made.opened().schema([view()])


def test_a_file_that_is_no_database_is_refused(made: Made, tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"x" * 5_000)
    with pytest.raises(EventsError, match="file is not a database"):
        made.opened().schema([view()])


HOLD = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def writer(made: Made, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has locked the file. (SQLite's locks do not hold between two libraries in one process.)"""
    made.table(row("a", day(0)))
    run = [sys.executable, "-c", HOLD, str(tmp_path / "events.db")]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_locked_file_is_away_until_its_writer_ends(
    made: Made, writer: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_client.sources.tables.adbc.LOCK_S", 0.05)
    with pytest.raises(SourceAway, match="database is locked"):
        made.opened().read([planned([0])])
    assert writer.stdin is not None
    writer.stdin.close()
    writer.wait()
    assert made.opened().read([planned([0])]).table["c"].to_pylist() == ["a"]


def test_a_writer_in_wal_mode_disturbs_no_reader(made: Made, tmp_path: Path) -> None:
    made.table(row("a", day(0)))
    with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
    hold = HOLD.replace("EXCLUSIVE", "IMMEDIATE").replace("print", "file.execute('DELETE FROM e'); print")
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "events.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert made.opened().read([planned([0])]).table["c"].to_pylist() == ["a"]
        process.kill()


def test_other_files_cannot_be_reached(made: Made, tmp_path: Path) -> None:
    made.table(row("a", day(0)))
    for text in (
        f"ATTACH '{tmp_path}/other.db' AS other",
        "SELECT load_extension('x') AS c",
        "SELECT readfile('/etc/passwd') AS c",
    ):
        with pytest.raises(EventsError):
            made.opened(Query(text)).read([planned([0])])
    assert not (tmp_path / "other.db").exists()


def test_every_failure_that_may_pass_is_known_by_its_words() -> None:
    assert all(part == part.lower() for part in module._AWAY)
    assert TableName(("e",)) == EVENTS
