"""When a release can be read: never before a live collection could have published it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from base.times import DAY_US
from federation.dating import Dating
from federation.plan import PlannedView
from tests.edge_client.making import HOUR, HOURLY

VIEW = replace(HOURLY, release_delay="5m")
DELAY = VIEW.release_delay_us


def planned(*panes: int) -> PlannedView:
    """A plan for these hours since the epoch."""
    return PlannedView(VIEW, np.array(panes, np.int64) * HOUR, 2)


@pytest.mark.parametrize(
    ("panes", "readable"),
    [
        (range(24), [24] * 24),
        ([7], [8]),
        ([1, 5, 6], [7, 7, 7]),
        ([3, 22, 24, 30, 47, 48], [23, 23, 48, 48, 48, 49]),
        ([-2, -1, 0], [0, 0, 1]),
    ],
)
def test_a_replayed_pane_is_readable_after_the_last_pane_that_its_plan_takes_of_the_day(
    panes: list[int], readable: list[int]
) -> None:
    found = Dating.REPLAY_DAYS.released_at(planned(*panes), 0)
    assert found.tolist() == [hour * HOUR + DELAY for hour in readable]


def test_panes_that_are_collected_one_by_one_are_readable_after_their_own_end() -> None:
    found = Dating.REPLAY_PANES.released_at(planned(0, 5, 30), 0)
    assert found.tolist() == [hour * HOUR + DELAY for hour in (1, 6, 31)]


def test_a_live_pane_is_readable_from_its_publication_on() -> None:
    assert Dating.LIVE.released_at(planned(0, 5), 3 * DAY_US).tolist() == [3 * DAY_US] * 2


def test_the_clock_of_a_plan_over_the_wire_decides() -> None:
    assert (Dating.of("live"), Dating.of("replay")) == (Dating.LIVE, Dating.REPLAY_DAYS)
    assert [one.clock for one in Dating] == ["live", "replay", "replay"]
