"""How an aggregator opens a plan: charge, close, noise, witness, send. The same steps at leader and helper.

    charge    intent in the ledger, on disk, before the plan is closed       refused: nothing is closed
    noise     drawn from the live secret ──► {noised shares, statements} in one transaction ──► `done` in the ledger, by
              their digest ──► the live secret is erased
    witness   the other aggregator has told that it remembers a head of this ledger in which `done` stands
    open      both swap their noised shares, add them and sign the values (swapping.py). With finish mpc: finishing.py
    send      the stored bytes, and only those of a plan that is witnessed and opened

A crash between two steps is mended by doing them again. Older copies of the files hold no live secret of a plan that was
opened, so nothing of it is noised again (LiveSecretLost). Where one was copied all the same, the storage lies behind the ledger
(StateBehindLedger), or both behind what the other aggregator remembers (LedgerBehind); and of the same sums the same noise is
drawn, of other sums an independent one. The noises of two openings could be averaged away.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from aggregator.errors import AfterDeadline, NotCommitted, PlanUnknown, StateBehindLedger
from aggregator.shares.messages import COLLECT_DOMAIN, Signed, Witness, commitment_from_bytes, plan_of
from aggregator.shares.party import Party
from aggregator.storage.retention import LATEST_CHARGE_US
from aggregator.storage.role_storage import StoredPlan
from crypto import field as field64
from crypto.sharing import Accumulator
from federation.errors import AlreadyDone, KeyBurnt, LedgerBehind
from federation.ledger.entries import Head
from federation.plan import Plan
from federation.protocol import Closed, Commitment, NoisedShares
from federation.statement import digest_of

from .sealed_share import HeldShare, SealedShare


class Opener(Party):
    """An aggregator's side of an opening. Leader and helper call these steps in their order."""

    def _asked_by_collector(self, data: bytes) -> tuple[StoredPlan, Plan]:
        """The plan that a request to collect is about, signed by its collector."""
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        if plan.wire is None:  # not of a plan that was opened here
            raise PlanUnknown(plan.hash)
        signed.verify(COLLECT_DOMAIN, plan.wire.collector.sign)
        return stored, plan

    def _charge(self, plan: Plan) -> None:
        """Charge the plan and take its panes, before it is closed; a repeat charges nothing.

        Raises:
            PlanInvalid, NoiseRefused, PlanTooLarge, StateBehindLedger, AfterDeadline, LedgerRefusal: nothing was charged.
        """
        self._require_terms(plan)
        stored, _ = self._opened(plan.hash)
        if stored.state in ("open", "closed"):
            self._require_never_opened(plan)
        if plan.hash not in self.ledger.state.intended and self._clock() > stored.deadline_us + LATEST_CHARGE_US:
            raise AfterDeadline(stored.deadline_us)
        self.ledger.intend(plan, self.settings.budget)

    def _noise(self, plan: Plan) -> None:
        """Decide what may be opened, add noise, store the result, record it in the ledger: once. A repeat draws nothing.

        Raises:
            NotCommitted, NoiseRefused, Stopping; ReportRefused: a sum could pass half the field. KeyBurnt.
            LedgerBehind, StateBehindLedger, LiveSecretLost: ledger or storage is an older copy.
        """
        with self._noising:
            stored, _ = self._opened(plan.hash)
            if stored.state == "burnt":  # another call was faster
                raise KeyBurnt(plan.hash)
            if stored.state in ("open", "closed"):
                self._require_never_opened(plan)
                if plan.finish == "mpc":
                    held = self._held(stored, plan)
                    with self.storage.transaction():
                        self.storage.add_held(stored.number, held)
                else:
                    sealed, to_swap = self._drawn(stored, plan)
                    with self.storage.transaction():
                        self.storage.add_noised(stored.number, sealed, to_swap)
                self._forget()
            digest = digest_of(self.storage.statements(stored.number))
            try:
                self.ledger.done(plan.hash, digest)
            except AlreadyDone:
                raise StateBehindLedger(str(self.storage.path), plan.hash) from None
            self.live.erase(plan.plan_id)  # before a byte of it leaves: nobody draws this noise again

    def _drawn(self, stored: StoredPlan, plan: Plan) -> tuple[list[SealedShare], list[bytes]]:
        """Fresh noise on this aggregator's sums, sealed and signed; and the noised shares, to be swapped."""
        shares, own = self._noised_shares(stored, plan)
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        collector = plan.wire.collector.seal
        views = range(len(plan.views))
        sealed = [SealedShare.make(plan, view, shares, own, collector, self.keys.sign) for view in views]
        return sealed, [field64.to_bytes(one) for one in shares.shares]

    def _held(self, stored: StoredPlan, plan: Plan) -> list[HeldShare]:
        """The same with finish mpc: signed, and kept as it is."""
        shares, own = self._noised_shares(stored, plan)
        return [HeldShare.make(plan, view, shares, own, self.keys.sign) for view in range(len(plan.views))]

    def _noised_shares(self, stored: StoredPlan, plan: Plan) -> tuple[NoisedShares, Commitment]:
        if stored.own is None or stored.other is None:
            raise NotCommitted(plan.hash)
        self._require_charged(plan)
        own, other = (commitment_from_bytes(plan, data) for data in (stored.own, stored.other))
        sums = tuple(
            Accumulator.from_values(self.storage.sums(stored.number, collections, planned.layout.length))
            for planned, collections in zip(plan.views, _collections(plan), strict=True)
        )
        closed = Closed(self.role, plan, sums, own, self.storage.most_reports(stored.number))
        return closed.noise(other, self._noise_source(plan)), own

    def _require_charged(self, plan: Plan) -> None:
        """A plan that was closed was charged before. Raises LedgerBehind; and as `open_plan` of its terms."""
        self._require_terms(plan)
        if plan.hash not in self.ledger.state.intended:
            raise LedgerBehind(
                str(self.ledger.path), f"it has not charged plan {plan.hash.hex()[:16]}…, which was closed"
            )

    def _witness(self, plan: Plan, *, committed: bool, confirmed: Head | None) -> Witness:
        """What this aggregator tells the other one of both ledgers."""
        return Witness(plan.hash, committed, self.ledger.head, self.ledger.peer(self._peer_of(plan)), confirmed)

    def _hear(self, plan: Plan, told: Witness) -> None:
        """Check what the other aggregator tells of both ledgers, and remember its head.

        Raises:
            LedgerBehind: this ledger, or the other one, was rolled back or rewritten; it says which.
        """
        self.ledger.require_known(told.remembered)
        self.ledger.see_peer(self._peer_of(plan), told.head, told.confirmed)

    def _witnessed_by(self, plan: Plan, told: Witness) -> bool:
        """Whether the other aggregator remembers this one's opening; from then on its shares may be sent."""
        known = self.ledger.covers(told.remembered, plan.hash)
        if known:
            self.storage.set_witnessed(self._opened(plan.hash)[0].number)
        return known

    def _shares(self, plan: Plan) -> list[SealedShare]:
        """The stored shares of a plan that is witnessed: always the same bytes.

        Raises:
            NotCommitted. LedgerBehind: the ledger does not hold what was opened.
        """
        stored, _ = self._opened(plan.hash)
        if stored.state != "witnessed":
            raise NotCommitted(plan.hash)
        shares = self.storage.noised(stored.number)
        if self.ledger.state.done.get(plan.hash) != digest_of(self.storage.statements(stored.number)):
            raise LedgerBehind(str(self.ledger.path), f"it does not hold the opening of plan {plan.hash.hex()[:16]}…")
        return shares

    def _peer_of(self, plan: Plan) -> str:
        """Under which name the other aggregator's head is remembered: new keys begin a new ledger."""
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        name = "keyholder" if plan.protection == "he" and self.peer == "helper" else self.peer
        return f"{name} {plan.wire.sign_key(self.peer).id.hex()}"


def _collections(plan: Plan) -> Iterator[npt.NDArray[np.uint32]]:
    """The collection indices of each view."""
    for first, last in zip(plan.offsets, plan.offsets[1:], strict=False):
        yield np.arange(first, last, dtype=np.uint32)
