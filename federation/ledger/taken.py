"""The taken panes of one collection: which plan holds each, and how many plans have tried it. Sorted by their start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from base.times import DAY_US

from .columns import Column

Ints = npt.NDArray[np.int64]
FREE = -1
"""The holder of a pane that no plan has taken."""


class TakenPanes:
    """Panes (their start in µs) with the row of the plan that holds each. Panes in order are appended in constant time."""

    def __init__(self) -> None:
        self.starts = Column("i8")
        self.holders = Column("i4")
        self.tries = Column("u1")

    @property
    def columns(self) -> dict[str, Column]:
        """The columns, by name."""
        return vars(self)

    def holders_of(self, panes: Ints) -> Ints:
        """int64[P], the row of the plan that holds each of these panes, or FREE."""
        at, there = self._find(panes)
        found = np.full(len(panes), FREE, np.int64)
        found[there] = self.holders.values[at[there]]
        return found

    def tries_of(self, panes: Ints) -> Ints:
        """int64[P], how many plans have taken each of these panes."""
        at, there = self._find(panes)
        found = np.zeros(len(panes), np.int64)
        found[there] = self.tries.values[at[there]]
        return found

    def on_day(self, day: int) -> Ints:
        """The rows of the plans that hold panes of a UTC day, in the order of their charges."""
        first, last = np.searchsorted(self.starts.values, (day * DAY_US, (day + 1) * DAY_US))
        return np.unique(self.holders.values[first:last]).astype(np.int64)

    def take(self, panes: Ints, row: int, *, counts: bool) -> None:
        """Let a plan hold these panes, which increase.

        Args:
            counts: whether this is a further try: false for another role's charge of the same plan.
        """
        at, there = self._find(panes)
        old = at[there]
        self.holders.values[old] = row
        if counts:
            self.tries.values[old] = np.minimum(self.tries.values[old], 254) + 1
        new, before = panes[~there], at[~there]
        self.starts.insert(before, new)
        self.holders.insert(before, np.full(len(new), row))
        self.tries.insert(before, np.ones(len(new), np.uint8))

    def _find(self, panes: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        starts = self.starts.values
        at = np.searchsorted(starts, panes)
        there = at < len(starts)
        there[there] = starts[at[there]] == panes[there]
        return at, there
