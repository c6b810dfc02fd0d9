"""The leader's intake of shares: it accepts batches, sends jobs to the helper, and counts only what both accept.

    Submit    check, open, with proofs compute verifier shares ──► {ids, batch} stored in one transaction
              ──► job to the helper ──► {sums, answer} in one transaction: the reports that the helper accepted.
              If the helper is down, the batch stays stored, and every later submit or collect sends the job again

One thread at a time sends jobs to the helper. Meanwhile other threads check and open the next batches.
"""

from __future__ import annotations

import logging
import threading

import numpy as np

from aggregator.errors import HelperUnavailable, JobConflict, MessageMalformed, PeerRefused, SealKeyErased
from aggregator.intake.aggregation_job import (
    ANSWER_DOMAIN,
    JOB_DOMAIN,
    AggregationJob,
    JobAnswer,
    Verdict,
    Verdicts,
    job_digest,
    verdicts_from,
)
from aggregator.intake.counting import count_refused, count_verdicts
from aggregator.intake.refusals import refusal_of
from aggregator.intake.submission import Submission, job_of, known_digest, submission_of
from aggregator.intake.tally import ReportTally
from aggregator.intake.verification import finish_job, offer
from aggregator.services.peer_links import as_peers
from aggregator.shares.peers import PeerCalls, helper_of
from aggregator.shares.plans import PlanBook
from aggregator.signed_message import Signed, sign
from aggregator.storage.records import Pending, StoredPlan
from base.fields import Fields
from base.metrics import STEP
from base.traces import span
from crypto.ntt_field import Mask
from crypto.signing import VerifyKey
from federation.batch.batch import BatchHeader, SealedBatch
from federation.batch.empty import open_empty
from federation.batch.reports import Addable, LeaderHalf, ProvenHalf, declared
from federation.batch.sealing import open_half
from federation.circuit.validity import Verification, start
from federation.parties import MAX_CLIENTS, Roster, RosterEntry, clients_in
from federation.plan import Plan
from federation.terms import Validity

log = logging.getLogger(__name__)

_Work = LeaderHalf | Verification | None
"""The leader's half of a batch in progress: ready to be added, or waiting for the helper's verification of its proofs. None: the
batch is empty."""


class ShareIntake:
    """The leader's `Intake` of plans whose reports are shares, with proofs or without.

    Attributes:
        line: held by the thread that sends jobs to the helper, and while a plan is closed.
    """

    def __init__(self, plans: PlanBook, tally: ReportTally, calls: PeerCalls) -> None:
        self.line = threading.Lock()
        self._plans, self._tally, self._calls = plans, tally, calls
        self._identity, self._storage, self._ledger = plans.identity, plans.files.storage, plans.files.ledger
        self._meters = plans.meters
        self._fresh: dict[bytes, tuple[SealedBatch, _Work]] = {}  # by digest, while in progress: each is opened once

    def submit(self, stored: StoredPlan, plan: Plan, batch: SealedBatch, data: bytes) -> Submission:
        """As `Intake`.

        Raises:
            AlreadyCollected, AfterDeadline, JobConflict, and as `open_half`: the batch is not stored. LedgerBehind: the
            site remembers a head that this ledger lacks; not stored. RemoteRefusal: the helper refuses the batch.
        """
        job, digest = job_of(batch), batch.signed.digest
        try:
            if (
                known_digest(self._storage, stored.number, job) != digest
            ):  # new; or a conflict, found once it is verified
                self._plans.require_open(plan.hash)
                with self._meters.timed(STEP, "intake"):
                    work = self._opened_half(plan, self._identity.settings.roster, batch)
                self._fresh[digest] = batch, work
                self.keep(plan, job, batch, data, _offered(work, len(batch.signed.header)))
            if self._storage.pending_digest(stored.number, job) is not None:
                with self.line:
                    self.send_jobs(None)
        except (HelperUnavailable, PeerRefused) as error:
            log.warning("batches stay stored and are sent to the helper again later: %s", error)
        finally:
            self._fresh.pop(digest, None)
        return submission_of(self._storage, stored.number, job)

    # a batch

    def _opened_half(self, plan: Plan, roster: Roster, batch: SealedBatch) -> _Work:
        """The leader's half, checked and opened. With proofs: its verifier shares, always the same."""
        seal_key, header = self._plans.secrets.seal_key(plan), batch.signed.header
        half: LeaderHalf | ProvenHalf | None = None
        if len(header):
            half = open_half("leader", plan, seal_key, roster, batch.half("leader"))
        else:
            open_empty("leader", plan, seal_key, roster, batch.half("leader"))
        self._ledger.require_known(header.head_of("leader"))
        if not isinstance(half, ProvenHalf):
            return half
        with self._meters.timed(STEP, "verify"):
            return start(plan, self._plans.verification_key(plan), half)

    def keep(self, plan: Plan, job: bytes, batch: SealedBatch, data: bytes, offered: Mask) -> None:
        """Record the batch's new ids and store the batch until the helper answers.

        Args:
            offered: bool[R], the reports that the leader itself does not reject.
        """
        header, digest = batch.signed.header, batch.signed.digest
        with self._storage.transaction():
            number = self._plans.require_open(plan.hash).number
            if (known := known_digest(self._storage, number, job)) is not None:
                if known != digest:
                    raise JobConflict(job)
                return
            if plan.terms.validity is Validity.PRIO3:
                self._plans.verification_key(plan)  # from now on the key is kept while the batch waits (retention.py)
            verdicts = np.where(offered, Verdict.TAKEN, Verdict.REJECTED).astype(np.uint8)
            self._tally.count(number, plan, header, verdicts)
            encoded = verdicts.tobytes()
            if len(header) and not (verdicts == Verdict.TAKEN).any():  # nothing to send to the helper
                self._storage.record(number, job, digest, JobAnswer(plan.hash, job, digest, encoded).to_bytes())
            else:
                site_key = self._identity.settings.roster[header.site].key_at(plan.deadline_us).data
                self._storage.keep(Pending(number, job, digest, site_key, encoded, data))
                return
        count_verdicts(self._meters, verdicts)

    # stored batches (holding the line)

    def send_jobs(self, number: int | None) -> None:
        """Send a job to the helper for each waiting batch (of one plan), oldest first.

        Raises:
            HelperUnavailable: at once. PeerRefused: after the jobs of all other batches.
        """
        refused: PeerRefused | None = None
        for of, job in self._storage.pending_jobs(number):
            pending = self._storage.pending(of, job)
            if pending is None:
                continue
            try:
                with span("job", Fields(plan=self._storage.hash_of(pending.plan))):
                    self._send_job(pending)
            except PeerRefused as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def _send_job(self, pending: Pending) -> None:
        """Send the job of one batch, and commit the helper's answer."""
        stored, plan = self._plans.opened(self._storage.hash_of(pending.plan))
        try:
            batch, work = self._fresh.get(pending.digest) or self._reopen(plan, pending)
        except SealKeyErased as error:
            self._give_up(plan, pending, error)
            return
        header = batch.signed.header
        offered = verdicts_from(pending.verdicts, len(header)) == Verdict.TAKEN
        shares = offer(plan, work, offered) if isinstance(work, Verification) else b""
        body = AggregationJob(
            plan.hash, pending.job, batch.half("helper").to_bytes(), pending.verdicts, shares
        ).to_bytes()

        signed = sign(JOB_DOMAIN, body, self._identity.sign_key(plan))
        reply = self._calls.call_helper(stored, self._calls.peers.helper.aggregate, signed)
        with as_peers():
            answer = JobAnswer.from_bytes(Signed.from_bytes(reply).verify(ANSWER_DOMAIN, helper_of(plan)))
            if (answer.plan_hash, answer.job_id, answer.job_digest) != (plan.hash, pending.job, job_digest(body)):
                raise MessageMalformed("it answers another job")
            verdicts = np.full(
                len(header), Verdict.DUPLICATE, np.uint8
            )  # after a refusal no id of the batch is used up
            if answer.refusal is None:
                verdicts = verdicts_from(answer.verdicts, len(header))
            taken = verdicts == Verdict.TAKEN
            if (taken & ~offered).any():
                raise MessageMalformed("the helper accepted a report that was not offered")
            mine: Addable | None
            match work:
                case Verification():
                    mine = finish_job(plan, work, answer.verifier_messages, taken)
                case LeaderHalf():
                    mine = work.take(taken)
                case None:
                    mine = None

        self._settle(plan, pending, header, mine, offered, verdicts, answer)

    def _reopen(self, plan: Plan, pending: Pending) -> tuple[SealedBatch, _Work]:
        """Open a stored batch again. It was checked against the roster of its time."""
        batch = SealedBatch.from_bytes(pending.batch)
        roster = Roster([RosterEntry(batch.signed.header.site, VerifyKey(pending.site_key), MAX_CLIENTS)])
        return batch, self._opened_half(plan, roster, batch)

    def _give_up(self, plan: Plan, pending: Pending, why: SealKeyErased) -> None:
        """Accept no report of a batch that can no longer be opened."""
        header = SealedBatch.from_bytes(pending.batch).signed.header
        offered = verdicts_from(pending.verdicts, len(header)) == Verdict.TAKEN
        answer = JobAnswer(plan.hash, pending.job, pending.digest, b"", refusal_of(why))
        nothing = np.full(len(header), Verdict.DUPLICATE, np.uint8)
        self._settle(plan, pending, header, None, offered, nothing, answer)

    def _settle(
        self,
        plan: Plan,
        pending: Pending,
        header: BatchHeader,
        mine: Addable | None,
        offered: Mask,
        verdicts: Verdicts,
        answer: JobAnswer,
    ) -> None:
        """Commit exactly the reports that the helper accepted, record its rejected ids, and release the other ids.

        The site is counted under the same condition as at the helper.
        """
        number, site = pending.plan, header.site
        rejected = offered & (verdicts == Verdict.REJECTED)
        back = offered & (verdicts == Verdict.DUPLICATE)
        with self._storage.transaction():
            if not self._storage.drop_pending(number, pending.job):
                return
            if answer.refusal is None:
                self._tally.count_site(number, header, verdicts)
            if mine is not None and len(mine.collection):
                self._tally.add(number, plan, mine)
            self._storage.reports.drop_reports(number, header.report_ids[rejected | back])
            self._storage.reports.add_rejected(number, header.collection[rejected], header.report_ids[rejected])
            if back.any():
                touched, clients = clients_in(header.collection[back], declared(header.clients, back))
                before = self._storage.reports.site_counts(number, site, touched, plan.offsets[-1])
                self._storage.reports.set_site_counts(number, site, touched, before[touched] - clients)
            self._storage.record(number, pending.job, pending.digest, answer.to_bytes())
        if answer.refusal is None:
            count_verdicts(self._meters, verdicts)
        else:
            count_refused(self._meters, answer.refusal)


def _offered(work: _Work, reports: int) -> Mask:
    """bool[R]: the reports of an opened half that the leader can offer to the helper."""
    return work.offered if isinstance(work, Verification) else np.ones(reports, np.bool_)
