"""What one plan takes of the panes that are ready."""

from __future__ import annotations

from deployment.scheduler.collected_views import CollectedView
from deployment.scheduler.pane_states import Due
from deployment.scheduler.plan_choice import ReadyView, choose

from .federation import DAY_US, HOUR_US, view

OLD = CollectedView(view("a", "1h"), 1, None, 2 * DAY_US)
NEW = CollectedView(view("a", "1h", clip=2), 2, DAY_US)
OTHER = CollectedView(view("b", "1h"), 1)


def ready(of: CollectedView, *hours: int) -> ReadyView:
    return ReadyView(of, {DAY_US + hour * HOUR_US: Due.first(0) for hour in hours}, False)


def test_two_versions_of_one_view_on_a_day_are_planned_apart() -> None:
    chosen = choose([ready(NEW, 1, 2), ready(OTHER, 1), ready(OLD, 0, 1, 2)])
    assert {one: len(panes) for one, panes in chosen.items()} == {OLD: 3, OTHER: 1}
    chosen = choose([ready(NEW, 1, 2), ready(OTHER, 3), ready(OLD)])
    assert {one: len(panes) for one, panes in chosen.items()} == {NEW: 2, OTHER: 1}
