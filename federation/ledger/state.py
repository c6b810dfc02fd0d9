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

from collections.abc import Callable, Collection, Mapping, Sized
from dataclasses import dataclass, field
from typing import Final, TypeVar, assert_never

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
    CheckpointEntry,
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
from .plans import CHARGED, ENDED, NEVER, NONE, ByPlan, Part, Plans
from .refusals import Refusals
from .taken import FREE, TakenPanes

EXACT: Final = "none"
"""The noise of a charge under which exact sums are opened."""

Ints = npt.NDArray[np.int64]
_V = TypeVar("_V")


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


class LedgerState:
    """A ledger's entries, replayed. Only `apply` changes it.

    Args:
        role: the role whose plans `intended`, `completed`, `completed_at` and `freed` hold; the others hold those of all roles.

    Attributes:
        plans: every plan that the ledger names; taken: the taken panes of each collection.
        paid: the price of each charge.
        prices: the price of each UTC day, over all views.
        roles: for each charge, the roles that have charged a plan with it, in order.
        refused: refusals, in order.
        retried: for each plan, the later plans that took panes of it again.
        last_us: the time of the last charge or opening. A refusal or a free does not change it: a clock that was far ahead
            for a moment must not stop the ledger permanently.
        budget: the budget of a client-day under which the last plan was charged, without quotas.
        length: the number of entries.
        rebuilt: the last time the ledger was rebuilt; None: never. What was charged before and is not done is never opened.
    """

    def __init__(self, role: str = "") -> None:
        self.role = role
        self.plans = Plans()
        self.taken: dict[bytes, TakenPanes] = {}
        self.paid: dict[Charge, Price] = {}
        self.prices: dict[int, Price] = {}
        self.roles: dict[Charge, dict[str, None]] = {}
        self.refused = Refusals()
        self.retried: dict[bytes, dict[bytes, None]] = {}
        self.last_us = -(2**63)
        self.budget: Budget | None = None
        self.length = 0
        self.rebuilt: RebuiltEntry | None = None
        self.last = 0
        self.collections: dict[tuple[str, int], dict[bytes, None]] = {}
        self.by_view: dict[tuple[str, int], Price] = {}
        self.again: dict[tuple[bytes, int], int] = {}
        self.again_of: dict[tuple[bytes, bytes, int], int] = {}
        self.retries: dict[bytes, tuple[Retry, ...]] = {}
        self.ends: dict[tuple[str, bytes, int], tuple[int, bytes]] = {}
        self.retaken: dict[tuple[bytes, int], int] = {}

    # plans

    @property
    def intended(self) -> Mapping[bytes, int]:
        """The time at which this role charged each plan, in µs since the epoch."""
        times = self._part.charged_at
        return self._by_plan(times, lambda row: int(times.values[row]) if times.values[row] != NEVER else None)

    @property
    def completed(self) -> Mapping[bytes, bytes]:
        """The digest of each plan's result."""
        part = self._part
        return self._by_plan(
            part.done_seq, lambda row: part.digest.values[row].tobytes() if part.done_seq.values[row] else None
        )

    @property
    def completed_at(self) -> Mapping[bytes, int]:
        """The number of the entry by which each plan was completed."""
        numbers = self._part.done_seq
        return self._by_plan(numbers, lambda row: int(numbers.values[row]) or None)

    @property
    def freed(self) -> Mapping[bytes, int]:
        """The number of the entry by which each plan was freed by this role: it never opens the plan."""
        numbers = self._part.freed_seq
        return self._by_plan(numbers, lambda row: int(numbers.values[row]) or None)

    @property
    def charged_by(self) -> Mapping[bytes, dict[str, bool]]:
        """For each plan, the roles that have charged it, and whether each has recorded its result."""
        return self._by_plan(self.plans.hashes, self.plans.status)

    def charged_plans(self) -> set[bytes]:
        """The hashes in `charged_by`, all at once."""
        return self.plans.charged()

    @property
    def _part(self) -> Part:
        return self.plans.parts.get(self.role) or Part()

    def _by_plan(self, rows: Sized, value: Callable[[int], _V | None]) -> ByPlan[_V]:
        return ByPlan(self.plans.hashes, lambda: len(rows), value)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry of the ledger."""
        self.length += 1
        self.last = number_of(entry, self.last)
        if not isinstance(entry, (RefusalEntry, FreedEntry, CheckpointEntry)):
            self.last_us = max(self.last_us, entry.at_us)
        match entry:
            case IntentEntry():
                self._apply_intent(entry)
            case CompletionEntry():
                row = self.plans.row(entry.plan)
                part = self.plans.part(entry.role)
                part.state.values[row], part.done_seq.values[row] = ENDED, self.last
                part.digest.values[row] = np.frombuffer(entry.digest, np.uint8)
                for take in self.plans.takes(row):
                    for day in take.days:
                        times, _ = self.ends.get(of := (entry.role, take.kind.collection, day), (0, b""))
                        self.ends[of] = times + 1, entry.plan
            case FreedEntry():
                row = self.plans.row(entry.plan)
                part = self.plans.part(entry.role)
                part.state.values[row] = ENDED if part.state.values[row] else NONE
                part.freed_seq.values[row] = part.freed_seq.values[row] or self.last
            case RefusalEntry():
                self.refused.append(entry)
            case RebuiltEntry():
                self.rebuilt = entry
                for part in self.plans.parts.values():
                    part.charged_at.values[:] = NEVER
                    part.state.values[part.state.values == CHARGED] = ENDED
            case CheckpointEntry():
                pass
            case _:
                assert_never(entry)

    def _apply_intent(self, entry: IntentEntry) -> None:
        row = self.plans.row(entry.plan)
        part = self.plans.part(entry.role)
        part.state.values[row] = part.state.values[row] or CHARGED
        if part.charged_at.values[row] == NEVER:
            part.charged_at.values[row] = entry.at_us
        self.budget = Budget(entry.budget_micro_rho, counts=entry.counts)
        is_first = not self.plans.is_charged(row)
        if entry.views or is_first:
            self.plans.set_takes(row, entry.views, entry.keys, in_process=entry.role == IN_PROCESS)
            if entry.retries:
                self.retries[entry.plan] = entry.retries
        self._apply_retries(entry)
        for view in entry.views:
            self._apply_view(entry.plan, row, view, in_process=entry.role == IN_PROCESS, counts=is_first)
        for charge in self._charges(row):
            self.roles.setdefault(charge, {})[entry.role] = None

    def _apply_retries(self, entry: IntentEntry) -> None:
        for retry in entry.retries:
            self.retried.setdefault(retry.plan, {})[entry.plan] = None
            for view in entry.views:
                for day in self._days_of(self.held_among(view.collection, view.panes, retry.plan)):
                    of_day = view.collection, day
                    self.retaken[of_day] = self.retaken.get(of_day, 0) + 1
                    if not retry.carried:
                        self.again[of_day] = self.again.get(of_day, 0) + 1

    def _apply_view(self, plan: bytes, row: int, view: ViewIntent, *, in_process: bool, counts: bool) -> None:
        days = self._days_of(view.panes)
        for day in days:
            if (view.collection, day) in self.again:
                self.again_of[plan, view.collection, day] = self.again[view.collection, day]
        for day in view.days.tolist():
            charge = self._charge(view.view, view.collection, view.scales, day, in_process=in_process)
            self.paid[charge] = view.price
            self.prices[day] = self.prices.get(day, NO_PRICE) + view.price
            self.by_view[view.view, day] = self.by_view.get((view.view, day), NO_PRICE) + view.price
        for day in days:
            self.collections.setdefault((view.view, day), {})[view.collection] = None
        if (taken := self.taken.get(view.collection)) is None:
            taken = self.taken[view.collection] = TakenPanes()
        taken.take(view.panes, row, counts=counts)

    def _charge(self, view: str, collection: bytes, scales: str, day: int, *, in_process: bool) -> Charge:
        return Charge(view, collection, scales, day, in_process, self.again.get((collection, day), 0))

    def _charges(self, row: int) -> list[Charge]:
        """The charges that a plan belongs to."""
        plan = self.plans.hashes.at(row)
        return [
            Charge(
                of.view, of.collection, of.scales, day, of.in_process, self.again_of.get((plan, of.collection, day), 0)
            )
            for take in self.plans.takes(row)
            for of in (take.kind,)
            for day in take.days
        ]

    @staticmethod
    def _days_of(panes: Ints) -> list[int]:
        """The UTC days of panes, increasing."""
        if len(panes) == 1:
            return [int(panes[0]) // DAY_US]
        found: list[int] = np.unique(panes // DAY_US).tolist()
        return found

    def held_among(self, collection: bytes, panes: Ints, plan: bytes) -> Ints:
        """Those of these panes that a plan has taken, and that no later plan has taken again."""
        taken, row = self.taken.get(collection), self.plans.hashes.find(plan)
        return panes[:0] if taken is None or row is None else panes[taken.holders_of(panes) == row]

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
            row = self.plans.hashes.find(attempt.plan_hash)
            if row is None or not self.plans.is_charged(row) or attempt.plan_hash == plan.hash:
                continue
            before = self.plans.takes(row)
            views = [(take.kind.schema, take.panes) for take in before]
            free = unopened(attempt.statements, attempt.plan_hash, self.plans.keys_of(row), views)
            proven = {take.kind.collection: panes for take, panes in zip(before, free, strict=True)}
            collections = [(collection_hash(planned.view), planned.pane_starts) for planned in plan.views]
            taken = [(one, self.held_among(one, panes, attempt.plan_hash)) for one, panes in collections]
            if any(len(panes) for _, panes in taken):
                carried = all(np.isin(panes, proven.get(collection, panes[:0])).all() for collection, panes in taken)
                found.append(Retry(attempt.plan_hash, carried))
        return tuple(found)

    def _opened_with_another(self, plan: bytes) -> bool:
        """Whether another role has charged the plan and opens it together with this one. A run in one process opens alone."""
        row = self.plans.hashes.find(plan)
        return row is not None and bool(self.plans.takes(row)) and IN_PROCESS not in {self.role, *self.charged_by[plan]}

    def _require_within(self, plan: bytes, budget: Budget) -> None:
        """Return if another role's charge for the plan is within this role's budget too. Raises DayBudgetSpent."""
        for charge in self._charges(self.plans.row_of(plan)):
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
        if again and (known := self.taken.get(collection)) is not None:  # another view of the plan may be new
            tries = known.tries_of(panes)
            if (tries >= MAX_ATTEMPTS).any():
                raise AttemptsSpent(view, int(panes[tries >= MAX_ATTEMPTS][0]), MAX_ATTEMPTS)

    def _days_again(self, collection: bytes, panes: Ints, retries: tuple[Retry, ...]) -> set[int]:
        """The UTC days that a plan pays for again, because an earlier attempt at their panes may have been opened."""
        days: set[int] = set()
        for retry in retries:
            if not retry.carried:
                days |= set(self._days_of(self.held_among(collection, panes, retry.plan)))
        return days

    def left(self, day: int, budget: Budget) -> int:
        """The remaining budget of a UTC day, in micro-ρ; below 0 if the budget was made smaller. 0 of days before a rebuild."""
        if self.rebuilt is not None and day <= self.rebuilt.day:
            return 0
        return budget.micro_rho - budget.counted(self.prices.get(day, NO_PRICE))

    def shares_left(self, budget: Budget) -> dict[str, float]:
        """For each charged view: the share of a client-day's budget that is left for it, on its last charged day."""
        last: dict[str, int] = {}
        for view, day in list(self.by_view):
            last[view] = max(day, last.get(view, day))
        shares = {view: _share(self.left(day, budget), budget.micro_rho) for view, day in last.items()}
        for view, quota in budget.quotas.items():
            if view in shares:
                own = quota - self._counted_of_view(view, last[view], budget)
                shares[view] = min(shares[view], _share(own, quota))
        return shares

    def _counted_of_view(self, view: str, day: int, budget: Budget) -> int:
        return budget.counted(self.by_view.get((view, day), NO_PRICE))

    def pane_taken(self, collection: bytes, panes: Ints, except_plans: Collection[bytes] = ()) -> Ints:
        """int64, those of these panes (µs) that a plan in this ledger has taken, other than these plans; increasing."""
        if (taken := self.taken.get(collection)) is None:
            return panes[:0]
        holders = taken.holders_of(panes)
        mine = [row for row in map(self.plans.hashes.find, except_plans) if row is not None]
        return np.unique(panes[(holders != FREE) & ~np.isin(holders, mine)])

    def collections_of(self, view: str, day: int) -> frozenset[bytes]:
        """The collections of a view that took panes of a UTC day. Each has paid for the day."""
        return frozenset(self.collections.get((view, day), ()))

    def holders_of(self, collection: bytes, panes: Ints) -> list[bytes]:
        """The plans that hold these panes, in the order of their charges."""
        taken = self.taken.get(collection)
        rows = [] if taken is None else np.unique(taken.holders_of(panes)).tolist()
        return [self.plans.hashes.at(row) for row in rows if row != FREE]

    def plans_of_day(self, collection: bytes, day: int) -> tuple[bytes, ...]:
        """The plans that hold panes of a UTC day, in the order of their charges. Panes taken again are of the later plan."""
        taken = self.taken.get(collection)
        return () if taken is None else tuple(map(self.plans.hashes.at, taken.on_day(day).tolist()))

    def ended_on(self, collection: bytes, day: int) -> tuple[int, bytes]:
        """How many plans with panes of a UTC day this role has completed, and the last of them (empty: none)."""
        return self.ends.get((self.role, collection, day), (0, b""))

    def retaken_on(self, collection: bytes, day: int) -> int:
        """How often a later plan took panes of a UTC day again."""
        return self.retaken.get((collection, day), 0)

    def held_panes(self, plan: bytes) -> list[tuple[bytes, Ints, Ints]]:
        """For each view of a charged plan: its collection, all its panes, and those that no later plan took again."""
        takes = self.plans.takes(self.plans.row_of(plan))
        views = [(take.kind.collection, take.panes) for take in takes]
        return [(one, panes, self.held_among(one, panes, plan)) for one, panes in views]

    def offset(self, plan: bytes, view: int) -> int:
        """The collection index of the first pane of a view of a charged plan."""
        return sum(len(take.panes) for take in self.plans.takes(self.plans.row_of(plan))[:view])

    def attempts_before(self, plan: bytes) -> tuple[bytes, ...]:
        """The earlier plans whose panes a plan has taken again, oldest first."""
        before = [retry.plan for retry in self.retries.get(plan, ())]
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
