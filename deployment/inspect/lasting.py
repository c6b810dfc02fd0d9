"""For how many days a privacy loss stays within a limit: the answer to "how long does it last?".

A budget is of one UTC day, and every day has its own: it does not run out. What grows with the days is ε of a client that takes
part in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.accountant import Cost, EpsilonClaim, cost_of_day, epsilon, ledger_claim
from federation.ledger.state import Budget
from federation.price import Observer, Price

from .ledger_claims import LEDGER_DELTA, most_prices
from .ledger_view import DaySpent, LedgerView

MOST_DAYS: Final = 3_652
"""The longest time that is looked at: ten years."""


@dataclass(frozen=True)
class Lasting:
    """For how many days of taking part ε stays at most a limit; `MOST_DAYS`: for that long at least."""

    epsilon: float
    outsiders_days: int
    aggregator_days: int


@dataclass(frozen=True)
class ViewLeft:
    """A view, and what a day of it costs in a budget, micro-ρ.

    Attributes:
        paid: today was charged already, and its other panes cost nothing more. fits: what today has left pays for it.
    """

    view: str
    micro_rho: int
    paid: bool
    fits: bool


@dataclass(frozen=True)
class LedgerOutlook:
    """How long the budget of a ledger lasts.

    Attributes:
        spent: every day's budget is spent. worst: every day costs as much as the worst one so far; None: no day was charged, or
            no ε holds.
        daily_micro_rho: what a day of all views together costs in the budget.
        today_left: what today has left, micro-ρ. today: each view against it.
    """

    owner: str
    spent: Lasting
    worst: Lasting | None
    daily_micro_rho: int
    today_left: int
    today: tuple[ViewLeft, ...]


def ledger_outlook(ledger: LedgerView, views: Sequence[FeatureView], today: int, most: float) -> LedgerOutlook:
    """How long the budget of a ledger lasts.

    Args:
        views: that are collected into its project. today: the UTC day since the epoch. most: the limit of ε.
    """
    budget = ledger.budget
    charged = next((one for one in ledger.days if one.day == today), None)
    left = budget.micro_rho if charged is None else charged.left
    costs = {view.name: budget.counted(cost_of_day([layout_of(view)]).price) for view in views}
    taken = {} if charged is None else charged.by_view
    return LedgerOutlook(
        ledger.owner,
        _lasting_budget(budget, most),
        None if not ledger.spent else _lasting_days(_worst(ledger.days), most),
        sum(costs.values()),
        left,
        tuple(
            ViewLeft(name, cost, name in taken, name in taken or cost <= min(left, budget.quotas.get(name, left)))
            for name, cost in costs.items()
        ),
    )


def lasting_cost(cost: Cost, delta: float, most: float) -> Lasting:
    """How long ε stays at most `most`, if every day has this cost, which is fixed beforehand."""
    return Lasting(
        most,
        _last_day(lambda days: cost.over(days).epsilon_outside(delta) <= most),
        _last_day(lambda days: cost.over(days).epsilon(delta) <= most),
    )


def _lasting_budget(budget: Budget, most: float) -> Lasting:
    """By zCDP, as `budget_claims`."""

    def days_at(micro_rho: int) -> int:
        return _last_day(lambda days: epsilon(micro_rho, LEDGER_DELTA, days) <= most)

    return Lasting(most, days_at(budget.micro_rho), days_at(most_prices(budget.counts) * budget.micro_rho))


def _lasting_days(price: Price, most: float) -> Lasting:
    def claim(days: int) -> EpsilonClaim:
        return ledger_claim(price.over(days), days, LEDGER_DELTA)

    return Lasting(
        most,
        _last_day(lambda days: claim(days).outsiders <= most),
        _last_day(lambda days: claim(days).aggregator <= most),
    )


def _worst(days: Sequence[DaySpent]) -> Price:
    return max((one.price for one in days), key=lambda price: price.epsilon(LEDGER_DELTA, Observer.AGGREGATOR))


def _last_day(is_within: Callable[[int], bool]) -> int:
    """The largest number of days that is within a limit, up to `MOST_DAYS`: ε grows with the days."""
    low, high = 0, MOST_DAYS
    while low < high:
        middle = (low + high + 1) // 2
        if is_within(middle):
            low = middle
        else:
            high = middle - 1
    return low
