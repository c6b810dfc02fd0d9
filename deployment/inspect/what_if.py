"""What views would cost if they were collected every day: a client-day, some spans of days, and whether budgets allow it.

A budget is of one UTC day, and every day has its own. So a collection that fits into one day fits into every day; what grows
with the days is ε of a client that takes part in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from deployment.errors import ItemMissing, UsageError
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.accountant import Cost, EpsilonClaim, cost_of_day
from federation.ledger.state import Budget
from federation.price import Observer

from .lasting import Lasting, lasting_cost

SPANS: Final = (1, 7, 30, 365)
"""The numbers of days for which ε is stated."""
CURVE: Final = (1, 2, 4, 7, 14, 30, 60, 90, 120, 180, 240, 300, 365, 540, 730)
"""The numbers of days of the curve of ε; those above the requested number are left out."""


@dataclass(frozen=True)
class CostChange:
    """Another price or another pane of a view; None: as it is defined.

    Attributes:
        rho: of a view with Gaussian noise. epsilon: of one with Laplace noise.
    """

    rho: float | None = None
    epsilon: float | None = None
    pane: str | None = None

    def applied(self, view: FeatureView) -> FeatureView:
        """The view with the change. Raises DefinitionError: the view cannot have it."""
        privacy = view.privacy
        if self.rho is not None or self.epsilon is not None:
            priced = replace(privacy, rho=self.rho, epsilon=self.epsilon)
            privacy = priced.by_default(privacy.chosen_noisers)
        if privacy is view.privacy and self.pane in (None, view.pane):
            return view
        return replace(view, privacy=privacy, pane=self.pane or view.pane)


def chosen_views(
    known: Sequence[FeatureView], names: Sequence[str], changes: Mapping[str, CostChange]
) -> list[FeatureView]:
    """The views of some names, or all, with their changes. Raises ItemMissing, DefinitionError."""
    by_name = {view.name: view for view in known}
    for name in (*names, *changes):
        if name not in by_name:
            raise ItemMissing(f"there is no view {name!r} here; the views are: {', '.join(by_name) or 'none'}")
    left_out = [name for name in changes if names and name not in names]
    if left_out:
        raise UsageError(f"view {left_out[0]!r} has another price or pane, but is not among the chosen views")
    return [changes.get(name, CostChange()).applied(by_name[name]) for name in names or by_name]


@dataclass(frozen=True)
class ViewCost:
    """One view, collected every day.

    Attributes:
        micro_rho: what a client-day costs against an aggregator. outsiders_micro_rho: against outsiders.
        claims: ε after each of `SPANS`.
    """

    view: str
    pane: str
    panes_per_day: int
    micro_rho: int
    outsiders_micro_rho: int
    claims: tuple[EpsilonClaim, ...]


@dataclass(frozen=True)
class BudgetFit:
    """Whether one budget pays for a day.

    Attributes:
        cost: what the day would cost in this budget, micro-ρ. left: what it would leave; negative: it is not enough.
        over_quota: the views that exceed their own quota, as (view, cost, quota).
    """

    owner: str
    budget_micro_rho: int
    counts: Observer
    cost: int
    left: int
    over_quota: tuple[tuple[str, int, int], ...]

    @property
    def fits(self) -> bool:
        """Whether every day can be collected."""
        return self.left >= 0 and not self.over_quota


@dataclass(frozen=True)
class WhatIf:
    """The cost of views that are collected every day.

    Attributes:
        delta: the smallest of the views. days: how long the curve is.
        claims: ε of all views together after each of `SPANS`. curve: the same after other numbers of days, up to `days`.
        lasting: None: no limit was given.
    """

    delta: float
    days: int
    views: tuple[ViewCost, ...]
    micro_rho: int
    outsiders_micro_rho: int
    claims: tuple[EpsilonClaim, ...]
    curve: tuple[EpsilonClaim, ...]
    budgets: tuple[BudgetFit, ...]
    lasting: Lasting | None


def what_if(
    views: Sequence[FeatureView], budgets: Sequence[tuple[str, Budget]], days: int, most_epsilon: float | None = None
) -> WhatIf:
    """The cost of collecting these views, at least one, on each of `days` days.

    Args:
        budgets: of the client-days of each owner of a ledger.
        most_epsilon: the limit of `lasting`.
    """
    delta = min(view.privacy.delta for view in views)
    costs = [cost_of_day([layout_of(view)]) for view in views]
    total = sum(costs, Cost(0))
    return WhatIf(
        delta,
        days,
        tuple(_view_cost(*one) for one in zip(views, costs, strict=True)),
        total.price.aggregator.micro_rho,
        total.price.outsiders.micro_rho,
        total.claims(delta, SPANS),
        total.claims(delta, sorted({*(day for day in CURVE if day < days), days})),
        tuple(_fit(owner, budget, views, costs) for owner, budget in budgets),
        None if most_epsilon is None else lasting_cost(total, delta, most_epsilon),
    )


def _view_cost(view: FeatureView, cost: Cost) -> ViewCost:
    price = cost.price
    return ViewCost(
        view.name,
        view.pane,
        view.panes_per_day,
        price.aggregator.micro_rho,
        price.outsiders.micro_rho,
        cost.claims(view.privacy.delta, SPANS),
    )


def _fit(owner: str, budget: Budget, views: Sequence[FeatureView], costs: Sequence[Cost]) -> BudgetFit:
    counted = {view.name: budget.counted(cost.price) for view, cost in zip(views, costs, strict=True)}
    over = [
        (name, cost, quota)
        for name, cost in counted.items()
        if (quota := budget.quotas.get(name)) is not None and cost > quota
    ]
    cost = sum(counted.values())
    return BudgetFit(owner, budget.micro_rho, budget.counts, cost, budget.micro_rho - cost, tuple(over))
