"""The rules of a ledger, a pure function of its entries. They are the same at both aggregators, every site, and in one process.

a pane      is opened under one plan only: another plan for it is refused
a view      has one definition on one UTC day: the difference of two sums that share a client-day could reveal it
a day       costs at most the budget, over all views and roles; (view, definition, noise, day) is charged once

Several roles of one operator may charge one ledger. Leader and helper (or key holder) open a plan together, so the plan is
paid once, by the role that charges it first. All other charges of two roles add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from featurestore.define.wire import definition_hash
from federation.accountant import charge_of
from federation.errors import DayBudgetSpent, PaneTaken, ViewOverlap
from federation.noise import price_text
from federation.plan import Plan, PlannedView

from .entries import IN_PROCESS, CompletionEntry, Entry, IntentEntry, RefusalEntry, ViewIntent

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """The most that one client-day may cost, in millionths of ρ.

    Attributes:
        micro_rho: the limit over all views together.
        quotas: limits for single views; a view without an entry has no quota of its own.
    """

    micro_rho: int
    quotas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Charge:
    """One client-day of one view. It is paid once, however many of its panes are opened.

    Attributes:
        in_process: true for a run in one process. The sites' ledgers bound the cells of a client-day across plans over the
            wire. A run in one process does not see those ledgers, so it pays for the day again.
    """

    view: str
    definition: bytes
    scales: str
    day: int
    in_process: bool = False


@dataclass
class LedgerState:
    """A ledger's entries, replayed. Only `apply` changes it.

    Attributes:
        role: the role whose plans `intended`, `completed` and `completed_at` hold; the others hold those of all roles.
        intended: the time at which each plan was charged, in µs since the epoch.
        completed: the digest of each plan's result.
        completed_at: the number of entries once each plan was completed.
        paid: the cost of each charge, in micro-ρ.
        spent: micro-ρ of each UTC day, over all views.
        charged_by: for each plan, the roles that have charged it, and whether each has recorded its result.
        roles: for each charge, the roles that have charged a plan with it, in order.
        refused: refusals, in order.
        last_us: the time of the last charge or opening. A refusal does not change it: a clock that was far ahead for a
            moment, so that every plan was refused, must not stop the ledger permanently.
        budget_micro_rho: the budget of a client-day under which the last plan was charged.
        length: the number of entries.
    """

    role: str = ""
    intended: dict[bytes, int] = field(default_factory=dict)
    completed: dict[bytes, bytes] = field(default_factory=dict)
    completed_at: dict[bytes, int] = field(default_factory=dict)
    paid: dict[Charge, int] = field(default_factory=dict)
    spent: dict[int, int] = field(default_factory=dict)
    charged_by: dict[bytes, dict[str, bool]] = field(default_factory=dict)
    roles: dict[Charge, dict[str, None]] = field(default_factory=dict)
    refused: list[RefusalEntry] = field(default_factory=list)
    last_us: int = -(2**63)
    budget_micro_rho: int | None = None
    length: int = 0
    _definition: dict[tuple[str, int], bytes] = field(default_factory=dict)
    _by_view: dict[tuple[str, int], int] = field(default_factory=dict)
    _charges: dict[bytes, list[Charge]] = field(default_factory=dict)
    _panes: dict[bytes, list[tuple[bytes, Ints]]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry of the ledger."""
        self.length += 1
        if not isinstance(entry, RefusalEntry):
            self.last_us = max(self.last_us, entry.at_us)
        match entry:
            case IntentEntry():
                self.charged_by.setdefault(entry.plan, {}).setdefault(entry.role, False)
                if entry.role == self.role:
                    self.intended.setdefault(entry.plan, entry.at_us)
                self.budget_micro_rho = entry.budget_micro_rho
                for view in entry.views:
                    self._apply_view(entry.plan, view, in_process=entry.role == IN_PROCESS)
                for charge in self._charges.get(entry.plan, []):
                    self.roles.setdefault(charge, {})[entry.role] = None
            case CompletionEntry():
                self.charged_by.setdefault(entry.plan, {})[entry.role] = True
                if entry.role == self.role:
                    self.completed[entry.plan] = entry.digest
                    self.completed_at[entry.plan] = self.length
            case RefusalEntry():
                self.refused.append(entry)

    def _apply_view(self, plan: bytes, view: ViewIntent, *, in_process: bool) -> None:
        for day in np.unique(view.panes // DAY_US).tolist():
            self._charges.setdefault(plan, []).append(Charge(view.view, view.definition, view.scales, day, in_process))
        for day in view.days.tolist():
            self.paid[Charge(view.view, view.definition, view.scales, day, in_process)] = view.micro_rho
            self.spent[day] = self.spent.get(day, 0) + view.micro_rho
            self._by_view[view.view, day] = self._by_view.get((view.view, day), 0) + view.micro_rho
        for day in np.unique(view.panes // DAY_US).tolist():
            self._definition[view.view, day] = view.definition
        self._panes.setdefault(view.definition, []).append((plan, view.panes))

    def intent(self, plan: Plan, budget: Budget, now_us: int) -> IntentEntry | None:
        """The entry by which this role charges a plan, if the rules allow it; None if the ledger has it already.

        Raises:
            PaneTaken, ViewOverlap, DayBudgetSpent: nothing of the plan may be opened.
        """
        if plan.hash in self.intended:
            return None
        at_us = max(now_us, self.last_us)
        if self._opened_with_another(plan.hash):
            self._require_within(plan.hash, budget)
            return IntentEntry(at_us, plan.hash, budget.micro_rho, (), self.role)
        left: dict[int, int] = {}
        views = tuple(self._intent_of(plan, planned, budget, left) for planned in plan.views)
        return IntentEntry(at_us, plan.hash, budget.micro_rho, views, self.role)

    def _opened_with_another(self, plan: bytes) -> bool:
        """Whether another role has charged the plan and opens it together with this one. A run in one process opens alone."""
        return plan in self._charges and IN_PROCESS not in {self.role, *self.charged_by[plan]}

    def _require_within(self, plan: bytes, budget: Budget) -> None:
        """Return if another role's charge for the plan is within this role's budget too. Raises DayBudgetSpent."""
        for charge in self._charges[plan]:
            over = -self.left(charge.day, budget)
            if (quota := budget.quotas.get(charge.view)) is not None:
                over = max(over, self._by_view.get((charge.view, charge.day), 0) - quota)
            if over > 0:
                cost = self.paid[charge]
                raise DayBudgetSpent(charge.view, charge.day, max(0, cost - over), cost)

    def _intent_of(self, plan: Plan, planned: PlannedView, budget: Budget, left: dict[int, int]) -> ViewIntent:
        view, definition, cost = planned.view, definition_hash(planned.view), charge_of(plan, planned)
        panes, days = planned.pane_starts, np.unique(planned.pane_starts // DAY_US)
        taken = self.pane_taken(definition, panes)
        if taken is not None:
            raise PaneTaken(view.name, taken)
        for day in days.tolist():
            if self._definition.get((view.name, day), definition) != definition:
                raise ViewOverlap(view.name, day)
        scales = _scales(plan, planned)
        in_process = self.role == IN_PROCESS
        new = [day for day in days.tolist() if Charge(view.name, definition, scales, day, in_process) not in self.paid]
        for day in new:
            have = left.get(day, self.left(day, budget))
            quota = budget.quotas.get(view.name)
            if quota is not None:
                have = min(have, quota - self._by_view.get((view.name, day), 0))
            if cost > have:
                raise DayBudgetSpent(view.name, day, max(0, have), cost)
            left[day] = left.get(day, self.left(day, budget)) - cost
        return ViewIntent(view.name, definition, scales, cost, np.array(new, dtype=np.int64), panes)

    def left(self, day: int, budget: Budget) -> int:
        """The remaining budget of a UTC day, in micro-ρ; below 0 if the budget was made smaller."""
        return budget.micro_rho - self.spent.get(day, 0)

    def pane_taken(self, definition: bytes, panes: Ints) -> int | None:
        """The first of these panes (µs) that a plan in this ledger has taken."""
        found = [panes[np.isin(panes, of_plan)] for _, of_plan in self._panes.get(definition, [])]
        taken = np.concatenate([np.empty(0, np.int64), *found])
        return int(taken.min()) if len(taken) else None

    def plans_of_day(self, definition: bytes, day: int) -> tuple[bytes, ...]:
        """The plans that have taken panes of a UTC day, in the order of their charges."""
        return tuple(plan for plan, panes in self._panes.get(definition, []) if (panes // DAY_US == day).any())


def _scales(plan: Plan, planned: PlannedView) -> str:
    """The noise of every group (`price_text`), and the leak in µρ. Equal texts mean equal noise and price."""
    texts = [price_text(group.mechanism) for group in planned.layout.groups] if plan.noisy else ["none"]
    leak = plan.leak_micro_rho(planned)
    return ";".join([*texts, f"leak {leak}"] if leak else texts)
