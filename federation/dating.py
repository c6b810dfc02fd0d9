"""The time from which a release can be read: its publication, or, for old events, that of a live collection.

A replayed release must not be readable earlier than a live collection of its view could have published it. Otherwise a model is
trained on values that it would not have had.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import assert_never

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from featurestore.define.release import Clock

from .plan import PlannedView


class Dating(Enum):
    """How the releases of a plan are dated.

    Attributes:
        LIVE: when they are published.
        REPLAY_DAYS: as a live collection that takes the plan's panes of a UTC day at once, when the last of them has ended.
        REPLAY_PANES: as a live collection that takes each pane by itself, when it has ended. Its values are the same, because a
            client's bounds hold for the day and its earliest cells are taken first.
    """

    LIVE = auto()
    REPLAY_DAYS = auto()
    REPLAY_PANES = auto()

    @classmethod
    def of(cls, clock: Clock) -> Dating:
        """The dating of a plan over the wire. Its replays are those of the plan, so that everybody can verify them."""
        match clock:
            case "live":
                return cls.LIVE
            case "replay":
                return cls.REPLAY_DAYS
            case _:
                assert_never(clock)

    @property
    def clock(self) -> Clock:
        """The clock that releases name."""
        return "live" if self is Dating.LIVE else "replay"

    def released_at(self, planned: PlannedView, now: int) -> npt.NDArray[np.int64]:
        """int64[P], µs since the epoch: when each planned pane can be read.

        Args:
            now: the time of publication.
        """
        starts, view = planned.pane_starts, planned.view
        match self:
            case Dating.LIVE:
                return np.full(len(starts), now, np.int64)
            case Dating.REPLAY_DAYS:
                days = starts // DAY_US
                taken = starts[np.searchsorted(days, days, side="right") - 1]
            case Dating.REPLAY_PANES:
                taken = starts
            case _:
                assert_never(self)
        return taken + view.pane_us + view.release_delay_us
