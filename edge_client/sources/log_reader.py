"""Reading the events of plans from an event log, batch by batch: a log may hold far more than fits into memory.

Of each batch only the rows stay that the plan asks for. Each event is counted once: the reader knows the number of the last event
that it has counted, so a plan reads the batches of its own panes and the new ones. The counts of erased events stay until they are
half of all. They do no harm, because events are late only where there are more than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa

from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ..errors import LogError, SourceAway
from ..event_log.batches import conformed
from ..event_log.log import EventLog
from ..events import Events, make_events, require_column
from ..pane_rows import Grid, SourceCounts, grid_of, grids_of, pane_rows
from .declared_column import AsTime
from .mapping import NO_COLUMNS, Mapping
from .needed import needed_columns
from .status import SourceStatus


class LogReader:
    """Reads one log for the plans of a site's process. One thread uses it, while another one may append.

    Args:
        url: of the source, for errors.
        client, time: columns after the mapping.
        mapping: of the log's columns. That of a stream was applied when its events were appended.
        declared: the columns that a stream's log has, or will have when it has events; None: those that the log has.
    """

    def __init__(
        self,
        log: EventLog,
        url: str,
        client: str,
        time: str,
        *,
        mapping: Mapping = NO_COLUMNS,
        declared: pa.Schema | None = None,
    ) -> None:
        self._log, self._url, self._client, self._time = log, url, client, time
        self._mapping, self._declared = mapping, declared
        self._counts = SourceCounts(time)
        self._counted: dict[Grid, int] = {}
        self._expired = 0

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """The needed columns without a row. Raises EventsError: one is missing. SourceAway: the log cannot be read."""
        try:
            own = self._log.schema if self._declared is None else self._declared
        except LogError as error:
            raise SourceAway(self._url, str(error)) from None
        found = self._mapping.apply(own.empty_table())
        needed = list(needed_columns(views, self._client, self._time))
        for name in needed:
            require_column(found, name)
        return found.select(needed)

    def read(self, planned: Sequence[PlannedView]) -> Events:
        """The events in the plan's panes, and how many all panes have. Raises EventsError, SourceAway."""
        nothing = self.schema([one.view for one in planned])
        with suppress(LogError):  # a log on a full disk is read, too
            self._log.trim(1)  # while nothing is appended, nobody else erases what is too old
        try:
            self._count(planned, nothing.schema)
            asked = [part for part in self._asked(planned, nothing.schema) if part.num_rows]
        except LogError as error:
            raise SourceAway(self._url, str(error)) from None
        events = make_events(pa.concat_tables([nothing, *asked]), self._client, self._time, strict_times=False)
        return replace(events, counted=self._counts.of)

    def status(self) -> SourceStatus:
        """The state of the log, without a stream. Raises LogError."""
        counts = self._log.counts()
        life, bounds = counts.life, counts.bounds
        full = bounds.when_full == "wait" and counts.bytes >= bounds.size
        return SourceStatus(
            connected=True,
            behind=None,
            kept=life.kept,
            duplicates=life.duplicates,
            bad=life.bad,
            future=life.future,
            expired=life.expired,
            lost=life.lost,
            log_bytes=counts.bytes,
            full=full,
            trouble=None,
        )

    def _count(self, planned: Sequence[PlannedView], columns: pa.Schema) -> None:
        """Count the events of every pane that came since the last plan, for each grid."""
        counts = self._log.counts()
        if 2 * (counts.life.expired - self._expired) > counts.life.kept - self._expired:
            self._counts, self._counted, self._expired = SourceCounts(self._time), {}, counts.life.expired
        grids: dict[int, list[Grid]] = {}
        for grid in grids_of(planned, self._time):
            grids.setdefault(self._counted.get(grid, 0), []).append(grid)
        for after, some in grids.items():
            views = [one for one in planned if grid_of(one.view, self._time) in some]
            for last, part in self._parts(columns, after=after):
                self._counts.add(pane_rows(part, views, self._client, self._time).counts)
                self._counted.update(dict.fromkeys(some, last))

    def _asked(self, planned: Sequence[PlannedView], columns: pa.Schema) -> Iterator[pa.Table]:
        for _, part in self._parts(columns, self._between(planned)):
            yield pane_rows(part, planned, self._client, self._time).rows

    def _parts(
        self, columns: pa.Schema, between: tuple[int, int] | None = None, after: int = 0
    ) -> Iterator[tuple[int, pa.Table]]:
        own = [self._mapping.origin(name) for name in columns.names]
        for last, table in self._log.batches(between, after, own):
            yield last, conformed(self._mapping.apply(table), columns)

    def _between(self, planned: Sequence[PlannedView]) -> tuple[int, int] | None:
        """The times of the plan's panes; None: they do not follow from the log's own times."""
        column = self._mapping.column(self._time)
        renamed_at_most = column is None or column.kind in (None, AsTime())
        if not renamed_at_most or self._mapping.origin(self._time) != self._log.columns.time:
            return None
        if any(one.view.time not in (None, self._time) for one in planned):
            return None
        return (
            min(int(one.pane_starts[0]) for one in planned),
            max(int(one.pane_starts[-1]) + one.view.pane_us for one in planned),
        )
