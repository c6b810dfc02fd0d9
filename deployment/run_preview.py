"""What `covey.run` would collect and charge, before it does. Nothing is computed, charged or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from base.times import DAY_US
from featurestore.define.definitions import FeatureView

if TYPE_CHECKING:
    from deployment.panes import PaneChoice
    from deployment.project.fleet import EventColumns
    from deployment.request import CollectionRequest
    from edge_client.events import Events
    from featurestore.registry.registry import Registry
    from federation.errors import LedgerRefusal
    from federation.ledger.state import LedgerState

UNLIMITED: Final = 2**62
"""Micro-ρ: a budget that no run exceeds, to learn the cost of a run that is refused."""


@dataclass(frozen=True)
class ViewPreview:
    """What a run would do for a view.

    Attributes:
        panes: it would collect so many. already_open, days_not_over: it would skip these.
        first_day, last_day: UTC days (since the epoch) of the collected panes; None: there is none.
        micro_rho: what one of its client-days costs, as the budget counts it.
    """

    view: str
    panes: int
    already_open: int
    days_not_over: int
    first_day: int | None
    last_day: int | None
    micro_rho: int


@dataclass(frozen=True)
class DayPreview:
    """A UTC day that a run would charge: what it costs over all views, and what is left of it before."""

    day: int
    micro_rho: int
    left_micro_rho: int


@dataclass(frozen=True)
class RunPreview:
    """What a run would collect and charge.

    Attributes:
        days: the days that would be charged, increasing. A day that the same collection has paid for is not charged again.
        refusal: why the ledger would refuse the run; None: it would not.
    """

    views: tuple[ViewPreview, ...]
    budget_micro_rho: int
    days: tuple[DayPreview, ...]
    refusal: LedgerRefusal | None

    @property
    def panes(self) -> int:
        """Number of panes that it would collect."""
        return sum(one.panes for one in self.views)


def preview(
    views: Sequence[FeatureView],
    events: str | Path,
    *,
    store: str | Path,
    columns: EventColumns,
    start: date | None = None,
    end: date | None = None,
    noise: Literal["on", "off"] = "on",
    budget: float | str = 0.1,
) -> RunPreview:
    """What `covey.run` in one process would do with these arguments, now.

    Raises:
        EventsError, EventColumnError, BadReference: the events do not fit a view. ViewChanged: the store has another definition of
        a view. UsageError, RunRefused: as `covey.run`. LedgerBroken: also if the ledger lacks plans that the store has releases of.
    """
    from base.times import wall_clock
    from deployment.collecting import require_nothing_unfinished
    from deployment.project.budgets import budget_of_text, budget_within
    from deployment.project.known_releases import of_runs, registry_of, require_known_releases
    from deployment.project.project import as_collected_in
    from deployment.project.view_forms import views_in_force
    from deployment.request import CollectionRequest
    from deployment.run import requested_terms, utc_range
    from edge_client.events import check_schema, make_events
    from edge_client.sources.files.reading import read_events
    from featurestore.online.settings import directory_of
    from federation.errors import LedgerRefusal
    from federation.ledger.entries import IN_PROCESS
    from federation.ledger.operator import LEDGERS, operator_path, operator_state

    directory = directory_of(Path(store))
    collected = views_in_force(directory, as_collected_in(directory, views))
    request = CollectionRequest.make(
        collected,
        requested_terms(noise, "shares", "none", "open", "client", None),
        budget_within(directory, budget_of_text(str(budget))),
        between=utc_range(start, end),
    )
    table = read_events(Path(events), collected, columns.client, columns.time, columns.site)
    made = make_events(table, columns.client, columns.time, columns.site)
    for view in collected:
        check_schema(view, made)
    require_nothing_unfinished(directory)
    now, state = wall_clock(), operator_state(directory / LEDGERS, IN_PROCESS)
    require_known_releases(directory, operator_path(directory / LEDGERS), lambda: state, of_runs(directory))
    with registry_of(directory) as registry:
        choices = tuple(_choice(request, view, registry, made, now) for view in collected)
    refusal: LedgerRefusal | None = None
    try:
        charged = _charged(request, state, choices, now)
    except LedgerRefusal as error:
        refusal = error
        unlimited = replace(request, budget=replace(request.budget, micro_rho=UNLIMITED, quotas={}))
        charged = _charged(unlimited, state, choices, now)
    return RunPreview(
        tuple(map(_of_view, collected, choices, charged)),
        request.budget.micro_rho,
        _days(request, state, charged),
        refusal,
    )


def _choice(
    request: CollectionRequest, view: FeatureView, registry: Registry | None, events: Events, now: int
) -> PaneChoice:
    from deployment.panes import choose_panes

    if registry is None:
        opened = np.empty(0, np.int64)
    else:
        registry.require_registrable(view)
        opened = registry.taken_panes(view)
    return choose_panes(view, events, opened, request.between, now)


@dataclass(frozen=True)
class _Charged:
    """A view's price of a client-day as the budget counts it, and the days that a run would charge."""

    micro_rho: int
    days: tuple[int, ...]


def _charged(
    request: CollectionRequest, state: LedgerState, choices: Sequence[PaneChoice], now: int
) -> tuple[_Charged, ...]:
    """The charges of the panes that no interrupted run has charged already. Raises LedgerRefusal."""
    from featurestore.define.wire import collection_hash
    from federation.accountant import charge_of
    from federation.plan import PLAN_ID_BYTES

    fresh = {}
    for view, choice in zip(request.views, choices, strict=True):
        taken = state.pane_taken(collection_hash(view), choice.todo)
        if len(panes := np.setdiff1d(choice.todo, taken)):
            fresh[view.name] = request.planned(view, panes)
    plan_id = bytes(PLAN_ID_BYTES)
    days: dict[str, tuple[int, ...]] = {}
    if fresh:
        plan = request.plan(tuple(fresh.values()), [request.site_clients], plan_id=plan_id, by_site=False)
        entry = state.intent(plan, request.budget, now)
        days = {} if entry is None else {one.view: tuple(one.days.tolist()) for one in entry.views}
    found = []
    for view in request.views:
        planned = request.planned(view, np.zeros(1, np.int64))
        plan = request.plan([planned], [request.site_clients], plan_id=plan_id, by_site=False)
        found.append(_Charged(request.budget.counted(charge_of(plan, planned)), days.get(view.name, ())))
    return tuple(found)


def _of_view(view: FeatureView, choice: PaneChoice, charged: _Charged) -> ViewPreview:
    days = choice.todo // DAY_US
    first, last = (int(days[0]), int(days[-1])) if len(days) else (None, None)
    skipped = len(choice.already_open), len(choice.days_not_over)
    return ViewPreview(view.name, len(days), *skipped, first, last, charged.micro_rho)


def _days(request: CollectionRequest, state: LedgerState, charged: Sequence[_Charged]) -> tuple[DayPreview, ...]:
    costs: dict[int, int] = {}
    for one in charged:
        for day in one.days:
            costs[day] = costs.get(day, 0) + one.micro_rho
    return tuple(DayPreview(day, costs[day], state.left(day, request.budget)) for day in sorted(costs))
