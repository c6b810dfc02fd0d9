"""The leader, as far as the swap of noised shares is concerned (swapping.py)."""

from __future__ import annotations

import hashlib

from aggregator.intake.intake import helper_of
from aggregator.mpc.opening import FinishedOpening
from aggregator.services.peer_links import answer_invalid, as_peers
from aggregator.shares.messages import SHARE_DIGEST_DOMAIN, ShareDigest, Signed, sign
from aggregator.storage.role_storage import StoredPlan
from crypto.errors import CryptoError
from federation.plan import Plan


class SwappedOpening(FinishedOpening):
    """Leads through digest, swap and settle."""

    def _swap(self, plan: Plan) -> None:
        """Have both aggregators sign what they have opened of a plan that is witnessed. Whatever fails, ask again.

        Raises:
            HelperUnavailable, PeerRefused.
        """
        stored, _ = self._opened(plan.hash)
        if self.storage.to_swap(stored.number):
            mine = self._own_shares(stored)
            self._exchange_digests(stored, plan, mine)
            pieces = self._call(stored, self._helper, lambda _: self._helper.swap(plan.hash, mine), b"")
            with as_peers():
                theirs = self._received(stored, pieces)
            try:
                values = self._signed_values(stored, plan, theirs)
            except CryptoError as error:
                raise answer_invalid(str(error)) from None
            with self.storage.transaction():
                self.storage.set_opened(stored.number, values)
                self.storage.settle(stored.number)
            self._forget()
        self._ask_helper(stored, plan, 0)

    def _exchange_digests(self, stored: StoredPlan, plan: Plan, mine: bytes) -> None:
        own = ShareDigest(plan.hash, hashlib.sha256(mine).digest())
        data = sign(SHARE_DIGEST_DOMAIN["leader"], own.to_bytes(), self.keys.sign)
        reply = self._call(stored, self._helper, self._helper.digest, data)
        with as_peers():
            told = ShareDigest.from_bytes(
                Signed.from_bytes(reply).verify(SHARE_DIGEST_DOMAIN["helper"], helper_of(plan))
            )
        if told.plan_hash != plan.hash:
            raise answer_invalid("it is of another plan")
        self._keep_digest(stored, told.digest)
