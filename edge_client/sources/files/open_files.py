"""The files of a site's events as an open source."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ...events import Events, make_events
from ..open import Surroundings
from ..source import FilesSource
from ..status import SourceStatus
from .cache import EventCache
from .reading import read_events, read_schema


class OpenFiles:
    """Reads the files again for each plan; those that did not change come from its memory. See `OpenSource`."""

    def __init__(self, source: FilesSource, surroundings: Surroundings) -> None:
        self._source = source
        self._cache = EventCache(lambda: surroundings.clock() * 1_000)

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """See `OpenSource`."""
        source = self._source
        return read_schema(source.path, views, source.client, source.time, cache=self._cache)

    def read(self, views: Sequence[PlannedView]) -> Events:
        """See `OpenSource`."""
        source, needed = self._source, [planned.view for planned in views]
        table = read_events(source.path, needed, source.client, source.time, None, strict=False, cache=self._cache)
        return make_events(table, source.client, source.time, strict_times=False)

    def ready_for(self, seconds: float) -> bool:
        """See `OpenSource`."""
        return True

    def status(self) -> SourceStatus | None:
        """See `OpenSource`."""
        return None

    def close(self) -> None:
        """See `OpenSource`."""
