"""Tables and queries of DuckDB, SQLite and PostgreSQL give the events that the same rows give from a file of Parquet."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.errors import EventColumnError, EventsError, SourceAway
from edge_client.events import check_schema, event_times
from edge_client.sources.declared_column import AsNumber, AsTime, AsWhole, Column, Named
from edge_client.sources.mapping import Mapping
from edge_client.sources.open import open_source
from edge_client.sources.source import Query, SqliteFile, TableName
from edge_client.sources.surroundings import Surroundings
from edge_client.sources.tables import open_table
from edge_client.sources.tables.database import Database
from edge_client.sources.tables.duckdb_file import DuckDbTable
from edge_client.sources.units import Scale
from featurestore.errors import FeatureStoreError
from tests.edge_client.sources.making import counted, day, naive_counts, naive_rows, planned, row, us, view

from .making import Made

ROWS = (
    row("a", day(0), 0.5),
    row("b", day(1), None),
    row(None, day(1)),
    row("c", None),
    row("d", day(1, 86_399.999999), 2.25, "b"),
    row("e", day(2), 3.0, None),
)


def clients(made: Made, *days: int, **how: Any) -> list[str]:
    found: list[str] = made.opened(**how).read([planned(days)]).table["c"].to_pylist()
    return sorted(found)


def test_the_rows_of_the_planned_panes_are_read_and_all_panes_are_counted(made: Made) -> None:
    made.table(*ROWS)
    source = open_source(made.source(), Surroundings("a"))
    events = source.read([planned([1])])
    assert sorted(events.table.select(["c", "k", "x"]).to_pylist(), key=str) == [
        {"c": "b", "k": "a", "x": None},
        {"c": "d", "k": "b", "x": 2.25},
    ]
    assert (events.clients, counted(events, view())) == (2, {0: 1, 1: 2, 2: 1})
    assert source.schema([view()]).num_rows == 0
    assert source.status() is None
    assert source.ready_for(1)
    source.close()


def test_a_table_that_grows_between_two_plans_is_read_anew(made: Made) -> None:
    made.table()
    source = made.opened()
    assert source.read([planned([1])]).table.num_rows == 0
    made.insert("e", ("new", day(1), None, "a", 1.0))
    events = source.read([planned([1])])
    assert (events.table["c"].to_pylist(), counted(events, view())) == (["new"], {1: 1})


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM e WHERE k = 'a'",
        "  SELECT * FROM e WHERE k = 'a' ; \n",
        "SELECT * FROM e WHERE k = 'a' -- all",
        "WITH f AS (SELECT * FROM e) SELECT f.* FROM f WHERE k = 'a'",
    ],
)
def test_a_query_is_read_like_a_table(made: Made, text: str) -> None:
    made.table(*ROWS)
    assert clients(made, 1, relation=Query(text)) == ["b"]


def test_a_table_of_a_schema_is_named_with_it(made: Made) -> None:
    if isinstance(made.database, SqliteFile):
        schema = "main"
        made.table(*ROWS)
    else:
        schema = 'of "us"'
        made.run('DROP SCHEMA IF EXISTS "of ""us""" CASCADE', 'CREATE SCHEMA "of ""us"""')
        made.table(*ROWS, name='"of ""us""".e')
    assert clients(made, 1, relation=TableName((schema, "e"))) == ["b", "d"]


TIMES = st.none() | st.builds(
    day, st.integers(-20_000, 3), st.sampled_from([0, 0.000001, 3_599.999999, 3_600, 86_399.999999])
)
EVENTS = st.builds(
    row,
    st.sampled_from(["a", "b", None, "", "é'\\"]),
    TIMES,
    st.none() | st.floats(-9, 9),
    st.sampled_from(["a", "b", None]),
    TIMES,
)


@pytest.mark.parametrize("examples", [5, pytest.param(100, marks=pytest.mark.long)])
def test_every_plan_gets_what_a_naive_reader_finds(made: Made, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(
        rows=st.lists(EVENTS, max_size=12),
        panes=st.sets(st.integers(-30, 70), min_size=1),
        days=st.sets(st.integers(-20_000, 3), min_size=1),
    )
    def check(rows: list[dict[str, Any]], panes: set[int], days: set[int]) -> None:
        _check(made, rows, panes, days)

    check()


def _check(made: Made, rows: list[dict[str, Any]], panes: set[int], days: set[int]) -> None:
    made.table(*rows)
    days |= {(us(one["t"]) - us(day(0))) // (86_400 * 10**6) for one in rows[:3] if one["t"] is not None}
    plan = [planned(panes, view("1h")), planned(days, view(time="u")), planned(days)]
    for part in (plan, plan[1:2]):
        events = made.opened().read(part)
        table = events.table
        for name in {"t", "u"} & set(table.column_names):
            times = event_times(table, name)
            found = [int(at) if valid else None for at, valid in zip(times.us, times.valid, strict=True)]
            table = table.set_column(table.column_names.index(name), name, pa.array(found, pa.int64()))
        names = table.column_names
        expected = [
            {name: us(one[name]) if name in ("t", "u") and one[name] else one[name] for name in names}
            for one in naive_rows(rows, part)
        ]
        assert sorted(table.to_pylist(), key=str) == sorted(expected, key=str)
        for one in part:
            assert counted(events, one.view) == naive_counts(rows, one.view)


def test_times_that_a_database_cannot_compare_are_compared_here(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of times, and times of a zone that the site's file names."""
    made.table(*ROWS, columns="c TEXT, t TEXT, u TEXT, k TEXT, x DOUBLE PRECISION")
    events = made.opened().read([planned([1])])
    assert (sorted(events.table["c"].to_pylist()), counted(events, view())) == (["b", "d"], {0: 1, 1: 2, 2: 1})
    in_zone = Mapping((Column("t", Named("t"), AsTime(zone="America/New_York")),))
    for columns in (
        "c TEXT, t TEXT, u TEXT, k TEXT, x DOUBLE PRECISION",
        "c TEXT, t TIMESTAMP, u TEXT, k TEXT, x FLOAT",
    ):
        made.table(*ROWS, columns=columns)
        events = made.opened(columns=in_zone).read([planned([2])])
        assert (sorted(events.table["c"].to_pylist()), counted(events, view())) == (["d", "e"], {0: 1, 1: 1, 2: 2})


def test_declared_columns_are_renamed_and_converted(made: Made) -> None:
    declared = Mapping(
        (
            Column("c", Named("tail"), None),
            Column("t", Named("arrived"), AsTime(unit="ms")),
            Column("x", Named("miles"), AsNumber(Scale(2.0, 1.0))),
        )
    )
    made.table(columns="tail TEXT, arrived BIGINT, k TEXT, miles INTEGER")
    made.insert("e", ("a", us(day(1)) // 1_000, "a", 3), ("b", us(day(1)) // 1_000 - 1, "a", 3), ("c", None, "a", 3))
    events = made.opened(columns=declared).read([planned([1])])
    assert events.table.select(["c", "k", "x"]).to_pylist() == [{"c": "a", "k": "a", "x": 7.0}]
    assert counted(events, view()) == {0: 1, 1: 1}


def test_events_whose_client_does_not_fit_its_declared_type_are_not_counted(made: Made) -> None:
    """They are in no report, so they must not look like events that came late."""
    made.table(columns="c DOUBLE PRECISION, t TIMESTAMP, k TEXT, x DOUBLE PRECISION")
    made.insert("e", *((client, day(1), "a", 1.0) for client in (7.0, 7.5, None)))
    events = made.opened(columns=Mapping((Column("c", Named("c"), AsWhole()),))).read([planned([1])])
    whole = 0 if isinstance(made.database, SqliteFile) else 1  # SQLite: a value of another type is missing
    assert (len(events.table), counted(events, view())) == (whole, {1: 1} if whole else {})


def test_a_large_table_is_streamed_in_batches(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.table()
    series = {"DuckDbFile": "range(200000) AS s(i)", "PostgreSql": "generate_series(0, 199999) AS s(i)"}.get(
        type(made.database).__name__,
        "(WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 199999) SELECT i FROM s) AS s",
    )
    when = "'2013-01-02 00:00:0' || (i % 10)" if isinstance(made.database, SqliteFile) else "TIMESTAMP '2013-01-02'"
    made.run(f"INSERT INTO e SELECT CAST(i AS TEXT), {when}, NULL, 'a', i FROM {series}")
    sizes: list[int] = []
    original = open_table.pane_rows

    def noted(part: pa.Table, *rest: Any) -> Any:
        sizes.append(part.num_rows)
        return original(part, *rest)

    monkeypatch.setattr(open_table, "pane_rows", noted)
    events = made.opened().read([planned([1])])
    assert (events.table.num_rows, counted(events, view())) == (200_000, {1: 200_000})
    assert sum(events.table["x"].to_pylist()) == sum(range(200_000))
    assert max(sizes) < 200_000


# Bad input: missing, changed, locked, slow.


def test_a_missing_table_is_away_and_comes_back(made: Made) -> None:
    made.table(name="other")
    source = made.opened()
    for read in (lambda: source.schema([view()]), lambda: source.read([planned([0])])):
        with pytest.raises(SourceAway, match=r"here cannot be read now: .*\be\b"):
            read()
    made.table(*ROWS)
    assert clients(made, 0) == ["a"]


def test_a_query_that_is_no_query_is_refused_with_what_the_database_says(made: Made) -> None:
    made.table(*ROWS)
    for text in (
        "SELEKT 1",
        "SELECT nothing FROM e",
        "DELETE FROM e",
        "SELECT 1) AS x; DELETE FROM e; SELECT (1",
        "VALUES (",
    ):
        with pytest.raises(EventsError, match=r"here (cannot be read: |has no column 'c'; it has: 1)"):
            made.opened(Query(text)).read([planned([0])])
    assert clients(made, 0) == ["a"]


@pytest.mark.parametrize("column", ["c", "x"])
def test_a_column_that_vanishes_is_named(made: Made, column: str) -> None:
    made.table(*ROWS)
    source = made.opened()
    source.read([planned([0])])
    made.run(f"ALTER TABLE e RENAME COLUMN {column} TO renamed")
    for read in (lambda: source.schema([view()]), lambda: source.read([planned([0])])):
        with pytest.raises(EventsError, match=rf"here has no column '{column}'; it has: .*renamed"):
            read()
    made.run(f"ALTER TABLE e RENAME COLUMN renamed TO {column}")
    assert source.read([planned([0])]).table["c"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("x", "TEXT"),
        ("k", "DOUBLE PRECISION"),
        ("t", "DOUBLE PRECISION"),
        ("c", "DOUBLE PRECISION"),
        ("x", "BOOLEAN"),
        ("t", "BYTEA"),
    ],
)
def test_a_column_of_another_type_is_refused_by_the_schema(made: Made, column: str, kind: str) -> None:
    if isinstance(made.database, SqliteFile):
        pytest.skip("a column of SQLite has no type; a value of another type is missing")
    made.table(
        columns="c TEXT, t TIMESTAMP, u TIMESTAMP, k TEXT, x DOUBLE PRECISION".replace(
            f"{column} {'TIMESTAMP' if column == 't' else 'TEXT' if column != 'x' else 'DOUBLE PRECISION'}",
            f"{column} {kind}",
        )
    )
    source = made.opened()
    with pytest.raises((EventColumnError, FeatureStoreError), match=column):
        check_schema(view(), source.read([planned([0])]))


def test_a_read_that_takes_too_long_is_away(made: Made) -> None:
    made.table(*ROWS)
    slow = {
        "DuckDbFile": "SELECT e.* FROM e, range(100000000000) AS s(i) WHERE hash(i) = 1",
        "PostgreSql": "SELECT e.* FROM e, pg_sleep(60)",
    }.get(type(made.database).__name__, "SELECT * FROM e")
    source = made.opened(Query(slow), seconds=0.3 if not isinstance(made.database, SqliteFile) else 0)
    with pytest.raises(SourceAway, match=r"(longer than 0\.?3? s|statement timeout)"):
        source.read([planned([0])])


@pytest.mark.parametrize(
    "statement", ["INSERT INTO e VALUES ('z', NULL, NULL, NULL, 1)", "DROP TABLE e", "CREATE TABLE f (i INTEGER)"]
)
def test_a_database_is_never_written(made: Made, statement: str) -> None:
    made.table(*ROWS)
    with pytest.raises((EventsError, SourceAway), match=r"(?i)read-?only"), made.opened()._open() as database:
        _execute(database, statement)
    assert clients(made, 0) == ["a"]


def _execute(database: Database, statement: str) -> None:
    """On the connection, past the reader."""
    connection = database._connection  # type: ignore[attr-defined]
    (connection.execute if isinstance(database, DuckDbTable) else connection.run)(statement)
