"""The records of a store: a registered view, a published pane, a file of Parquet rows. The registry keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from .definitions import FeatureView
from .panes import NEVER
from .release import BUDGET_SPENT, Clock, Manifest


@dataclass(frozen=True)
class RegisteredView:
    """A registered view; `view_id` is its number in RocksDB."""

    view_id: int
    version: int
    view: FeatureView


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
