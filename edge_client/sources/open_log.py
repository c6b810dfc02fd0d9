"""An event log that a program on this machine fills, as an open source."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ..errors import LogError, LogMissing, SourceAway
from ..event_log.log import EventLog
from ..events import Events
from .log_reader import LogReader
from .source import LogSource
from .status import SourceStatus
from .surroundings import Surroundings


class OpenLog:
    """Reads the log while the program appends. See `OpenSource`.

    Raises:
        SourceAway: the log does not exist yet. LogKeyWrong, LogBroken, LogWriteFailed.
    """

    def __init__(self, source: LogSource, surroundings: Surroundings) -> None:
        self._url = source.url
        try:
            self._log = EventLog.existing(source.path, key=source.key, clock=surroundings.clock)
        except LogMissing as error:
            raise SourceAway(source.url, str(error)) from None
        self._reader = LogReader(self._log, source.url, source.client, source.time, mapping=source.columns)

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """See `OpenSource`."""
        return self._reader.schema(views)

    def read(self, views: Sequence[PlannedView]) -> Events:
        """See `OpenSource`."""
        return self._reader.read(views)

    def ready_for(self, seconds: float) -> bool:
        """See `OpenSource`."""
        return True

    def status(self) -> SourceStatus:
        """See `OpenSource`."""
        try:
            return self._reader.status()
        except LogError as error:
            raise SourceAway(self._url, str(error)) from None

    def close(self) -> None:
        """See `OpenSource`."""
        self._log.close()
