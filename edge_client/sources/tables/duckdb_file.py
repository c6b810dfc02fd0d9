"""A table of a DuckDB file, opened read-only and locked: no other file, no network, no extension, no setting.

A DuckDB file has one writer or several readers. While a program writes, a site cannot read; while a site reads, a program cannot
open the file to write. So the file is open for the time of one read only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from ...errors import EventsError, SourceAway
from ...events import PaneCounts
from ..source import DuckDbFile, Query, TableName
from .database import BATCH_ROWS, LAST, READ_S, YEAR_1, Deadline, Within, conditions, identifier, relation_sql

_LITERAL: Final = "TIMESTAMP '{time}'"
"""Also for columns with a zone: the session's zone is UTC."""
_TIMES: Final = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE")
_AWAY: Final = ("IO Error", "Out of Memory Error")
"""Beginnings of the messages of failures that may pass, where only the message is left."""


class DuckDbTable:
    """See `TimedDatabase`."""

    def __init__(
        self, url: str, connection: duckdb.DuckDBPyConnection, relation: TableName | Query, deadline: Deadline
    ) -> None:
        self._url, self._connection, self._deadline = url, connection, deadline
        self._from = relation_sql(relation)

    @cached_property
    def _types(self) -> Mapping[str, str]:
        with _failures(self._url):
            relation = self._connection.sql(f"SELECT * FROM {self._from}")
            return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def names(self) -> Sequence[str]:
        """See `TimedDatabase`."""
        return list(self._types)

    def schema(self, columns: Mapping[str, pa.DataType]) -> pa.Schema:
        """See `TimedDatabase`."""
        with _failures(self._url):
            return self._connection.sql(f"{self._select(columns)} LIMIT 0").to_arrow_table().schema

    def rows(self, columns: Mapping[str, pa.DataType], within: Sequence[Within] = ()) -> Iterator[pa.Table]:
        """See `TimedDatabase`."""
        with _failures(self._url):
            relation = self._connection.sql(self._select(columns) + conditions(within, _LITERAL))
            reader = relation.to_arrow_reader(BATCH_ROWS)
            yield reader.schema.empty_table()
            while (batch := self._next(reader)) is not None:
                self._deadline.check()
                yield pa.Table.from_batches([batch])

    def exact_times(self, column: str) -> bool:
        """See `TimedDatabase`."""
        return self._types[column] in _TIMES

    def counts(self, client: str, time: str, pane_us: int) -> PaneCounts:
        """See `TimedDatabase`."""
        us = f"epoch_us({identifier(time)}::{'TIMESTAMPTZ' if self._types[time] == _TIMES[1] else 'TIMESTAMP'})"
        pane = f"{us} - (({us} % {pane_us}) + {pane_us}) % {pane_us}"
        within = conditions([Within(time, YEAR_1, LAST)], _LITERAL)
        query = (
            f"SELECT ({pane})::BIGINT AS pane, count(*)::BIGINT AS events FROM {self._from}{within} "
            f"AND {identifier(client)} IS NOT NULL GROUP BY pane ORDER BY pane"
        )
        with _failures(self._url):
            found = self._connection.sql(query).to_arrow_table()
        return found["pane"].to_numpy().astype(np.int64), found["events"].to_numpy().astype(np.int64)

    def _next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        """The next batch. Arrow passes an error of the query on without its type, and with the value that failed."""
        try:
            return next(reader, None)
        except (pa.ArrowException, OSError) as error:
            message = str(error).splitlines()[0]
            if "interrupt" in message.lower():
                raise
            if message.startswith(_AWAY):
                raise SourceAway(self._url, message) from None
            raise EventsError(f"the source {self._url} cannot be read: {message}", message) from None

    def _select(self, columns: Mapping[str, pa.DataType]) -> str:
        return f"SELECT {', '.join(map(identifier, columns))} FROM {self._from}"


@contextmanager
def open_duckdb(
    url: str, file: DuckDbFile, relation: TableName | Query, seconds: float = READ_S
) -> Iterator[DuckDbTable]:
    """Open a table for one read. Raises SourceAway."""
    if not file.path.is_file():
        raise SourceAway(url, f"there is no file {file.path}")
    with _failures(url), TemporaryDirectory(prefix="covey-events-") as spill:  # mode 0700
        connection = duckdb.connect(
            str(file.path),
            read_only=True,
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False},
        )
        deadline = Deadline(url, seconds)
        stop = threading.Timer(seconds, connection.interrupt)
        stop.daemon = True
        stop.start()
        try:
            connection.execute("SET temp_directory = ?", [spill])
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.execute("BEGIN TRANSACTION")
            yield DuckDbTable(url, connection, relation, deadline)
        except (duckdb.InterruptException, RuntimeError, pa.ArrowException, OSError) as error:
            if "interrupt" not in str(error).lower():
                raise
            deadline.check()
            raise KeyboardInterrupt from None  # DuckDB's way to pass on Ctrl-C and SIGTERM
        finally:
            stop.cancel()
            connection.close()


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException:
        raise
    except (duckdb.IOException, duckdb.ConnectionException, duckdb.OutOfMemoryException) as error:
        raise SourceAway(url, str(error).splitlines()[0]) from None
    except duckdb.CatalogException as error:
        raise SourceAway(url, str(error).splitlines()[0]) from None
    except duckdb.Error as error:
        quoted = str(error).splitlines()[0]
        raise EventsError(f"the source {url} cannot be read: {quoted}", quoted) from None
