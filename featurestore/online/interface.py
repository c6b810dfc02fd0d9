"""The online store: the latest row of every key, packed. What it is to the publisher and to readers, whatever it is made of."""

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
    """Up to which publication the rows of a view are, and their times; None while no published pane has made a row."""

    seq: int
    rows: RowTimes | None


class OnlineEpoch(Protocol):
    """The online store as a reader opened it, for the time of one epoch."""

    def holds(self, view_id: int, seq: int) -> bool:
        """Whether this publication of a view can be asked for; if not, one is under way."""
        ...

    def get(self, view_id: int, seq: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The packed rows of these keys, as this publication of the view left them; None for a key without one."""
        ...


class OnlineStore(Protocol):
    """What the publisher writes. One writer; a `put` is seen whole or not at all."""

    def marker(self, view_id: int) -> OnlineMarker | None:
        """The marker of a view; None before its first publication."""

    def put(self, view_id: int, keys: Sequence[bytes], rows: Packed | None, marker: OnlineMarker) -> None:
        """Replace the rows of these keys (None: keep them) and the marker, all at once.

        Raises:
            StoreWriteFailed: nothing was replaced, and the store must be opened again before the next `put`.
            OnlineUnavailable.
        """

    def retire(self, registered: RegisteredView, keep: Set[int]) -> None:
        """Forget the publications of a view that nobody asks for any more: all but those to keep.

        Raises:
            OnlineUnavailable: some are left, and the next call forgets them too.
        """

    def close(self) -> None:
        """Let go of the store."""


def marker_to_bytes(marker: OnlineMarker) -> bytes:
    """What the online stores hold: seq (i64), whether there are rows (u8), pane end and release (i64 each), big-endian."""
    times = marker.rows or RowTimes(0, 0)
    return _MARKER.pack(marker.seq, marker.rows is not None, times.pane_end, times.released_at)


def marker_from_bytes(data: bytes) -> OnlineMarker:
    """The inverse. Raises StoreCorrupt: another length."""
    if len(data) != _MARKER.size:
        raise StoreCorrupt("the marker of an online view has a wrong length")
    seq, has_rows, *times = _MARKER.unpack(data)
    return OnlineMarker(seq, RowTimes(*times) if has_rows else None)
