"""The season of a view: which panes of the past a pane is compared with."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from base.times import DAY_US
from featurestore.define.decoded import Ints

WEEK_US: Final = 7 * DAY_US
HOUR_US: Final = DAY_US // 24
MONDAY_US: Final = -3 * DAY_US
"""A Monday before the epoch, which is a Thursday."""
LEAST_CYCLES: Final = 3
"""A season is learned once the past has so many weeks, or days."""


class Season(StrEnum):
    """The panes that a pane is compared with. Weeks and days are those of UTC."""

    WEEKDAY = "weekday"
    """Those of the same day of the week."""
    HOUR_OF_WEEK = "hour of the week"
    """Those of the same hour of the same day of the week."""
    HOUR_OF_DAY = "hour of the day"
    """Those of the same hour."""
    NONE = "none"
    """All."""


def season_of(starts: Ints, pane_us: int) -> Season:
    """The finest season that these panes of the past are enough for.

    Args:
        starts: int64[T], starts of panes with values, µs, increasing.
    """
    span = int(starts[-1] - starts[0]) + pane_us if len(starts) else 0
    if pane_us == DAY_US:
        return Season.WEEKDAY if span >= LEAST_CYCLES * WEEK_US else Season.NONE
    if span >= LEAST_CYCLES * WEEK_US:
        return Season.HOUR_OF_WEEK
    return Season.HOUR_OF_DAY if span >= LEAST_CYCLES * DAY_US else Season.NONE


def places(season: Season, starts: Ints) -> Ints:
    """int64[T]: the place of each pane in the season, from 0."""
    week = starts - MONDAY_US
    match season:
        case Season.WEEKDAY:
            return week // DAY_US % 7
        case Season.HOUR_OF_WEEK:
            return week // HOUR_US % 168
        case Season.HOUR_OF_DAY:
            return week // HOUR_US % 24
        case Season.NONE:
            return np.zeros(len(starts), dtype=np.int64)
