"""The sums of a version's windows after its newest pane, so that the next pane costs its windows and not their panes.

A window of 28 days has 40,320 panes of one minute. Its sum after the next pane is its sum now, without the panes that leave it and
with the new one. The registry keeps these sums with each publication, in its transaction. They count for the next pane in order,
as long as every pane of the windows was released in order, not retracted, and has every feature and cell. Otherwise the rows
are computed from all panes of the windows, as always, and the sums with them.

The next pane's rows follow from a few *segments* instead of panes: the panes that only the largest window has are one segment,
and so on. All sums are integers; noise units are added only where that is exact, too. So both ways give the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from featurestore.define.decoded import Floats, Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.panes import NEVER, Panes

_DIGEST_BYTES: Final = 32
_EXACT: Final = 2.0**20
"""Multiples of 2⁻²⁰ below 2³² add up exactly in float64."""


@dataclass(frozen=True, eq=False)
class WindowSum:
    """The usable panes of one window, added up.

    Attributes:
        panes: their number; share: the sum of their `site_share`.
        slots: int64[K, S]; units: float64[G] or [1].
    """

    panes: int
    share: int
    slots: Ints
    units: Floats

    @classmethod
    def of(cls, view: FeatureView, panes: Panes) -> WindowSum:
        """The sum of these panes."""
        usable = panes.usable(view.min_site_coverage)
        shares, slots, units = panes.site_share[usable], panes.slots[usable], panes.noise_units[usable]
        return cls(int(usable.sum()), int(shares.sum()), slots.sum(axis=0), units.sum(axis=0))

    def __add__(self, other: WindowSum) -> WindowSum:
        both = self.panes + other.panes, self.share + other.share
        return WindowSum(*both, self.slots + other.slots, self.units + other.units)

    def __sub__(self, other: WindowSum) -> WindowSum:
        both = self.panes - other.panes, self.share - other.share
        return WindowSum(*both, self.slots - other.slots, self.units - other.units)


@dataclass(frozen=True, eq=False)
class Running:
    """The sums of all windows that end with a version's newest pane.

    Attributes:
        last: the start of the newest pane, µs; released_at: its release, which is the last one.
        windows: by increasing width.
    """

    last: int
    released_at: int
    windows: tuple[WindowSum, ...]

    @classmethod
    def of(cls, view: FeatureView, panes: Panes) -> Running | None:
        """The sums after the last of these panes, which reach back over the largest window; None: they would not be exact."""
        if not widths(view) or view.filtered or not len(panes.start) or not _is_plain(panes):
            return None
        last = int(panes.start[-1])
        first = np.searchsorted(panes.start, [last - (width - 1) * view.pane_us for width in widths(view)])
        sums = tuple(WindowSum.of(view, part(panes, int(at))) for at in first)
        return cls(last, int(panes.released_at[-1]), sums)

    def leaving(self, view: FeatureView, start: int) -> list[tuple[int, int]]:
        """For each window the panes (first ≤ start < end) that leave it when a pane starts at this time."""
        before = [(width - 1) * view.pane_us for width in widths(view)]
        return [(self.last - one, min(start - one, self.last + 1)) for one in before]

    def next(self, view: FeatureView, left: Sequence[Panes], own: Panes) -> tuple[Panes, Running] | None:
        """Segments with the next pane as the last of them, and the sums after it; None: the pane does not follow in order.

        Args:
            left: the panes that leave each window; own: the next pane.
        """
        start, released_at = int(own.start[0]), int(own.released_at[0])
        if start <= self.last or released_at < self.released_at or not _is_plain(own):
            return None
        before = [sums - WindowSum.of(view, gone) for sums, gone in zip(self.windows, left, strict=True)]
        after = tuple(one + WindowSum.of(view, own) for one in before)
        return _with_segments(view, before, own, self.released_at), Running(start, released_at, after)

    def segments(self, view: FeatureView, own: Panes) -> Panes:
        """The newest pane as the last of a few panes. The others are segments, each with the sums of many panes of a window."""
        newest = WindowSum.of(view, own)
        return _with_segments(view, [one - newest for one in self.windows], own, self.released_at)

    def to_bytes(self) -> bytes:
        """The sums as they are stored, with their SHA-256."""
        shapes = [[one.panes, one.share, *one.slots.shape, len(one.units)] for one in self.windows]
        head = json.dumps([self.last, self.released_at, shapes]).encode()
        body = b"".join(one.slots.astype("<i8").tobytes() + one.units.astype("<f8").tobytes() for one in self.windows)
        data = len(head).to_bytes(4, "big") + head + body
        return hashlib.sha256(data).digest() + data

    @classmethod
    def from_bytes(cls, stored: bytes) -> Running | None:
        """Read stored sums; None: they were damaged, so they are computed again."""
        data = stored[_DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != stored[:_DIGEST_BYTES]:
            return None
        at = 4 + int.from_bytes(data[:4], "big")
        last, released_at, shapes = json.loads(data[4:at])
        windows = []
        for panes, share, keys, slots, groups in shapes:
            sums = np.frombuffer(data, "<i8", keys * slots, at).reshape(keys, slots)
            units = np.frombuffer(data, "<f8", groups, at + sums.nbytes)
            at += sums.nbytes + units.nbytes
            windows.append(WindowSum(panes, share, sums, units))
        return cls(last, released_at, tuple(windows))


def widths(view: FeatureView) -> list[int]:
    """The windows of a view in panes, increasing."""
    return sorted(window.panes for window in view.trailing)


def part(panes: Panes, first: int, end: int | None = None) -> Panes:
    """The panes from this index on, or up to another one."""
    return Panes(*(getattr(panes, name)[first:end] for name in Panes.__dataclass_fields__))


def _is_plain(panes: Panes) -> bool:
    """Whether sums of these panes can run on: in order, whole, and exact in float64."""
    units = panes.noise_units * _EXACT
    exact = bool((units == np.round(units)).all() and (units < _EXACT * 2**12).all())
    return panes.in_order and bool(panes.known.all()) and not panes.withheld.any() and exact


def _with_segments(view: FeatureView, before: Sequence[WindowSum], own: Panes, released_at: int) -> Panes:
    """A pane after the segments of its windows.

    Args:
        before: the sums of each window without the pane.
        released_at: of the pane before it, µs.
    """
    start = int(own.start[0])
    smaller = [one - less for one, less in zip(before[1:], before, strict=False)]
    segments = [*reversed(smaller), before[0]]
    starts = [start - (width - 1) * view.pane_us for width in reversed(widths(view))]
    count = len(segments)
    return Panes(
        np.concatenate((np.array(starts, np.int64), own.start)),
        np.concatenate((np.array([one.panes > 0 for one in segments]), own.opened)),
        np.concatenate((np.array([one.share for one in segments], np.int64), own.site_share)),
        np.concatenate((np.stack([one.slots for one in segments]), own.slots)),
        np.concatenate((np.zeros((count, own.withheld.shape[1]), np.bool_), own.withheld)),
        np.concatenate((np.stack([one.units for one in segments]), own.noise_units)),
        np.concatenate((np.ones((count, own.known.shape[1]), np.bool_), own.known)),
        np.concatenate((np.full(count, released_at, np.int64), own.released_at)),
        np.concatenate((np.full(count, NEVER, np.int64), own.retracted_at)),
    )
