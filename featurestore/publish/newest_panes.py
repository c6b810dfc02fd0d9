"""The panes that a version's newest rows were computed from, for readers that compute with their sums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from base.times import DAY_US
from featurestore.define.panes import Panes
from featurestore.define.records import FIRST_MOMENT, RegisteredView
from featurestore.errors import ReleaseExpired
from featurestore.offline.parquet import Offline
from featurestore.registry.registry import Registry
from featurestore.registry.selection import Selection

from .running import Running
from .sums import Sums, row_inputs

_DAYS_AT_ONCE: Final = 8


def newest_panes(
    registry: Registry, offline: Offline, registered: RegisteredView, reach_us: int, *, merged: bool
) -> Iterator[Panes]:
    """The panes behind the newest rows of a version, in parts, by increasing start; the pane of the rows is the last one.

    Args:
        reach_us: how far before that pane the first one may start.
        merged: whether one pane may stand for all of those that the same windows hold. The sums of the windows that the
            publisher keeps then save reading their panes.

    Raises:
        ReleaseExpired: sums of these panes have left the store. FileNotFoundError: a publication replaced a file meanwhile.
        StoreCorrupt: sums are missing, or do not have the shape of their layout.
    """
    selection, last = registry.selection(registered), registry.last_row(registered)
    if last is None:
        return
    first = max(last - reach_us, FIRST_MOMENT)
    sums = Sums.of(registry.publications, offline, registry.lineage(registered.view.name))

    def between(start: int, end: int) -> Panes:
        return row_inputs(registered, selection, registry.publications, sums, (start, end)).panes

    stored = registry.publications.running(selection) if merged else None
    running = None if stored is None else Running.from_bytes(stored)
    if running is not None and running.last == last:
        yield running.segments(registered.view, between(last, last + 1))
        return
    _require_sums(registry, selection, registered, first, last)
    starts = registry.publications.pane_starts(selection, first, last + 1)
    at = int(starts[0]) // DAY_US * DAY_US
    while at <= last:
        end = min(at + _DAYS_AT_ONCE * DAY_US, last + 1)
        panes = between(max(at, first), end)
        if len(panes.start):
            yield panes
        at = end


def _require_sums(registry: Registry, selection: Selection, registered: RegisteredView, first: int, last: int) -> None:
    """Raise ReleaseExpired if the sums of one of these panes have left."""
    if first >= selection.sums_from:
        return
    gone = registry.publications.pane_starts(selection, first, min(selection.sums_from, last + 1))
    if len(gone):
        raise ReleaseExpired(registered.view.name, int(gone[0]))
