"""The messages of a batch, from a site to the two aggregators, and their bytes. See `sealing.py` for the way of a batch."""

from __future__ import annotations

import hashlib
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, VerifyKey
from federation.errors import (
    BatchMalformed,
    DigestMismatch,
    PartyInvalid,
)
from federation.ledger.entries import Head
from federation.parties import Aggregator, require_site_id

from . import batch_pb2 as pb
from .encoding import decode, encode, field_head, fields_of, require_bytes, require_canonical_bytes
from .reports import REPORT_ID_BYTES

DOMAIN: Final = b"covey-1 batch"
"""The domain of the site's signature, and the first bytes of HPKE's `info`."""
Heads: TypeAlias = tuple[Head | None, Head | None]
"""The remembered heads of the ledgers of leader and helper; None: no head is remembered."""
BATCH_ID_BYTES: Final = 16
INDEX_BYTES: Final = 4
DIGEST_BYTES: Final = 32
HEADER_REPORT_BYTES: Final = INDEX_BYTES + REPORT_ID_BYTES


@dataclass(frozen=True, eq=False)
class BatchHeader:
    """The reports of a batch, and their site. Not secret; under `participation="active"` it reveals active clients.

    Attributes:
        site: a site id.
        batch_id: 16 random bytes, new at each attempt: a retry draws fresh share randomness, so it is another batch.
        collection: uint32[R], collection indices of the plan; none in an empty batch (empty.py).
        report_ids: uint8[R, 16].
        public_hashes: uint8[R, 32], SHA-256 of each public share; None without proofs.
        clients: uint32[R], the clients that the site declares for each report, at least 1; None if each is one client's.
        heads: the heads of the aggregators' ledgers that the site remembers from other plans.
    """

    plan_hash: bytes
    site: str
    batch_id: bytes
    collection: npt.NDArray[np.uint32]
    report_ids: npt.NDArray[np.uint8]
    public_hashes: npt.NDArray[np.uint8] | None = None
    clients: npt.NDArray[np.uint32] | None = None
    heads: Heads = (None, None)

    def __post_init__(self) -> None:
        require_site_id(self.site)
        require_bytes("plan hash", self.plan_hash, PLAN_HASH_BYTES)
        require_bytes("batch id", self.batch_id, BATCH_ID_BYTES)
        count = len(self.collection)
        if self.report_ids.shape != (count, REPORT_ID_BYTES):
            raise BatchMalformed(f"the header has report ids {self.report_ids.shape} for {count} reports")
        if self.public_hashes is not None and self.public_hashes.shape != (count, DIGEST_BYTES):
            raise BatchMalformed(
                f"the header has hashes of public shares {self.public_hashes.shape} for {count} reports"
            )
        if self.clients is not None and (self.clients.shape != (count,) or not self.clients.all()):
            raise BatchMalformed(
                f"the header has numbers of clients {self.clients.shape} for {count} reports; each must be at least 1"
            )

    def __len__(self) -> int:
        return len(self.collection)

    def head_of(self, role: Aggregator) -> Head | None:
        """The head of a role's ledger that the site remembers."""
        return self.heads[0 if role == "leader" else 1]

    def to_bytes(self) -> bytes:
        """The canonical encoding."""
        leader, helper = (b"" if head is None else head.to_bytes() for head in self.heads)
        return encode(
            pb.BatchHeader(
                plan_hash=self.plan_hash,
                site=self.site,
                batch_id=self.batch_id,
                collections=self.collection.astype(">u4").tobytes(),
                report_ids=self.report_ids.tobytes(),
                public_hashes=b"" if self.public_hashes is None else self.public_hashes.tobytes(),
                clients=b"" if self.clients is None else self.clients.astype(">u4").tobytes(),
                leader_head=leader,
                helper_head=helper,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> BatchHeader:
        """Parse. Raises BatchTooLarge and BatchMalformed."""
        message = decode(pb.BatchHeader, data)
        collections, ids = message.collections, message.report_ids
        count = len(collections) // INDEX_BYTES
        require_bytes("collections", collections, count * INDEX_BYTES)
        require_bytes("report ids", ids, count * REPORT_ID_BYTES)
        hashes = None
        if message.public_hashes:
            require_bytes("hashes of public shares", message.public_hashes, count * DIGEST_BYTES)
            hashes = np.frombuffer(message.public_hashes, np.uint8).reshape(-1, DIGEST_BYTES)
        clients = None
        if message.clients:
            require_bytes("numbers of clients", message.clients, count * INDEX_BYTES)
            clients = np.frombuffer(message.clients, ">u4").astype(np.uint32)
        columns = np.frombuffer(collections, ">u4").astype(np.uint32), np.frombuffer(ids, np.uint8)
        try:
            header = cls(
                message.plan_hash,
                message.site,
                message.batch_id,
                columns[0],
                columns[1].reshape(-1, REPORT_ID_BYTES),
                hashes,
                clients,
                (_head_in(message.leader_head), _head_in(message.helper_head)),
            )
        except PartyInvalid as error:
            raise BatchMalformed(str(error)) from None
        require_canonical_bytes("header", header.to_bytes(), data)
        return header


@dataclass(frozen=True)
class SignedHeader:
    """A header and both ciphertexts' digests, signed by the site. Parsing does not verify the signature: see `verify`."""

    header_bytes: bytes = field(repr=False)
    leader_digest: bytes = field(repr=False)
    helper_digest: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def __post_init__(self) -> None:
        require_bytes("leader digest", self.leader_digest, DIGEST_BYTES)
        require_bytes("helper digest", self.helper_digest, DIGEST_BYTES)
        require_bytes("signature", self.signature, SIGNATURE_BYTES)

    @cached_property
    def header(self) -> BatchHeader:
        """The header, parsed. Raises as `BatchHeader.from_bytes`."""
        return BatchHeader.from_bytes(self.header_bytes)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 that names both halves of this batch; an aggregation job is bound to it."""
        return hashlib.sha256(self.header_bytes + self.leader_digest + self.helper_digest).digest()

    def digest_of(self, role: Aggregator) -> bytes:
        """The signed SHA-256 of a role's ciphertext."""
        return self.leader_digest if role == "leader" else self.helper_digest

    def require_digest(self, role: Aggregator, ciphertext: bytes) -> None:
        """Raise DigestMismatch unless the site signed this ciphertext for this role."""
        if hashlib.sha256(ciphertext).digest() != self.digest_of(role):
            raise DigestMismatch(role)

    def verify(self, key: VerifyKey) -> None:
        """Return if the site signed this. Raises SignatureInvalid."""
        key.verify(DOMAIN, self.header_bytes + self.leader_digest + self.helper_digest, self.signature)


@dataclass(frozen=True)
class SealedHalf:
    """One aggregator's half of a batch. It can be opened without the other half.

    Attributes:
        digest_of: the role for which this ciphertext's digest is verified; None: not verified yet. A copy with another
            ciphertext or header is not verified.
    """

    signed: SignedHeader
    ciphertext: bytes = field(repr=False)
    digest_of: Aggregator | None = field(default=None, init=False, repr=False, compare=False)

    def to_bytes(self) -> bytes:
        """The canonical encoding, at most MAX_BATCH_BYTES."""
        return encode(pb.SealedHalf(signed=_signed_to_pb(self.signed)), self.ciphertext)

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedHalf:
        """Parse. Raises BatchTooLarge and BatchMalformed."""
        signed, ciphertext = fields_of("half", data, 2)
        return cls(_signed_from_bytes(signed), ciphertext)


@dataclass(frozen=True)
class SealedBatch:
    """A batch as its site sends it. Raises DigestMismatch: the site signed other ciphertexts.

    Args:
        just_hashed: the signed digests were just made from these ciphertexts, which are not hashed again.
    """

    signed: SignedHeader
    leader: bytes = field(repr=False)
    helper: bytes = field(repr=False)
    just_hashed: InitVar[bool] = False

    def __post_init__(self, just_hashed: bool) -> None:
        if not just_hashed:
            self.signed.require_digest("leader", self.leader)
            self.signed.require_digest("helper", self.helper)

    def half(self, role: Aggregator) -> SealedHalf:
        """A role's half: the leader opens its own and forwards the helper's."""
        half = SealedHalf(self.signed, self.leader if role == "leader" else self.helper)
        object.__setattr__(half, "digest_of", role)
        return half

    @property
    def size(self) -> int:
        """Bytes of the encoding."""
        return len(encode(pb.SealedBatch(signed=_signed_to_pb(self.signed)))) + sum(
            len(field_head(number, part)) + len(part)
            for number, part in enumerate((self.leader, self.helper), 2)
            if part
        )

    def to_bytes(self) -> bytes:
        """The canonical encoding, at most MAX_BATCH_BYTES."""
        return encode(pb.SealedBatch(signed=_signed_to_pb(self.signed)), self.leader, self.helper)

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedBatch:
        """Parse. Raises BatchTooLarge, BatchMalformed and DigestMismatch."""
        signed, leader, helper = fields_of("sealed batch", data, 3)
        return cls(_signed_from_bytes(signed), leader, helper)


def _signed_to_pb(signed: SignedHeader) -> pb.SignedHeader:
    return pb.SignedHeader(
        header=signed.header_bytes,
        leader_digest=signed.leader_digest,
        helper_digest=signed.helper_digest,
        signature=signed.signature,
    )


def _signed_from_bytes(data: bytes) -> SignedHeader:
    message = decode(pb.SignedHeader, data)
    signed = SignedHeader(message.header, message.leader_digest, message.helper_digest, message.signature)
    require_canonical_bytes("signed header", encode(_signed_to_pb(signed)), data)
    return signed


def _head_in(data: bytes) -> Head | None:
    try:
        return Head.from_bytes(data) if data else None
    except ValueError as error:
        raise BatchMalformed(str(error)) from None
