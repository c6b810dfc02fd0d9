"""The leader: takes batches (intake.py), and opens a plan with the helper.

    Prepare   draft ──► live secret, on disk ──► live keys, signed; with proofs, a key for them, handed to the helper

    Collect   heads of both ledgers ──► ask for what is kept ──► charge in the ledger ──► {closed, own commitment}
              ──► seal seed erased ──► the helper's commitment ──► heads; meanwhile both draw noise ──► {noised share}
              ──► `done` in the ledger ──► live secret erased ──► heads: each knows the other's `done` ──► {witnessed}
              ──► digests of the noised shares ──► the shares ──► {values, signed} ──► the same bytes, always (swap_opening.py)
              with finish mpc: {witnessed} ──► both open under MPC what is not suppressed (mpc_opening.py) ──► those bytes

One thread at a time opens a plan; batches of others are taken meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Final

from aggregator.collect.sealed_share import SealedShare
from aggregator.collect.swap_opening import SwappedOpening
from aggregator.errors import HelperUnavailable, MessageMalformed, PeerRefused, Refused, Stopping, Unreachable
from aggregator.intake.intake import helper_of
from aggregator.intake.key_agreement import KEY_BYTES, Prepared, key_offer, require_taken
from aggregator.services.peer_links import HelperLink, KeyHolderLink, PeerLink, ProviderLink, answer_invalid, as_peers
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage
from federation.circuit.validity import VerificationKey
from federation.draft import verify_draft
from federation.keys import RoleKeys
from federation.ledger.entries import Head
from federation.ledger.ledger import Ledger
from federation.plan import Plan

from .messages import (
    COMMITMENT_DOMAIN,
    WITNESS_DOMAIN,
    Signed,
    Witness,
    commitment_from_bytes,
    commitment_to_bytes,
    sign,
)
from .party import Clock, Settings

_LOOK_S: Final = 0.05
"""How often a leader that waits for the helper looks whether it should stop."""


class Leader(SwappedOpening):
    """The aggregator that holds the long shares, and drives the helper."""

    def __init__(
        self,
        keys: RoleKeys,
        settings: Settings,
        storage: Storage,
        ledger: Ledger,
        live: LiveFolder,
        clock: Clock,
        helper: HelperLink,
        key_holder: KeyHolderLink | None = None,
        provider: ProviderLink | None = None,
    ) -> None:
        super().__init__(keys, settings, storage, ledger, live, clock, helper, key_holder, provider)
        self._opening = threading.Lock()  # taken before the line; one plan at a time, or heads would cross

    def prepare(self, data: bytes) -> Prepared:
        """As `Party.prepare`; with proofs, agree with the helper on their key, too.

        The key is on disk here before the helper sees it, and a repeat offers the same one.

        Raises:
            HelperUnavailable, PeerRefused: ask again. And as `Party.prepare`.
        """
        prepared = super().prepare(data)
        draft = verify_draft(data, self.settings.coordinator)
        if draft.validity == "none":
            return prepared
        plan_id, helper = draft.plan_id, self._pinned_peer()
        key = self.storage.keep_key(plan_id, VerificationKey(os.urandom(KEY_BYTES)), self._clock())
        try:
            with as_peers():
                live = self._helper.prepare(data).live
                live.verify("helper", draft.hash, helper)
            offer = key_offer(plan_id, draft.hash, key, self.keys.sign, live.seal)
            reply = self._helper.take_key(offer)
        except Unreachable:
            raise HelperUnavailable(0) from None
        except Refused as refused:
            raise PeerRefused(refused) from None
        with as_peers():
            require_taken(reply, plan_id, key, helper)
        return replace(prepared, verify_key_hash=key.hash_for(plan_id))

    def collect(self, data: bytes) -> list[SealedShare]:
        """Close and open the plan with the helper, and give the leader's noised shares.

        Raises:
            HelperUnavailable, PeerRefused: nothing is lost; ask again. LedgerRefusal, and as `Opener._noise` and `_finish`.
        """
        _, plan = self._asked_by_collector(data)
        with self._opening:
            self._open(plan)
            if plan.finish == "mpc":
                self._finish(plan)
            elif plan.protection == "shares":
                self._swap(plan)
        return self._shares(plan)

    def _open(self, plan: Plan) -> None:
        """Close and open the plan with the helper. Whatever fails, the next call goes on from there.

        A plan that was opened before goes the same way: nothing is drawn again, and files that are older now are found.
        """
        confirmed: Head | None = None
        state = self._opened(plan.hash)[0].state
        if state == "open" or (plan.protection == "he" and state != "witnessed"):
            # a ledger that was rolled back is found before it charges, and before sums are opened
            confirmed = self._meet(plan, committed=False, confirmed=None).remembered
        with self._line:
            self._close(plan)
        if plan.protection == "he":  # the key holder draws nothing before it has the sums
            self._noise(plan)
            self._send_sums(plan)
        first = self._meet(plan, committed=True, confirmed=confirmed, meanwhile=lambda: self._noise(plan))
        second = self._meet(plan, committed=True, confirmed=first.remembered)
        if not self._witnessed_by(plan, second):
            raise answer_invalid("it does not remember the leader's opening", _name_of_peer(plan))

    def _close(self, plan: Plan) -> None:
        """Charge, and agree with the helper on the set of reports (holding the line)."""
        stored, _ = self._opened(plan.hash)
        while stored.own is None:
            self._ask_all(stored.number)
            self._charge(plan)
            with self.storage.transaction():
                if not self.storage.pending_jobs(stored.number):  # a batch may have come meanwhile
                    own = commitment_to_bytes(plan, self._commitment(stored.number, plan))
                    self.storage.close_plan(stored.number, own, None)
            stored, _ = self._opened(plan.hash)
        self.live.erase_seal(plan.plan_id)
        if stored.other is None and plan.protection == "shares":
            own = sign(COMMITMENT_DOMAIN["leader"], stored.own, self.keys.sign)
            reply = self._call(stored, self._helper, self._helper.commit, own)
            with as_peers():
                other = Signed.from_bytes(reply).verify(COMMITMENT_DOMAIN["helper"], helper_of(plan))
                commitment_from_bytes(plan, other)
            self.storage.set_other(stored.number, other)

    def _meet(
        self,
        plan: Plan,
        *,
        committed: bool,
        confirmed: Head | None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Witness:
        """Tell the helper where both ledgers stand, by what is known here, and hear the same from it.

        Args:
            meanwhile: done while the helper answers, which takes minutes if it draws noise.

        Raises:
            LedgerBehind: one of the two was rolled back. HelperUnavailable, PeerRefused, Stopping.
        """
        stored, _ = self._opened(plan.hash)
        told = self._witness(plan, committed=committed, confirmed=confirmed)
        data = sign(WITNESS_DOMAIN["leader"], told.to_bytes(), self.keys.sign)
        thread = ThreadPoolExecutor(1, thread_name_prefix="witness")
        peer: PeerLink = self._helper if plan.protection == "shares" else self._holder()
        reply = thread.submit(self._call, stored, peer, peer.witness, data)
        try:
            meanwhile()
        finally:
            while not reply.done() and not self._stopped.is_set():
                wait([reply], _LOOK_S)
            thread.shutdown(wait=False)
        if not reply.done():
            raise Stopping("this aggregator is stopping; nothing was opened: ask again when it is back")
        with as_peers(_name_of_peer(plan)):
            heard = Witness.from_bytes(
                Signed.from_bytes(reply.result()).verify(WITNESS_DOMAIN["helper"], helper_of(plan))
            )
            if (heard.plan_hash, heard.committed, heard.confirmed) != (plan.hash, committed, told.remembered):
                raise MessageMalformed("an answer to another witness")
        self._hear(plan, heard)
        return heard


def _name_of_peer(plan: Plan) -> str:
    return "helper" if plan.protection == "shares" else "key holder"
