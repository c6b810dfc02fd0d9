"""Runs the collections of a project: whatever is due is planned, and a plan under way is finished first.

Every transition is on disk before the next one begins, and the registry says what is published. So after a crash at any place the
next step finds each pane in one of two places: published, or in the schedule. Collector, clock and schedule come from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from base.errors import CoveyError
from base.times import SECOND_US
from deployment.errors import CollectionUnderWay
from featurestore.define.definitions import FeatureView

from .collected_views import CollectedView
from .lease import only_planner
from .pane_states import Due, PaneState, Planned
from .plan_choice import MOST_PANES, Chosen, ReadyView, choose
from .schedule_file import Schedule
from .steps import Begins, Busy, ClockWentBack, Ended, Failed, Idle, NothingRegistered, Step

MOST_DUE: Final = 10_000
"""So many panes of a view may be due. The frontier waits for them: a year of missed minutes is caught up part by part."""
CLOCK_SLACK_US: Final = 5 * SECOND_US
FIRST_RETRY_US: Final = SECOND_US
LONGEST_RETRY_US: Final = 60 * SECOND_US
BUSY_US: Final = SECOND_US

Key = tuple[bytes, int]
"""A collection and a pane start (µs)."""


@dataclass(frozen=True)
class PlanEnd:
    """How a plan ended.

    Attributes:
        result: see `deployment.coordinator.publication.summary_of`.
        was_announced: whether sites could charge it; otherwise it has cost nothing.
    """

    result: Mapping[str, Any]
    was_announced: bool


class Collector(Protocol):
    """The federation, as a scheduler uses it."""

    @property
    def is_unfinished(self) -> bool:
        """Whether a plan is kept on disk."""
        ...

    @property
    def give_up_after_us(self) -> int | None:
        """How long a pane may be due before it is published void; None: for ever."""
        ...

    def collect(self, chosen: Mapping[FeatureView, Sequence[int]]) -> PlanEnd:
        """Run a plan over these panes. Raises CoveyError, OSError: it is kept, or nobody has seen it."""
        ...

    def resume(self) -> PlanEnd:
        """Continue the kept plan. Raises CoveyError, OSError: it is kept."""
        ...

    def end_overdue(self) -> PlanEnd:
        """Continue the kept plan if its deadline has passed, so that it ends. Raises UsageError: it has not."""
        ...

    def void(self, view: FeatureView, panes: Sequence[int]) -> None:
        """Publish panes as given up."""
        ...

    def published(self, view: FeatureView, panes: Sequence[int]) -> set[int]:
        """Those of these panes that have a release or a void."""
        ...

    def exhausted(self, view: FeatureView, panes: Sequence[int]) -> set[int]:
        """Those of these panes that were attempted as often as is allowed."""
        ...


class Scheduler:
    """The collections of one project.

    Args:
        views: reads what is collected.
        clock: wall clock, µs since the epoch.
        report: receives each step when it begins or ends.
    """

    def __init__(
        self,
        schedule: Schedule,
        collector: Collector,
        views: Callable[[], Sequence[CollectedView]],
        clock: Callable[[], int],
        report: Callable[[Step], None],
    ) -> None:
        self._schedule, self._collector, self._views = schedule, collector, views
        self._clock, self._report = clock, report
        self._failures, self._retry_us = 0, 0
        self._is_behind = False

    def step(self) -> Step:
        """Do the next thing that is due, at most one plan. Expected errors become a step: the next one comes after a pause."""
        now = self._clock()
        if now < self._retry_us <= now + LONGEST_RETRY_US:
            return Idle(self._retry_us, ())
        step: Step
        try:
            with only_planner(self._schedule.directory):
                step = self._step(now)
        except CollectionUnderWay:
            step = Busy(now + BUSY_US)
        except (CoveyError, OSError) as error:
            step = self._paused(error)
        self._retry_us = step.retry_us if isinstance(step, Failed | Busy) else 0
        self._failures = self._failures if isinstance(step, Failed) else 0
        self._report(step)
        return step

    def collect_due(self) -> list[Mapping[str, Any]]:
        """Collect once everything that is due, and return the result of each plan.

        Raises:
            CollectionUnderWay: another collection runs. CoveyError, OSError: a plan failed.
        """
        results: list[Mapping[str, Any]] = []
        with only_planner(self._schedule.directory):
            self._schedule.hurry(self._clock())
            while not isinstance(step := self._step(self._clock()), Idle | NothingRegistered):
                results.append(self._result(step))
        self._report(step)
        return results

    def collect_panes(self, wanted: Mapping[CollectedView, Sequence[int]]) -> list[Mapping[str, Any]]:
        """Collect chosen panes, each once, whatever else is due, and return the result of each plan. A backfill.

        Panes that are not opened stay due. A kept plan whose deadline has passed is ended first.

        Raises:
            UsageError: a plan is kept, before its deadline. CollectionUnderWay: another collection runs.
            CoveyError, OSError: a plan failed.
        """
        results: list[Mapping[str, Any]] = []
        with only_planner(self._schedule.directory):
            known = [*wanted, *self._views()]
            if self._collector.is_unfinished:
                self._ended(self._collector.end_overdue(), known)
            now = self._clock()
            self._settle(known, lambda planned, _: planned.lost(), now)
            left = {one: self._unsettled(one, panes) for one, panes in wanted.items()}
            for one, panes in left.items():
                self._schedule.add_panes(one.collection, panes, now)
            while chosen := choose([ReadyView(one, dict.fromkeys(left[one], Due.first(now)), False) for one in left]):
                states = {one: self._schedule.states(one.collection) for one in chosen}
                planned = {
                    (one.collection, pane): _due(states[one].get(pane), now) for one in chosen for pane in chosen[one]
                }
                results.append(self._result(self._collect(chosen, planned, known)))
                left = {one: [pane for pane in panes if pane not in chosen.get(one, ())] for one, panes in left.items()}
        return results

    def finish(self, end: Callable[[], PlanEnd]) -> Mapping[str, Any]:
        """End the kept plan by `end`: it is resumed, or freed. Returns its result, and raises the errors of `end`."""
        with only_planner(self._schedule.directory):
            views = self._views()
            try:
                return self._result(self._ended(end(), views))
            except (CoveyError, OSError) as error:
                if self._collector.is_unfinished:
                    self._failed(error, views)
                raise

    def _result(self, step: Ended | Failed) -> Mapping[str, Any]:
        """The result of a plan, which is reported. Raises the error of one that failed."""
        self._report(step)
        match step:
            case Ended(result):
                return result
            case Failed(error):
                raise error

    # one step

    def _step(self, now: int) -> Ended | Failed | Idle | NothingRegistered:
        self._notice(now)
        views = self._views()
        if self._collector.is_unfinished:
            return self._resume(views)
        self._settle(views, lambda planned, _: planned.lost(), now)
        for one in views:
            self._close_panes(one, now)
            self._settle_exhausted(one, now)
        found = [self._ready(one, now) for one in views]
        if not (chosen := choose(found)):
            return self._idle(views) if views else NothingRegistered()
        due = {(one.collected.collection, pane): state for one in found for pane, state in one.panes.items()}
        planned = {(one.collection, pane): due[one.collection, pane] for one in chosen for pane in chosen[one]}
        return self._collect(chosen, planned, views)

    def _notice(self, now: int) -> None:
        """Say once that the clock was set back."""
        behind = self._schedule.moments().seen_us - now
        if behind > CLOCK_SLACK_US and not self._is_behind:
            self._report(ClockWentBack(behind))
        self._is_behind = behind > CLOCK_SLACK_US

    def _close_panes(self, one: CollectedView, now: int) -> None:
        """Panes that have closed since the last step become due."""
        reached = self._schedule.frontier(one)
        if reached is None:
            reached = one.first_pane(now)
            self._schedule.begin(one, reached)
        end = one.last_pane_end(now)
        if end <= reached or (room := MOST_DUE - self._schedule.count(one)) <= 0:
            return
        end = min(end, reached + room * one.view.pane_us)
        self._schedule.close_panes(one, range(reached, end, one.view.pane_us), end, now)

    def _ready(self, one: CollectedView, now: int) -> ReadyView:
        """The panes of a view that can be planned now. Those that somebody else has published are settled."""
        found = self._schedule.ready(one, now, MOST_PANES)
        found = {
            pane: due for pane, due in found.items() if one.closes_at(pane) <= now
        }  # the clock may have been set back
        published = self._collector.published(one.view, list(found)) if found else set()
        if published:
            self._schedule.put({}, [(one.collection, pane) for pane in published], now)
        left = {pane: due for pane, due in found.items() if pane not in published}
        return ReadyView(one, left, self._schedule.has_failed(one))

    def _collect(self, chosen: Chosen, planned: Mapping[Key, Due], views: Iterable[CollectedView]) -> Ended | Failed:
        now = self._clock()
        self._schedule.put({key: due.planned(now) for key, due in planned.items()}, (), now)
        self._report(Begins({one.view.name: panes for one, panes in chosen.items()}, resumes=False))
        try:
            end = self._collector.collect({one.view: panes for one, panes in chosen.items()})
        except CollectionUnderWay:
            self._schedule.put(dict(planned), (), now)
            raise
        except (CoveyError, OSError) as error:
            return self._failed(error, views)
        return self._ended(end, views)

    def _resume(self, views: Iterable[CollectedView]) -> Ended | Failed:
        self._report(Begins(self._names(views), resumes=True))
        try:
            end = self._collector.resume()
        except CollectionUnderWay:
            raise
        except (CoveyError, OSError) as error:
            return self._failed(error, views)
        return self._ended(end, views)

    def _ended(self, end: PlanEnd, views: Iterable[CollectedView]) -> Ended:
        now = self._clock()

        def unopened(planned: Planned, width: int) -> Due:
            return planned.not_opened(now, width) if end.was_announced else planned.refused(now, asked=True)

        given_up = self._settle(views, unopened, now)
        if any(view["opened"] for view in end.result["views"].values()):
            self._schedule.succeeded(now)
        return Ended(end.result, given_up)

    def _failed(self, error: Exception, views: Iterable[CollectedView]) -> Failed:
        """The plan is kept, or nobody has seen it: then its panes are due again."""
        if not self._collector.is_unfinished:
            now = self._clock()
            self._settle(views, lambda planned, _: planned.refused(now, asked=False), now)
            return self._paused(error)
        kept = {key: planned.kept() for key, planned in self._schedule.in_plan().items()}
        self._schedule.put(kept, (), self._clock())
        return self._paused(error)

    def _paused(self, error: Exception) -> Failed:
        pause = min(LONGEST_RETRY_US, FIRST_RETRY_US << min(self._failures, 10))
        self._failures += 1
        return Failed(error, self._clock() + pause, self._collector.is_unfinished)

    def _settle(
        self, views: Iterable[CollectedView], unopened: Callable[[Planned, int], Due], now: int
    ) -> dict[str, tuple[int, ...]]:
        """No plan is under way: each of its panes is published, due again, or attempted too often. Returns what is given up."""
        known = {one.collection: one.view for one in views}
        by_view: dict[bytes, dict[int, Planned]] = {}
        for (collection, pane), planned in self._schedule.in_plan().items():
            by_view.setdefault(collection, {})[pane] = planned
        states: dict[Key, PaneState] = {}
        settled: list[Key] = []
        for collection, panes in by_view.items():
            if (view := known.get(collection)) is None:  # another definition has its name now
                states |= {(collection, pane): planned.lost() for pane, planned in panes.items()}
                continue
            published = self._collector.published(view, list(panes))
            exhausted = self._collector.exhausted(view, list(panes))
            for pane, planned in panes.items():
                if pane in published:
                    settled.append((collection, pane))
                else:
                    due = unopened(planned, view.pane_us)
                    states[collection, pane] = planned.exhausted() if pane in exhausted else due
        if by_view:
            self._schedule.put(states, settled, now)
        return self._give_up_overdue(known, states, now)

    def _give_up_overdue(
        self, known: Mapping[bytes, FeatureView], states: Mapping[Key, PaneState], now: int
    ) -> dict[str, tuple[int, ...]]:
        after, overdue = self._collector.give_up_after_us, dict[bytes, list[int]]()
        for (collection, pane), state in states.items():
            if isinstance(state, Due) and state.is_overdue(after) and collection in known:
                overdue.setdefault(collection, []).append(pane)
        for collection, panes in overdue.items():
            self._void(collection, known[collection], panes, now)
        return {known[collection].name: tuple(panes) for collection, panes in overdue.items()}

    def _settle_exhausted(self, one: CollectedView, now: int) -> None:
        """Forget those that an operator has voided, and give those up for which the project has waited long enough."""
        if not (panes := self._schedule.exhausted(one, now, MOST_PANES)):
            return
        if published := self._collector.published(one.view, panes):
            self._schedule.put({}, [(one.collection, pane) for pane in published], now)
        after = self._collector.give_up_after_us
        if after is not None and (overdue := self._schedule.exhausted(one, now - after, MOST_PANES)):
            self._void(one.collection, one.view, overdue, now)

    def _void(self, collection: bytes, view: FeatureView, panes: Sequence[int], now: int) -> None:
        published = self._collector.published(view, panes)
        if open_panes := [pane for pane in panes if pane not in published]:
            self._collector.void(view, open_panes)
        self._schedule.put({}, [(collection, pane) for pane in panes], now)

    def _unsettled(self, one: CollectedView, panes: Sequence[int]) -> list[int]:
        gone = self._collector.published(one.view, panes) | self._collector.exhausted(one.view, panes)
        return [pane for pane in panes if pane not in gone]

    def _names(self, views: Iterable[CollectedView]) -> dict[str, tuple[int, ...]]:
        """The panes of the plan under way, by view."""
        found: dict[str, tuple[int, ...]] = {}
        known = {one.collection: one.view.name for one in views}
        for collection, pane in sorted(self._schedule.in_plan()):
            if (name := known.get(collection)) is not None:
                found[name] = (*found.get(name, ()), pane)
        return found

    def _idle(self, views: Sequence[CollectedView]) -> Idle:
        moments = [(moment, one.view.name) for one in views for moment in self._moments(one)]
        first = min((moment for moment, _ in moments), default=None)
        return Idle(first, tuple(sorted({name for moment, name in moments if moment == first})))

    def _moments(self, one: CollectedView) -> list[int]:
        """When something of a view can be planned: its next pane closes, or a pane is tried again."""
        reached, again = self._schedule.frontier(one), self._schedule.next_try(one)
        closing = None if reached is None else one.next_closing(reached)
        return [moment for moment in (closing, again) if moment is not None]


def _due(state: PaneState | None, now: int) -> Due:
    """The state of a pane of a backfill before its plan. It waits for no pause, because an operator asks."""
    return state if isinstance(state, Due) else Due.first(now)
