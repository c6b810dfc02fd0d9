"""The messages of a collection job: collector, leader, helper and provider open a plan.

collector ──► leader, helper   the request to collect
leader ◄──► helper             commitments, heads of both ledgers, digests of noised shares, sessions of the MPC finish
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from aggregator.errors import MessageMalformed
from aggregator.services import aggregator_pb2 as pb
from aggregator.signed_message import decode, encode, require_length, sign
from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SigningKey
from federation.commitment import Commitment
from federation.counted_sites import require_enrolled, sites_from_bytes, sites_to_bytes
from federation.errors import PartyInvalid
from federation.ledger.entries import Head
from federation.parties import Aggregator
from federation.plan import Plan

COMMITMENT_DOMAIN: Final[dict[Aggregator, bytes]] = {
    "leader": b"covey-1 commitment leader",
    "helper": b"covey-1 commitment helper",
}
COLLECT_DOMAIN: Final = b"covey-1 collect"
FREE_DOMAIN: Final = b"covey-1 free"
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
DIGEST_BYTES: Final = 32
MAX_PORT: Final = 2**16 - 1


def commitment_to_bytes(plan: Plan, commitment: Commitment) -> bytes:
    """The canonical encoding."""
    digests, sites = b"".join(commitment.digests), sites_to_bytes(commitment.sites)
    return encode(pb.Commitment(plan_hash=plan.hash, counts=commitment.counts, digests=digests, sites=sites))


def commitment_from_bytes(plan: Plan, data: bytes) -> Commitment:
    """Parse. Raises MessageMalformed."""
    message = decode(pb.Commitment, data)
    collections = plan.offsets[-1]
    if message.plan_hash != plan.hash or len(message.counts) != collections:
        raise MessageMalformed("the commitment is to another plan")
    digests = require_length("digests", message.digests, collections * DIGEST_BYTES)
    parts = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    try:
        sites = sites_from_bytes(message.sites)
        require_enrolled(sites, plan.roster)
    except PartyInvalid as error:
        raise MessageMalformed(str(error)) from None
    return Commitment(tuple(message.counts), tuple(parts), sites)


class Stage(IntEnum):
    """What an aggregator says of a plan when it sends the heads of both ledgers."""

    UNOPENED = 0
    """It is about to close or to noise the plan."""
    COMMITTED = 1
    """Both have committed, so noise may be drawn."""
    FREED = 2
    """It has freed the plan."""


@dataclass(frozen=True)
class Witness:
    """One aggregator's message to the other about both ledgers (federation/ledger/ledger.py).

    Attributes:
        head: the head of the sender's ledger.
        remembered: the head of the receiver's ledger that the sender remembers.
        confirmed: the head of the sender's ledger that the receiver remembers; the sender has found it in its ledger.
    """

    plan_hash: bytes
    stage: Stage
    head: Head
    remembered: Head | None
    confirmed: Head | None

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(
            pb.Witness(
                plan_hash=self.plan_hash,
                stage=self.stage,
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
        try:
            stage = Stage(message.stage)
        except ValueError:
            raise MessageMalformed(f"a plan has no stage {message.stage}; the last one is {max(Stage)}") from None
        return cls(message.plan_hash, stage, _head_from_pb(message.head), remembered, confirmed)


@dataclass(frozen=True)
class FinishSession:
    """The loopback port on which the three processes of the finish mpc meet.

    Attributes:
        port: the port. 0, in a message to the helper: the leader has stored the opened values; erase the noised shares.
    """

    plan_hash: bytes
    port: int

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        return encode(pb.Finish(plan_hash=self.plan_hash, port=self.port))

    @classmethod
    def from_bytes(cls, data: bytes) -> FinishSession:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Finish, data)
        if message.port > MAX_PORT:
            raise MessageMalformed(f"port {message.port} is above {MAX_PORT}")
        return cls(require_length("plan hash", message.plan_hash, PLAN_HASH_BYTES), message.port)


@dataclass(frozen=True)
class ShareDigest:
    """An aggregator's commitment to its noised shares, sent before either sees the other's shares."""

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
    """Run by the collector: the signed request to close a plan and return its noised shares."""
    return sign(COLLECT_DOMAIN, encode(pb.CollectRequest(plan_hash=plan.hash)), collector)


def free_request(plan_hash: bytes, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: the signed request to free a plan."""
    return sign(FREE_DOMAIN, encode(pb.FreeRequest(plan_hash=plan_hash)), coordinator)


def _head_to_pb(head: Head | None) -> pb.LedgerHead | None:
    return None if head is None else pb.LedgerHead(seq=head.seq, digest=head.digest)


def _head_from_pb(message: pb.LedgerHead) -> Head:
    if message.seq >= 2**63:  # the end of SQLite's integers
        raise MessageMalformed(f"a ledger cannot have {message.seq} entries")
    return Head(message.seq, require_length("head of a ledger", message.digest, DIGEST_BYTES))
