"""The leader's intake of encrypted reports: check, open, count and add, in one transaction; nobody else is asked.

A batch is taken whole, but for duplicate ids. The leader holds single ciphertexts for as long as it adds them, and the sum of
each collection, of the size of one report.
"""

from __future__ import annotations

import numpy as np

from aggregator.collect.opening import Opener
from aggregator.errors import JobConflict
from aggregator.shares.messages import Answer, Verdict
from aggregator.storage.role_storage import StoredPlan
from crypto.bfv import Ciphertexts, CiphertextSum, PublicKey
from crypto.errors import TooManyReports
from crypto.ntt_field import Mask
from federation.batch.batch import SealedBatch
from federation.batch.he_batch import open_encrypted
from federation.he.keys import verify_keys
from federation.he.reports import EncryptedReports
from federation.plan import Plan


class EncryptedIntake(Opener):
    """The leader, as far as batches of encrypted reports are concerned."""

    def _accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        if plan.protection == "shares":
            return super()._accepted_keys(plan, given)
        verify_keys(given, plan)
        return given

    def _public_keys(self, stored: StoredPlan, plan: Plan) -> tuple[PublicKey, ...]:
        """What the plan's reports are encrypted under, by view."""
        if (keys := self._encryption_keys.get(plan.hash)) is None:
            keys = self._encryption_keys[plan.hash] = verify_keys(stored.encryption_keys, plan)
        return keys

    def _take_encrypted(self, stored: StoredPlan, plan: Plan, job: bytes, batch: SealedBatch) -> None:
        """Take a batch that was not answered before: ids, counts, sums and answer, or nothing.

        Raises:
            AlreadyCollected, AfterDeadline, JobConflict, RosterExceeded. As `open_encrypted`; WrongLength, KeyMismatch,
            CoefficientOutOfRange: a ciphertext of it is none, or under another key. TooManyReports.
            LedgerBehind: the site remembers a head that this ledger lacks.
        """
        reports = open_encrypted(plan, self._seal_key(plan), self.settings.roster, batch)
        self.ledger.require_known(batch.signed.header.head_of("leader"))
        key = self._public_keys(stored, plan)[reports.view]
        parsed = [Ciphertexts.from_bytes(key.parameters, key.key_id, message) for message in reports.messages]
        header, digest = batch.signed.header, batch.signed.digest
        with self.storage.transaction():
            number = self._require_open(plan.hash).number
            if (answered := self.storage.job(number, job)) is not None:
                if answered[0] != digest:
                    raise JobConflict(job)
                return
            verdicts = np.full(len(header), Verdict.TAKEN, np.uint8)
            self._count(number, plan, header, verdicts)
            self._add_encrypted(number, plan, reports, parsed, verdicts == Verdict.TAKEN)
            answer = Answer(plan.hash, job, digest, verdicts.tobytes()).to_bytes()
            self.storage.record(number, job, digest, answer)

    def _add_encrypted(
        self, number: int, plan: Plan, reports: EncryptedReports, parsed: list[Ciphertexts], taken: Mask
    ) -> None:
        """Add the reports that were just counted to the stored sums. Raises TooManyReports."""
        touched, counts = np.unique(reports.collection[taken], return_counts=True)
        with_these = self.storage.reports_in(number, touched.tolist())
        if with_these and max(with_these.values()) > plan.max_clients:
            raise TooManyReports(plan.max_clients)
        for collection, new in zip(touched.tolist(), counts.tolist(), strict=True):
            rows = np.flatnonzero(taken & (reports.collection == collection)).tolist()
            total = self._sum(number, collection, parsed[rows[0]], with_these[collection] - new)
            for row in rows:
                total.add(parsed[row])
            self.storage.set_message("ciphertexts", number, collection, total.ciphertexts.to_bytes())

    def _sum(self, number: int, collection: int, like: Ciphertexts | PublicKey, count: int) -> CiphertextSum:
        """The stored sum of `count` reports of a collection, under the same key as `like`."""
        message = self.storage.message("ciphertexts", number, collection)
        if message is None:
            return CiphertextSum(like.parameters, like.key_id)
        stored = Ciphertexts.from_bytes(like.parameters, like.key_id, message)
        return CiphertextSum.from_ciphertexts(stored, count)
