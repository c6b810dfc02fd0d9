"""What a database is for the reader of a table, and the parts of SQL that all databases share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, assert_never, runtime_checkable

import pyarrow as pa

from ...errors import SourceAway
from ...events import PaneCounts
from ..source import Query, TableName

READ_S: Final = 300.0
"""How long one read of a table may take. A site answers long before the deadline of a plan, or not at all."""
LOCK_S: Final = 5.0
"""How long a read waits for a program that has locked the table."""
BATCH_ROWS: Final = 65_536
"""Rows of a batch: enough for vectorised work, and a few megabytes."""
YEAR_1: Final = datetime(1, 1, 1)
LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999)
"""The first and the last time that a site reads as a time: see `events.event_times`."""
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Within:
    """The rows whose time is in an interval.

    Attributes:
        column: a column for which `exact_times` holds.
        first, last: without a zone, in UTC; both belong to the interval.
    """

    column: str
    first: datetime
    last: datetime

    @classmethod
    def of(cls, column: str, first_us: int, last_us: int) -> Within:
        """The interval between two times, µs since the epoch, cut to the years 0001 to 9999."""
        return cls(column, _time(first_us), _time(last_us))


class Deadline:
    """When a read of a table must have ended."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self._ends = time.monotonic() + seconds

    def check(self) -> None:
        """Raise SourceAway after the deadline."""
        if time.monotonic() >= self._ends:
            raise SourceAway(
                self._url,
                f"the read took longer than {self._seconds:g} s. Give the table an index on its times, or name a view or query "
                "that has its newest events only",
            )


class Database(Protocol):
    """A database that is open for one read: all of its queries see one state."""

    def names(self) -> Sequence[str]:
        """The names of the columns, in order."""
        ...

    def rows(self, columns: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
        """The columns of all rows, a batch at a time; at least one batch.

        Args:
            columns: each with the type that its use demands, for a database whose columns have none.
        """
        ...

    def schema(self, columns: Mapping[str, pa.DataType]) -> pa.Schema:
        """The columns as `rows` has them. No row is read."""
        ...


@runtime_checkable
class TimedDatabase(Database, Protocol):
    """A database that has types of times, so that it can find and count the rows of panes."""

    def rows(self, columns: Mapping[str, pa.DataType], within: Sequence[Within] = ()) -> Iterator[pa.Table]:
        """As `Database.rows`; with intervals, the rows in one of them only."""
        ...

    def exact_times(self, column: str) -> bool:
        """Whether the database compares this column as a site does: it has a type of times in µs, or of dates."""
        ...

    def counts(self, client: str, time: str, pane_us: int) -> PaneCounts:
        """How many rows with a client each pane has, by a column for which `exact_times` holds."""
        ...


def identifier(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def relation_sql(relation: TableName | Query) -> str:
    """What stands after FROM. A query is a subquery, so that it can be nothing else."""
    match relation:
        case TableName(parts):
            return ".".join(map(identifier, parts))
        case Query(text):
            return f"(\n{text.strip().rstrip(';')}\n) AS events"
        case _:
            assert_never(relation)


def conditions(within: Sequence[Within], literal: str) -> str:
    """A WHERE clause of intervals; empty: all rows.

    Args:
        literal: a format of a time as a literal of the database's SQL, with the place {time}.
    """
    if not within:
        return ""
    tests = (
        f"{identifier(one.column)} BETWEEN {literal.format(time=one.first.isoformat(' '))} "
        f"AND {literal.format(time=one.last.isoformat(' '))}"
        for one in within
    )
    return " WHERE " + " OR ".join(tests)


def _time(us: int) -> datetime:
    lowest, highest = ((one - _EPOCH) // timedelta(microseconds=1) for one in (YEAR_1, LAST))
    return _EPOCH + timedelta(microseconds=min(max(us, lowest), highest))
