"""Leader and helper open a plan: each sends the other its noised shares, adds both and signs the values.

    digest    both are witnessed ──► each signs the SHA-256 of its noised shares and keeps the other's digest
    swap      the shares themselves, which must have that digest ──► both added ──► {the values, signed}
    settle    both have stored the values ──► own noised shares are erased; shares and values may be sent to the collector

Each is bound to its own share before it receives the other's, so neither can choose its share afterwards. With the finish mpc
no share is swapped: both sign the values that they opened together (mpc/suppression.py). After a crash before `settle` the
steps are repeated and give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import (
    FINISH_DOMAIN,
    FINISHED_DOMAIN,
    SHARE_DIGEST_DOMAIN,
    FinishSession,
    ShareDigest,
)
from aggregator.collect.held_shares import HeldShares
from aggregator.collect.meeting import SharedOpening
from aggregator.errors import CommitmentConflict, MessageMalformed, NotCommitted, PlanUnknown
from aggregator.services.peer_links import answer_invalid, as_peers
from aggregator.shares.peers import PeerCalls, helper_of
from aggregator.shares.plans import PlanBook, no_keys
from aggregator.signed_message import Signed, sign
from aggregator.storage.records import StoredPlan
from crypto import field as field64
from crypto.errors import CryptoError
from crypto.signing import SigningKey
from federation.commitment import Outcome
from federation.opened_values import sign_values
from federation.plan import Plan
from federation.statement import verify_statement


class Swap:
    """One aggregator's side of a swap: an `Opening`. Leader and helper take the same steps."""

    def __init__(self, plans: PlanBook, held: HeldShares) -> None:
        self._plans, self._held = plans, held
        self._identity, self._storage = plans.identity, plans.files.storage

    def require(self, plan: Plan) -> None:
        """Every aggregator has what a swap needs."""

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """No keys. Raises EncryptionKeysInvalid."""
        return no_keys(plan, given)

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """Store the noised shares twice: sealed and signed for the collector, and in the clear for the swap."""
        shares, own = self._held.draw(stored, plan)
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        collector, key = plan.wire.collector.seal, self._identity.sign_key(plan)
        sealed = [SealedShare.make(plan, view, shares, own, collector, key) for view in range(len(plan.views))]
        to_swap = [field64.to_bytes(one) for one in shares.shares]
        with self._storage.transaction():
            self._storage.add_noised(stored.number, sealed, to_swap)

    def own_shares(self, stored: StoredPlan) -> bytes:
        """This aggregator's noised shares of a witnessed plan: all views, in order.

        Raises:
            NotCommitted: the plan is not witnessed. FinishRefused: the shares are erased.
        """
        held = self._held.require(stored, self._storage.to_swap(stored.number))
        return b"".join(held)

    def keep_digest(self, stored: StoredPlan, digest: bytes) -> None:
        """Store the other aggregator's digest. Raises CommitmentConflict: it has signed another digest before."""
        with self._storage.transaction():
            self._storage.set_swap_digest(stored.number, digest)
        if self._storage.swap_digest(stored.number) != digest:
            raise CommitmentConflict(f"the {self._identity.peer} signed another digest of its noised shares before")

    def received(self, stored: StoredPlan, pieces: Iterable[bytes]) -> bytes:
        """The other aggregator's noised shares, checked against its signed digest and the length of the own shares.

        Raises:
            NotCommitted: it has signed no digest. MessageMalformed.
        """
        size, found = len(self.own_shares(stored)), bytearray()
        for piece in pieces:
            found += piece
            if len(found) > size:
                break
        due = self._storage.swap_digest(stored.number)
        if due is None:
            raise NotCommitted(stored.hash)
        if hashlib.sha256(found).digest() != due:
            raise MessageMalformed(
                f"the noised shares of the {self._identity.peer} do not have the digest that it signed"
            )
        return bytes(found)

    def signed_values(self, stored: StoredPlan, plan: Plan, theirs: bytes) -> list[bytes]:
        """The signed sum of both shares, for each view. Raises FieldElementOutOfRange, MessageMalformed."""
        signed, left, key = [], memoryview(theirs), self._identity.sign_key(plan)
        for view, (planned, own) in enumerate(zip(plan.views, self._storage.to_swap(stored.number), strict=True)):
            other, left = left[: len(own)], left[len(own) :]
            if len(other) != len(own):
                peer = self._identity.peer
                raise MessageMalformed(f"the {peer} has opened fewer panes of view {planned.view.name!r}")
            statement = verify_statement(self._storage.statements(stored.number)[view], key.public)
            total = field64.add(field64.from_bytes(own), field64.from_bytes(bytes(other)))
            panes = statement.outcomes.count(Outcome.OPENED)
            sums = field64.decode_centred(total).astype(np.int64).reshape(panes, planned.layout.length)
            signed.append(sign_values(plan, view, self._identity.role, sums, key))
        return signed


class LeaderSwap:
    """The leader's swap with the helper: an `Opening` that drives digest, swap and settle."""

    def __init__(self, plans: PlanBook, own: Swap, shared: SharedOpening, calls: PeerCalls) -> None:
        self._plans, self._own, self._shared, self._calls = plans, own, shared, calls
        self._storage, self._identity = plans.files.storage, plans.identity

    def require(self, plan: Plan) -> None:
        """As `Swap`."""
        self._own.require(plan)

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """As `Swap`."""
        return self._own.accepted_keys(plan, given)

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """As `Swap`."""
        self._own.draw(stored, plan)

    def open(self, plan: Plan) -> None:
        """Open the plan with the helper; both sign the values. After a failure, call again.

        Raises:
            HelperUnavailable, PeerRefused. And as `SharedOpening`.
        """
        self._shared.witnessed(plan)
        stored, _ = self._plans.opened(plan.hash)
        if self._storage.to_swap(stored.number):
            mine, helper = self._own.own_shares(stored), self._calls.peers.helper
            self._exchange_digests(stored, plan, mine)
            pieces = self._calls.call_helper(stored, lambda _: helper.swap(plan.hash, mine), b"")
            with as_peers():
                theirs = self._own.received(stored, pieces)
            try:
                values = self._own.signed_values(stored, plan, theirs)
            except CryptoError as error:
                raise answer_invalid(str(error)) from None
            with self._storage.transaction():
                self._storage.set_opened(stored.number, values)
                self._storage.settle(stored.number)
            self._plans.retention.forget()
        request_finish(self._calls, stored, plan, 0, self._identity.sign_key(plan))

    def _exchange_digests(self, stored: StoredPlan, plan: Plan, mine: bytes) -> None:
        own = ShareDigest(plan.hash, hashlib.sha256(mine).digest())
        data = sign(SHARE_DIGEST_DOMAIN["leader"], own.to_bytes(), self._identity.sign_key(plan))
        reply = self._calls.call_helper(stored, self._calls.peers.helper.digest, data)
        with as_peers():
            theirs = ShareDigest.from_bytes(
                Signed.from_bytes(reply).verify(SHARE_DIGEST_DOMAIN["helper"], helper_of(plan))
            )
        if theirs.plan_hash != plan.hash:
            raise answer_invalid("it is about another plan")
        self._own.keep_digest(stored, theirs.digest)


def request_finish(calls: PeerCalls, stored: StoredPlan, plan: Plan, port: int, key: SigningKey) -> None:
    """Run by the leader: the helper runs its process of the finish mpc, or (port 0) erases its noised shares.

    Raises:
        HelperUnavailable, PeerRefused.
    """
    body = FinishSession(plan.hash, port).to_bytes()
    reply = calls.call_helper(stored, calls.peers.helper.finish, sign(FINISH_DOMAIN, body, key))
    with as_peers():
        if Signed.from_bytes(reply).verify(FINISHED_DOMAIN, helper_of(plan)) != body:
            raise MessageMalformed("it answers another session")
