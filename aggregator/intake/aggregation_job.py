"""An aggregation job: one batch that the leader passes to the helper, and the helper's answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.errors import MessageMalformed
from aggregator.intake.refusals import Refusal
from aggregator.services import aggregator_pb2 as pb
from aggregator.signed_message import decode, encode, require_length
from crypto.ntt_field import Mask, Octets

JOB_DOMAIN: Final = b"covey-1 job"
ANSWER_DOMAIN: Final = b"covey-1 job answer"
JOB_ID_BYTES: Final = 16


class Verdict(IntEnum):
    """What became of one report of a batch that was not refused as a whole."""

    TAKEN = 0
    DUPLICATE = 1
    REJECTED = 2
    """Its proof does not hold, or it could not be verified."""


Verdicts = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AggregationJob:
    """One batch on its way from leader to helper.

    Attributes:
        half: bytes of the helper's `federation.batch.batch.SealedHalf`.
        verdicts: one byte a report; the helper takes none that the leader does not.
        verifier_shares: with proofs, the leader's of each report that it offers (its verdict is TAKEN), in order.
    """

    plan_hash: bytes
    job_id: bytes
    half: bytes = field(repr=False)
    verdicts: bytes = field(repr=False)
    verifier_shares: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(
            pb.Job(
                plan_hash=self.plan_hash,
                job_id=self.job_id,
                half=self.half,
                verdicts=self.verdicts,
                verifier_shares=self.verifier_shares,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> AggregationJob:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Job, data)
        require_length("job id", message.job_id, JOB_ID_BYTES)
        return cls(message.plan_hash, message.job_id, message.half, message.verdicts, message.verifier_shares)


@dataclass(frozen=True)
class JobAnswer:
    """What the helper says of a job, for good: which reports it took, or why it took none.

    Attributes:
        job_digest: SHA-256 of the job's body.
        verdicts: one byte a report; empty with a refusal.
        verifier_messages: with proofs, of each report that was taken, in order.
    """

    plan_hash: bytes
    job_id: bytes
    job_digest: bytes
    verdicts: bytes = field(repr=False)
    refusal: Refusal | None = None
    verifier_messages: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(
            pb.JobAnswer(
                plan_hash=self.plan_hash,
                job_id=self.job_id,
                job_digest=self.job_digest,
                verdicts=self.verdicts,
                refusal=self.refusal.to_message() if self.refusal else None,
                verifier_messages=self.verifier_messages,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> JobAnswer:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.JobAnswer, data)
        refusal = Refusal.from_message(message.refusal) if message.HasField("refusal") else None
        return cls(
            message.plan_hash,
            message.job_id,
            message.job_digest,
            message.verdicts,
            refusal,
            message.verifier_messages,
        )


def verdicts_from(data: bytes, reports: int) -> Verdicts:
    """uint8[reports] of `Verdict`. Raises MessageMalformed."""
    found = np.frombuffer(require_length("verdicts", data, reports), np.uint8)
    if found.size and found.max() > max(Verdict):
        raise MessageMalformed(f"a verdict of {int(found.max())} does not exist")
    return found


def rows_from(what: str, data: bytes, rows: Mask, size: int) -> Octets:
    """uint8[R, size]: the bytes of those of R rows that are marked, in order; zeros elsewhere. Raises MessageMalformed."""
    found = np.zeros((len(rows), size), np.uint8)
    need = int(np.count_nonzero(rows))
    found[rows] = np.frombuffer(require_length(what, data, need * size), np.uint8).reshape(need, size)
    return found


def job_digest(body: bytes) -> bytes:
    """What a job's answer is bound to."""
    return hashlib.sha256(body).digest()
