"""A submitted batch: the aggregation job that it becomes, and its state in the leader's storage."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from aggregator.errors import RemoteRefusal
from aggregator.intake.aggregation_job import JOB_ID_BYTES, JobAnswer
from aggregator.storage.records import StoredPlan
from aggregator.storage.role_storage import Storage
from federation.batch.batch import SealedBatch
from federation.plan import Plan


@dataclass(frozen=True)
class Submission:
    """A submitted batch, as the leader reports its state.

    Attributes:
        pending: stored; the helper has not answered yet, so there are no verdicts.
        verdicts: one byte of `Verdict` per report.
    """

    pending: bool
    verdicts: bytes = field(repr=False)


class Intake(Protocol):
    """A leader's intake of batches for plans of some terms. The leader chooses one by the plan's terms."""

    def submit(self, stored: StoredPlan, plan: Plan, batch: SealedBatch, data: bytes) -> Submission:
        """Accept one batch of a site, whole except for duplicate ids. A repeat gives the same answer.

        Args:
            data: the bytes of the batch.
        """
        ...


def job_id_of(site: str, batch_id: bytes) -> bytes:
    """16 bytes that name a site's batch in a plan. No site can use the id of another site's batch."""
    return hashlib.sha256(b"covey-1 job id" + batch_id + site.encode("ascii")).digest()[:JOB_ID_BYTES]


def job_of(batch: SealedBatch) -> bytes:
    """The id of the job that a batch becomes."""
    header = batch.signed.header
    return job_id_of(header.site, header.batch_id)


def known_digest(storage: Storage, number: int, job: bytes) -> bytes | None:
    """The digest of a batch that is stored or answered."""
    answered = storage.job(number, job)
    return answered[0] if answered else storage.pending_digest(number, job)


def submission_of(storage: Storage, number: int, job: bytes) -> Submission:
    """The state of a batch in the storage. Raises RemoteRefusal."""
    if (found := storage.job(number, job)) is None:
        return Submission(True, b"")
    answer = JobAnswer.from_bytes(found[1])
    if answer.refusal is not None:
        refusal = answer.refusal
        raise RemoteRefusal("helper", refusal.reason, refusal.text, refusal.numbers)
    return Submission(False, answer.verdicts)
