"""The panes of each view by state: over several collections, by the coordinator's schedule, and without reading a year again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from deployment.coordinator.attempts import Attempts
from deployment.inspect.pane_counts import PaneCounts
from deployment.inspect.status import view_statuses
from deployment.project.known_releases import registry_of
from deployment.scheduler.collected_views import collected_views
from deployment.scheduler.schedule_file import Schedule
from featurestore.define.release import RETRACTED, Void
from featurestore.publish.publish import Publisher
from featurestore.registry.tally import Tally
from federation.attempt import MAX_ATTEMPTS
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, manifest_of
from tests.federation.wire import PLAN, plan

DAILY = a_view(pane="1d", windows=[])
HOURLY = a_view()


def evolved(directory: Path) -> None:
    """A view whose panes had a day until day 4, and have an hour since then. The third day was not published."""
    with Publisher(directory, lambda: 3 * DAY + HOUR) as publisher:
        publisher.register(DAILY)
        publisher.publish([a_release(DAILY, 0), a_void(DAILY, DAY), a_release(DAILY, 3 * DAY)])
        publisher.apply([HOURLY])


def counts(directory: Path) -> tuple[int, int, int]:
    (found,) = PaneCounts(directory).read()
    (status,) = view_statuses(directory)
    assert (status.opened, status.void, len(status.due)) == (found.opened, found.void, found.due)
    assert np.array_equal(status.exhausted, found.exhausted)
    return found.opened, found.void, found.due


def test_without_a_store_there_is_no_view(tmp_path: Path) -> None:
    assert PaneCounts(tmp_path).read() == ()


def test_panes_of_each_collection_count_by_its_own_width_and_time(tmp_path: Path) -> None:
    evolved(tmp_path)
    assert counts(tmp_path) == (2, 1, 1)
    with Publisher(tmp_path, lambda: 5 * DAY) as publisher:
        publisher.publish([a_release(HOURLY, 4 * DAY + hour * HOUR, view_version=2) for hour in (1, 2, 5)])
    assert counts(tmp_path) == (5, 1, 1 + 2)
    (status,) = view_statuses(tmp_path)
    assert status.due.tolist() == [2 * DAY, 4 * DAY + 3 * HOUR, 4 * DAY + 4 * HOUR]


def test_attempts_at_a_version_that_no_release_serves_yet_are_known(tmp_path: Path) -> None:
    evolved(tmp_path)
    attempts, name = Attempts(tmp_path), HOURLY.name
    of_hours = replace(PLAN.views[0], view=HOURLY)
    for number in range(MAX_ATTEMPTS):
        attempt = replace(plan(number), views=(of_hours,))
        attempts.record(attempt, {name: np.array([4 * DAY + HOUR, 4 * DAY + 3 * HOUR])}, [], reported=number > 0)
    assert counts(tmp_path) == (2, 1, 1 + 3)
    attempts.record(replace(plan(9), views=(of_hours,)), {name: np.array([4 * DAY + HOUR])}, [], reported=True)
    assert view_statuses(tmp_path)[0].exhausted.tolist() == [4 * DAY + HOUR]
    with Publisher(tmp_path, lambda: 5 * DAY) as publisher:
        publisher.publish([replace(a_void(HOURLY, 4 * DAY + HOUR), manifest=manifest_of(HOURLY, view_version=2))])
    assert counts(tmp_path) == (2, 2, 1 + 2)
    assert view_statuses(tmp_path)[0].exhausted.tolist() == []


def test_panes_that_only_the_coordinators_schedule_knows_are_due(tmp_path: Path) -> None:
    evolved(tmp_path)
    _, hourly = collected_views(tmp_path)
    with Schedule(tmp_path) as schedule:
        schedule.begin(hourly, 4 * DAY)
        panes = [4 * DAY + hour * HOUR for hour in range(3)]
        schedule.close_panes(hourly, panes, panes[-1] + HOUR, 5 * DAY)
    assert counts(tmp_path) == (2, 1, 1 + 3)


def test_a_second_reading_looks_at_new_publications_and_counts_the_same(tmp_path: Path) -> None:
    evolved(tmp_path)
    kept = PaneCounts(tmp_path)
    with Publisher(tmp_path, lambda: 9 * DAY) as publisher:
        for hour in range(6):
            kept.read()
            publisher.publish([a_release(HOURLY, 4 * DAY + 2 * hour * HOUR, view_version=2)])
            if hour == 3:
                publisher.publish([Void(manifest_of(DAILY), 0, DAY, 9 * DAY, 9 * DAY, "live", RETRACTED)])
    (again,), (fresh,) = kept.read(), PaneCounts(tmp_path).read()
    assert (again.opened, again.void, again.spans) == (fresh.opened, fresh.void, fresh.spans)
    assert (again.opened, again.void, again.due) == (7, 2, 1 + 5)
    with registry_of(tmp_path) as registry:
        assert registry is not None
        statements: list[str] = []
        registry._db.set_trace_callback(statements.append)
        registry.publications.tally(2, -DAY, 99 * DAY, 4, 99)
        registry._db.set_trace_callback(None)
        (row,) = registry._db.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
        assert "USING INDEX panes_by_publication (collection_id=? AND seq>? AND seq<?)" in row[3]


def test_a_time_that_changes_is_counted_anew_and_no_pane_is_due_outside_of_it(tmp_path: Path) -> None:
    kept = PaneCounts(tmp_path)
    evolved(tmp_path)
    assert kept.read()[0].due == 1
    with Publisher(tmp_path, lambda: 5 * DAY + HOUR) as publisher:
        publisher.publish([a_release(HOURLY, 4 * DAY + hour * HOUR, view_version=2) for hour in (0, 2)])
        assert kept.read()[0].due == 2
        publisher.apply([DAILY])  # a roll-back
        publisher.publish([a_release(DAILY, day * DAY) for day in (6, 8)])
    (again,), (fresh,) = kept.read(), PaneCounts(tmp_path).read()
    assert (again.opened, again.void, again.spans) == (fresh.opened, fresh.void, fresh.spans)
    assert (again.opened, again.void, again.due) == (6, 1, 1 + 1 + 1)
    assert view_statuses(tmp_path)[0].due.tolist() == [2 * DAY, 4 * DAY + HOUR, 7 * DAY]


def test_a_store_that_was_restored_is_counted_again(tmp_path: Path) -> None:
    evolved(tmp_path)
    (registry,) = (tmp_path / "store").glob("registry.db")
    kept, before = PaneCounts(tmp_path), registry.read_bytes()
    with Publisher(tmp_path, lambda: 9 * DAY) as publisher:
        publisher.publish([a_release(HOURLY, 4 * DAY, view_version=2)])
    assert kept.read()[0].opened == 3
    registry.write_bytes(before)
    assert kept.read()[0].opened == 2


def test_tallies_add_up_whatever_is_empty() -> None:
    one, none = Tally(2, 1, 5, 9), Tally()
    assert none + none == none
    assert one + none == none + one == one
    assert one + Tally(1, 0, 1, 6) == Tally(3, 1, 1, 9)
