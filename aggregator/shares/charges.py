"""An aggregator's ledger, applied to its plans: their price, and whether they were opened before."""

from __future__ import annotations

from aggregator.errors import AfterDeadline, StateBehindLedger
from aggregator.identity import Clock, RoleIdentity
from aggregator.storage.files import Files
from aggregator.storage.records import StoredPlan
from aggregator.storage.retention import LATEST_CHARGE_US
from federation.errors import LedgerBehind, LedgerRefusal
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
            StateBehindLedger, AfterDeadline, LedgerRefusal: nothing was charged.
        """
        if stored.unopened:
            self.require_never_opened(plan)
        if plan.hash not in self._ledger.state.intended and self._clock() > stored.deadline_us + LATEST_CHARGE_US:
            raise AfterDeadline(stored.deadline_us)
        self._ledger.intend(plan, self._identity.settings.budget)

    def require_charged(self, plan: Plan) -> None:
        """Check that a closed plan is charged. Raises LedgerBehind."""
        if plan.hash not in self._ledger.state.intended:
            raise LedgerBehind(
                str(self._ledger.path), f"it lacks the charge of plan {plan.hash.hex()[:16]}…, which is closed"
            )
