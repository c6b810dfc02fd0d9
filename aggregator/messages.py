"""What leader, helper and collector say to each other: frozen types, canonical bytes, a signature over each.

Bytes are parsed once, here; what is parsed has the right lengths. A signature is checked before the body is read: the
caller gives the key that the plan names, so the plan's hash is peeked at first, with `plan_of`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from crypto import field as field64
from crypto.seal import SEAL_OVERHEAD, SealKey, SealPublicKey, open_sealed, seal
from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from federation.parties import Aggregator
from federation.plan import Plan
from federation.protocol import Commitment, NoisedShares, Outcome

from . import aggregator_pb2 as pb
from .errors import MessageMalformed
from .refusals import Refusal

JOB_DOMAIN: Final = b"covey-1 job"
ANSWER_DOMAIN: Final = b"covey-1 job answer"
COMMITMENT_DOMAIN: Final[dict[Aggregator, bytes]] = {
    "leader": b"covey-1 commitment leader",
    "helper": b"covey-1 commitment helper",
}
COLLECT_DOMAIN: Final = b"covey-1 collect"
SHARE_DOMAIN: Final = b"covey-1 share"

JOB_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32


class Verdict(IntEnum):
    """What became of one report of a batch that was not refused as a whole."""

    TAKEN = 0
    DUPLICATE = 1


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
        message = _decode(pb.Signed, data)
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
    return _require("plan hash", plan_hash, PLAN_HASH_BYTES)


@dataclass(frozen=True)
class Job:
    """One batch on its way from leader to helper.

    Attributes:
        half: bytes of the helper's `federation.batch.SealedHalf`.
        verdicts: one byte a report; the helper takes none that the leader does not.
    """

    plan_hash: bytes
    job_id: bytes
    half: bytes = field(repr=False)
    verdicts: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return _encode(pb.Job(plan_hash=self.plan_hash, job_id=self.job_id, half=self.half, verdicts=self.verdicts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Parse. Raises MessageMalformed."""
        message = _decode(pb.Job, data)
        _require("job id", message.job_id, JOB_ID_BYTES)
        return cls(message.plan_hash, message.job_id, message.half, message.verdicts)


@dataclass(frozen=True)
class Answer:
    """What the helper says of a job, for good: which reports it took, or why it took none.

    Attributes:
        job_digest: SHA-256 of the job's body.
        verdicts: one byte a report; empty with a refusal.
    """

    plan_hash: bytes
    job_id: bytes
    job_digest: bytes
    verdicts: bytes = field(repr=False)
    refusal: Refusal | None = None

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return _encode(
            pb.JobAnswer(
                plan_hash=self.plan_hash,
                job_id=self.job_id,
                job_digest=self.job_digest,
                verdicts=self.verdicts,
                refusal=self.refusal.to_message() if self.refusal else None,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """Parse. Raises MessageMalformed."""
        message = _decode(pb.JobAnswer, data)
        refusal = Refusal.from_message(message.refusal) if message.HasField("refusal") else None
        return cls(message.plan_hash, message.job_id, message.job_digest, message.verdicts, refusal)


def verdicts_from(data: bytes, reports: int) -> Verdicts:
    """uint8[reports] of `Verdict`. Raises MessageMalformed."""
    found = np.frombuffer(_require("verdicts", data, reports), np.uint8)
    if found.size and found.max() > max(Verdict):
        raise MessageMalformed(f"a verdict of {int(found.max())} does not exist")
    return found


def commitment_to_bytes(plan: Plan, commitment: Commitment) -> bytes:
    """The canonical encoding."""
    return _encode(pb.Commitment(plan_hash=plan.hash, counts=commitment.counts, digests=b"".join(commitment.digests)))


def commitment_from_bytes(plan: Plan, data: bytes) -> Commitment:
    """Parse. Raises MessageMalformed."""
    message = _decode(pb.Commitment, data)
    collections = plan.offsets[-1]
    if message.plan_hash != plan.hash or len(message.counts) != collections:
        raise MessageMalformed("a commitment to another plan")
    digests = _require("digests", message.digests, collections * DIGEST_BYTES)
    parts = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    return Commitment(tuple(message.counts), tuple(parts))


def collect_request(plan: Plan, collector: SigningKey) -> bytes:
    """Run by the collector: the request that closes a plan and asks for its noised shares."""
    return sign(COLLECT_DOMAIN, _encode(pb.CollectRequest(plan_hash=plan.hash)), collector)


@dataclass(frozen=True)
class SealedShare:
    """One aggregator's noised share of one view, sealed to the collector and signed: what is stored and sent."""

    sealed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def make(
        cls,
        plan: Plan,
        view: int,
        shares: NoisedShares,
        collector: SealPublicKey,
        key: SigningKey,
    ) -> SealedShare:
        """Run by an aggregator. Plaintext: one byte of `Outcome` a pane, then the elements of the opened panes."""
        plaintext = shares.outcomes[view].tobytes() + field64.to_bytes(shares.shares[view])
        sealed = seal(collector, plaintext, _share_info(plan, shares.role, view, collector))
        return cls(sealed, key.sign(SHARE_DOMAIN, _share_signed(plan, view, sealed)))

    def open(
        self, plan: Plan, view: int, role: Aggregator, collector: SealKey, key: VerifyKey
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
        """Run by the collector: uint8[C] of `Outcome` and uint64[opened, K·S].

        Raises:
            SignatureInvalid, SealBroken, MessageMalformed, FieldElementOutOfRange.
        """
        key.verify(SHARE_DOMAIN, _share_signed(plan, view, self.sealed), self.signature)
        plaintext = open_sealed(collector, self.sealed, _share_info(plan, role, view, collector.public))
        planned = plan.views[view]
        panes, length = len(planned.pane_starts), planned.layout.length
        outcomes = np.frombuffer(plaintext[:panes], np.uint8)
        if len(outcomes) != panes or outcomes.max() > max(Outcome):
            raise MessageMalformed(f"view {view}: no outcome of each pane")
        opened = int(np.count_nonzero(outcomes == Outcome.OPENED))
        elements = _require(f"share of view {view}", plaintext[panes:], opened * length * field64.ELEMENT_BYTES)
        return outcomes, field64.from_bytes(elements).reshape(opened, length)


def shares_to_parts(shares: list[SealedShare], size: int) -> Iterator[pb.SharePart]:
    """The stored shares in pieces of at most `size` bytes."""
    for view, share in enumerate(shares):
        for at in range(0, len(share.sealed), size):
            yield pb.SharePart(view=view, signature=b"" if at else share.signature, sealed=share.sealed[at : at + size])


def shares_from_parts(plan: Plan, parts: Iterable[pb.SharePart]) -> list[SealedShare]:
    """The shares of all views of a plan; memory is bounded by the plan. Raises MessageMalformed."""
    found: list[tuple[bytes, bytearray]] = []
    for part in parts:
        if part.signature:
            found.append((part.signature, bytearray()))
        if part.view != len(found) - 1 or len(found) > len(plan.views):
            raise MessageMalformed("pieces of shares out of order")
        found[-1][1].extend(part.sealed)
        planned = plan.views[part.view]
        most = len(planned.pane_starts) * (1 + planned.layout.length * field64.ELEMENT_BYTES) + SEAL_OVERHEAD
        if len(found[-1][1]) > most:
            raise MessageMalformed(f"a share of view {part.view} is longer than its panes")
    if len(found) != len(plan.views):
        raise MessageMalformed(f"shares of {len(found)} views, the plan has {len(plan.views)}")
    return [SealedShare(bytes(sealed), signature) for signature, sealed in found]


def job_digest(body: bytes) -> bytes:
    """What a job's answer is bound to."""
    return hashlib.sha256(body).digest()


def _share_info(plan: Plan, role: Aggregator, view: int, collector: SealPublicKey) -> bytes:
    """HPKE's `info`, in the form of a batch's; both roles are six letters."""
    return SHARE_DOMAIN + role.encode("ascii") + collector.id + plan.hash + view.to_bytes(4, "big")


def _share_signed(plan: Plan, view: int, sealed: bytes) -> bytes:
    return plan.hash + view.to_bytes(4, "big") + sealed


def _require(what: str, data: bytes, need: int) -> bytes:
    if len(data) != need:
        raise MessageMalformed(f"{what}: {len(data):,} bytes, need {need:,}")
    return data


def _encode(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _decode(kind: type[_M], data: bytes) -> _M:
    try:
        message = kind.FromString(data)
    except DecodeError:
        raise MessageMalformed(f"the bytes of a {kind.DESCRIPTOR.name} are not protobuf") from None
    message.DiscardUnknownFields()
    if _encode(message) != data:
        raise MessageMalformed(f"the bytes of a {kind.DESCRIPTOR.name} are not canonical")
    return message
