"""STALE_BUDGET: an old row that is still served because the budget of a later client-day was spent.

A void with the reason BUDGET_SPENT makes no row. At time t a row of pane end E is stale if such a void with a later pane
end had been released by t. A join takes t from the label; online rows have the newest state. A row of `history` is stale
only while it is the served row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from featurestore.define.decoded import Bytes, Ints, made_stale
from featurestore.define.definitions import FeatureView
from featurestore.define.records import RegisteredView
from featurestore.define.release import Clock

from .registry import Registry


@dataclass(frozen=True, eq=False)
class SpentPanes:
    """The BUDGET_SPENT voids of one view, by release time.

    Attributes:
        released_at: int64[V], µs, increasing.
        latest_end: int64[V], µs, the greatest pane end of the voids released by then.
    """

    released_at: Ints
    latest_end: Ints

    @classmethod
    def of(cls, view: FeatureView, pane_start: Ints, released_at: Ints) -> Self:
        """The voids, which may be in any order, by release time."""
        order = np.argsort(released_at, kind="stable")
        return cls(released_at[order], np.maximum.accumulate(pane_start[order] + view.pane_us))

    @classmethod
    def read(cls, registry: Registry, registered: RegisteredView, clock: Clock | None = None) -> Self:
        """Read the voids of a registered view; those of one clock only, if it is given."""
        return cls.of(registered.view, *registry.spent_panes(registered, clock))

    def stale_at(self, times: Ints, pane_end: Ints) -> npt.NDArray[np.bool_]:
        """bool[N]: whether the row of this pane end (µs) is stale at this time (µs)."""
        known = np.searchsorted(self.released_at, times, side="right")
        return np.append(np.int64(-(2**63)), self.latest_end)[known] > pane_end

    def is_stale(self, pane_end: int) -> bool:
        """Whether the row of this pane end is stale in the newest state."""
        return bool((self.latest_end > pane_end).any())

    def newest_status(self, status: Bytes, pane_end: int) -> Bytes:
        """The statuses of a row of this pane end in the newest state."""
        return made_stale(status) if self.is_stale(pane_end) else status
