"""What a ledger allows: a pure function of its entries. The same rules at both aggregators, at every site, in one process.

a pane      is opened under one plan, ever: another plan for it is refused
a view      is one definition on one UTC day: two sums that share a client-day would tell it by their difference
a day       costs at most the budget, over all views; (view, definition, noise, day) is charged once
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from featurestore.layout import Layout
from featurestore.times import DAY_US
from featurestore.wire import definition_hash

from .errors import DayBudgetSpent, PaneTaken, ViewOverlap
from .ledger_entries import Done, Entry, Intended, Refused, ViewIntent
from .plan import Plan, PlannedView

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """What one client-day may cost, in millionths of ρ.

    Attributes:
        micro_rho: over all views together.
        quotas: what one view may take of it; a view that is not named has no quota of its own.
    """

    micro_rho: int
    quotas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Charge:
    """One client-day of one view, paid once however many of its panes are opened."""

    view: str
    definition: bytes
    scales: str
    day: int


@dataclass
class LedgerState:
    """A ledger's entries, replayed. Moved on by `apply` only.

    Attributes:
        paid: what each charge cost, in micro-ρ.
        spent: micro-ρ of each UTC day, over all views.
        intended: when each plan was charged, in µs since the epoch.
        done: what came of each plan.
        refused: refusals, in order.
        last_us: the time of the last entry.
    """

    paid: dict[Charge, int] = field(default_factory=dict)
    spent: dict[int, int] = field(default_factory=dict)
    intended: dict[bytes, int] = field(default_factory=dict)
    done: dict[bytes, bytes] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    last_us: int = -(2**63)
    _definition: dict[tuple[str, int], bytes] = field(default_factory=dict)
    _by_view: dict[tuple[str, int], int] = field(default_factory=dict)
    _panes: dict[bytes, list[Ints]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Move on by one entry that stands in the ledger."""
        self.last_us = max(self.last_us, entry.at_us)
        match entry:
            case Intended():
                self.intended.setdefault(entry.plan, entry.at_us)
                for view in entry.views:
                    self._apply_view(view)
            case Done():
                self.done[entry.plan] = entry.digest
            case Refused():
                self.refused.append(entry)

    def _apply_view(self, view: ViewIntent) -> None:
        for day in view.days.tolist():
            self.paid[Charge(view.view, view.definition, view.scales, day)] = view.micro_rho
            self.spent[day] = self.spent.get(day, 0) + view.micro_rho
            self._by_view[view.view, day] = self._by_view.get((view.view, day), 0) + view.micro_rho
        for day in np.unique(view.panes // DAY_US).tolist():
            self._definition[view.view, day] = view.definition
        self._panes.setdefault(view.definition, []).append(view.panes)

    def intent(self, plan: Plan, budget: Budget, now_us: int) -> Intended | None:
        """The entry that charges a plan, if the rules allow it; None if it stands in the ledger already.

        Raises:
            PaneTaken, ViewOverlap, DayBudgetSpent: by name, with their numbers; nothing of the plan may be opened.
        """
        if plan.hash in self.intended:
            return None
        left: dict[int, int] = {}
        views = tuple(self._intent_of(planned, plan.noise == "none", budget, left) for planned in plan.views)
        return Intended(max(now_us, self.last_us), plan.hash, views)

    def _intent_of(self, planned: PlannedView, noise_off: bool, budget: Budget, left: dict[int, int]) -> ViewIntent:
        view, layout, definition = planned.view, planned.layout, definition_hash(planned.view)
        panes, days = planned.pane_starts, np.unique(planned.pane_starts // DAY_US)
        taken = self.pane_taken(definition, panes)
        if taken is not None:
            raise PaneTaken(view.name, taken)
        for day in days.tolist():
            if self._definition.get((view.name, day), definition) != definition:
                raise ViewOverlap(view.name, day)
        scales = "none" if noise_off else _scales(layout)
        new = [day for day in days.tolist() if Charge(view.name, definition, scales, day) not in self.paid]
        for day in new:
            have = left.get(day, budget.micro_rho - self.spent.get(day, 0))
            quota = budget.quotas.get(view.name)
            if quota is not None:
                have = min(have, quota - self._by_view.get((view.name, day), 0))
            if layout.micro_rho > have:
                raise DayBudgetSpent(view.name, day, max(0, have), layout.micro_rho)
            left[day] = left.get(day, budget.micro_rho - self.spent.get(day, 0)) - layout.micro_rho
        return ViewIntent(view.name, definition, scales, layout.micro_rho, np.array(new, dtype=np.int64), panes)

    def pane_taken(self, definition: bytes, panes: Ints) -> int | None:
        """The first of these panes (µs) that a plan in this ledger has taken."""
        found = [panes[np.isin(panes, of_plan)] for of_plan in self._panes.get(definition, [])]
        taken = np.concatenate([np.empty(0, np.int64), *found])
        return int(taken.min()) if len(taken) else None

    def panes_of_day(self, definition: bytes, day: int) -> Ints:
        """int64[P], the panes of a UTC day that plans in this ledger have taken, increasing."""
        first = day * DAY_US
        every = np.concatenate([np.empty(0, np.int64), *self._panes.get(definition, [])])
        return np.unique(every[(every >= first) & (every < first + DAY_US)])


def _scales(layout: Layout) -> str:
    """The noise of every group in integers: equal texts, equal noise."""
    return ";".join(f"{group.delta2_sq}/{group.micro_rho}" for group in layout.groups)
