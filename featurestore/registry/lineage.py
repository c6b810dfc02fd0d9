"""The versions of one name: which of them the name serves, what is collected when, and whose panes each version's rows use.

A pane of a version's own collection always makes its row. A pane of another collection does where the version's own is not
scheduled and at least one feature is carried; of several collections the one scheduled last counts. Rows end where the
version's own schedule ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from featurestore.define.carry import Carry
from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT, RegisteredView, Scheduled, ToCollect, Version

Span = tuple[int, int]
"""[start, end), µs since the epoch."""


@dataclass(frozen=True)
class Segment:
    """The panes of another collection that a version's rows use: those that start in [start, end).

    Attributes:
        keeper: the version that stores the sums of the collection.
    """

    keeper: RegisteredView
    start: int
    end: int


@dataclass(frozen=True)
class Lineage:
    """All versions of one name, by number; there is at least one."""

    versions: tuple[Version, ...]

    @property
    def name(self) -> str:
        """The name of the view."""
        return self.versions[0].registered.view.name

    @cached_property
    def entries(self) -> tuple[tuple[Scheduled, Version], ...]:
        """The schedule of the name, by place, each entry with its version."""
        both = [(one, version) for version in self.versions for one in version.schedule]
        return tuple(sorted(both, key=lambda entry: entry[0].place))

    @property
    def served(self) -> Version:
        """The version that the name without `@v` serves."""
        return next(version for one, version in reversed(self.entries) if one.served_since is not None)

    def served_after(self, collection_id: int) -> Version:
        """The version that the name serves once a collection has a release."""
        return next(
            version
            for one, version in reversed(self.entries)
            if one.served_since is not None or version.registered.collection_id == collection_id
        )

    @property
    def newest(self) -> Version:
        """The version that was applied last. The next change is compared with it."""
        return self.entries[-1][1]

    def number(self, version: int) -> Version | None:
        """The version with this number, or None."""
        return next((one for one in self.versions if one.registered.version == version), None)

    def defined_by(self, definition_hash: bytes) -> Version | None:
        """The version that has or had this definition, or None."""
        return next((one for one in self.versions if definition_hash in one.definitions), None)

    def keeper(self, collection_id: int) -> Version:
        """The version that stores the sums of a collection: the one scheduled last. It gets each pane of the collection."""
        return next(one for _, one in reversed(self.entries) if one.registered.collection_id == collection_id)

    def getting_rows(self) -> Iterator[Version]:
        """The versions that new panes may give rows: all but the deprecated ones that keep no sums for others."""
        for one in self.versions:
            if one.deprecated_at is None or self.keeper(one.registered.collection_id) is one:
                yield one

    def last_seq(self, version: Version) -> int | None:
        """The last publication whose panes a deprecated version's rows use; None: they use those of all."""
        return None if version in self.getting_rows() else version.last_seq

    def spans(self, collection_id: int) -> list[Span]:
        """When a collection is scheduled, in order, without overlap."""
        spans = sorted(
            (one.from_us, one.until)
            for one, version in self.entries
            if version.registered.collection_id == collection_id and one.from_us < one.until
        )
        merged: list[Span] = []
        for start, end in spans:
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged

    def end(self, version: Version) -> int:
        """Where the rows of a version end, µs: at the last end of its collection's schedule."""
        mine = version.registered.collection_id
        return max(one.until for one, other in self.entries if other.registered.collection_id == mine)

    def segments(self, version: Version) -> list[Segment]:
        """The panes of other collections that a version's rows use, in order."""
        free = _without([(FIRST_MOMENT, self.end(version))], self.spans(version.registered.collection_id))
        found: list[Segment] = []
        for one, other in reversed(self.entries):
            if is_carried(other.registered, version.registered):
                keeper = self.keeper(other.registered.collection_id).registered
                taken = [(max(start, one.from_us), min(end, one.until)) for start, end in free]
                taken = [(start, end) for start, end in taken if start < end]
                found += [Segment(keeper, start, end) for start, end in taken]
                free = _without(free, taken)
        return sorted(found, key=lambda segment: segment.start)

    def to_collect(self) -> list[ToCollect]:
        """Each collection with the spans in which it is scheduled, by their start."""
        found: list[ToCollect] = []
        for collection_id in {version.registered.collection_id for version in self.versions}:
            keeper = self.keeper(collection_id).registered
            for start, end in self.spans(collection_id):
                found.append(ToCollect(keeper.view, keeper.version, start, None if end == NEVER else end))
        return sorted(found, key=lambda one: (one.from_us, one.version))


def is_carried(source: RegisteredView, target: RegisteredView) -> bool:
    """Whether a version can use panes of another version's collection."""
    return source.collection_id != target.collection_id and Carry.between(source.view, target.view).any


def _without(spans: list[Span], taken: list[Span]) -> list[Span]:
    """The parts of some spans that no taken span covers."""
    left = spans
    for start, end in taken:
        left = [
            part for low, high in left for part in ((low, min(high, start)), (max(low, end), high)) if part[0] < part[1]
        ]
    return left
