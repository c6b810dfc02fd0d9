"""How an aggregator opens a plan: charge, close, noise, witness, send. The same steps at leader, helper and key holder.

    charge    intent in the ledger, on disk, before the plan is closed       refused: nothing is closed
    noise     drawn from the live secret ──► {noised shares, statements} in one transaction ──► `done` in the ledger, by
              their digest ──► the live secret is erased
    witness   the other aggregator has said that it remembers a head of this ledger in which `done` stands (heads.py)
    open      both swap their noised shares, add them and sign the values (swap.py). With the finish mpc: mpc/suppression.py
    send      the stored bytes, and only those of a plan that is witnessed and opened

A crash between two steps is mended by repeating them. Older copies of the files hold no live secret of a plan that was
opened, so nothing of it is noised again (LiveSecretLost). Where somebody copied one all the same, the storage lies behind the
ledger (StateBehindLedger), or both behind what the other aggregator remembers (LedgerBehind); and the same sums draw the same
noise, other sums an independent one. The noises of two openings could be averaged away.
"""

from __future__ import annotations

import threading

from aggregator.collect.aggregate_share import SealedShare
from aggregator.errors import NotCommitted, StateBehindLedger
from aggregator.shares.plans import PlanBook
from aggregator.storage.records import PlanState
from federation.errors import AlreadyDone, KeyBurnt, LedgerBehind
from federation.plan import Plan
from federation.statement import digest_of


class Noising:
    """Draws an aggregator's noise of each plan, once, and gives what is stored of it."""

    def __init__(self, plans: PlanBook) -> None:
        self._plans, self._files = plans, plans.files
        self._lock = threading.Lock()

    def noise(self, plan: Plan) -> None:
        """Decide what may be opened, add noise, store the result, record it in the ledger: once. A repeat draws nothing.

        Raises:
            NotCommitted, NoiseRefused, Stopping; ReportRefused: a sum could pass half the field. KeyBurnt.
            LedgerBehind, StateBehindLedger, LiveSecretLost: ledger or storage is an older copy.
        """
        storage, ledger = self._files.storage, self._files.ledger
        with self._lock:
            stored, _ = self._plans.opened(plan.hash)
            if stored.state is PlanState.BURNT:  # another call was faster
                raise KeyBurnt(plan.hash)
            if stored.unopened:
                self._plans.charges.require_never_opened(plan)
                self._plans.opening_of(plan).draw(stored, plan)
                self._plans.retention.forget()
            digest = digest_of(storage.statements(stored.number))
            try:
                ledger.done(plan.hash, digest)
            except AlreadyDone:
                raise StateBehindLedger(str(storage.path), plan.hash) from None
            self._files.live.erase(plan.plan_id)  # before a byte of it leaves: nobody draws this noise again

    def shares(self, plan: Plan) -> list[SealedShare]:
        """The stored shares of a plan that is witnessed and opened at both: always the same bytes.

        Raises:
            NotCommitted. LedgerBehind: the ledger does not hold what was opened.
        """
        storage, ledger = self._files.storage, self._files.ledger
        stored, _ = self._plans.opened(plan.hash)
        if stored.state is not PlanState.WITNESSED or storage.to_swap(stored.number):
            raise NotCommitted(plan.hash)
        shares = storage.noised(stored.number)
        if ledger.state.done.get(plan.hash) != digest_of(storage.statements(stored.number)):
            raise LedgerBehind(str(ledger.path), f"it does not hold the opening of plan {plan.hash.hex()[:16]}…")
        return shares
