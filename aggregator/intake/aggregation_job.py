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
    """The result for one report of a batch that was not refused as a whole."""

    TAKEN = 0
    DUPLICATE = 1
    REJECTED = 2
    """Its proof does not hold, or could not be verified."""


Verdicts = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AggregationJob:
    """One batch that the leader sends to the helper.

    Attributes:
        half: bytes of the helper's `federation.batch.batch.SealedHalf`.
        verdicts: one byte per report; the helper accepts no report that the leader does not accept.
        verifier_shares: with proofs, the leader's verifier share of each offered report (verdict TAKEN), in order.
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
    """The helper's final answer to a job: the reports that it accepted, or why it accepted none.

    Attributes:
        job_digest: SHA-256 of the job's body.
        verdicts: one byte per report; empty with a refusal.
        verifier_messages: with proofs, the verifier message of each accepted report, in order.
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
        raise MessageMalformed(f"there is no verdict {int(found.max())}")
    return found


def rows_from(what: str, data: bytes, rows: Mask, size: int) -> Octets:
    """uint8[R, size]: `data` in the marked rows, in order; zeros elsewhere. Raises MessageMalformed."""
    found = np.zeros((len(rows), size), np.uint8)
    need = int(np.count_nonzero(rows))
    found[rows] = np.frombuffer(require_length(what, data, need * size), np.uint8).reshape(need, size)
    return found


def job_digest(body: bytes) -> bytes:
    """The digest to which a job's answer is bound."""
    return hashlib.sha256(body).digest()
