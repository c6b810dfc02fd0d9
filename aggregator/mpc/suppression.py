"""One aggregator's side of the finish mpc, after both are witnessed. Leader and helper take the same steps.

    run      own noised shares ──► own process, with the other's and the provider's ──► opened values, sealed and signed
    settle   both have stored the values ──► own noised shares are erased, and the result may be sent

The opened values follow from the noised shares alone, so after a crash before `settle` a second run gives the same.
"""

from __future__ import annotations

from typing import assert_never

from aggregator.collect.aggregate_share import HeldShare, SealedShare, noised_of
from aggregator.collect.held_shares import HeldShares
from aggregator.mpc.finish import require_exact, require_installed
from aggregator.mpc.seat import Seat, finish_own
from aggregator.shares.plans import PlanBook, no_keys
from aggregator.storage.records import StoredPlan
from federation.plan import Plan
from federation.terms import ReportPer


class Suppression:
    """One aggregator's side of an opening that withholds small cells: an `Opening`."""

    def __init__(self, plans: PlanBook, held: HeldShares) -> None:
        self.seat = Seat(plans.identity.role)
        self._plans, self._held = plans, held
        self._identity, self._storage = plans.identity, plans.files.storage

    def require(self, plan: Plan) -> None:
        """Raises CrypTenMissing. ConversionUnsafe: with the most clients that the roster allows."""
        require_installed()
        require_exact(plan.views, self._most_clients(plan))

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """No keys. Raises EncryptionKeysInvalid."""
        return no_keys(plan, given)

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """Store the noised shares in the clear, with their statements."""
        shares, own = self._held.draw(stored, plan)
        key = self._identity.sign_key(plan)
        held = [HeldShare.make(plan, view, shares, own, key) for view in range(len(plan.views))]
        with self._storage.transaction():
            self._storage.add_held(stored.number, held)

    def run(self, stored: StoredPlan, plan: Plan, port: int) -> list[SealedShare]:
        """Run this party's process on its noised shares, and seal the opened values.

        Raises:
            NotCommitted: the plan is not witnessed. FinishRefused: its shares are erased. And as `finish_own`.
        """
        held = self._held.require(stored, self._storage.held(stored.number))
        key = self._identity.sign_key(plan)
        shares, statements = noised_of(plan, self._identity.role, held, key.public)
        opened = finish_own(self.seat, port, plan, shares, self._most_clients(plan))
        return [SealedShare.of_finished(plan, *both, key) for both in zip(statements, opened, strict=True)]

    def _most_clients(self, plan: Plan) -> int:
        """The most clients that the reports of a collection can include, by roster and plan. Declared numbers do not matter."""
        entries = self._identity.settings.roster.entries
        match plan.terms.report_per:
            case ReportPer.SITE:
                return len(entries) * plan.max_clients
            case ReportPer.CLIENT:
                return sum(entry.max_clients for entry in entries)
            case other:
                assert_never(other)
