"""Checks what is published: releases and voids that fit their view, one content for each pane, and tombstones of releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from base.times import utc_text
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.mechanism import NOISERS
from featurestore.define.records import FIRST_MOMENT, PaneRecord, RegisteredView
from featurestore.define.release import Release, Void, is_retraction
from featurestore.errors import PaneNotOpen, PaneRetracted, ReleaseRefused
from featurestore.offline.parquet import CLOCKS

_DATES: Final = (FIRST_MOMENT, 253_402_300_800_000_000)
"""The years 1 to 9999, the range of a date: µs since the epoch."""


@dataclass(frozen=True, eq=False)
class Admission:
    """One collection's part of a publication, checked, without the items that are published already.

    Attributes:
        registered: the version that stores the sums of the collection.
        fresh: panes that are not published yet, by start.
        tombstones: retractions, by pane start.
        repeated: how many items are published already.
    """

    registered: RegisteredView
    fresh: tuple[Release | Void, ...]
    tombstones: tuple[Void, ...]
    repeated: int

    @property
    def records(self) -> list[PaneRecord]:
        """The registry's records of these items."""
        return [as_record(item) for item in (*self.fresh, *self.tombstones)]


def admit(registered: RegisteredView, items: Sequence[Release | Void], known: Sequence[PaneRecord]) -> Admission:
    """Check the items of one collection against its published panes (`known`).

    Raises:
        ReleaseRefused: one does not fit the view, or is published already with other content. PaneNotOpen, PaneRetracted:
            a tombstone has nothing to retract.
    """
    panes = {pane.pane_start: pane for pane in known}
    fresh: list[Release | Void] = []
    tombstones: list[Void] = []
    # tombstones last: a release and its tombstone may be published together
    for item in sorted(items, key=lambda item: (_is_tombstone(item), item.pane_start)):
        _require_fit(registered.view, item)
        before = panes.get(item.pane_start)
        if isinstance(item, Void) and _is_tombstone(item):
            opened = _opened(registered.view, item, panes)
            if opened.tombstone is None:
                panes[item.pane_start] = replace(opened, tombstone=as_record(item))
                tombstones.append(item)
            elif not _is_same(item, opened.tombstone):
                raise PaneRetracted(registered.view.name, item.pane_start, opened.retracted_at)
        elif before is None:
            panes[item.pane_start] = as_record(item)
            fresh.append(item)
        elif before.content != item.content_hash:
            raise ReleaseRefused(
                f"view {registered.view.name!r}: release {item.release_id.hex()} is published already with other content"
            )
    repeated = len(items) - len(fresh) - len(tombstones)
    return Admission(registered, tuple(fresh), tuple(tombstones), repeated)


def as_record(item: Release | Void) -> PaneRecord:
    """The registry's record of a release or void; the slots go to Parquet."""
    return PaneRecord(
        item.pane_start,
        item.release_id,
        isinstance(item, Release),
        item.reason if isinstance(item, Void) else None,
        item.content_hash,
        item.released_at,
        item.published_at,
        item.clock,
        item.signature,
        item.manifest,
    )


def _is_tombstone(item: Release | Void) -> bool:
    return isinstance(item, Void) and is_retraction(item.reason)


def _opened(view: FeatureView, tombstone: Void, panes: Mapping[int, PaneRecord]) -> PaneRecord:
    """The release that a tombstone retracts."""
    pane = panes.get(tombstone.pane_start)
    if pane is None or not pane.opened:
        raise PaneNotOpen(view.name, tombstone.pane_start)
    where = f"view {view.name!r}, pane {utc_text(tombstone.pane_start)}"
    if tombstone.released_at < max(tombstone.published_at, pane.released_at):
        raise ReleaseRefused(
            f"{where}: a retraction takes effect when it is made, and not before the release; earlier joins do not change"
        )
    return pane


def _is_same(tombstone: Void, known: PaneRecord) -> bool:
    """Whether a tombstone repeats the known one, after a crash or a lost answer: all bytes are equal, not only the reason."""
    return as_record(tombstone) == replace(known, tombstone=None)


def _require_fit(view: FeatureView, item: Release | Void) -> None:
    layout = layout_of(view)
    where = f"view {view.name!r}, pane {utc_text(item.pane_start)}"
    manifest = item.manifest
    if manifest.noisers != (NOISERS if manifest.noisy else 0):
        raise ReleaseRefused(f"{where}: noise {manifest.noise!r} and {manifest.noisers} noisers do not fit together")
    if manifest.noise_split != view.privacy.chosen_noisers:
        raise ReleaseRefused(
            f"{where}: noise_split is {manifest.noise_split!r}, but the view's noisers are {view.privacy.chosen_noisers!r}"
        )
    if manifest.suppressed and view.privacy.suppress_below is None:
        raise ReleaseRefused(f"{where}: finish {manifest.finish!r} requires a view with suppress_below")
    if item.pane_start % view.pane_us or item.pane_end != item.pane_start + view.pane_us:
        raise ReleaseRefused(f"{where}: not a pane of {view.pane}")
    moments = (item.pane_start, item.pane_end, item.released_at, item.published_at)
    if not all(_DATES[0] <= moment < _DATES[1] for moment in moments):
        raise ReleaseRefused(f"{where}: a time is outside the years 1 to 9999")
    if item.released_at < item.pane_end:
        raise ReleaseRefused(f"{where}: the release is before the pane's end; joins would see the future")
    if item.clock not in CLOCKS:
        raise ReleaseRefused(f"{where}: unknown clock {item.clock!r}")
    shape = (layout.keys, layout.slots_per_key)
    if isinstance(item, Release) and (item.slots.dtype != np.int64 or item.slots.shape != shape):
        raise ReleaseRefused(f"{where}: slots {item.slots.dtype}{item.slots.shape} do not fit the layout")
