"""The records of a store: a version of a view, a published pane, a file of Parquet rows. The registry keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .definitions import FeatureView
from .panes import NEVER
from .release import BUDGET_SPENT, Clock, Manifest, PaneState

FIRST_MOMENT: Final = -62_135_596_800_000_000
"""The year 1, µs since the epoch: the UTC midnight from which the first version of a view is collected."""


@dataclass(frozen=True)
class RegisteredView:
    """One version of a view.

    Attributes:
        view_id: the version's number in the registry and in RocksDB.
        version: its number among the versions of its name.
        view: its newest definition.
        collection_id: the number of its collection, which other versions may share.
    """

    view_id: int
    version: int
    view: FeatureView
    collection_id: int

    @property
    def name(self) -> str:
        """`view@v<n>`."""
        return f"{self.view.name}@v{self.version}"


def first_version(view: FeatureView) -> RegisteredView:
    """What the first version of a view will be; the registry chooses its numbers."""
    return RegisteredView(0, 1, view, 0)


@dataclass(frozen=True)
class Scheduled:
    """One entry of the schedule of a name: from when to when the collection of a version is collected.

    Attributes:
        place: the number of the entry; a later one takes the place of the earlier ones.
        from_us, until_us: UTC midnights, µs since the epoch; `until_us` is None while no other entry follows.
        served_since: when the name moved to the version, µs; None while its collection has no release yet.
    """

    place: int
    from_us: int
    until_us: int | None
    served_since: int | None

    @property
    def until(self) -> int:
        """`until_us`, or the end of time."""
        return NEVER if self.until_us is None else self.until_us


@dataclass(frozen=True)
class Version:
    """A version of a view, with what the registry knows of it.

    Attributes:
        collection: the hash of its collection.
        definitions: the hash of each definition that it ever had, the newest last; they differ in annotations only.
        applied_at: µs since the epoch; 0 for a version from before the registry recorded this.
        schedule: its entries, by place.
        deprecated_at: µs since the epoch, or None.
        last_seq: the last publication that brought it rows, if it is deprecated.
    """

    registered: RegisteredView
    collection: bytes
    definitions: tuple[bytes, ...]
    applied_at: int
    schedule: tuple[Scheduled, ...]
    deprecated_at: int | None = None
    last_seq: int | None = None


@dataclass(frozen=True)
class ToCollect:
    """A collection and when it is collected: the panes that start in [from_us, until_us).

    Attributes:
        view: the newest definition of the collection, for plans; version: of that definition.
        until_us: None while no other collection follows.
    """

    view: FeatureView
    version: int
    from_us: int
    until_us: int | None


@dataclass(frozen=True)
class PaneRecord:
    """One published pane.

    Attributes:
        content: the hash of its slots or of its reason.
        tombstone: its retraction, if it was retracted.
    """

    pane_start: int
    release_id: bytes
    opened: bool
    reason: str | None
    content: bytes
    released_at: int
    published_at: int
    clock: Clock
    signature: bytes
    manifest: Manifest
    tombstone: PaneRecord | None = None

    @property
    def state(self) -> PaneState:
        """Whether its sums were opened, and still count."""
        if self.tombstone is not None:
            return "retracted"
        return "opened" if self.opened else "void"

    @property
    def state_reason(self) -> str | None:
        """Why it is void or retracted."""
        return (self.tombstone or self).reason

    @property
    def makes_row(self) -> bool:
        """Whether the store has rows that end with this pane."""
        return self.reason != BUDGET_SPENT

    @property
    def retracted_at(self) -> int:
        """The moment from which on the pane counts as not opened, µs; NEVER without a retraction."""
        return NEVER if self.tombstone is None else self.tombstone.released_at


@dataclass(frozen=True)
class FileRecord:
    """A Parquet file of one view and UTC day; `path` is relative to the offline folder."""

    path: str
    day: int
    rows: int
    bytes: int
