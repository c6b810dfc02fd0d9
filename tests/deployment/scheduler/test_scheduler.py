"""What a coordinator does next: where it begins, what it catches up, what it gives up, and whom it waits for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployment.errors import CollectionUnderWay, CoordinatorReplaced, UsageError
from deployment.printing.steps import NewSteps, step_lines, step_to_json
from deployment.scheduler.collected_views import CollectedView
from deployment.scheduler.lease import lease, only_planner
from deployment.scheduler.loop import collect_for_ever
from deployment.scheduler.pane_states import Due, Exhausted
from deployment.scheduler.plan_choice import MOST_PANES, ReadyView, choose
from deployment.scheduler.schedule_file import Schedule
from deployment.scheduler.scheduler import MOST_DUE, Scheduler
from deployment.scheduler.steps import (
    Begins,
    Busy,
    ClockWentBack,
    Ended,
    Failed,
    Idle,
    NothingRegistered,
    Step,
    WaitsForTurn,
)

from .federation import DAY_US, HOUR_US, Fate, Federation, view

MIDNIGHT = 20_000 * DAY_US
MINUTE_US = 60 * 10**6
HOURLY = CollectedView(view("hourly", "1h"), 1)
DAILY = CollectedView(view("daily", "1d"), 1)


class World:
    """A scheduler, and what surrounds it."""

    def __init__(self, folder: Path, *views: CollectedView) -> None:
        self.now, self.views, self.steps = MIDNIGHT + 10 * MINUTE_US, views, list[Step]()
        self.federation = Federation(lambda: self.now)
        self.schedule = Schedule(folder)
        self.scheduler = self.restarted()

    def restarted(self) -> Scheduler:
        return Scheduler(self.schedule, self.federation, lambda: self.views, lambda: self.now, self.steps.append)

    def run(self) -> Idle | NothingRegistered:
        """Steps until nothing is due, with the pauses between them."""
        while not isinstance(step := self.scheduler.step(), NothingRegistered):
            if isinstance(step, Idle) and step.views:
                return step
            self.now += 10**6
        return step

    def published(self, name: str) -> list[int]:
        return sorted(pane for view, pane in self.federation.published_panes if view == name)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*views: CollectedView) -> World:
        made.append(World(tmp_path, *views))
        return made[-1]

    yield make
    for one in made:
        one.schedule.close()


def test_a_view_begins_with_the_last_pane_that_has_closed_and_goes_on_with_each_one_that_closes(
    make: Callable[..., World],
) -> None:
    world = make(HOURLY, DAILY)
    assert world.run() == Idle(MIDNIGHT + HOUR_US + 5 * MINUTE_US, ("hourly",))
    assert (world.published("hourly"), world.published("daily")) == ([MIDNIGHT - HOUR_US], [MIDNIGHT - DAY_US])
    world.now = MIDNIGHT + HOUR_US + 5 * MINUTE_US - 1
    world.run()
    assert world.published("hourly") == [MIDNIGHT - HOUR_US]
    world.now += 1
    world.run()
    assert world.published("hourly") == [MIDNIGHT - HOUR_US, MIDNIGHT]
    assert world.schedule.states(HOURLY.collection) == {}


def test_a_version_that_takes_over_begins_and_ends_at_its_midnights(make: Callable[..., World]) -> None:
    first = CollectedView(view("v", "1h"), 1, until_us=MIDNIGHT + DAY_US)
    second = CollectedView(view("v2", "1h", clip=2), 2, from_us=MIDNIGHT + DAY_US)
    world = make(first, second)
    assert world.run() == Idle(MIDNIGHT + HOUR_US + 5 * MINUTE_US, ("v",))
    world.now += 2 * DAY_US
    world.run()
    assert world.published("v") == list(range(MIDNIGHT - HOUR_US, MIDNIGHT + DAY_US, HOUR_US))
    assert world.published("v2") == list(range(MIDNIGHT + DAY_US, MIDNIGHT + 2 * DAY_US, HOUR_US))


def test_a_collection_that_is_rolled_back_to_goes_on_at_its_midnight_and_leaves_out_the_time_between(
    make: Callable[..., World],
) -> None:
    again = CollectedView(HOURLY.view, 1, from_us=MIDNIGHT + 2 * DAY_US)
    world = make(CollectedView(HOURLY.view, 1, until_us=MIDNIGHT + DAY_US), again)
    assert again.collection == world.views[0].collection
    world.run()
    world.now += 3 * DAY_US
    assert world.run() == Idle(MIDNIGHT + 3 * DAY_US + HOUR_US + 5 * MINUTE_US, ("hourly",))
    before = range(MIDNIGHT - HOUR_US, MIDNIGHT + DAY_US, HOUR_US)
    after = range(MIDNIGHT + 2 * DAY_US, MIDNIGHT + 3 * DAY_US, HOUR_US)
    assert world.published("hourly") == [*before, *after]


def test_two_versions_of_a_view_that_overlap_have_a_plan_each() -> None:
    versions = [CollectedView(view("v", "1h", clip=clip), clip) for clip in (1, 2)]
    due = {pane: Due.first(MIDNIGHT) for pane in (MIDNIGHT - 2 * HOUR_US, MIDNIGHT - HOUR_US)}
    ready = [ReadyView(one, due, has_failed=False) for one in (*versions, DAILY)]
    assert choose(ready) == {versions[0]: tuple(due), DAILY: tuple(due)}
    assert choose(ready[1:]) == {versions[1]: tuple(due), DAILY: tuple(due)}


def test_what_was_missed_for_weeks_is_caught_up_oldest_first_in_plans_of_bounded_size(
    make: Callable[..., World],
) -> None:
    minutely = CollectedView(view("minutely", "1m"), 1)
    world = make(minutely)
    world.run()
    world.now += 14 * DAY_US
    most = 0
    while not (isinstance(step := world.scheduler.step(), Idle) and step.views):
        most = max(most, len(world.schedule.states(minutely.collection)))
    assert most <= MOST_DUE
    begun = [one.panes["minutely"] for one in world.steps if isinstance(one, Begins)]
    assert [pane for panes in begun for pane in panes] == world.published("minutely")
    assert len(world.published("minutely")) == 14 * 1_440 + 1
    assert max(map(len, begun)) == MOST_PANES
    assert world.schedule.states(minutely.collection) == {}


def test_a_step_reads_rows_by_an_index_whatever_a_year_of_panes_has_left(make: Callable[..., World]) -> None:
    world, statements = make(HOURLY), list[str]()
    world.federation.give_up_after_us = DAY_US
    world.schedule._db.set_trace_callback(statements.append)
    world.run()
    world.schedule._db.set_trace_callback(None)
    asked = [one for one in statements if one.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(asked) > 10
    for statement in asked:
        plans = [row[3] for row in world.schedule._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        tables = [plan for plan in plans if not plan.startswith("USE TEMP B-TREE")]
        assert all(plan.startswith("SEARCH") or plan in ("SCAN clock", "SCAN coordinator") for plan in tables), (
            statement
        )


def test_a_view_that_fails_is_planned_by_itself_and_keeps_no_other_one_back(make: Callable[..., World]) -> None:
    world = make(HOURLY, DAILY)
    world.federation.fates["daily"] = Fate.TOO_FEW_SITES
    world.run()
    assert world.federation.plans[0].keys() == {"hourly", "daily"}
    for _ in range(3):
        world.now += HOUR_US
        world.run()
    assert all(len(plan) == 1 for plan in world.federation.plans[1:])
    assert len(world.published("hourly")) == 4
    assert world.published("daily") == []
    world.federation.fates.clear()
    world.now += HOUR_US
    world.run()
    assert world.published("daily") == [MIDNIGHT - DAY_US]


def test_a_pane_that_was_attempted_too_often_waits_for_a_decision_or_is_given_up_in_time(
    make: Callable[..., World],
) -> None:
    world = make(DAILY)
    world.federation.fates["daily"] = Fate.TOO_FEW_CLIENTS
    for _ in range(5):
        world.run()
        world.now += DAY_US // 4
    pane = MIDNIGHT - DAY_US
    assert world.federation.attempts["daily", pane] == 3
    assert sum(pane in plan["daily"] for plan in world.federation.plans) == 3
    world.federation.give_up_after_us = 2 * DAY_US
    world.run()
    assert ("daily", pane) not in world.federation.published_panes
    world.now += 2 * DAY_US
    world.run()
    assert world.federation.published_panes["daily", pane] == "GIVEN_UP"


def test_a_pane_that_an_operator_has_voided_is_not_given_up_again(make: Callable[..., World]) -> None:
    world = make(DAILY)
    world.federation.fates["daily"] = Fate.TOO_FEW_CLIENTS
    for _ in range(5):
        world.run()
        world.now += DAY_US // 4
    pane = MIDNIGHT - DAY_US
    world.federation.publish("daily", pane, "DECIDED")
    world.federation.give_up_after_us = DAY_US
    world.now += DAY_US
    world.run()
    assert world.federation.published_panes["daily", pane] == "DECIDED"
    assert pane not in world.schedule.states(DAILY.collection)


def test_a_pane_that_an_operator_has_voided_is_forgotten_though_the_project_waits_for_ever(
    make: Callable[..., World],
) -> None:
    world = make(DAILY)
    world.federation.fates["daily"] = Fate.TOO_FEW_CLIENTS
    for _ in range(5):
        world.run()
        world.now += DAY_US // 4
    pane = MIDNIGHT - DAY_US
    assert isinstance(world.schedule.states(DAILY.collection)[pane], Exhausted)
    world.federation.publish("daily", pane, "DECIDED")
    world.run()
    assert pane not in world.schedule.states(DAILY.collection)


def test_due_panes_that_another_version_takes_over_keep_nobody_awake_and_nothing_back(
    make: Callable[..., World],
) -> None:
    minutely = CollectedView(view("v", "1m"), 1)
    world = make(minutely)
    world.federation.fates["v"] = Fate.AGGREGATOR_AWAY
    world.scheduler.step()
    world.now += 14 * DAY_US
    world.scheduler.step()
    assert world.schedule.count(minutely) == MOST_DUE
    # the next version begins with the day that nobody has opened; the one after it is the first one again
    begin, back = MIDNIGHT, MIDNIGHT + 20 * DAY_US
    first, second = CollectedView(view("v", "1m"), 1, until_us=begin), CollectedView(view("w", "1h"), 2, begin, back)
    world.views, world.federation.fates = (first, second, CollectedView(view("v", "1m"), 1, from_us=back)), {}
    idle = world.run()
    assert isinstance(idle, Idle)
    assert idle.views == ("w",)
    assert idle.next_us is not None
    assert idle.next_us > world.now
    assert world.published("v") == []
    world.now = back + HOUR_US
    world.run()
    assert world.published("v") == list(range(back, back + 55 * MINUTE_US, MINUTE_US))


def test_a_due_pane_waits_for_a_release_delay_that_has_grown(make: Callable[..., World]) -> None:
    world = make(HOURLY)
    world.federation.fates["hourly"] = Fate.TOO_FEW_SITES
    world.scheduler.step()
    world.federation.fates.clear()
    later = CollectedView(view("hourly", "1h", "2h"), 1)
    assert later.collection == HOURLY.collection
    world.views = (later,)
    world.now += MINUTE_US
    assert world.scheduler.step() == Idle(MIDNIGHT + 2 * HOUR_US, ("hourly",))
    world.now = MIDNIGHT + 2 * HOUR_US
    world.run()
    assert world.published("hourly") == [MIDNIGHT - HOUR_US]


@pytest.mark.parametrize("jump_days", [40, 400])
def test_a_clock_that_jumps_ahead_voids_no_pane_before_its_sites_were_asked(
    make: Callable[..., World], jump_days: int
) -> None:
    world = make(HOURLY)
    world.federation.give_up_after_us = 30 * DAY_US
    world.federation.fates["hourly"] = Fate.AGGREGATOR_AWAY  # as aggregators with the right clock refuse the plan
    for _ in range(3):
        world.now += HOUR_US
        world.scheduler.step()
    right = world.now
    world.now += jump_days * DAY_US
    for _ in range(5):
        world.scheduler.step()
        world.now += MINUTE_US
    assert world.federation.published_panes == {}
    world.federation.fates.clear()
    world.now = right + HOUR_US
    world.scheduler = world.restarted()
    world.scheduler.step()
    assert world.published("hourly")[0] == MIDNIGHT
    assert set(world.federation.published_panes.values()) == {"opened"}
    assert max(world.published("hourly")) <= world.now - HOUR_US
    assert any(isinstance(one, ClockWentBack) and one.by_us > 30 * DAY_US for one in world.steps)
    world.now = right + 50 * DAY_US
    world.run()
    panes = world.published("hourly")
    assert panes == list(range(MIDNIGHT, panes[-1] + 1, HOUR_US))
    assert panes[-1] > world.now - 2 * HOUR_US


def test_an_overdue_pane_is_given_up_after_its_sites_were_asked_once_more(make: Callable[..., World]) -> None:
    world = make(DAILY)
    world.federation.give_up_after_us = DAY_US
    world.federation.fates["daily"] = Fate.TOO_FEW_SITES
    world.run()
    world.now += 3 * DAY_US
    step = world.scheduler.step()
    assert isinstance(step, Ended)
    assert step.given_up == {"daily": (MIDNIGHT - DAY_US,)}
    assert world.federation.published_panes == {("daily", MIDNIGHT - DAY_US): "GIVEN_UP"}


def test_a_kept_plan_goes_on_before_anything_else_and_a_pause_grows_while_it_fails(make: Callable[..., World]) -> None:
    world = make(HOURLY)
    world.federation.fates["hourly"] = Fate.KEPT
    retries = []
    for _ in range(8):
        step = world.scheduler.step()
        assert isinstance(step, Failed)
        assert step.is_kept
        retries.append(step.retry_us - world.now)
        world.now = step.retry_us
    assert retries == [second * 10**6 for second in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert len(world.federation.plans) == 1
    world.federation.fates.clear()
    assert isinstance(world.scheduler.step(), Ended)
    assert len(world.published("hourly")) == 1


def test_a_range_collects_chosen_panes_and_leaves_the_frontier_where_it_is(make: Callable[..., World]) -> None:
    world = make(HOURLY)
    panes = list(range(MIDNIGHT - 5 * DAY_US, MIDNIGHT - 4 * DAY_US, HOUR_US))
    world.federation.fates["hourly"] = Fate.TOO_FEW_SITES
    (result,) = world.scheduler.collect_panes({HOURLY: panes})
    assert result["views"] == {"hourly": {"opened": 0, "void": 0, "due": 24}}
    world.federation.fates.clear()
    assert len(world.scheduler.collect_panes({HOURLY: panes})) == 1  # an operator waits for no pause
    assert world.scheduler.collect_panes({HOURLY: panes}) == []
    world.run()
    assert world.published("hourly") == [*panes, MIDNIGHT - HOUR_US]


def test_a_range_is_refused_while_a_plan_is_kept_and_changes_nothing(make: Callable[..., World]) -> None:
    world = make(HOURLY)
    world.federation.fates["hourly"], world.federation.kept_is_overdue = Fate.KEPT, False
    world.scheduler.step()
    before = world.schedule.in_plan()
    with pytest.raises(UsageError, match="is kept"):
        world.scheduler.collect_panes({HOURLY: [MIDNIGHT - 2 * HOUR_US]})
    assert world.schedule.in_plan() == before


def test_what_is_due_is_collected_once_without_waiting_for_pauses(make: Callable[..., World]) -> None:
    world = make(HOURLY, DAILY)
    world.federation.fates["daily"] = Fate.TOO_FEW_SITES
    world.run()
    world.federation.fates.clear()
    opened = {"opened": 1, "void": 0, "due": 0}
    assert [one["views"] for one in world.scheduler.collect_due()] == [{"hourly": opened}, {"daily": opened}]
    assert world.scheduler.collect_due() == []


def test_while_another_command_plans_a_step_waits_and_a_single_collection_is_refused(
    make: Callable[..., World], tmp_path: Path
) -> None:
    world = make(HOURLY)
    with only_planner(tmp_path):
        assert world.scheduler.step() == Busy(world.now + 10**6)
        with pytest.raises(CollectionUnderWay):
            world.scheduler.collect_due()
    world.run()
    assert len(world.published("hourly")) == 1


def test_a_second_coordinator_says_that_it_waits_and_takes_over(make: Callable[..., World], tmp_path: Path) -> None:
    world, said = make(HOURLY), list[Step]()
    first = lease(world.schedule, lambda: world.now, lambda _: None, said.append)
    first.__enter__()
    looks: list[float] = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            first.__exit__(None, None, None)

    with Schedule(tmp_path) as other, lease(other, lambda: world.now + 1, wait, said.append) as held:
        held.require()
        (waits,) = said
        assert isinstance(waits, WaitsForTurn)
        assert waits.holder is not None
        assert waits.holder.since_us == world.now
        assert other.holder() != waits.holder
        (tmp_path / "roles" / "coordinator" / "lease.lock").unlink()
        with pytest.raises(CoordinatorReplaced, match="Start it again"):
            held.require()


def test_the_loop_sleeps_until_the_next_pane_closes_and_looks_around_each_second(
    make: Callable[..., World], tmp_path: Path
) -> None:
    world, waits = make(CollectedView(view("quick", "1m", "1s"), 1)), list[float]()
    world.now = MIDNIGHT + 57 * 10**6 + 250_000

    def wait(seconds: float) -> None:
        waits.append(seconds)
        world.now += int(seconds * 1e6)
        if len(waits) == 9:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        lease(world.schedule, lambda: world.now, wait, world.steps.append) as held,
    ):
        collect_for_ever(world.scheduler, held, lambda: world.now, wait)
    assert waits == [0.0, 1.0, 1.0, 1.0, 0.75, 0.0, 1.0, 1.0, 1.0]
    assert world.published("quick") == [MIDNIGHT - MINUTE_US, MIDNIGHT]


def test_the_log_says_once_what_comes_next_and_when(make: Callable[..., World]) -> None:
    world, lines = make(HOURLY), list[str]()
    news = NewSteps()

    def report(step: Step) -> None:
        if news.is_new(step):
            lines.extend(line for line, _ in step_lines(step, world.now))
            assert json.loads(json.dumps(step_to_json(step)))["step"]

    world.federation.fates["hourly"] = Fate.AGGREGATOR_AWAY
    scheduler = Scheduler(world.schedule, world.federation, lambda: world.views, lambda: world.now, report)
    for _ in range(40):
        scheduler.step()
        world.now += 10**6
        if len(lines) == 3:
            world.federation.fates.clear()
    assert lines == [
        "collects: hourly: 2024-10-03T23:00Z",
        "the leader is away; tries again at 2024-10-04T00:10:01Z, in 0:00:01",
        "next: hourly at 2024-10-04T00:10:30Z, in 0:00:29",
        "collects: hourly: 2024-10-03T23:00Z",
        "hourly: 1 opened, 0 void, 0 due",
        "next: hourly at 2024-10-04T01:05:00Z, in 0:54:29",
    ]


def test_without_a_registered_view_it_says_the_mend_and_goes_on(make: Callable[..., World]) -> None:
    world = make()
    assert world.run() == NothingRegistered()
    world.views = (HOURLY,)
    world.run()
    assert len(world.published("hourly")) == 1
