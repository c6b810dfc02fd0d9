"""The leader's intake of encrypted reports: check, open, count and add, in one transaction and without another party.

A batch is accepted whole, except for duplicate ids. An empty batch counts its site. The leader holds single ciphertexts only while
it adds them. It stores one sum per collection, of the size of one report.
"""

from __future__ import annotations

import numpy as np

from aggregator.errors import JobConflict
from aggregator.intake.aggregation_job import JobAnswer, Verdict
from aggregator.intake.counting import count_verdicts
from aggregator.intake.submission import Submission, job_of, known_digest, submission_of
from aggregator.intake.tally import ReportTally
from aggregator.shares.plans import PlanBook
from aggregator.storage.records import StoredPlan
from base.metrics import STEP
from crypto.bfv import Ciphertexts, CiphertextSum, PublicKey
from crypto.errors import TooManyReports
from crypto.ntt_field import Mask
from federation.batch.batch import SealedBatch
from federation.batch.empty import open_empty
from federation.batch.he_batch import open_encrypted, require_leader_only
from federation.he.keys import verify_keys
from federation.he.reports import EncryptedReports
from federation.plan import Plan


class EncryptedIntake:
    """The leader's `Intake` of plans with encrypted reports."""

    def __init__(self, plans: PlanBook, tally: ReportTally) -> None:
        self._plans, self._tally, self._identity = plans, tally, plans.identity
        self._storage, self._ledger = plans.files.storage, plans.files.ledger
        self._public_keys: dict[bytes, tuple[PublicKey, ...]] = {}

    def submit(self, stored: StoredPlan, plan: Plan, batch: SealedBatch, data: bytes) -> Submission:
        """As `Intake`. Raises as `_accept`, and RemoteRefusal."""
        job = job_of(batch)
        if known_digest(self._storage, stored.number, job) != batch.signed.digest:
            self._plans.require_open(plan.hash)
            self._accept(stored, plan, job, batch)
        return submission_of(self._storage, stored.number, job)

    def public_keys(self, stored: StoredPlan, plan: Plan) -> tuple[PublicKey, ...]:
        """The public key of each view of the plan."""
        if (keys := self._public_keys.get(plan.hash)) is None:
            keys = self._public_keys[plan.hash] = verify_keys(stored.encryption_keys, plan)
        return keys

    def drop_keys(self, plan: Plan) -> None:
        """Free the keys of a plan: TenSEAL keeps megabytes for each key that was used."""
        self._public_keys.pop(plan.hash, None)

    def _accept(self, stored: StoredPlan, plan: Plan, job: bytes, batch: SealedBatch) -> None:
        """Record a new batch: ids, counts, sums and answer, or nothing.

        Raises:
            AlreadyCollected, AfterDeadline, JobConflict, RosterExceeded. As `open_encrypted`; WrongLength, KeyMismatch,
            CoefficientOutOfRange: a ciphertext is malformed or under another key. TooManyReports.
            LedgerBehind: the site remembers a head that this ledger lacks.
        """
        header, digest = batch.signed.header, batch.signed.digest
        seal_key, roster = self._plans.secrets.seal_key(plan), self._identity.settings.roster
        reports, parsed = None, list[Ciphertexts]()
        if len(header):
            with self._plans.meters.timed(STEP, "intake"):
                reports = open_encrypted(plan, seal_key, roster, batch)
                key = self.public_keys(stored, plan)[reports.view]
                parsed = [Ciphertexts.from_bytes(key.parameters, key.key_id, message) for message in reports.messages]
        else:
            open_empty("leader", plan, seal_key, roster, batch.half("leader"))
            require_leader_only(batch)
        self._ledger.require_known(header.head_of("leader"))
        with self._storage.transaction():
            number = self._plans.require_open(plan.hash).number
            if (answered := self._storage.job(number, job)) is not None:
                if answered[0] != digest:
                    raise JobConflict(job)
                return
            verdicts = np.full(len(header), Verdict.TAKEN, np.uint8)
            self._tally.count(number, plan, header, verdicts)
            self._tally.count_site(number, header, verdicts)
            if reports is not None:
                self._add_encrypted(number, plan, reports, parsed, verdicts == Verdict.TAKEN)
            answer = JobAnswer(plan.hash, job, digest, verdicts.tobytes()).to_bytes()
            self._storage.record(number, job, digest, answer)
        count_verdicts(self._plans.meters, verdicts)

    def _add_encrypted(
        self, number: int, plan: Plan, reports: EncryptedReports, parsed: list[Ciphertexts], taken: Mask
    ) -> None:
        """Add the accepted reports to the stored sums. Raises TooManyReports."""
        touched, counts = np.unique(reports.collection[taken], return_counts=True)
        with_these = self._storage.reports.reports_in(number, touched.tolist())
        if with_these and max(with_these.values()) > plan.max_clients:
            raise TooManyReports(plan.max_clients)
        for collection, new in zip(touched.tolist(), counts.tolist(), strict=True):
            rows = np.flatnonzero(taken & (reports.collection == collection)).tolist()
            total = self.sum(number, collection, parsed[rows[0]], with_these[collection] - new)
            for row in rows:
                total.add(parsed[row])
            self._storage.set_message("ciphertexts", number, collection, total.ciphertexts.to_bytes())

    def sum(self, number: int, collection: int, like: Ciphertexts | PublicKey, count: int) -> CiphertextSum:
        """The stored sum of `count` reports of a collection, under the same key as `like`."""
        message = self._storage.message("ciphertexts", number, collection)
        if message is None:
            return CiphertextSum(like.parameters, like.key_id)
        stored = Ciphertexts.from_bytes(like.parameters, like.key_id, message)
        return CiphertextSum.from_ciphertexts(stored, count)
