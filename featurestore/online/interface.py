"""The online store: the newest row of every key, packed. These interfaces hide its implementation from publisher and readers."""

from __future__ import annotations

import struct
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from featurestore.define.records import RegisteredView
from featurestore.errors import StoreCorrupt

from .packing import Packed

_MARKER = struct.Struct(">q?qq")


@dataclass(frozen=True)
class RowTimes:
    """Pane end and release time of the online rows of a view, µs."""

    pane_end: int
    released_at: int


@dataclass(frozen=True)
class OnlineMarker:
    """The last publication in a view's rows, and the rows' times; None while no published pane has made a row."""

    seq: int
    rows: RowTimes | None


class OnlineEpoch(Protocol):
    """The online store, opened by a reader for one epoch."""

    def holds(self, view_id: int, seq: int) -> bool:
        """Whether this publication of a view can be read; if not, a publication is under way."""
        ...

    def get(self, view_id: int, seq: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The packed rows of these keys as of this publication of the view; None for a key without a row."""
        ...


class OnlineStore(Protocol):
    """The online store for the publisher, its only writer. Readers see a `put` whole or not at all."""

    def marker(self, view_id: int) -> OnlineMarker | None:
        """The marker of a view; None before its first publication."""

    def put(self, view_id: int, keys: Sequence[bytes], rows: Packed | None, marker: OnlineMarker) -> None:
        """Replace the rows (None: keep all rows) and the marker, all at once.

        Raises:
            StoreWriteFailed: nothing was replaced, and the store must be opened again before the next `put`.
            OnlineUnavailable.
        """

    def retire(self, registered: RegisteredView, keep: Set[int]) -> None:
        """Delete the publications of a view that no reader needs any more: all but those to keep.

        Raises:
            OnlineUnavailable: some remain, and the next call deletes them.
        """

    def close(self) -> None:
        """Close the store."""


def marker_to_bytes(marker: OnlineMarker) -> bytes:
    """The bytes of a marker: seq (i64), whether there are rows (u8), pane end and release (i64 each), big-endian."""
    times = marker.rows or RowTimes(0, 0)
    return _MARKER.pack(marker.seq, marker.rows is not None, times.pane_end, times.released_at)


def marker_from_bytes(data: bytes) -> OnlineMarker:
    """The inverse of `marker_to_bytes`. Raises StoreCorrupt: the length is wrong."""
    if len(data) != _MARKER.size:
        raise StoreCorrupt("the marker of an online view has a wrong length")
    seq, has_rows, *times = _MARKER.unpack(data)
    return OnlineMarker(seq, RowTimes(*times) if has_rows else None)
