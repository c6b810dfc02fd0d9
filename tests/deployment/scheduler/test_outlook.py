"""What a coordinator would do: panes that an operator has voided are not shown, and a version may have two times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from base.times import utc_text
from deployment.coordinator.decisions import decide_void
from deployment.printing.outlook import outlook_to_json
from deployment.scheduler.outlook import look_ahead
from deployment.scheduler.pane_states import Due, Exhausted
from deployment.scheduler.registered_views import registered
from deployment.scheduler.schedule_file import Schedule
from featurestore.define.views_file import load_views
from featurestore.publish.publish import Publisher
from tests.featurestore.making import DAY, a_release

MAY = 18_383 * DAY


def test_voided_panes_are_left_out_and_the_times_of_a_rolled_back_version_are_put_together(
    covey: Callable[..., tuple[int, str, str]], project: Path
) -> None:
    assert covey("init", project)[0] == 0
    visits, _ = load_views(project / "views.py")
    with Publisher(project, lambda: MAY + DAY + 1) as publisher:
        publisher.register(visits)
        publisher.publish([a_release(visits, MAY)])
        publisher.apply([replace(visits, bounds=replace(visits.bounds, max_cells=2 * visits.bounds.max_cells))])
        publisher.apply([visits], start=MAY + 6 * DAY)
    now = MAY + 8 * DAY - DAY // 2
    before, _, again = registered(project)
    with Schedule(project) as schedule:
        schedule.begin(before, MAY)
        schedule.close_panes(before, [], MAY + 2 * DAY, now)
        late = {(before.collection, MAY + day * DAY): Exhausted(now) for day in (1,)}
        schedule.put({**late, (before.collection, MAY + 6 * DAY): Due.first(now)}, [], now)
        schedule.begin(again, MAY + 6 * DAY)
        schedule.close_panes(again, [], MAY + 7 * DAY, now)

    def shown() -> dict[str, object]:
        views: dict[str, dict[str, object]] = outlook_to_json(look_ahead(project, [], now))["views"]
        return views["visits@v1"]

    next_at = utc_text(MAY + 8 * DAY + visits.release_delay_us)
    pane, exhausted = utc_text(MAY + 6 * DAY), utc_text(MAY + DAY)
    assert shown() == {"due": [pane], "later": [], "exhausted": [exhausted], "next_at": next_at}
    decide_void(project, "visits", [MAY + DAY], "no site was there", lambda: now)
    assert shown() == {"due": [pane], "later": [], "exhausted": [], "next_at": next_at}
