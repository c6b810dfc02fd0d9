"""Each due pane ends exactly once, published or void: whatever fails, whenever the process ends, and however the clock jumps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from deployment.errors import CollectionFailed, CollectionUnderWay, ScheduleWriteFailed
from deployment.scheduler.collected_views import CollectedView
from deployment.scheduler.schedule_file import Schedule
from deployment.scheduler.scheduler import Scheduler
from deployment.scheduler.steps import Idle, Step
from tests.examples import examples

from .federation import DAY_US, HOUR_US, Crash, Fate, Federation, view

START = 20_000 * DAY_US + 5 * HOUR_US
HOURLY = CollectedView(view("hourly", "1h"), 1)
DAILY = CollectedView(view("daily", "1d", "30m"), 1)
LATER = CollectedView(view("later", "1h", clip=2), 2, from_us=20_001 * DAY_US, until_us=20_003 * DAY_US)
VIEWS = (HOURLY, DAILY, LATER)
GIVE_UP_US = 2 * DAY_US


class FailingSchedule(Schedule):
    """A schedule whose n-th transition from now on fails: before it is on disk, or when it has just been written."""

    fails_in: int | None = None
    how: str = "full"

    @contextmanager
    def _transition(self, now_us: int | None = None) -> Iterator[Any]:
        if self.fails_in is not None:
            self.fails_in -= 1
        fails = self.fails_in == 0
        if fails and self.how == "full":
            raise ScheduleWriteFailed(str(self.path), "disk full")
        with super()._transition(now_us) as db:
            yield db
            if fails and self.how == "crash before":
                raise Crash
        if fails and self.how == "crash after":
            raise Crash


class Machine(RuleBasedStateMachine):
    """A coordinator, its clock and its federation."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.now = START
        self.federation = Federation(lambda: self.now, GIVE_UP_US)
        self.since: dict[str, int] = {}
        self.restart()

    def restart(self) -> None:
        self.schedule = FailingSchedule(Path(self.folder.name))
        self.scheduler = Scheduler(self.schedule, self.federation, lambda: VIEWS, lambda: self.now, lambda _: None)

    @rule(steps=st.integers(1, 4))
    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> Step | None:
        """One step. Remembers the pane with which the coordinator begins, of each view."""
        step = None
        try:
            step = self.scheduler.step()
        except Crash:
            self.the_process_is_killed()
        for one in VIEWS:
            if one.view.name not in self.since and self.schedule.frontier(one) is not None:
                self.since[one.view.name] = one.first_pane(self.now)
        return step

    @rule(minutes=st.sampled_from([1, 20, 60, 300, 1440]))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * 60 * 10**6

    @rule(hours=st.sampled_from([-30, -2, 5, 24 * 40]))
    def clock_jumps(self, hours: int) -> None:
        self.now = max(START, self.now + hours * HOUR_US)

    @rule(name=st.sampled_from([one.view.name for one in VIEWS]), fate=st.sampled_from(list(Fate)))
    def fate_changes(self, name: str, fate: Fate) -> None:
        self.federation.fates[name] = fate

    @rule(transitions=st.integers(1, 4), how=st.sampled_from(["full", "crash before", "crash after"]))
    def a_transition_fails(self, transitions: int, how: str) -> None:
        self.schedule.fails_in, self.schedule.how = transitions, how

    @rule()
    def the_process_is_killed(self) -> None:
        self.schedule.close()
        self.restart()

    @rule(hours=st.integers(0, 30))
    def an_operator_voids_a_due_pane(self, hours: int) -> None:
        pane = START // HOUR_US * HOUR_US + hours * HOUR_US
        key = "hourly", pane
        if key not in self.federation.published_panes and pane + HOUR_US <= self.now and self.federation.kept is None:
            self.federation.publish(*key, "DECIDED")

    @rule(hours=st.integers(1, 60))
    def a_range_is_collected(self, hours: int) -> None:
        end = min(START // HOUR_US * HOUR_US, self.now // HOUR_US * HOUR_US)
        panes = [pane for pane in range(end - hours * HOUR_US, end, HOUR_US) if HOURLY.closes_at(pane) <= self.now]
        try:
            self.scheduler.collect_panes({HOURLY: panes})
        except Crash:
            self.the_process_is_killed()
        except (CollectionFailed, ScheduleWriteFailed, CollectionUnderWay):
            pass

    def teardown(self) -> None:
        if not hasattr(self, "schedule"):
            return
        try:
            self.everything_works_again()
            self.require_all_settled()
        finally:
            self.schedule.close()
            self.folder.cleanup()

    def everything_works_again(self) -> None:
        """Nothing fails from now on, and time passes until what was attempted too often is given up."""
        self.schedule.fails_in = None
        self.federation.fates = {}
        self.now = max(self.now, self.schedule.moments().seen_us)
        for _ in range(4):
            while not (isinstance(step := self.step(), Idle) and step.views):
                self.now += 10**6
            self.now += DAY_US

    def require_all_settled(self) -> None:
        published = self.federation.published_panes
        for one in VIEWS:
            due = self.schedule.states(one.collection)
            reached = self.schedule.frontier(one)
            assert reached is not None
            assert reached >= min(self.now - 3 * DAY_US, one.until_us or self.now)
            assert due == {}, (one.view.name, due)
            for pane in range(self.since[one.view.name], reached, one.view.pane_us):
                assert (one.view.name, pane) in published, (one.view.name, pane)
            assert not any(
                name == "later" and not 20_001 * DAY_US <= pane < 20_003 * DAY_US for name, pane in published
            )


def test_each_due_pane_ends_exactly_once() -> None:
    tries = examples(400)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=tries, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
