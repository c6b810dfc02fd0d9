"""What a changed definition does to the versions of its name: the next version, a new place in the schedule, or neither.

A definition that an older version has is a roll-back: that version takes the next place, and gets no new number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from base.times import DAY_US
from featurestore.define.changes import Annotated, NewCollection, Recomputed, Unchanged, ViewChange, compare
from featurestore.define.definitions import FeatureView
from featurestore.define.records import Version
from featurestore.define.wire import collection_hash
from featurestore.errors import HandOverRefused, OverlapRefused

from .lineage import Lineage

MAX_OVERLAP_DAYS: Final = 366
"""Every day of an overlap costs twice, so a longer one is a mistake."""


@dataclass(frozen=True)
class Place:
    """The next entry of a name's schedule.

    Attributes:
        is_served: whether the name moves to the version at once; otherwise with the first release of its collection.
        ends: the new ends of earlier entries, by their place.
    """

    from_us: int
    until_us: int | None
    is_served: bool
    ends: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class HandOver:
    """What `apply` does for a name that has versions.

    Attributes:
        change: from the version that was applied last.
        version: the version that gets the definition; None: the next one.
        annotates: whether the definition is a new one of that version.
        place: None: the schedule stays as it is.
    """

    change: ViewChange
    version: Version | None
    annotates: bool
    place: Place | None


@dataclass(frozen=True)
class Timing:
    """When a new collection takes over.

    Attributes:
        now: µs since the epoch.
        start: the UTC midnight of the hand-over, µs; None: the next one.
        overlap_days: for how many days both collections are collected.

    Raises:
        OverlapRefused.
    """

    now: int
    start: int | None = None
    overlap_days: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_days <= MAX_OVERLAP_DAYS:
            raise OverlapRefused(self.overlap_days, MAX_OVERLAP_DAYS)

    @property
    def from_us(self) -> int:
        """The UTC midnight of the hand-over, µs."""
        return (self.now // DAY_US + 1) * DAY_US if self.start is None else self.start


def hand_over(lineage: Lineage, view: FeatureView, timing: Timing, last_opened: Mapping[int, int]) -> HandOver:
    """What a definition does to the versions of its name.

    Args:
        last_opened: by collection, its newest opened pane (µs).

    Raises:
        HandOverRefused: the new collection would open a day that another one has opened.
    """
    newest = lineage.newest
    change = compare(newest.registered.view, view)
    match change:
        case Unchanged():
            return HandOver(change, newest, False, None)
        case Annotated():
            return HandOver(change, newest, True, None)
        case Recomputed() | NewCollection():
            before = _alike(lineage, view)
            annotates = before is not None and compare(before.registered.view, view) != Unchanged()
            return HandOver(change, before, annotates, _place(lineage, view, change, timing, last_opened))


def _alike(lineage: Lineage, view: FeatureView) -> Version | None:
    """The newest version that differs from a definition in annotations only."""
    for version in reversed(lineage.versions):
        if isinstance(compare(version.registered.view, view), Unchanged | Annotated):
            return version
    return None


def _place(
    lineage: Lineage,
    view: FeatureView,
    change: Recomputed | NewCollection,
    timing: Timing,
    last_opened: Mapping[int, int],
) -> Place:
    entry, newest = lineage.entries[-1]
    is_served = isinstance(change, Recomputed) and newest is lineage.served
    collection = collection_hash(view)
    if newest.collection == collection:
        return Place(entry.from_us, entry.until_us, is_served)
    start, end = timing.from_us, timing.from_us + timing.overlap_days * DAY_US
    opened = [
        last_opened[version.registered.collection_id]
        for version in lineage.versions
        if version.collection != collection and version.registered.collection_id in last_opened
    ]
    if start % DAY_US:
        raise HandOverRefused(view.name, start, None)
    earliest = (max(opened) // DAY_US + 1 - timing.overlap_days) * DAY_US if opened else start
    if start < earliest:
        raise HandOverRefused(view.name, start, earliest)
    return Place(start, None, is_served, _ends(lineage, collection, start, end))


def _ends(lineage: Lineage, collection: bytes, start: int, end: int) -> dict[int, int]:
    """The ends of the other collections' entries: one that would begin later never does, and the one in force gets the overlap."""
    others = [
        (one, version.collection)
        for one, version in lineage.entries
        if version.collection != collection and one.from_us < one.until
    ]
    begun = [(one, of) for one, of in others if one.from_us < start]
    ends = {one.place: one.from_us for one, _ in others if one.from_us >= start}
    in_force = begun[-1][1] if begun else None
    for one, of in begun:
        if one.until > end or (of == in_force and one.until >= start):
            ends[one.place] = end
    return ends
