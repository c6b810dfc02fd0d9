"""Which collections a coordinator collects, and which panes of them have closed: pure, except for the look into the registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deployment.project.known_releases import registry_of
from featurestore.define.definitions import FeatureView
from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT, ToCollect
from featurestore.define.wire import collection_hash


@dataclass(frozen=True)
class CollectedView:
    """A collection, and a time in which its panes are collected. A collection that is rolled back to has another such time.

    Attributes:
        view: its newest definition; version: of that definition.
        from_us, until_us: the panes that begin in [from, until) belong to it; None: without an end on that side.
    """

    view: FeatureView
    version: int
    from_us: int | None = None
    until_us: int | None = None

    @cached_property
    def collection(self) -> bytes:
        """The identity of what is collected: a pane of it is opened once."""
        return collection_hash(self.view)

    def closes_at(self, pane_start: int) -> int:
        """When a pane can be collected: it has ended, and the view's release delay is over."""
        return pane_start + self.view.pane_us + self.view.release_delay_us

    @property
    def begins_us(self) -> int:
        """`from_us`, or the beginning of time."""
        return FIRST_MOMENT if self.from_us is None else self.from_us

    @property
    def ends_us(self) -> int:
        """`until_us`, or the end of time."""
        return NEVER if self.until_us is None else self.until_us

    def takes(self, pane_start: int) -> bool:
        """Whether a pane begins in this time."""
        return self.begins_us <= pane_start < self.ends_us

    def first_pane(self, now_us: int) -> int:
        """The pane with which a coordinator begins that has never collected the view.

        The first one of a version that takes over; otherwise the last one that has closed. Earlier panes are a backfill.
        """
        return self.next_pane(now_us) - self.view.pane_us if self.from_us is None else self._up(self.from_us)

    def next_pane(self, now_us: int) -> int:
        """The first pane that has not closed yet."""
        width = self.view.pane_us
        return (now_us - self.view.release_delay_us) // width * width

    def last_pane_end(self, now_us: int) -> int:
        """The end (µs, exclusive) of the panes that can be collected by now."""
        end = self.next_pane(now_us)
        return end if self.until_us is None else min(end, self._up(self.until_us))

    def next_closing(self, reached_us: int) -> int | None:
        """When the pane after those that are enumerated closes; None: the view is collected no longer."""
        return None if self.until_us is not None and reached_us >= self.until_us else self.closes_at(reached_us)

    def _up(self, moment_us: int) -> int:
        width = self.view.pane_us
        return -(-moment_us // width) * width


def collected_views(directory: Path) -> tuple[CollectedView, ...]:
    """The collections of the store of a project, each with its time. Raises StoreCorrupt, OfOlderVersion, OfNewerVersion."""
    with registry_of(directory) as registry:
        return () if registry is None else collected_of(registry.to_collect())


def collected_of(found: Iterable[ToCollect]) -> tuple[CollectedView, ...]:
    """The collections that a registry names."""
    return tuple(
        CollectedView(one.view, one.version, None if one.from_us == FIRST_MOMENT else one.from_us, one.until_us)
        for one in found
    )


def published_of(directory: Path, view: FeatureView, panes: Sequence[int]) -> set[int]:
    """Those of these panes that have a release or a void, or whose day another collection of the view has opened."""
    if not panes:
        return set()
    with registry_of(directory) as registry:
        found = () if registry is None else registry.taken_panes(view, (min(panes), max(panes) + 1))
    return set(panes).intersection(map(int, found))
