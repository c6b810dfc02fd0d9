"""What leader, helper and collector say to each other: frozen types, canonical bytes, a signature over each.

Bytes are parsed once, here; what is parsed has the right lengths. A signature is checked before the body is read: the
caller gives the key that the plan names, so the plan's hash is peeked at first, with `plan_of`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from aggregator.errors import MessageMalformed
from aggregator.intake.refusals import Refusal
from aggregator.services import aggregator_pb2 as pb
from crypto.ntt_field import Mask, Octets
from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from federation.ledger.entries import Head
from federation.parties import Aggregator
from federation.plan import Plan
from federation.protocol import Commitment

JOB_DOMAIN: Final = b"covey-1 job"
ANSWER_DOMAIN: Final = b"covey-1 job answer"
COMMITMENT_DOMAIN: Final[dict[Aggregator, bytes]] = {
    "leader": b"covey-1 commitment leader",
    "helper": b"covey-1 commitment helper",
}
COLLECT_DOMAIN: Final = b"covey-1 collect"
WITNESS_DOMAIN: Final[dict[Aggregator, bytes]] = {
    "leader": b"covey-1 witness leader",
    "helper": b"covey-1 witness helper",
}

SHARE_DIGEST_DOMAIN: Final[dict[Aggregator, bytes]] = {
    "leader": b"covey-1 share digest leader",
    "helper": b"covey-1 share digest helper",
}
FINISH_DOMAIN: Final = b"covey-1 finish"
PROVIDE_DOMAIN: Final = b"covey-1 provide"
FINISHED_DOMAIN: Final = b"covey-1 finished"

JOB_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32
MAX_PORT: Final = 2**16 - 1


class Verdict(IntEnum):
    """What became of one report of a batch that was not refused as a whole."""

    TAKEN = 0
    DUPLICATE = 1
    REJECTED = 2
    """Its proof does not hold, or it could not be verified."""


Verdicts = npt.NDArray[np.uint8]

_M = TypeVar("_M", bound=Message)


def sign(domain: bytes, body: bytes, key: SigningKey) -> bytes:
    """A body with its signature, as bytes."""
    return pb.Signed(body=body, signature=key.sign(domain, body)).SerializeToString(deterministic=True)


@dataclass(frozen=True)
class Signed:
    """A body whose signature is yet to be checked."""

    body: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Signed:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Signed, data)
        if len(message.signature) != SIGNATURE_BYTES:
            raise MessageMalformed(f"a signature of {len(message.signature)} bytes, need {SIGNATURE_BYTES}")
        return cls(message.body, message.signature)

    def verify(self, domain: bytes, key: VerifyKey) -> bytes:
        """The body, if this key signed it. Raises SignatureInvalid."""
        key.verify(domain, self.body, self.signature)
        return self.body


def plan_of(signed: Signed) -> bytes:
    """The plan that a body speaks of: field 1 of every message, read to find the key that must have signed it."""
    try:
        plan_hash = pb.CollectRequest.FromString(signed.body).plan_hash
    except DecodeError:
        raise MessageMalformed("the bytes of a message are not protobuf") from None
    return require_length("plan hash", plan_hash, PLAN_HASH_BYTES)


@dataclass(frozen=True)
class Job:
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
    def from_bytes(cls, data: bytes) -> Job:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Job, data)
        require_length("job id", message.job_id, JOB_ID_BYTES)
        return cls(message.plan_hash, message.job_id, message.half, message.verdicts, message.verifier_shares)


@dataclass(frozen=True)
class Answer:
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
    def from_bytes(cls, data: bytes) -> Answer:
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


def commitment_to_bytes(plan: Plan, commitment: Commitment) -> bytes:
    """The canonical encoding."""
    return encode(pb.Commitment(plan_hash=plan.hash, counts=commitment.counts, digests=b"".join(commitment.digests)))


def commitment_from_bytes(plan: Plan, data: bytes) -> Commitment:
    """Parse. Raises MessageMalformed."""
    message = decode(pb.Commitment, data)
    collections = plan.offsets[-1]
    if message.plan_hash != plan.hash or len(message.counts) != collections:
        raise MessageMalformed("a commitment to another plan")
    digests = require_length("digests", message.digests, collections * DIGEST_BYTES)
    parts = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    return Commitment(tuple(message.counts), tuple(parts))


@dataclass(frozen=True)
class Witness:
    """What one aggregator tells the other about both ledgers (federation/ledger/ledger.py).

    Attributes:
        committed: both have committed, so noise may be drawn.
        head: of the sender's ledger.
        remembered: of the receiver's ledger, as the sender remembers it.
        confirmed: of the sender's ledger, as the receiver remembers it: the sender has found it there.
    """

    plan_hash: bytes
    committed: bool
    head: Head
    remembered: Head | None
    confirmed: Head | None

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(
            pb.Witness(
                plan_hash=self.plan_hash,
                committed=self.committed,
                head=_head_to_pb(self.head),
                remembered=_head_to_pb(self.remembered),
                confirmed=_head_to_pb(self.confirmed),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Witness:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Witness, data)
        remembered, confirmed = (
            _head_from_pb(getattr(message, name)) if message.HasField(name) else None
            for name in ("remembered", "confirmed")
        )
        return cls(message.plan_hash, message.committed, _head_from_pb(message.head), remembered, confirmed)


@dataclass(frozen=True)
class Finish:
    """Where on the loopback the three processes of the finish mpc meet.

    Attributes:
        port: 0, to the helper: the leader has stored what it has opened, so noised shares are needed no more.
    """

    plan_hash: bytes
    port: int

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(pb.Finish(plan_hash=self.plan_hash, port=self.port))

    @classmethod
    def from_bytes(cls, data: bytes) -> Finish:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Finish, data)
        if message.port > MAX_PORT:
            raise MessageMalformed(f"there is no port {message.port}")
        return cls(require_length("plan hash", message.plan_hash, PLAN_HASH_BYTES), message.port)


@dataclass(frozen=True)
class ShareDigest:
    """What an aggregator commits to before either sees the other's noised shares."""

    plan_hash: bytes
    digest: bytes

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(pb.ShareDigest(plan_hash=self.plan_hash, digest=self.digest))

    @classmethod
    def from_bytes(cls, data: bytes) -> ShareDigest:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.ShareDigest, data)
        digest = require_length("digest of shares", message.digest, DIGEST_BYTES)
        return cls(require_length("plan hash", message.plan_hash, PLAN_HASH_BYTES), digest)


def collect_request(plan: Plan, collector: SigningKey) -> bytes:
    """Run by the collector: the request that closes a plan and asks for its noised shares."""
    return sign(COLLECT_DOMAIN, encode(pb.CollectRequest(plan_hash=plan.hash)), collector)


def job_digest(body: bytes) -> bytes:
    """What a job's answer is bound to."""
    return hashlib.sha256(body).digest()


def _head_to_pb(head: Head | None) -> pb.LedgerHead | None:
    return None if head is None else pb.LedgerHead(seq=head.seq, digest=head.digest)


def _head_from_pb(message: pb.LedgerHead) -> Head:
    if message.seq >= 2**63:  # SQLite's integers end there
        raise MessageMalformed(f"a ledger of {message.seq} entries")
    return Head(message.seq, require_length("head of a ledger", message.digest, DIGEST_BYTES))


def require_length(what: str, data: bytes, need: int) -> bytes:
    """The same bytes, if there are so many. Raises MessageMalformed."""
    if len(data) != need:
        raise MessageMalformed(f"{what}: {len(data):,} bytes, need {need:,}")
    return data


def encode(message: Message) -> bytes:
    """The canonical encoding."""
    return message.SerializeToString(deterministic=True)


def decode(kind: type[_M], data: bytes) -> _M:
    """Parse what is canonical. Raises MessageMalformed."""
    try:
        message = kind.FromString(data)
    except DecodeError:
        raise MessageMalformed(f"the bytes of a {kind.DESCRIPTOR.name} are not protobuf") from None
    message.DiscardUnknownFields()
    if encode(message) != data:
        raise MessageMalformed(f"the bytes of a {kind.DESCRIPTOR.name} are not canonical")
    return message
