"""An open source: what a site's process reads its events from, whichever kind it is.

A process that answers one message opens its source for it (`EACH_TIME`). One that stays keeps it open (`KeptSource`), because a
stream is read all the time, and files that did not change are not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol, assert_never

import pyarrow as pa

from base.times import wall_clock
from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ..errors import LogError, SourceAway
from ..events import Events
from .source import FilesSource, KafkaSource, LogSource, MqttSource, Source, TableSource
from .status import SourceStatus
from .surroundings import Surroundings


class OpenSource(Protocol):
    """A source for as long as a site's process runs."""

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """The columns that the views need, after the mapping, without a row. No value leaves the source.

        Raises:
            EventsError: a column is missing or has two types. SourceAway: the source cannot be read now.
        """
        ...

    def read(self, views: Sequence[PlannedView]) -> Events:
        """The events of the planned panes, and perhaps others.

        Raises:
            EventsError, SourceAway.
        """
        ...

    def ready_for(self, seconds: float) -> bool:
        """Wait until a stream's log has what the broker has now, at most so long. False: it has not. Other sources are ready."""
        ...

    def status(self) -> SourceStatus | None:
        """The state of a stream or log; None: files and tables have none."""
        ...

    def close(self) -> None:
        """Close files and connections, and stop reading a stream."""
        ...


def open_source(source: Source, surroundings: Surroundings) -> OpenSource:
    """Open a source.

    Raises:
        ExtraMissing: the library of its kind is not installed. SourceAway, LogBroken, LogKeyWrong, LogSettingsDiffer.
    """
    match source:
        case FilesSource():
            from .files.open_files import OpenFiles

            return OpenFiles(source, surroundings)
        case LogSource():
            from .open_log import OpenLog

            return OpenLog(source, surroundings)
        case TableSource():
            from .tables.open_table import OpenTable

            return OpenTable(source)
        case KafkaSource() | MqttSource():
            from .open_stream import OpenStream

            return OpenStream(source, surroundings)
        case _:
            assert_never(source)


class Sources(Protocol):
    """Opens the source of a site for one message."""

    def of(self, source: Source, site: str) -> AbstractContextManager[OpenSource]:
        """The open source. Raises as `open_source`."""
        ...


class OpenedEachTime:
    """Opens the source for each message, and closes it."""

    @contextmanager
    def of(self, source: Source, site: str) -> Iterator[OpenSource]:
        """See `Sources`."""
        opened = open_source(source, Surroundings(site))
        try:
            yield opened
        finally:
            opened.close()


EACH_TIME: Final = OpenedEachTime()


class KeptSource:
    """Keeps the source of the last message open, and opens another one when the site's file names another. One thread uses it."""

    def __init__(self, clock: Callable[[], int] = wall_clock) -> None:
        self._clock = clock
        self._open: tuple[Source, OpenSource] | None = None
        self._away: tuple[str, str] | None = None

    @contextmanager
    def of(self, source: Source, site: str) -> Iterator[OpenSource]:
        """See `Sources`."""
        if self._open is not None and self._open[0] != source:
            self.close()
        if self._open is None:
            self._open = source, self._opened(source, site)
        yield self._open[1]

    def status(self) -> SourceStatus | None:
        """The state of the open source; None: it has none, or nothing is open. Any thread may ask.

        Raises:
            SourceAway: it could not be opened, or its log cannot be read.
        """
        opened, away = self._open, self._away
        if opened is None and away is not None:
            raise SourceAway(*away)
        return None if opened is None else opened[1].status()

    def _opened(self, source: Source, site: str) -> OpenSource:
        try:
            opened = open_source(source, Surroundings(site, self._clock))
        except (SourceAway, LogError) as error:
            self._away = source.url, error.why if isinstance(error, SourceAway) else str(error)
            raise
        self._away = None
        return opened

    def close(self) -> None:
        """Close the source."""
        opened, self._open = self._open, None
        if opened is not None:
            opened[1].close()
