"""What the API says about ledgers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from base.times import DAY_US, runs_of
from covey.console.api.days_epsilon import DaysEpsilon
from covey.console.api.failure import Failure
from covey.console.api.form import Form
from deployment.inspect.ledger_check import WholeLedger
from deployment.inspect.ledger_claims import LEDGER_DELTA, budget_claims
from deployment.inspect.ledger_view import (
    BrokenLedger,
    DaySpent,
    LedgerView,
    refusal_groups,
    sentence_of,
)
from federation.ledger.entries import RefusalEntry
from federation.price import Observer

MOST_SPANS: Final = 50


class WholeBudget(Form):
    """The state of an intact ledger, and its budget of a client-day. Numbers of ρ are millionths.

    Attributes:
        counts: whose view the budget counts. today_left: of the UTC day that it is now.
        exact_sums: whether exact sums were charged; no ε holds for them.
    """

    entries: int
    rebuilt_at: int | None
    budget_micro_rho: int
    counts: Observer
    quotas: dict[str, int]
    delta: float
    budget_claims: list[DaysEpsilon]
    spent_claims: list[DaysEpsilon]
    exact_sums: bool
    plans_charged: int
    plans_unfinished: int
    days_charged: int
    first_day: int | None
    last_day: int | None
    refusals: int
    views: list[str]
    today: int
    today_spent: int
    today_left: int

    @classmethod
    def of(cls, ledger: LedgerView, now: int) -> Self:
        """A ledger at a moment, µs."""
        today = now // DAY_US
        charged = next((day for day in ledger.days if day.day == today), None)
        return cls(
            entries=ledger.entries,
            rebuilt_at=None if ledger.rebuilt is None else ledger.rebuilt.at_us,
            budget_micro_rho=ledger.budget.micro_rho,
            counts=ledger.budget.counts,
            quotas=dict(ledger.budget.quotas),
            delta=LEDGER_DELTA,
            budget_claims=list(map(DaysEpsilon.of, budget_claims(ledger.budget))),
            spent_claims=list(map(DaysEpsilon.of, ledger.spent)),
            exact_sums=ledger.exact,
            plans_charged=ledger.charged,
            plans_unfinished=ledger.unfinished,
            days_charged=len(ledger.days),
            first_day=ledger.days[0].day * DAY_US if ledger.days else None,
            last_day=ledger.days[-1].day * DAY_US if ledger.days else None,
            refusals=len(ledger.refused),
            views=list(ledger.views),
            today=today * DAY_US,
            today_spent=0 if charged is None else charged.spent,
            today_left=ledger.budget.micro_rho if charged is None else charged.left,
        )


class Ledger(Form):
    """One ledger: its state, or its problem."""

    owner: str
    state: WholeBudget | None
    problem: Failure | None

    @classmethod
    def of(cls, ledger: LedgerView | BrokenLedger, now: int) -> Self:
        """An intact or a broken ledger."""
        match ledger:
            case LedgerView():
                return cls(owner=ledger.owner, state=WholeBudget.of(ledger, now), problem=None)
            case BrokenLedger():
                return cls(owner=ledger.owner, state=None, problem=Failure.of(ledger.error))


class LedgerList(Form):
    """Ledgers by owner, the operator's first. `next`: the owner after which the next page begins."""

    ledgers: list[Ledger]
    next: str | None


class ViewShare(Form):
    """What one view was charged for a day. `collections`: how many of them paid for it. `roles`: who charged it."""

    view: str
    micro_rho: int
    collections: int
    roles: list[str]


class LedgerDay(Form):
    """A charged UTC day (its start, µs). `left` is negative if the budget was lowered since."""

    day: int
    views: list[ViewShare]
    spent: int
    left: int
    aggregator_micro_rho: int
    outsiders_micro_rho: int

    @classmethod
    def of(cls, day: DaySpent) -> Self:
        """A day of a ledger."""
        return cls(
            day=day.day * DAY_US,
            views=[
                ViewShare(
                    view=view,
                    micro_rho=micro_rho,
                    collections=day.overlaps.get(view, 1),
                    roles=list(day.roles.get(view, ())),
                )
                for view, micro_rho in day.by_view.items()
            ],
            spent=day.spent,
            left=day.left,
            aggregator_micro_rho=day.price.micro_rho(Observer.AGGREGATOR),
            outsiders_micro_rho=day.price.micro_rho(Observer.OUTSIDERS),
        )


class LedgerDays(Form):
    """The charged days of a span, in order. `more`: whether the span has earlier ones, too."""

    owner: str
    budget_micro_rho: int
    days: list[LedgerDay]
    more: bool


class Refusal(Form):
    """Refusals of one role, code and view. `days`: spans of days (first, last), µs; the newest ones if there are many."""

    code: str
    sentence: str
    view: str | None
    role: str | None
    days: list[tuple[int, int]]
    plans: int
    first_at: int
    last_at: int

    @classmethod
    def of(cls, days: Sequence[int], group: Sequence[RefusalEntry]) -> Self:
        """A group of a ledger's refusals."""
        times = [one.at_us for one in group]
        return cls(
            code=group[0].code,
            sentence=sentence_of(group[0].code),
            view=group[0].view,
            role=group[0].role or None,
            days=[(first * DAY_US, last * DAY_US) for first, last in runs_of(days, 1)[-MOST_SPANS:]],
            plans=len({one.plan for one in group}),
            first_at=min(times),
            last_at=max(times),
        )


class Refusals(Form):
    """What a ledger has refused, the last one first. `total`: single refusals. `more`: whether older groups are left out."""

    owner: str
    refusals: list[Refusal]
    total: int
    more: bool

    @classmethod
    def of(cls, ledger: LedgerView, most: int) -> Self:
        """The refusals of a ledger: at most so many groups."""
        found = [Refusal.of(*group) for group in refusal_groups(ledger.refused)]
        newest = sorted(found, key=lambda one: one.last_at, reverse=True)[:most]
        return cls(owner=ledger.owner, refusals=newest, total=len(ledger.refused), more=len(found) > len(newest))


class LedgerCheck(Form):
    """The result of reading every entry of a ledger. `entries` and `plans` are those of an intact one."""

    owner: str
    entries: int
    plans: int
    problem: Failure | None

    @classmethod
    def of(cls, found: WholeLedger | BrokenLedger) -> Self:
        """A checked ledger."""
        match found:
            case WholeLedger():
                return cls(owner=found.owner, entries=found.entries, plans=found.plans, problem=None)
            case BrokenLedger():
                return cls(owner=found.owner, entries=0, plans=0, problem=Failure.of(found.error))
