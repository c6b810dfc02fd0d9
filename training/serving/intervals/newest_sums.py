"""The released sums behind the newest rows of a view, added up as its windows nest.

The noise of a sum of panes is drawn at once, so panes that the same windows hold are one set. A Filtered reads every pane of its
Rate; there the panes stay apart, and the Rate's windows add the same panes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from featurestore.define.decoded import Floats, Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.filtered import Filtered
from featurestore.define.layout import Layout, layout_of
from featurestore.define.panes import NEVER, Bools, Panes
from featurestore.define.values import ServedFeature
from featurestore.offline.filter_runs import RateSums
from featurestore.offline.window_rows import EVER_US
from training.errors import InputRefused

MOST_READ: Final = 2**28
"""The most sums that are read for one view: 2 GiB, in parts."""
MOST_KEPT: Final = 2**26
"""The most sums of one view that stay in memory: 512 MiB."""


def reach_us(view: FeatureView, served: Sequence[ServedFeature]) -> int:
    """How far before the newest pane the first one starts that these features read, µs."""
    if any(isinstance(one.feature, Filtered) for one in served):
        return EVER_US
    return (max((one.window.panes for one in served if one.window is not None), default=1) - 1) * view.pane_us


@dataclass(frozen=True, eq=False)
class RatePanes:
    """The sums of a Rate in P panes, for all K keys of a view.

    Attributes:
        start: int64[P], µs, increasing.
        sums: int64[2, K, P], S and n.
        units: float64[2, P], how many noises of the view each sum has.
        opened: bool[P, K] or [P, 1], the cells that windows add up.
        known: bool[P], the panes that a Filtered uses.
        level: int64[P], the first level that holds the pane, see `NewestSums`; more than the last one: none does.
    """

    start: Ints
    sums: Ints
    units: Floats
    opened: Bools
    known: Bools
    level: Ints


@dataclass(frozen=True, eq=False)
class NewestSums:
    """The sums of a view's newest pane and of the windows that end with it. L levels nest: the pane, and each window that is read.

    Attributes:
        layout: of the view.
        levels: their widths in panes, increasing; the first one is 1.
        slots: the J slots that are read, except those of `rates`.
        sums: int64[L, K, J], of the panes of each level that no smaller one has.
        units: float64[L, G, K] or [L, G, 1], for each noise group how many noises of the view the sums have.
        rates: the Rates that a Filtered reads, by name.
    """

    layout: Layout
    levels: tuple[int, ...]
    slots: Ints
    sums: Ints
    units: Floats
    rates: dict[str, RatePanes]

    @classmethod
    def of(cls, view: FeatureView, served: Sequence[ServedFeature], newest: int, parts: Iterable[Panes]) -> Self:
        """Add up the panes behind these features.

        Args:
            newest: the start of the newest pane, µs.
            parts: the panes, by start, up to the newest one.

        Raises:
            InputRefused: there are too many sums.
        """
        adding = _Adding(view, served, newest)
        for panes in parts:
            adding.add(panes)
        rates = {name: parts.joined() for name, parts in adding.rates.items()}
        return cls(adding.layout, adding.levels, adding.slots, adding.sums, adding.units, rates)

    def rate_sums(self, name: str, copies: Ints) -> RateSums:
        """The sums of a Rate in each pane, of C noised copies, int64[2, P, C]."""
        panes = self.rates[name]
        sums, counts = (group for group in self.layout.groups if group.feature == name)
        return RateSums(
            panes.start, copies[0], copies[1], panes.units[0] * sums.variance, panes.units[1] * counts.variance
        )

    @property
    def filtered_panes(self) -> int:
        """The most panes that a Filtered reads; 0: there is no Filtered."""
        return max((len(panes.start) for panes in self.rates.values()), default=0)


class _Adding:
    """Sums that are being added up."""

    def __init__(self, view: FeatureView, served: Sequence[ServedFeature], newest: int) -> None:
        self._view, self._newest = view, newest
        self.layout = layout_of(view)
        self.levels = tuple(sorted({1, *(one.window.panes for one in served if one.window is not None)}))
        filtered = {one.feature.rate for one in served if isinstance(one.feature, Filtered)}
        self.rates = {name: _RateParts(self.layout, name) for name in filtered}
        read = {
            slot
            for one in served
            if isinstance(one.feature, PaneFeature)
            for group in self.layout.groups_of(one.feature)
            if group.feature not in filtered
            for slot in group.slots
        }
        self.slots = np.array(sorted(read), dtype=np.int64)
        self._read = self._kept = 0
        self._keep(len(self.levels) * self.layout.keys * len(self.slots))
        self.sums = np.zeros((len(self.levels), self.layout.keys, len(self.slots)), dtype=np.int64)
        self.units = np.zeros((len(self.levels), len(self.layout.groups), 1))

    def add(self, panes: Panes) -> None:
        self._read += panes.slots.size
        self._require(self._read, MOST_READ, "reads")
        used = panes.usable(self._view.min_site_coverage) & (panes.retracted_at == NEVER)
        opened = used[:, None] & ~panes.withheld
        units = np.broadcast_to(panes.noise_units, (len(panes.start), self.units.shape[1]))
        level = np.searchsorted(self.levels, (self._newest - panes.start) // self._view.pane_us + 1)
        if opened.shape[1] > self.units.shape[2]:
            self.units = np.repeat(self.units, opened.shape[1], axis=2)
        for at in np.unique(level[level < len(self.levels)]).tolist():
            mine = level == at
            cells = opened[mine]
            self.sums[at] += np.where(cells[:, :, None], panes.slots[mine][:, :, self.slots], 0).sum(axis=0)
            self.units[at] += (units[mine][:, :, None] * cells[:, None, :]).sum(axis=0)
        for parts in self.rates.values():
            self._keep(2 * panes.slots[:, :, 0].size)
            parts.add(panes, opened, units, level)

    def _keep(self, sums: int) -> None:
        self._kept += sums
        self._require(self._kept, MOST_KEPT, "keeps")

    def _require(self, sums: int, most: int, does: str) -> None:
        if sums > most:
            raise InputRefused(
                f"an interval {does} over {sums:,} sums of view {self._view.name!r}; the limit is {most:,}. Ask without an interval"
            )


class _RateParts:
    """Panes of a Rate, in parts."""

    def __init__(self, layout: Layout, name: str) -> None:
        self._groups = [i for i, group in enumerate(layout.groups) if group.feature == name]
        self._slots = [layout.groups[i].slots[0] for i in self._groups]
        self._feature = [feature.name for feature in layout.view.collected].index(name)
        self._features = len(layout.view.collected)
        self._parts: list[RatePanes] = []

    def add(self, panes: Panes, opened: Bools, units: Floats, level: Ints) -> None:
        known = np.broadcast_to(panes.known, (len(panes.start), self._features))[:, self._feature]
        self._parts.append(
            RatePanes(
                panes.start,
                np.ascontiguousarray(panes.slots[:, :, self._slots].transpose(2, 1, 0)),
                units[:, self._groups].T,
                opened,
                known & opened.all(axis=1),  # a filter needs every cell of a pane
                level,
            )
        )

    def joined(self) -> RatePanes:
        """All panes. A withheld cell in one part gives all parts a column for each key."""
        parts = self._parts
        keys = max(part.opened.shape[1] for part in parts)
        return RatePanes(
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.sums for part in parts], axis=2),
            np.concatenate([part.units for part in parts], axis=1),
            np.concatenate([np.broadcast_to(part.opened, (len(part.opened), keys)) for part in parts]),
            np.concatenate([part.known for part in parts]),
            np.concatenate([part.level for part in parts]),
        )
