"""The helper's intake: it answers each of the leader's aggregation jobs once and for all.

Aggregate   job ──► check, open, verify proofs ──► {sums, ids, answer} in one transaction ──► the same answer at each repeat
"""

from __future__ import annotations

import numpy as np

from aggregator.errors import AggregatorError, AlreadyCollected, JobConflict
from aggregator.intake.aggregation_job import (
    ANSWER_DOMAIN,
    JOB_DOMAIN,
    AggregationJob,
    JobAnswer,
    Verdict,
    job_digest,
    verdicts_from,
)
from aggregator.intake.counting import count_refused, count_verdicts
from aggregator.intake.refusals import INTERNAL, refusal_of
from aggregator.intake.tally import ReportTally
from aggregator.intake.verification import judge_job
from aggregator.shares.peers import leader_of
from aggregator.shares.plans import PlanBook
from aggregator.signed_message import Signed, plan_of, require_length, sign
from aggregator.storage.records import StoredPlan
from base.fields import Fields
from base.metrics import STEP
from base.traces import span
from crypto.errors import CryptoError
from federation.batch.batch import SealedHalf
from federation.batch.empty import open_empty
from federation.batch.reports import HelperHalf, ProvenHalf
from federation.batch.sealing import open_half
from federation.circuit.validity import Verification, start
from federation.errors import FederationError
from federation.plan import Plan


class JobIntake:
    """The helper's intake of aggregation jobs."""

    def __init__(self, plans: PlanBook, tally: ReportTally) -> None:
        self._plans, self._tally, self._identity, self._meters = plans, tally, plans.identity, plans.meters
        self._storage, self._ledger = plans.files.storage, plans.files.ledger

    def aggregate(self, data: bytes) -> bytes:
        """Accept one batch, whole except for duplicate ids, or refuse it. The signed answer is recorded and final.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid: not a job of this plan's leader.
            JobConflict, AlreadyCollected: nothing is changed.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self._plans.opened(plan_of(signed))
        body = signed.verify(JOB_DOMAIN, leader_of(plan))
        job, digest = AggregationJob.from_bytes(body), job_digest(body)
        with span("job", Fields(plan=plan.hash)):
            answer = self._recorded(stored.number, job, digest) or self._answer(stored, plan, job, digest)
        return sign(ANSWER_DOMAIN, answer, self._identity.sign_key(plan))

    def _recorded(self, number: int, job: AggregationJob, digest: bytes) -> bytes | None:
        found = self._storage.job(number, job.job_id)
        if found is None:
            return None
        if found[0] != digest:
            raise JobConflict(job.job_id)
        return found[1]

    def _answer(self, stored: StoredPlan, plan: Plan, job: AggregationJob, digest: bytes) -> bytes:
        """Decide on a new job and record the answer. A refusal is recorded too; the leader then accepts no report."""
        try:
            return self._accept(stored, plan, job, digest)
        except (AlreadyCollected, JobConflict):
            raise
        except (AggregatorError, FederationError, CryptoError) as error:
            refusal = refusal_of(error)
            if refusal.reason == INTERNAL:  # it may be temporary, so it is not recorded
                raise
            answer = JobAnswer(plan.hash, job.job_id, digest, b"", refusal).to_bytes()
        with self._storage.transaction():
            if (before := self._recorded(stored.number, job, digest)) is not None:
                return before
            if (now := self._storage.plan(plan.hash)) is None or not now.accepts_reports:
                raise AlreadyCollected(plan.hash)
            self._storage.record(stored.number, job.job_id, digest, answer)
        count_refused(self._meters, refusal)
        return answer

    def _opened_half(self, plan: Plan, sealed: SealedHalf) -> HelperHalf | ProvenHalf | None:
        """The helper's half, checked and opened; None for an empty batch."""
        seal_key, roster = self._plans.secrets.seal_key(plan), self._identity.settings.roster
        if len(sealed.signed.header):
            return open_half("helper", plan, seal_key, roster, sealed)
        open_empty("helper", plan, seal_key, roster, sealed)
        return None

    def _accept(self, stored: StoredPlan, plan: Plan, job: AggregationJob, digest: bytes) -> bytes:
        grace_us = self._plans.retention.grace_us
        self._plans.require_open(plan.hash, grace_us)
        sealed = SealedHalf.from_bytes(job.half)
        with self._meters.timed(STEP, "intake"):
            half = self._opened_half(plan, sealed)
        header = sealed.signed.header
        self._ledger.require_known(header.head_of("helper"))
        verdicts = verdicts_from(job.verdicts, len(header)).copy()
        messages = np.empty((len(header), 0), np.uint8)
        work: HelperHalf | Verification | None
        if isinstance(half, ProvenHalf):
            offered = verdicts == Verdict.TAKEN
            with self._meters.timed(STEP, "verify"):
                work = start(plan, self._plans.verification_key(plan), half)
                messages, accepted = judge_job(plan, work, job.verifier_shares, offered)
            verdicts[offered & ~accepted] = Verdict.REJECTED
        else:
            work = half
            require_length("verifier shares", job.verifier_shares, 0)
        with self._storage.transaction():
            if (before := self._recorded(stored.number, job, digest)) is not None:
                return before
            self._plans.require_open(plan.hash, grace_us)
            self._tally.count(stored.number, plan, header, verdicts)
            self._tally.count_site(stored.number, header, verdicts)
            taken = verdicts == Verdict.TAKEN
            if work is not None and taken.any():
                self._tally.add(stored.number, plan, work.take(taken))
            answer = JobAnswer(
                plan.hash, job.job_id, digest, verdicts.tobytes(), verifier_messages=messages[taken].tobytes()
            ).to_bytes()
            self._storage.record(stored.number, job.job_id, digest, answer)
        count_verdicts(self._meters, verdicts)
        return answer
