"""The point-in-time join by a replay of publications in plain loops, written from DESIGN §5 ("Time of a row").

A row of the store is (pane end, released_at): the panes of its windows that were released by then. A publication of pane P
writes the row of P, and issues again the rows of later pane ends whose windows cover P. A tombstone of P does the same: from its
own released_at on, P counts as not opened. A void for lack of budget writes nothing. The join at time t takes, among the rows
released by t, the one with the greatest (pane_end, released_at); ttl is checked last. The result is stale if a pane that ends
later was left without budget by t.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Key
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate

Sums = Mapping[Key, Sequence[tuple[int, ...]]]
"""For each key, the opened sums of each of the view's features, in their order (see `value_of`)."""


@dataclass(frozen=True)
class Pane:
    """One published pane. `sums` is None for a void; `spent` marks a void for lack of budget. Times in µs."""

    start: int
    released_at: int
    sums: Sums | None
    spent: bool = False


@dataclass(frozen=True)
class Tombstone:
    """The retraction of a published pane."""

    start: int
    released_at: int


@dataclass(frozen=True)
class Served:
    """The join's result for one feature of one label."""

    value: Any
    n: int | None
    """Events behind a Mean or Rate; None where there is no row or no opened sum."""
    reason: str
    """`ok`, `stale`, `no row`, `expired`, `void`, `coverage` or `no events`."""


@dataclass(frozen=True)
class _Row:
    key_sums: dict[str, dict[Key, list[tuple[int, ...]]] | None]
    """By window ("" is the pane): each key's sums; None if they are not served."""
    reasons: dict[str, str]


class Replay:
    """The rows of one view after some publications."""

    def __init__(self, view: FeatureView, publications: Iterable[Sequence[Pane | Tombstone]] = ()) -> None:
        self.view = view
        self.panes: dict[int, Pane] = {}
        self.tombstones: dict[int, Tombstone] = {}
        self.spent: list[Pane] = []
        self.rows: dict[tuple[int, int], _Row] = {}
        for publication in publications:
            self.publish(publication)

    def publish(self, publication: Sequence[Pane | Tombstone]) -> None:
        """Publish items at once. Each row that changes is written once, over an equal older one."""
        changed = set()
        for item in publication:
            if isinstance(item, Tombstone):
                assert item.start not in self.tombstones, "a pane is retracted once"
                self.tombstones[item.start] = item
                changed.add(item.start)
            elif item.spent:
                self.spent.append(item)
            else:
                assert item.start not in self.panes, "a pane is published once"
                self.panes[item.start] = item
                changed.add(item.start)
        for start, own in self.panes.items():
            inside = self._trailing(start, self._largest())
            if not any(pane.start in changed for pane in inside):
                continue
            events = [*inside, *(self.tombstones[pane.start] for pane in inside if pane.start in self.tombstones)]
            for released_at in {max(own.released_at, event.released_at) for event in events}:
                self.rows[start + self.view.pane_us, released_at] = self._row(own, released_at)

    def at(self, key: Key | None, time: int | None, feature: ViewFeature, window: str = "") -> Served:
        """The point-in-time join for one label (µs) and one feature. `window` as spelled, "" for the pane itself."""
        if time is None or key is None or key not in self.view.entity.domain:
            return Served(None, None, "no row")
        best: tuple[int, int] | None = None
        for pane_end, released_at in self.rows:
            if released_at <= time and (best is None or (pane_end, released_at) > best):
                best = (pane_end, released_at)
        if best is None:
            return Served(None, None, "no row")
        if self.view.ttl_us is not None and time - best[0] > self.view.ttl_us:
            return Served(None, None, "expired")
        row = self.rows[best]
        by_key = row.key_sums[window]
        if by_key is None:
            return Served(None, None, row.reasons[window])
        served = value_of(feature, by_key[key][self.view.features.index(feature)])
        is_stale = any(pane.start + self.view.pane_us > best[0] and pane.released_at <= time for pane in self.spent)
        return replace(served, reason="stale") if is_stale and served.reason == "ok" else served

    def _largest(self) -> int:
        return max([1, *(window.panes for window in self.view.trailing)])

    def _trailing(self, start: int, width: int) -> list[Pane]:
        """The published panes in the window of `width` panes that ends with the pane of `start`."""
        starts = [start - i * self.view.pane_us for i in range(width)]
        return [self.panes[s] for s in starts if s in self.panes]

    def _row(self, own: Pane, released_at: int) -> _Row:
        key_sums: dict[str, dict[Key, list[tuple[int, ...]]] | None] = {"": None}
        reasons = {"": "void"}
        if own.sums is not None and not self._is_gone(own, released_at):
            key_sums[""] = {key: list(sums) for key, sums in own.sums.items()}
        for window in self.view.trailing:
            opened: list[Sums] = []
            for pane in self._trailing(own.start, window.panes):
                if pane.sums is None or pane.released_at > released_at or self._is_gone(pane, released_at):
                    continue
                opened.append(pane.sums)
            key_sums[window.name] = None
            reasons[window.name] = "coverage"
            if len(opened) / window.panes >= self.view.min_coverage:
                key_sums[window.name] = {key: self._added(key, opened) for key in self.view.entity.domain}
        return _Row(key_sums, reasons)

    def _is_gone(self, pane: Pane, time: int) -> bool:
        return pane.start in self.tombstones and self.tombstones[pane.start].released_at <= time

    def _added(self, key: Key, opened: list[Sums]) -> list[tuple[int, ...]]:
        totals = [[0] * _width(feature) for feature in self.view.features]
        for sums in opened:
            for total, addend in zip(totals, sums[key], strict=True):
                for i, number in enumerate(addend):
                    total[i] += number
        return [tuple(total) for total in totals]


def _width(feature: ViewFeature) -> int:
    return feature.cells if isinstance(feature, Histogram) else 2 if isinstance(feature, Mean | Rate) else 1


def value_of(feature: ViewFeature, sums: tuple[int, ...]) -> Served:
    """The value without noise. A Mean's sums are (Σq − ⌊q_max/2⌋·n, n), a Rate's (true − false, true + false)."""
    match feature:
        case Count() | ClientCount():
            return Served(sums[0], None, "ok")
        case Histogram():
            return Served(list(sums), None, "ok")
        case Mean():
            centred, n = sums
            if n < 1:
                return Served(None, n, "no events")
            return Served(feature.bounds[0] + feature.step * ((centred + feature.q_max // 2 * n) / n), n, "ok")
        case Rate():
            difference, n = sums
            if n < 1:
                return Served(None, n, "no events")
            return Served(((difference + n) // 2) / n, n, "ok")
