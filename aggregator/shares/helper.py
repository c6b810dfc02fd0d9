"""The helper: it answers the leader's jobs, commits and opens with the leader, and sends the collector its noised share.

Prepare     draft ──► live secret, on disk ──► its live keys, signed; a repeat gives the same
TakeKey     the leader's verification key for a plan with proofs ──► stored ──► its hash
Aggregate   a job of the leader (intake/job_intake.py)
Commit      leader's counts and digests ──► charge in the ledger ──► {closed, both commitments} ──► seal seed erased ──► its own
Witness     heads of both ledgers, checked ──► {noised share}, `done` in the ledger ──► live secret erased ──► its own head
            ──► {witnessed} if the leader knows that `done`
Digest      for a witnessed plan: the leader's digest of its noised shares ──► {stored} ──► own digest
Swap        the leader's noised shares ──► {values, signed} ──► own noised shares
Finish      for a witnessed plan, with finish mpc: own process ──► {opened values}; later {own share erased}
Free        the coordinator's request ──► everything of the plan erased ──► "never opened", once the leader knows
Collect     for a witnessed (and finished) plan: always the same bytes
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, assert_never

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import (
    COMMITMENT_DOMAIN,
    FINISH_DOMAIN,
    FINISHED_DOMAIN,
    SHARE_DIGEST_DOMAIN,
    WITNESS_DOMAIN,
    FinishSession,
    ShareDigest,
    Stage,
    Witness,
    commitment_from_bytes,
    commitment_to_bytes,
)
from aggregator.collect.freeing import Freeing
from aggregator.collect.heads import Heads
from aggregator.collect.held_shares import HeldShares
from aggregator.collect.noising import Noising
from aggregator.collect.swap import Swap
from aggregator.errors import CommitmentConflict, LiveSecretLost, VerificationKeyConflict
from aggregator.identity import Clock, RoleIdentity, Settings
from aggregator.intake.job_intake import JobIntake
from aggregator.intake.key_agreement import confirm_key, offered_key, offered_plan
from aggregator.intake.preparation import Preparation
from aggregator.intake.readiness import Readiness
from aggregator.intake.tally import ReportTally
from aggregator.mpc.suppression import Suppression
from aggregator.shares.peers import leader_of
from aggregator.shares.plans import Opening, PlanBook
from aggregator.signed_message import Signed, plan_of, sign
from aggregator.storage.files import Files
from aggregator.storage.records import PlanStatus
from base.metrics import Meters
from federation.errors import FinishRefused, PlanFreed, PlanInvalid
from federation.keys import RoleKeys
from federation.live_keys import MOST_AFTER_DEADLINE_US
from federation.plan import Plan
from federation.terms import Encrypted, Finish, Shares

GRACE_US: Final = 86_400 * 10**6
"""How long after the deadline the helper accepts reports that the leader received in time. The helper may have been down."""


class Helper:
    """The aggregator that expands its shares from seeds."""

    role: Final = "helper"

    def __init__(self, keys: RoleKeys, settings: Settings, files: Files, clock: Clock) -> None:
        self.files, self._clock = files, clock
        self.identity = RoleIdentity(self.role, keys, settings)
        self.plans = PlanBook(self.identity, files, clock, self._opening_of, GRACE_US)
        self.tally = ReportTally(self.identity, files.storage.reports)
        self.held = HeldShares(self.plans)
        self.own_swap, self.suppression = Swap(self.plans, self.held), Suppression(self.plans, self.held)
        self.jobs, self.heads, self.noising = JobIntake(self.plans, self.tally), Heads(self.plans), Noising(self.plans)
        self.freeing = Freeing(self.plans, self.noising)

    @property
    def meters(self) -> Meters:
        """The counters of this role."""
        return self.plans.meters

    def check(self, data: bytes) -> Readiness:
        """What this aggregator would answer to the plan of a draft. Raises as `PlanBook.readiness`."""
        return self.plans.readiness(data)

    def prepare(self, data: bytes) -> Preparation:
        """Prepare a draft: draw its live secret. Raises as `PlanBook.prepare`."""
        return Preparation(self.plans.prepare(data))

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Open a plan: take part in it from now on. Returns its hash. Raises as `PlanBook.open`."""
        return self.plans.open(signed, encryption_keys)

    def take_key(self, data: bytes) -> bytes:
        """Store the verification key that the leader drew for a draft. A repeat gives the same answer.

        Raises:
            MessageMalformed, SignatureInvalid, SealBroken: not an offer of this helper's leader. PeerUnknown. KeyNotInForce.
            LiveSecretLost: nothing was prepared for this plan id, or its live secret is lost.
            VerificationKeyConflict: another key is stored under this plan id.
        """
        leader = self.identity.pinned_peer()
        plan_id, sealed = leader.verified(lambda key: offered_plan(data, key), lambda one: self._deadline_of(one[0]))
        self.plans.retention.forget()
        file, deadline_us = self.files.live.load(plan_id), self._deadline_of(plan_id)
        if file is None or file.secret.seal is None:
            raise LiveSecretLost(self.role, str(self.files.live.path), plan_id)
        key = offered_key(sealed, file.draft, leader.at(deadline_us), file.secret.seal)
        if self.files.storage.keep_key(plan_id, key, self._clock()).hash_for(plan_id) != key.hash_for(plan_id):
            raise VerificationKeyConflict(plan_id)
        return confirm_key(plan_id, key, self.identity.keys.at(deadline_us).sign)

    def aggregate(self, data: bytes) -> bytes:
        """Answer one aggregation job of the leader. Raises as `JobIntake.aggregate`."""
        return self.jobs.aggregate(data)

    def commit(self, data: bytes) -> bytes:
        """Close the plan, store the leader's commitment, and answer with the helper's own.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. CommitmentConflict: the leader signed another one before.
            PlanFreed, LedgerRefusal, StateBehindLedger: nothing was closed.
        """
        signed, storage = Signed.from_bytes(data), self.files.storage
        stored, plan = self.plans.opened(plan_of(signed))
        other = signed.verify(COMMITMENT_DOMAIN["leader"], leader_of(plan))
        commitment_from_bytes(plan, other)
        self.plans.charge(plan)
        with storage.transaction():
            stored, _ = self.plans.opened(plan.hash)
            if stored.freed:
                raise PlanFreed(plan.hash)
            if stored.own is None:
                own = commitment_to_bytes(plan, self.tally.commitment(stored.number, plan))
                storage.close_plan(stored.number, own, other)
            elif stored.other != other:
                raise CommitmentConflict("the leader committed to another set of reports before")
            else:
                own = stored.own
        self.files.live.erase_seal(plan.plan_id)
        return sign(COMMITMENT_DOMAIN["helper"], own, self.identity.sign_key(plan))

    def witness(self, data: bytes) -> bytes:
        """Check the leader's message about both ledgers, draw noise once both have committed, and answer with the own message.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. LedgerBehind: one of the two ledgers was rolled back.
            PlanFreed: it is freed here, and not at the leader. NotCommitted, and as `Noising.noise`.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self.plans.opened(plan_of(signed))
        theirs = Witness.from_bytes(signed.verify(WITNESS_DOMAIN["leader"], leader_of(plan)))
        self.heads.check(plan, theirs)
        match theirs.stage:
            case Stage.UNOPENED:
                if stored.freed:
                    raise PlanFreed(plan.hash)
            case Stage.COMMITTED:
                self.noising.noise(plan)
                self.heads.witnessed(plan, theirs)
            case Stage.FREED:
                self.heads.witnessed(plan, theirs)
            case other:
                assert_never(other)
        reply = self.heads.witness(plan, theirs.stage, theirs.remembered)
        return sign(WITNESS_DOMAIN["helper"], reply.to_bytes(), self.identity.sign_key(plan))

    def digest(self, data: bytes) -> bytes:
        """Store the leader's digest of its noised shares, and answer with the digest of the helper's.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. NotCommitted: the leader has not confirmed that it remembers
            the helper's opening. CommitmentConflict. FinishRefused.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self.plans.opened(plan_of(signed))
        theirs = ShareDigest.from_bytes(signed.verify(SHARE_DIGEST_DOMAIN["leader"], leader_of(plan)))
        self._require_swap(plan)
        own = ShareDigest(plan.hash, hashlib.sha256(self.own_swap.own_shares(stored)).digest())
        self.own_swap.keep_digest(stored, theirs.digest)
        return sign(SHARE_DIGEST_DOMAIN["helper"], own.to_bytes(), self.identity.sign_key(plan))

    def swap(self, plan_hash: bytes, pieces: Iterable[bytes]) -> bytes:
        """Add the leader's noised shares to the helper's, store the signed values, and answer with the helper's shares.

        Only a caller that knows the leader's shares receives the helper's.

        Raises:
            PlanUnknown, NotCommitted, MessageMalformed, FinishRefused, FieldElementOutOfRange.
        """
        stored, plan = self.plans.opened(plan_hash)
        self._require_swap(plan)
        theirs = self.own_swap.received(stored, pieces)
        values = self.own_swap.signed_values(stored, plan, theirs)
        with self.files.storage.transaction():
            self.files.storage.set_opened(stored.number, values)
        return self.own_swap.own_shares(stored)

    def finish(self, data: bytes) -> bytes:
        """Run this helper's process of the finish mpc and store the opened values; or (port 0) erase the noised shares.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. NotCommitted, FinishRefused, MpcFailed, Stopping.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self.plans.opened(plan_of(signed))
        body = signed.verify(FINISH_DOMAIN, leader_of(plan))
        if port := FinishSession.from_bytes(body).port:
            finished = self.suppression.run(stored, plan, port)
            with self.files.storage.transaction():
                self.files.storage.set_finished(stored.number, finished)
        else:
            self.suppression.seat.end()
            self.held.erase(stored)
        return sign(FINISHED_DOMAIN, body, self.identity.sign_key(plan))

    def free(self, data: bytes) -> list[bytes]:
        """Free a plan for the coordinator. Returns the statement once the leader knows. Raises as `Freeing.answer`."""
        return self.freeing.answer(data)

    def collect(self, data: bytes) -> list[SealedShare]:
        """The helper's noised shares, for the collector.

        Raises:
            NotCommitted: the leader has not opened the plan with the helper. LedgerBehind.
        """
        return self.noising.shares(self.plans.verify_collect_request(data)[1])

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        return self.plans.status(plan_hash)

    def stop(self) -> None:
        """Draw no more noise, and end the process of the finish. Calls in progress raise Stopping and open nothing."""
        self.plans.stopped.set()
        self.suppression.seat.stop()

    def close(self) -> None:
        """Close the files; committed data stays."""
        self.files.close()

    def _opening_of(self, plan: Plan) -> Opening:
        """The helper's opening for these terms; the only place that matches them."""
        match plan.terms:
            case Shares(finish=finish):
                return self.suppression if finish is Finish.MPC else self.own_swap
            case Encrypted():
                raise PlanInvalid(
                    "a helper takes no part in plans with encrypted reports; a key holder opens their sums. Start a key holder"
                )
            case other:
                assert_never(other)

    def _deadline_of(self, plan_id: bytes) -> int:
        """The deadline (µs) of a draft that was prepared here. Raises LiveSecretLost."""
        if (file := self.files.live.load(plan_id)) is None:
            raise LiveSecretLost(self.role, str(self.files.live.path), plan_id)
        return file.not_after_us - MOST_AFTER_DEADLINE_US

    def _require_swap(self, plan: Plan) -> None:
        """Raise FinishRefused for a plan with finish mpc: a party with its noised shares could open the suppressed cells."""
        if self._opening_of(plan) is self.suppression:
            raise FinishRefused(
                "the helper swaps no noised shares of a plan with finish mpc: it opens such a plan by MPC"
            )
