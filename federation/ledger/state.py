"""The rules of a ledger, a pure function of its entries. They are the same at both aggregators, every site, and in one process.

a pane      is opened under one plan only: another plan for it is refused, unless it names the first as an earlier attempt
a view      has one collection on one UTC day, or pays for the day once for each: two sums that share a client-day compose
            like those of two views. A site allows that only by its policy
a day       costs at most the budget, over all views and roles; (view, collection, noise, day) is charged once
an attempt  that both aggregators never opened is covered by its charge; otherwise the next attempt pays for the day again

Several roles of one operator may charge one ledger. Leader and helper (or key holder) open a plan together, so the plan is
paid once, by the role that charges it first. All other charges of two roles add up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from featurestore.define.wire import collection_hash, definition_hash
from federation.accountant import charge_of
from federation.attempt import MAX_ATTEMPTS
from federation.errors import AttemptsSpent, DayBudgetSpent, PaneBeforeRebuild, PaneTaken, PlanFreed, ViewOverlap
from federation.noise import price_text
from federation.plan import Plan, PlannedView
from federation.price import NO_PRICE, Observer, Price
from federation.unopened import unopened

from .entries import (
    IN_PROCESS,
    CompletionEntry,
    Entry,
    FreedEntry,
    IntentEntry,
    RebuiltEntry,
    RefusalEntry,
    Retry,
    ViewIntent,
    number_of,
)

EXACT: Final = "none"
"""The noise of a charge under which exact sums are opened."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """The most that one client-day may cost, in millionths of ρ.

    Attributes:
        micro_rho: the limit over all views together.
        quotas: limits for single views; a view without an entry has no quota of its own.
        counts: the prices that count. Those against outsiders trust both aggregators to add their noise and to keep it secret.
        overlap: whether several collections of one view may charge a day, each in full.
    """

    micro_rho: int
    quotas: Mapping[str, int] = field(default_factory=dict)
    counts: Observer = Observer.AGGREGATOR
    overlap: bool = True

    def counted(self, price: Price) -> int:
        """The micro-ρ of a price that count."""
        return price.micro_rho(self.counts)


@dataclass(frozen=True)
class Charge:
    """One client-day of one view. It is paid once, however many of its panes are opened.

    Attributes:
        in_process: true for a run in one process. The sites' ledgers bound the cells of a client-day across plans over the
            wire. A run in one process does not see those ledgers, so it pays for the day again.
        again: how many plans have paid for the day again, because nobody can say that an earlier attempt was not opened.
    """

    view: str
    collection: bytes
    scales: str
    day: int
    in_process: bool = False
    again: int = 0


@dataclass
class LedgerState:
    """A ledger's entries, replayed. Only `apply` changes it.

    Attributes:
        role: the role whose plans `intended`, `completed` and `completed_at` hold; the others hold those of all roles.
        intended: the time at which each plan was charged, in µs since the epoch.
        completed: the digest of each plan's result.
        completed_at: the number of the entry by which each plan was completed.
        paid: the price of each charge.
        prices: the price of each UTC day, over all views.
        charged_by: for each plan, the roles that have charged it, and whether each has recorded its result.
        roles: for each charge, the roles that have charged a plan with it, in order.
        refused: refusals, in order.
        freed: the number of the entry by which each plan was freed by this role: it never opens the plan.
        retried: for each plan, the later plans that took panes of it again.
        last_us: the time of the last charge or opening. A refusal or a free does not change it: a clock that was far ahead
            for a moment must not stop the ledger permanently.
        budget: the budget of a client-day under which the last plan was charged, without quotas.
        length: the number of entries.
        rebuilt: the last time the ledger was rebuilt; None: never. What was charged before and is not done is never opened.
    """

    role: str = ""
    intended: dict[bytes, int] = field(default_factory=dict)
    completed: dict[bytes, bytes] = field(default_factory=dict)
    completed_at: dict[bytes, int] = field(default_factory=dict)
    paid: dict[Charge, Price] = field(default_factory=dict)
    prices: dict[int, Price] = field(default_factory=dict)
    charged_by: dict[bytes, dict[str, bool]] = field(default_factory=dict)
    roles: dict[Charge, dict[str, None]] = field(default_factory=dict)
    refused: list[RefusalEntry] = field(default_factory=list)
    freed: dict[bytes, int] = field(default_factory=dict)
    retried: dict[bytes, dict[bytes, None]] = field(default_factory=dict)
    last_us: int = -(2**63)
    budget: Budget | None = None
    length: int = 0
    rebuilt: RebuiltEntry | None = None
    _last: int = 0
    _collections: dict[tuple[str, int], frozenset[bytes]] = field(default_factory=dict)
    _by_view: dict[tuple[str, int], Price] = field(default_factory=dict)
    _charges: dict[bytes, list[Charge]] = field(default_factory=dict)
    _again: dict[tuple[bytes, int], int] = field(default_factory=dict)
    _intents: dict[bytes, IntentEntry] = field(default_factory=dict)
    _panes: dict[bytes, dict[bytes, Ints]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry of the ledger."""
        self.length += 1
        self._last = number_of(entry, self._last)
        if not isinstance(entry, (RefusalEntry, FreedEntry)):
            self.last_us = max(self.last_us, entry.at_us)
        match entry:
            case IntentEntry():
                self.charged_by.setdefault(entry.plan, {}).setdefault(entry.role, False)
                if entry.role == self.role:
                    self.intended.setdefault(entry.plan, entry.at_us)
                self.budget = Budget(entry.budget_micro_rho, counts=entry.counts)
                if entry.views or entry.plan not in self._intents:
                    self._intents[entry.plan] = entry
                self._apply_retries(entry)
                for view in entry.views:
                    self._apply_view(entry.plan, view, in_process=entry.role == IN_PROCESS)
                for charge in self._charges.get(entry.plan, []):
                    self.roles.setdefault(charge, {})[entry.role] = None
            case CompletionEntry():
                self.charged_by.setdefault(entry.plan, {})[entry.role] = True
                if entry.role == self.role:
                    self.completed[entry.plan] = entry.digest
                    self.completed_at[entry.plan] = self._last
            case FreedEntry():
                if entry.role in (roles := self.charged_by.get(entry.plan, {})):
                    roles[entry.role] = True
                if entry.role == self.role:
                    self.freed.setdefault(entry.plan, self._last)
            case RefusalEntry():
                self.refused.append(entry)
            case RebuiltEntry():
                self.rebuilt = entry
                self.intended.clear()
                for roles in self.charged_by.values():
                    roles.update(dict.fromkeys(roles, True))
            case _:
                assert_never(entry)

    def _apply_retries(self, entry: IntentEntry) -> None:
        for retry in entry.retries:
            self.retried.setdefault(retry.plan, {})[entry.plan] = None
            days: set[tuple[bytes, int]] = set()
            for view in entry.views:
                before = self._panes.get(view.collection, {}).get(retry.plan)
                if before is not None:
                    again = np.intersect1d(before, view.panes)
                    self._panes[view.collection][retry.plan] = np.setdiff1d(before, again)
                    days |= {(view.collection, day) for day in np.unique(again // DAY_US).tolist()}
            if not retry.carried:
                for day in days:
                    self._again[day] = self._again.get(day, 0) + 1

    def _apply_view(self, plan: bytes, view: ViewIntent, *, in_process: bool) -> None:
        for day in np.unique(view.panes // DAY_US).tolist():
            charge = self._charge(view.view, view.collection, view.scales, day, in_process=in_process)
            self._charges.setdefault(plan, []).append(charge)
        for day in view.days.tolist():
            charge = self._charge(view.view, view.collection, view.scales, day, in_process=in_process)
            self.paid[charge] = view.price
            self.prices[day] = self.prices.get(day, NO_PRICE) + view.price
            self._by_view[view.view, day] = self._by_view.get((view.view, day), NO_PRICE) + view.price
        for day in np.unique(view.panes // DAY_US).tolist():
            self._collections[view.view, day] = self.collections_of(view.view, day) | {view.collection}
        self._panes.setdefault(view.collection, {})[plan] = view.panes

    def _charge(self, view: str, collection: bytes, scales: str, day: int, *, in_process: bool) -> Charge:
        return Charge(view, collection, scales, day, in_process, self._again.get((collection, day), 0))

    def intent(self, plan: Plan, budget: Budget, now_us: int) -> IntentEntry | None:
        """The entry by which this role charges a plan, if the rules allow it; None if the ledger has it already.

        Raises:
            PlanFreed: this role has freed the plan, or a later plan has taken its panes again.
            PaneBeforeRebuild: a pane of the plan may have been opened under a charge that was lost.
            PaneTaken, AttemptsSpent, ViewOverlap, DayBudgetSpent: nothing of the plan may be opened.
        """
        if plan.hash in self.freed or (plan.hash in self.retried and plan.hash not in self.completed):
            raise PlanFreed(plan.hash)
        if plan.hash in self.intended:
            return None
        self._require_after_rebuild(plan, budget)
        at_us = max(now_us, self.last_us)
        keys = () if plan.wire is None else (plan.wire.leader.data, plan.wire.helper.data)
        if self._opened_with_another(plan.hash):
            self._require_within(plan.hash, budget)
            return IntentEntry(at_us, plan.hash, budget.micro_rho, (), self.role, keys, (), budget.counts)
        retries = self._retries(plan)
        left: dict[int, int] = {}
        views = tuple(self._intent_of(plan, planned, retries, budget, left) for planned in plan.views)
        return IntentEntry(at_us, plan.hash, budget.micro_rho, views, self.role, keys, retries, budget.counts)

    def _require_after_rebuild(self, plan: Plan, budget: Budget) -> None:
        """Raise PaneBeforeRebuild or DayBudgetSpent if a pane had ended when the ledger was rebuilt, or its day is spent."""
        if self.rebuilt is None:
            return
        for planned in plan.views:
            view, panes = planned.view, planned.pane_starts
            ended = panes[panes + view.pane_us <= self.rebuilt.at_us]
            if len(ended):
                row = _first_row(panes, ended)
                raise PaneBeforeRebuild(view.name, int(row[0]), int(row[-1]), self.rebuilt.at_us)
            if (panes // DAY_US <= self.rebuilt.day).any():
                raise DayBudgetSpent(view.name, self.rebuilt.day, 0, budget.counted(charge_of(plan, planned)))

    def precedes_rebuild(self, plan: Plan) -> bool:
        """Whether a plan has panes that count as taken since the ledger was rebuilt."""
        last = None if self.rebuilt is None else self.rebuilt.day
        return last is not None and any((one.pane_starts // DAY_US <= last).any() for one in plan.views)

    def _retries(self, plan: Plan) -> tuple[Retry, ...]:
        """The earlier attempts that the plan names, of which it takes panes again here. Other plans' panes stay taken."""
        found = []
        for attempt in plan.earlier:
            before = self._intents.get(attempt.plan_hash)
            if before is None or attempt.plan_hash == plan.hash:
                continue
            views = [(view.schema, view.panes) for view in before.views]
            free = unopened(attempt.statements, attempt.plan_hash, before.keys, views)
            proven = {view.collection: panes for view, panes in zip(before.views, free, strict=True)}
            taken = [
                (collection_hash(planned.view), np.intersect1d(self._taken(planned, before.plan), planned.pane_starts))
                for planned in plan.views
            ]
            if any(len(panes) for _, panes in taken):
                carried = all(np.isin(panes, proven.get(collection, panes[:0])).all() for collection, panes in taken)
                found.append(Retry(attempt.plan_hash, carried))
        return tuple(found)

    def _taken(self, planned: PlannedView, plan: bytes) -> Ints:
        """The panes of a view that this plan has taken, and that no later plan has taken again."""
        return self._panes.get(collection_hash(planned.view), {}).get(plan, np.empty(0, np.int64))

    def _opened_with_another(self, plan: bytes) -> bool:
        """Whether another role has charged the plan and opens it together with this one. A run in one process opens alone."""
        return plan in self._charges and IN_PROCESS not in {self.role, *self.charged_by[plan]}

    def _require_within(self, plan: bytes, budget: Budget) -> None:
        """Return if another role's charge for the plan is within this role's budget too. Raises DayBudgetSpent."""
        for charge in self._charges[plan]:
            over = -self.left(charge.day, budget)
            if (quota := budget.quotas.get(charge.view)) is not None:
                over = max(over, self._counted_of_view(charge.view, charge.day, budget) - quota)
            if over > 0:
                cost = budget.counted(self.paid[charge])
                raise DayBudgetSpent(charge.view, charge.day, max(0, cost - over), cost)

    def _intent_of(
        self, plan: Plan, planned: PlannedView, retries: tuple[Retry, ...], budget: Budget, left: dict[int, int]
    ) -> ViewIntent:
        view, collection, price = planned.view, collection_hash(planned.view), charge_of(plan, planned)
        cost = budget.counted(price)
        panes, days = planned.pane_starts, np.unique(planned.pane_starts // DAY_US)
        self._require_untaken(view.name, collection, panes, retries)
        for day in days.tolist():
            charged = self.collections_of(view.name, day)
            if charged and collection not in charged and not budget.overlap:
                raise ViewOverlap(view.name, day)
        scales, in_process = _scales(plan, planned), self.role == IN_PROCESS
        again = self._days_again(collection, panes, retries)
        new = [
            day
            for day in days.tolist()
            if day in again or self._charge(view.name, collection, scales, day, in_process=in_process) not in self.paid
        ]
        for day in new:
            have = left.get(day, self.left(day, budget))
            quota = budget.quotas.get(view.name)
            if quota is not None:
                have = min(have, quota - self._counted_of_view(view.name, day, budget))
            if cost > have:
                raise DayBudgetSpent(view.name, day, max(0, have), cost)
            left[day] = left.get(day, self.left(day, budget)) - cost
        return ViewIntent(
            view.name, collection, definition_hash(view), scales, price, np.array(new, dtype=np.int64), panes
        )

    def _require_untaken(self, view: str, collection: bytes, panes: Ints, retries: tuple[Retry, ...]) -> None:
        """Raise PaneTaken if a plan that is no earlier attempt has taken a pane, AttemptsSpent if too many attempts have."""
        again = {retry.plan for retry in retries}
        taken = self.pane_taken(collection, panes, except_plans=again)
        if len(taken):
            raise PaneTaken(view, int(taken[0]), int(_first_row(panes, taken)[-1]))
        if again:
            tries = np.zeros(len(panes), np.int64)
            for entry in self._intents.values():
                for one in entry.views:
                    if one.collection == collection:
                        tries += np.isin(panes, one.panes)
            if (tries >= MAX_ATTEMPTS).any():
                raise AttemptsSpent(view, int(panes[tries >= MAX_ATTEMPTS][0]), MAX_ATTEMPTS)

    def _days_again(self, collection: bytes, panes: Ints, retries: tuple[Retry, ...]) -> set[int]:
        """The UTC days that a plan pays for again, because an earlier attempt at their panes may have been opened."""
        days: set[int] = set()
        for retry in retries:
            if not retry.carried:
                before = self._panes.get(collection, {}).get(retry.plan, panes[:0])
                days |= set((np.intersect1d(before, panes) // DAY_US).tolist())
        return days

    def left(self, day: int, budget: Budget) -> int:
        """The remaining budget of a UTC day, in micro-ρ; below 0 if the budget was made smaller. 0 of days before a rebuild."""
        if self.rebuilt is not None and day <= self.rebuilt.day:
            return 0
        return budget.micro_rho - budget.counted(self.prices.get(day, NO_PRICE))

    def shares_left(self, budget: Budget) -> dict[str, float]:
        """For each charged view: the share of a client-day's budget that is left for it, on its last charged day."""
        last: dict[str, int] = {}
        for view, day in list(self._by_view):
            last[view] = max(day, last.get(view, day))
        shares = {view: _share(self.left(day, budget), budget.micro_rho) for view, day in last.items()}
        for view, quota in budget.quotas.items():
            if view in shares:
                own = quota - self._counted_of_view(view, last[view], budget)
                shares[view] = min(shares[view], _share(own, quota))
        return shares

    def _counted_of_view(self, view: str, day: int, budget: Budget) -> int:
        return budget.counted(self._by_view.get((view, day), NO_PRICE))

    def pane_taken(self, collection: bytes, panes: Ints, except_plans: Collection[bytes] = ()) -> Ints:
        """int64, those of these panes (µs) that a plan in this ledger has taken, other than these plans; increasing."""
        plans = self._panes.get(collection, {}).items()
        found = [panes[np.isin(panes, of_plan)] for plan, of_plan in plans if plan not in except_plans]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def collections_of(self, view: str, day: int) -> frozenset[bytes]:
        """The collections of a view that took panes of a UTC day. Each has paid for the day."""
        return self._collections.get((view, day), frozenset())

    def plans_of(self, collection: bytes) -> tuple[bytes, ...]:
        """The plans that have taken panes of a collection, in the order of their charges."""
        return tuple(self._panes.get(collection, {}))

    def plans_of_day(self, collection: bytes, day: int) -> tuple[bytes, ...]:
        """The plans that hold panes of a UTC day, in the order of their charges. Panes taken again are of the later plan."""
        plans = self._panes.get(collection, {}).items()
        return tuple(plan for plan, panes in plans if (panes // DAY_US == day).any())

    def held_panes(self, plan: bytes) -> list[tuple[bytes, Ints, Ints]]:
        """For each view of a charged plan: its collection, all its panes, and those that no later plan took again."""
        return [(view.collection, view.panes, self._panes[view.collection][plan]) for view in self._intents[plan].views]

    def offset(self, plan: bytes, view: int) -> int:
        """The collection index of the first pane of a view of a charged plan."""
        return sum(len(one.panes) for one in self._intents[plan].views[:view])

    def attempts_before(self, plan: bytes) -> tuple[bytes, ...]:
        """The earlier plans whose panes a plan has taken again, oldest first."""
        before = [retry.plan for retry in self._intents[plan].retries] if plan in self._intents else []
        return tuple(found for one in before for found in (*self.attempts_before(one), one))


def _share(left: int, whole: int) -> float:
    """The share that is left of a budget; 0 of a budget that is spent, or made smaller than what is spent."""
    return max(0.0, left / whole) if whole else 0.0


def _first_row(panes: Ints, taken: Ints) -> Ints:
    """The taken panes that follow each other among `panes`, from the first taken one on."""
    is_taken = np.isin(panes, taken)
    first = int(np.argmax(is_taken))
    gaps = np.flatnonzero(~is_taken[first:])
    return panes[first : first + int(gaps[0])] if len(gaps) else panes[first:]


def _scales(plan: Plan, planned: PlannedView) -> str:
    """The noise of every group (`price_text`), and the leak in µρ. Equal texts mean equal noise and price."""
    texts = [price_text(group.mechanism) for group in planned.layout.groups] if plan.noisy else [EXACT]
    leak = plan.leak_micro_rho(planned)
    return ";".join([*texts, f"leak {leak}"] if leak else texts)
