"""The helper: answers the leader's jobs, commits and opens with it, and gives the collector its noised share.

Prepare     draft ──► live secret, on disk ──► its live keys, signed; a repeat gives the same
TakeKey     the leader's key for a plan with proofs ──► kept ──► its hash
Aggregate   job ──► check, open, verify proofs ──► {sums, ids, answer} in one transaction ──► answer, always the same
Commit      leader's counts and digests ──► charge in the ledger ──► {closed, both commitments} ──► seal seed erased ──► its own
Witness     heads of both ledgers, checked ──► {noised share}, `done` in the ledger ──► live secret erased ──► its own head
            ──► {witnessed} where the leader knows of that `done`
Digest      of a plan that is witnessed: leader's digest of its noised shares ──► {kept} ──► own
Swap        the leader's noised shares ──► {values, signed} ──► own
Finish      of a plan that is witnessed, with finish mpc: own process ──► {what was opened}; and later {own share erased}
Collect     of a plan that is witnessed (and finished): the same bytes, always
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np

from aggregator.collect.finishing import Finishing
from aggregator.collect.sealed_share import SealedShare
from aggregator.errors import (
    AggregatorError,
    AlreadyCollected,
    CommitmentConflict,
    JobConflict,
    LiveSecretLost,
    PlanUnknown,
    VerificationKeyConflict,
)
from aggregator.intake.key_agreement import key_taken, offered_key, offered_plan
from aggregator.intake.refusals import INTERNAL, refusal_of
from aggregator.intake.verification import judged
from aggregator.storage.role_storage import StoredPlan
from crypto.errors import CryptoError
from crypto.signing import VerifyKey
from federation.batch.batch import SealedHalf, open_half
from federation.batch.reports import HelperHalf, ProvenHalf
from federation.circuit.validity import Started, start
from federation.errors import FederationError
from federation.plan import Plan

from .messages import (
    ANSWER_DOMAIN,
    COMMITMENT_DOMAIN,
    FINISH_DOMAIN,
    FINISHED_DOMAIN,
    JOB_DOMAIN,
    SHARE_DIGEST_DOMAIN,
    WITNESS_DOMAIN,
    Answer,
    Finish,
    Job,
    ShareDigest,
    Signed,
    Verdict,
    Witness,
    commitment_from_bytes,
    commitment_to_bytes,
    job_digest,
    plan_of,
    require_length,
    sign,
    verdicts_from,
)

GRACE_US: Final = 86_400 * 10**6
"""How long after the deadline the helper takes what the leader received before it: a helper may have been down."""


class Helper(Finishing):
    """The aggregator that holds seeds."""

    role = "helper"
    peer = "leader"
    grace_us = GRACE_US

    def take_key(self, data: bytes) -> bytes:
        """Keep the verification key that the leader has drawn for a plan that is yet to be signed; a repeat is the same.

        Raises:
            MessageMalformed, SignatureInvalid, SealBroken: not of this helper's leader. PeerUnknown.
            LiveSecretLost: nothing was prepared for this plan id, or what was is gone.
            VerificationKeyConflict: another key is kept under this plan id.
        """
        leader = self._pinned_peer()
        plan_id, sealed = offered_plan(data, leader)
        self._forget()
        file = self.live.load(plan_id)
        if file is None or file.secret.seal is None:
            raise LiveSecretLost(self.role, str(self.live.path), plan_id)
        key = offered_key(sealed, file.draft, leader, file.secret.seal)
        if self.storage.keep_key(plan_id, key, self._clock()).hash_for(plan_id) != key.hash_for(plan_id):
            raise VerificationKeyConflict(plan_id)
        return key_taken(plan_id, key, self.keys.sign)

    def aggregate(self, data: bytes) -> bytes:
        """Take one batch of the leader's, whole but for duplicate ids, or refuse it: recorded, signed, for good.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid: not a job of this plan's leader.
            JobConflict, AlreadyCollected: it changes nothing.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        body = signed.verify(JOB_DOMAIN, _leader_of(plan))
        job, digest = Job.from_bytes(body), job_digest(body)
        answer = self._recorded(stored.number, job, digest) or self._answer(stored, plan, job, digest)
        return sign(ANSWER_DOMAIN, answer, self.keys.sign)

    def commit(self, data: bytes) -> bytes:
        """Take no more reports; remember the leader's commitment, and answer with the helper's own.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. CommitmentConflict: another one than before.
            LedgerRefusal, StateBehindLedger: nothing was closed.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        other = signed.verify(COMMITMENT_DOMAIN["leader"], _leader_of(plan))
        commitment_from_bytes(plan, other)
        self._charge(plan)
        with self.storage.transaction():
            stored, _ = self._opened(plan.hash)
            if stored.own is None:
                own = commitment_to_bytes(plan, self._commitment(stored.number, plan))
                self.storage.close_plan(stored.number, own, other)
            elif stored.other != other:
                raise CommitmentConflict("the leader committed to another set of reports before")
            else:
                own = stored.own
        self.live.erase_seal(plan.plan_id)
        return sign(COMMITMENT_DOMAIN["helper"], own, self.keys.sign)

    def witness(self, data: bytes) -> bytes:
        """Check where both ledgers stand by the leader's word, draw the noise once both have committed, say the same of here.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. LedgerBehind: one of the two ledgers was rolled back.
            NotCommitted, and as `Opener._noise`.
        """
        signed = Signed.from_bytes(data)
        _, plan = self._opened(plan_of(signed))
        told = Witness.from_bytes(signed.verify(WITNESS_DOMAIN["leader"], _leader_of(plan)))
        self._hear(plan, told)
        if told.committed:
            self._noise(plan)
            self._witnessed_by(plan, told)
        reply = self._witness(plan, committed=told.committed, confirmed=told.remembered)
        return sign(WITNESS_DOMAIN["helper"], reply.to_bytes(), self.keys.sign)

    def digest(self, data: bytes) -> bytes:
        """Keep what the leader is bound to, and be bound to the noised shares of here.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. NotCommitted: the leader has not told that it knows of the opening
            here. CommitmentConflict. FinishRefused.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        told = ShareDigest.from_bytes(signed.verify(SHARE_DIGEST_DOMAIN["leader"], _leader_of(plan)))
        own = ShareDigest(plan.hash, hashlib.sha256(self._own_shares(stored)).digest())
        self._keep_digest(stored, told.digest)
        return sign(SHARE_DIGEST_DOMAIN["helper"], own.to_bytes(), self.keys.sign)

    def swap(self, plan_hash: bytes, pieces: Iterable[bytes]) -> bytes:
        """Store the signed values of what the leader's noised shares and those here add up to; the shares of here.

        Only who knows the leader's shares gets those of here.

        Raises:
            PlanUnknown, NotCommitted, MessageMalformed, FinishRefused, FieldElementOutOfRange.
        """
        stored, plan = self._opened(plan_hash)
        theirs = self._received(stored, pieces)
        values = self._signed_values(stored, plan, theirs)
        with self.storage.transaction():
            self.storage.set_opened(stored.number, values)
        return self._own_shares(stored)

    def finish(self, data: bytes) -> bytes:
        """Run this helper's process of the finish mpc and store what was opened, or erase what it was opened from.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. NotCommitted, FinishRefused, MpcFailed, Stopping.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        body = signed.verify(FINISH_DOMAIN, _leader_of(plan))
        if port := Finish.from_bytes(body).port:
            finished = self._run(stored, plan, port)
            with self.storage.transaction():
                self.storage.set_finished(stored.number, finished)
        else:
            self._seat.end()
            self._erase_held(stored)
        return sign(FINISHED_DOMAIN, body, self.keys.sign)

    def collect(self, data: bytes) -> list[SealedShare]:
        """The helper's noised shares, for the collector.

        Raises:
            NotCommitted: the leader has not opened the plan with the helper. LedgerBehind.
        """
        return self._shares(self._asked_by_collector(data)[1])

    def _recorded(self, number: int, job: Job, digest: bytes) -> bytes | None:
        found = self.storage.job(number, job.job_id)
        if found is None:
            return None
        if found[0] != digest:
            raise JobConflict(job.job_id)
        return found[1]

    def _answer(self, stored: StoredPlan, plan: Plan, job: Job, digest: bytes) -> bytes:
        """Decide on a new job and record what was decided. A refusal is recorded too: the leader takes none then."""
        try:
            return self._take(stored, plan, job, digest)
        except (AlreadyCollected, JobConflict):
            raise
        except (AggregatorError, FederationError, CryptoError) as error:
            refusal = refusal_of(error)
            if refusal.reason == INTERNAL:  # nothing that may pass is recorded
                raise
            answer = Answer(plan.hash, job.job_id, digest, b"", refusal).to_bytes()
        with self.storage.transaction():
            if (before := self._recorded(stored.number, job, digest)) is not None:
                return before
            if (now := self.storage.plan(plan.hash)) is None or now.state != "open":
                raise AlreadyCollected(plan.hash)
            self.storage.record(stored.number, job.job_id, digest, answer)
        return answer

    def _take(self, stored: StoredPlan, plan: Plan, job: Job, digest: bytes) -> bytes:
        until_us = stored.deadline_us + self.grace_us
        self._require_open(plan.hash, until_us)
        sealed = SealedHalf.from_bytes(job.half)
        half = open_half("helper", plan, self._seal_key(plan), self.settings.roster, sealed)
        header = sealed.signed.header
        self.ledger.require_known(header.head_of("helper"))
        verdicts = verdicts_from(job.verdicts, len(header)).copy()
        messages = np.empty((len(header), 0), np.uint8)
        work: HelperHalf | Started
        if isinstance(half, ProvenHalf):
            work = start(plan, self._verification_key(plan), half)
            offered = verdicts == Verdict.TAKEN
            messages, accepted = judged(plan, work, job.verifier_shares, offered)
            verdicts[offered & ~accepted] = Verdict.REJECTED
        else:
            work = half
            require_length("verifier shares", job.verifier_shares, 0)
        with self.storage.transaction():
            if (before := self._recorded(stored.number, job, digest)) is not None:
                return before
            self._require_open(plan.hash, until_us)
            self._count(stored.number, plan, header, verdicts)
            taken = verdicts == Verdict.TAKEN
            if taken.any():
                self._add(stored.number, plan, work.take(taken))
            answer = Answer(
                plan.hash, job.job_id, digest, verdicts.tobytes(), verifier_messages=messages[taken].tobytes()
            ).to_bytes()
            self.storage.record(stored.number, job.job_id, digest, answer)
        return answer


def _leader_of(plan: Plan) -> VerifyKey:
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    return plan.wire.leader
