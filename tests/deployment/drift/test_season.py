import numpy as np

from deployment.drift.season import Season, places, season_of
from tests.featurestore.making import DAY, HOUR, MINUTE

MONDAY = 4 * DAY


def test_days_are_compared_by_weekday_once_three_weeks_are_there() -> None:
    starts = MONDAY + np.arange(21) * DAY
    assert season_of(starts, DAY) is Season.WEEKDAY
    assert season_of(starts[:20], DAY) is Season.NONE
    assert places(Season.WEEKDAY, starts[:8]).tolist() == [0, 1, 2, 3, 4, 5, 6, 0]


def test_hours_are_compared_by_hour_of_the_day_before_they_are_by_hour_of_the_week() -> None:
    starts = MONDAY + np.arange(21 * 24) * HOUR
    assert season_of(starts, HOUR) is Season.HOUR_OF_WEEK
    assert season_of(starts[: 3 * 24], HOUR) is Season.HOUR_OF_DAY
    assert season_of(starts[: 3 * 24 - 1], HOUR) is Season.NONE
    assert places(Season.HOUR_OF_WEEK, starts)[[0, 25, 168]].tolist() == [0, 25, 0]
    assert places(Season.HOUR_OF_DAY, starts)[[0, 25, 168]].tolist() == [0, 1, 0]


def test_panes_of_minutes_share_the_place_of_their_hour() -> None:
    starts = MONDAY + np.arange(130) * MINUTE
    assert np.bincount(places(Season.HOUR_OF_DAY, starts)).tolist() == [60, 60, 10]


def test_a_past_without_a_pane_has_no_season() -> None:
    assert season_of(np.empty(0, np.int64), DAY) is Season.NONE
    assert places(Season.NONE, np.arange(3)).tolist() == [0, 0, 0]
