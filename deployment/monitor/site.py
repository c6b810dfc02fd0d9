"""The state of a site, as its monitor shows it to the site's own operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from base.errors import CoveyError
from base.metrics import (
    LATE_EVENTS,
    PEER_UP,
    SOURCE_BEHIND,
    SOURCE_CONNECTED,
    SOURCE_EVENTS,
    SOURCE_LOG_FULL,
    SOURCE_LOG_SIZE,
    Meters,
    Sample,
)
from base.times import wall_clock
from edge_client.errors import SourceAway
from edge_client.open_ledgers import Ledgers
from edge_client.serving import SiteService
from edge_client.site import SiteSettings
from edge_client.sources.status import SourceStatus


class SiteState:
    """The state of one site. Privacy-sensitive: it counts the site's events exactly, so its operator alone may see it.

    Args:
        address: of the SuperLink.
        meters: the counters of its answers.
        source: the state of its stream or event log; None: its source has none, or is not open. Raises SourceAway.
        late: the number of late events of each view.
    """

    def __init__(
        self,
        service: SiteService,
        address: str,
        meters: Meters,
        source: Callable[[], SourceStatus | None],
        late: Callable[[], Mapping[str, int]],
    ) -> None:
        self._service, self._address, self._meters = service, address, meters
        self._source, self._late = source, late

    def waits_for(self) -> str | None:
        """The SuperLink, room in the event log, or the source."""
        if not self._service.connected:
            return f"the superlink at {self._address}"
        try:
            source = self._source()
        except SourceAway as error:
            return f"its source: {error.why}"
        if source is None:
            return None
        if source.full:
            return f"room in the event log, which has {source.log_bytes:,} bytes"
        return None if source.connected else f"its source: {source.trouble or 'it is not connected yet'}"

    def samples(self) -> Iterator[Sample]:
        """The counters, whether the SuperLink knows the site, and how far its source is."""
        yield from self._meters.samples()
        yield Sample(PEER_UP, ("superlink",), float(self._service.connected))
        for view, events in self._late().items():
            yield Sample(LATE_EVENTS, (view,), events)
        try:
            source = self._source()
        except SourceAway:
            yield Sample(SOURCE_CONNECTED, (), 0.0)
        else:
            yield from () if source is None else source_samples(source)


class LateCounts:
    """The late events of each view, as the site's ledger has them. The thread that answers plans counts, and the monitor reads."""

    def __init__(self, ledgers: Ledgers, settings: SiteSettings) -> None:
        self._ledgers, self._settings = ledgers, settings
        self._counts: Mapping[str, int] = {}

    def count(self) -> None:
        """Read the ledger. One that cannot be read leaves the counts as they are: answers name what is wrong with it."""
        path, site = self._settings.ledger, self._settings.site
        if path.exists():
            with suppress(CoveyError), self._ledgers.writing(path, site, wall_clock) as ledger:
                self._counts = ledger.late_events()

    def by_view(self) -> Mapping[str, int]:
        """The number of late events of each view."""
        return self._counts


def source_samples(source: SourceStatus) -> Iterator[Sample]:
    """The samples of a stream and its event log."""
    yield Sample(SOURCE_CONNECTED, (), float(source.connected))
    if source.behind is not None:
        yield Sample(SOURCE_BEHIND, (), source.behind)
    outcomes = {
        "kept": source.kept,
        "duplicate": source.duplicates,
        "bad": source.bad,
        "future": source.future,
        "expired": source.expired,
        "lost": source.lost,
    }
    for outcome, count in outcomes.items():
        yield Sample(SOURCE_EVENTS, (outcome,), count)
    yield Sample(SOURCE_LOG_SIZE, (), source.log_bytes)
    yield Sample(SOURCE_LOG_FULL, (), float(source.full))
