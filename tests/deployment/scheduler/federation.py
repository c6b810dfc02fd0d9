"""A federation without parties: it publishes what the test says, and refuses to publish a pane twice or before it has closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from covey import Bounds, ClientCount, Count, Entity, FeatureView, Privacy
from deployment.coordinator.session import NOTHING_TO_DO
from deployment.errors import CollectionFailed, UsageError
from deployment.scheduler.scheduler import PlanEnd
from federation.attempt import MAX_ATTEMPTS

HOUR_US = 3_600 * 10**6
DAY_US = 24 * HOUR_US


def view(name: str, pane: str, release_delay: str = "5m", *, clip: int = 1) -> FeatureView:
    return FeatureView(
        name=name,
        entity=Entity("area", value="NYC"),
        pane=pane,
        release_delay=release_delay,
        features=[ClientCount("clients"), Count("events")],
        bounds=Bounds(max_cells=clip),
        privacy=Privacy(rho=0.1, min_clients=2),
    )


class Crash(BaseException):
    """The process is killed."""


class Fate(Enum):
    """What becomes of a plan with a view."""

    OPENED = auto()
    TOO_FEW_SITES = auto()
    """It is not announced."""
    TOO_FEW_CLIENTS = auto()
    NO_BUDGET = auto()
    AGGREGATOR_AWAY = auto()
    KEPT = auto()
    """It fails when it is announced."""
    CRASH_BEFORE = auto()
    CRASH_KEPT = auto()
    CRASH_PUBLISHED = auto()


@dataclass
class Federation:
    """Implements `Collector`.

    Attributes:
        fates: by view; OPENED without one.
        published: "opened" or the reason of a void, by view and pane.
        plans: the panes of each plan that was asked for.
    """

    clock: Callable[[], int]
    give_up_after_us: int | None = None
    fates: dict[str, Fate] = field(default_factory=dict)
    published_panes: dict[tuple[str, int], str] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)
    kept: Mapping[FeatureView, Sequence[int]] | None = None
    kept_is_overdue: bool = True
    plans: list[dict[str, tuple[int, ...]]] = field(default_factory=list)
    asked: set[tuple[str, int]] = field(default_factory=set)

    @property
    def is_unfinished(self) -> bool:
        return self.kept is not None

    def collect(self, chosen: Mapping[FeatureView, Sequence[int]]) -> PlanEnd:
        assert self.kept is None
        self.plans.append({one.name: tuple(panes) for one, panes in chosen.items()})
        for one, panes in chosen.items():
            assert list(panes) == sorted(set(panes))
            for pane in panes:
                assert (one.name, pane) not in self.published_panes
                assert self.attempts.get((one.name, pane), 0) < MAX_ATTEMPTS
                assert pane + one.pane_us + one.release_delay_us <= self.clock()
        match fates := {self.fates.get(one.name, Fate.OPENED) for one in chosen}:
            case _ if Fate.AGGREGATOR_AWAY in fates:
                raise CollectionFailed("the leader is away")
            case _ if Fate.CRASH_BEFORE in fates:
                raise Crash
        self.asked |= {(one.name, pane) for one, panes in chosen.items() for pane in panes}
        if Fate.TOO_FEW_SITES in fates:
            return _end({one.name: (0, len(panes)) for one, panes in chosen.items()}, announced=False)
        self.kept = chosen
        if Fate.KEPT in fates:
            raise CollectionFailed("the helper is away; the plan is kept")
        if Fate.CRASH_KEPT in fates:
            raise Crash
        return self.resume()

    def resume(self) -> PlanEnd:
        assert self.kept is not None
        if any(self.fates.get(one.name) in (Fate.KEPT, Fate.AGGREGATOR_AWAY) for one in self.kept):
            raise CollectionFailed("the helper is away; the plan is kept")
        counts: dict[str, tuple[int, int]] = {}
        for one, panes in self.kept.items():
            fate = self.fates.get(one.name, Fate.OPENED)
            for pane in panes:
                self._decide(one.name, pane, fate)
            opened = sum(self.published_panes.get((one.name, pane)) == "opened" for pane in panes)
            counts[one.name] = opened, len(panes) - opened
        crashes = any(self.fates.get(one.name) is Fate.CRASH_PUBLISHED for one in self.kept)
        self.kept = None
        if crashes:
            raise Crash
        return _end(counts, announced=True)

    def end_overdue(self) -> PlanEnd:
        if not self.kept_is_overdue:
            raise UsageError("an unfinished plan is kept")
        return self.resume()

    def void(self, view: FeatureView, panes: Sequence[int]) -> None:
        for pane in panes:
            self.publish(view.name, pane, "GIVEN_UP")

    def publish(self, name: str, pane: int, state: str) -> None:
        assert (name, pane) not in self.published_panes, "published twice"
        self.published_panes[name, pane] = state

    def published(self, view: FeatureView, panes: Sequence[int]) -> set[int]:
        return {pane for pane in panes if (view.name, pane) in self.published_panes}

    def exhausted(self, view: FeatureView, panes: Sequence[int]) -> set[int]:
        return {pane for pane in panes if self.attempts.get((view.name, pane), 0) >= MAX_ATTEMPTS}

    def _decide(self, name: str, pane: int, fate: Fate) -> None:
        match fate:
            case Fate.NO_BUDGET:
                self.publish(name, pane, "BUDGET_SPENT")
            case Fate.TOO_FEW_CLIENTS | Fate.TOO_FEW_SITES:
                self.attempts[name, pane] = self.attempts.get((name, pane), 0) + 1
            case _:
                self.publish(name, pane, "opened")


def _end(counts: Mapping[str, tuple[int, int]], *, announced: bool) -> PlanEnd:
    views = {name: {"opened": opened, "void": 0, "due": due} for name, (opened, due) in counts.items()}
    return PlanEnd({**NOTHING_TO_DO, "views": views, "announced": announced}, announced)
