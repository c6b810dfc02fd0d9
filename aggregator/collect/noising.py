"""The steps in which an aggregator opens a plan: charge, close, noise, witness, send. All three roles take the same steps.

    charge    intent in the ledger, on disk, before the plan is closed; after a refusal nothing is closed
    noise     drawn from the live secret ──► {noised shares, statements} in one transaction ──► `done` in the ledger, by
              their digest ──► the live secret is erased
    witness   the other aggregator has confirmed that it remembers a head of this ledger that includes `done` (heads.py)
    open      both swap their noised shares, add them and sign the values (swap.py); with finish mpc: mpc/suppression.py
    send      the stored bytes of a plan that is witnessed and opened, and no others

After a crash the steps are repeated. Two openings of the same sums with different noise would allow averaging the noise away.
Three things prevent that. Older copies of the files hold no live secret of an opened plan, so it is not noised again
(LiveSecretLost). If a copy of the secret exists nevertheless, the storage is older than the ledger (StateBehindLedger), or both
are older than the other aggregator remembers (LedgerBehind). And the same secret draws the same noise for the same sums.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aggregator.collect.aggregate_share import SealedShare
from aggregator.errors import NotCommitted, StateBehindLedger
from aggregator.shares.plans import PlanBook
from aggregator.storage.records import PlanState
from base.fields import Fields
from base.metrics import COLLECTIONS, STEP
from base.traces import span
from federation.commitment import Outcome
from federation.errors import KeyBurnt, LedgerBehind, PlanFreed, PlanOpenedBefore
from federation.plan import Plan
from federation.statement import digest_of, verify_statement


class Noising:
    """Draws an aggregator's noise for each plan once, and returns the stored result."""

    def __init__(self, plans: PlanBook) -> None:
        self._plans, self._files = plans, plans.files
        self._lock = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No noise is drawn meanwhile."""
        with self._lock:
            yield

    def noise(self, plan: Plan) -> None:
        """Decide which panes may be opened, add noise, store the result and record it in the ledger. A repeat draws no noise.

        Raises:
            NotCommitted, NoiseRefused, Stopping, KeyBurnt, PlanFreed. ReportRefused: a sum could exceed half the field.
            LedgerBehind, StateBehindLedger, LiveSecretLost: ledger or storage is an older copy.
        """
        storage, ledger = self._files.storage, self._files.ledger
        with self._lock:
            stored, _ = self._plans.opened(plan.hash)
            if stored.state is PlanState.BURNT:  # another call came first
                raise KeyBurnt(plan.hash)
            if stored.freed:
                raise PlanFreed(plan.hash)
            if stored.unopened:
                self._plans.charges.require_never_opened(plan)
                with (
                    span("noise", Fields(plan=plan.hash), panes=plan.offsets[-1]),
                    self._plans.meters.timed(STEP, "noise"),
                ):
                    self._plans.opening_of(plan).draw(stored, plan)
                self._count(plan, storage.statements(stored.number))
                self._plans.retention.forget()
            digest = digest_of(storage.statements(stored.number))
            try:
                ledger.complete(plan.hash, digest)
            except PlanOpenedBefore:
                raise StateBehindLedger(str(storage.path), plan.hash) from None
            self._files.live.erase(plan.plan_id)  # before any share is sent: this noise is never drawn again

    def _count(self, plan: Plan, statements: list[bytes]) -> None:
        """Count the panes of a plan that was noised now, by view and outcome."""
        key = self._plans.identity.sign_key(plan).public
        for planned, signed in zip(plan.views, statements, strict=True):
            outcomes = Counter(verify_statement(signed, key).outcomes)
            for outcome, panes in outcomes.items():
                self._plans.meters.add(COLLECTIONS, planned.view.name, Outcome(outcome).name, by=panes)

    def shares(self, plan: Plan) -> list[SealedShare]:
        """The stored shares of a plan that both have witnessed and opened: always the same bytes.

        Raises:
            NotCommitted. PlanFreed. LedgerBehind: the ledger lacks the opening.
        """
        storage, ledger = self._files.storage, self._files.ledger
        stored, _ = self._plans.opened(plan.hash)
        if stored.freed:
            raise PlanFreed(plan.hash)
        if stored.state is not PlanState.WITNESSED or storage.to_swap(stored.number):
            raise NotCommitted(plan.hash)
        shares = storage.noised(stored.number)
        if ledger.state.completed.get(plan.hash) != digest_of(storage.statements(stored.number)):
            raise LedgerBehind(str(ledger.path), f"it does not hold the opening of plan {plan.hash.hex()[:16]}…")
        return shares
