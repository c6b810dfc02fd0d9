"""A table or query as an open source. It is read anew for each plan, because its rows may change.

Where the database compares times as a site does, it returns the rows of the plan's panes only, and counts the events of all panes
itself. Otherwise all rows are streamed, and those of other panes are dropped batch by batch. Both give the same events.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import assert_never

import pyarrow as pa

from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ...events import Events, make_events
from ...pane_rows import Grid, SourceCounts, grid_of, grids_of, pane_rows
from ..files.csv_file import require_columns
from ..needed import needed_columns
from ..selection import Selection
from ..source import Database as AnyDatabase
from ..source import DuckDbFile, PostgreSql, Query, SqliteFile, TableName, TableSource
from ..status import SourceStatus
from .database import READ_S, Database, TimedDatabase, Within


class OpenTable:
    """See `OpenSource`. Between two plans no connection is open.

    Args:
        seconds: how long a read may take.
    """

    def __init__(self, source: TableSource, seconds: float = READ_S) -> None:
        self._source, self._seconds = source, seconds

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """See `OpenSource`."""
        with self._open() as database:
            selection = self._selection(views, database)
            return selection.apply(database.schema(selection.columns).empty_table())

    def read(self, views: Sequence[PlannedView]) -> Events:
        """See `OpenSource`."""
        source, counts = self._source, SourceCounts(self._source.time)
        with self._open() as database:
            selection = self._selection([planned.view for planned in views], database)
            grids = grids_of(views, source.time)
            if isinstance(database, TimedDatabase) and _compares_as_site(database, selection, source.client, grids):
                within = [
                    _within(planned, selection.origin(grid_of(planned.view, source.time)[0])) for planned in views
                ]
                for column, pane_us in grids:
                    found = database.counts(selection.origin(source.client), selection.origin(column), pane_us)
                    counts.add({(column, pane_us): found})
                kept = [
                    pane_rows(selection.apply(batch), views, source.client, source.time).rows
                    for batch in database.rows(selection.columns, within)
                ]
            else:
                kept = []
                for batch in database.rows(selection.columns):
                    part = pane_rows(selection.apply(batch), views, source.client, source.time)
                    counts.add(part.counts)
                    kept.append(part.rows)
        events = make_events(pa.concat_tables(kept), source.client, source.time, strict_times=False)
        return replace(events, counted=counts.of)

    def ready_for(self, seconds: float) -> bool:
        """See `OpenSource`."""
        return True

    def status(self) -> SourceStatus | None:
        """See `OpenSource`."""
        return None

    def close(self) -> None:
        """See `OpenSource`."""

    def _open(self) -> AbstractContextManager[Database]:
        return open_database(self._source.url, self._source.database, self._source.relation, self._seconds)

    def _selection(self, views: Sequence[FeatureView], database: Database) -> Selection:
        """Raises EventsError: the table lacks a column."""
        source = self._source
        selection = Selection.of(needed_columns(views, source.client, source.time), source.columns)
        require_columns(source.url, list(selection.columns), database.names())
        return selection


def open_database(
    url: str, database: AnyDatabase, relation: TableName | Query, seconds: float = READ_S
) -> AbstractContextManager[Database]:
    """Open a table or query for one read.

    Args:
        url: names it in errors.
        seconds: how long the read may take.

    Raises:
        SourceAway, ExtraMissing: on entry.
    """
    match database:
        case DuckDbFile():
            from .duckdb_file import open_duckdb

            return open_duckdb(url, database, relation, seconds)
        case SqliteFile():
            from .sqlite import open_sqlite

            return open_sqlite(url, database, relation, seconds)
        case PostgreSql():
            from .postgresql import open_postgresql

            return open_postgresql(url, database, relation, seconds)
        case _:
            assert_never(database)


def _compares_as_site(database: TimedDatabase, selection: Selection, client: str, grids: Sequence[Grid]) -> bool:
    """Whether the database finds the same rows in each pane as a site, and the same of them have a client."""
    return selection.keeps_nulls(client) and all(
        selection.is_plain(column) and database.exact_times(selection.origin(column)) for column, _ in grids
    )


def _within(planned: PlannedView, column: str) -> Within:
    """The interval from the first to the last pane of a view."""
    starts = planned.pane_starts
    return Within.of(column, int(starts[0]), int(starts[-1]) + planned.view.pane_us - 1)
