"""An aggregator's ledger, applied to its plans: their price, and whether they were opened before."""

from __future__ import annotations

from aggregator.errors import AfterDeadline, PlanBeforeRebuild, StateBehindLedger
from aggregator.identity import Clock, RoleIdentity
from aggregator.storage.files import Files
from aggregator.storage.records import StoredPlan
from aggregator.storage.retention import LATEST_CHARGE_US
from federation.errors import LedgerBehind, LedgerRefusal, PlanFreed
from federation.plan import Plan


class Charges:
    """The charges of one aggregator's plans."""

    def __init__(self, identity: RoleIdentity, files: Files, clock: Clock) -> None:
        self._identity, self._clock = identity, clock
        self._ledger, self._storage = files.ledger, files.storage

    def require_affordable(self, plan: Plan) -> None:
        """Check that the ledger allows the plan now. A refusal is recorded; nothing is charged."""
        try:
            self._ledger.check(plan, self._identity.settings.budget)
        except LedgerRefusal as refusal:
            self._ledger.refuse(plan, refusal)
            raise

    def require_never_opened(self, plan: Plan) -> None:
        """Check that the ledger has no opening of a plan that the storage has not opened. Raises StateBehindLedger."""
        if plan.hash in self._ledger.state.completed:
            raise StateBehindLedger(str(self._storage.path), plan.hash)

    def charge(self, plan: Plan, stored: StoredPlan) -> None:
        """Charge the plan and reserve its panes, before it is closed. A repeat charges nothing.

        Raises:
            PlanFreed, StateBehindLedger, AfterDeadline, PlanBeforeRebuild, LedgerRefusal: nothing was charged.
        """
        if stored.freed:
            raise PlanFreed(plan.hash)
        if stored.unopened:
            self.require_never_opened(plan)
            self.require_after_rebuild(plan)
        if plan.hash not in self._ledger.state.intended and self._clock() > stored.deadline_us + LATEST_CHARGE_US:
            raise AfterDeadline(stored.deadline_us)
        self._ledger.intend(plan, self._identity.settings.budget)

    def require_after_rebuild(self, plan: Plan) -> None:
        """Check that no pane of a plan may have been opened under an entry that the ledger lost. Raises PlanBeforeRebuild."""
        if self._ledger.state.precedes_rebuild(plan):
            raise PlanBeforeRebuild(plan.hash)

    def require_complete(self) -> None:
        """Check that the ledger has a charge for every plan that was closed here. Raises LedgerBehind: entries were lost."""
        state, closed = self._ledger.state, self._storage.closed_plans()
        lacking = [closed[plan] for plan in closed.keys() - state.charged_plans()]
        if state.rebuilt is not None:
            plans = {number: self._identity.plan(self._storage.numbered(number).signed) for number in lacking}
            lacking = [number for number, plan in plans.items() if not state.precedes_rebuild(plan)]
        if lacking:
            raise LedgerBehind(str(self._ledger.path), f"it lacks {len(lacking)} plan(s) that were closed here")

    def require_charged(self, plan: Plan) -> None:
        """Check that a closed plan, which is not opened yet, is charged. Raises LedgerBehind, PlanBeforeRebuild."""
        self.require_after_rebuild(plan)
        if plan.hash not in self._ledger.state.intended:
            raise LedgerBehind(
                str(self._ledger.path), f"it lacks the charge of plan {plan.hash.hex()[:16]}…, which is closed"
            )
