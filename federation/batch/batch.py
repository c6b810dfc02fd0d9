"""Sealed batches: how reports go from a site to the two aggregators (DESIGN §2.3).

    site         LeaderHalf, HelperHalf ──seal_batch──► SealedBatch
    coordinator  carries the bytes
    leader       SealedBatch.from_bytes ──half("leader")──► open_half ──► LeaderHalf
                                        └─half("helper")──► the helper
    helper       SealedHalf.from_bytes ──► open_half ──► HelperHalf

A report takes 8 bytes a slot to the leader, 32 bytes to the helper and 20 in the header. A batch takes up to 2,670 more; the
two HPKE encapsulations are 2,272 of them. With proofs, both halves hold the reports' public shares and then input shares
(circuit/validity.py), and the header has 32 more bytes a report: the hash that binds both halves to one public share. If a
report is a site's sum, the header has 4 more bytes a report: its number of clients. Encrypted reports (he_batch.py) are for
the leader only. Parsing and checking work on whole columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from crypto.bfv import message_bytes
from crypto.field import ELEMENT_BYTES, require_canonical
from crypto.seal import SEAL_OVERHEAD, SealKey, open_sealed, seal
from crypto.sharing import PLAN_HASH_BYTES, HelperSeeds, LeaderShares
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from crypto.xof import SEED_BYTES
from federation.circuit.cost import cost_of
from federation.circuit.validity import prio3_for, public_hashes
from federation.errors import (
    BatchMalformed,
    BatchOfAnotherPlan,
    BatchTooLarge,
    DigestMismatch,
    DuplicateReport,
    PartyInvalid,
    PlanInvalid,
    ReportRefused,
    ReportTooLong,
    TooManyDeclared,
)
from federation.ledger.entries import Head
from federation.parties import Aggregator, Roster, require_site_id
from federation.plan import Plan
from federation.protocol import require_one_batch
from federation.terms import Encrypted, ReportPer, Shares, Validity

from . import batch_pb2 as pb
from .reports import REPORT_ID_BYTES, HelperHalf, LeaderHalf, ProvenHalf

DOMAIN: Final = b"covey-1 batch"
"""The domain of the site's signature, and the first bytes of HPKE's `info`."""
MAX_BATCH_BYTES: Final = 4 * 2**20
"""The most bytes of a SealedBatch, and so of a SealedHalf. A gRPC message around it needs a little more."""
Heads: TypeAlias = tuple[Head | None, Head | None]
"""The remembered heads of the ledgers of leader and helper; None: no head is remembered."""
BATCH_ID_BYTES: Final = 16
INDEX_BYTES: Final = 4
DIGEST_BYTES: Final = 32
HEADER_REPORT_BYTES: Final = INDEX_BYTES + REPORT_ID_BYTES
BATCH_OVERHEAD: Final = 4_096
"""Room for the bytes of a batch besides its reports: 2,670 at most."""


@dataclass(frozen=True, eq=False)
class BatchHeader:
    """The reports of a batch, and their site. Not secret; under `participation="active"` it reveals active clients.

    Attributes:
        site: a site id.
        batch_id: 16 random bytes, new at each attempt: a retry draws fresh share randomness, so it is another batch.
        collection: uint32[R], collection indices of the plan, R at least 1.
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
        _require_bytes("plan hash", self.plan_hash, PLAN_HASH_BYTES)
        _require_bytes("batch id", self.batch_id, BATCH_ID_BYTES)
        count = len(self.collection)
        if count == 0 or self.report_ids.shape != (count, REPORT_ID_BYTES):
            raise BatchMalformed(
                f"the header has report ids {self.report_ids.shape} for {count} reports; it needs at least 1"
            )
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
        return _encode(
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
        message = _decode(pb.BatchHeader, data)
        collections, ids = message.collections, message.report_ids
        count = len(collections) // INDEX_BYTES
        _require_bytes("collections", collections, count * INDEX_BYTES)
        _require_bytes("report ids", ids, count * REPORT_ID_BYTES)
        hashes = None
        if message.public_hashes:
            _require_bytes("hashes of public shares", message.public_hashes, count * DIGEST_BYTES)
            hashes = np.frombuffer(message.public_hashes, np.uint8).reshape(-1, DIGEST_BYTES)
        clients = None
        if message.clients:
            _require_bytes("numbers of clients", message.clients, count * INDEX_BYTES)
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
        _require_canonical("header", header.to_bytes(), data)
        return header


@dataclass(frozen=True)
class SignedHeader:
    """A header and both ciphertexts' digests, signed by the site. Parsing does not verify the signature: see `verify`."""

    header_bytes: bytes = field(repr=False)
    leader_digest: bytes = field(repr=False)
    helper_digest: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require_bytes("leader digest", self.leader_digest, DIGEST_BYTES)
        _require_bytes("helper digest", self.helper_digest, DIGEST_BYTES)
        _require_bytes("signature", self.signature, SIGNATURE_BYTES)

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
        return _encode(pb.SealedHalf(signed=_signed_to_pb(self.signed)), self.ciphertext)

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedHalf:
        """Parse. Raises BatchTooLarge and BatchMalformed."""
        signed, ciphertext = _fields("half", data, 2)
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
            _require_digest(self.signed, "leader", self.leader)
            _require_digest(self.signed, "helper", self.helper)

    def half(self, role: Aggregator) -> SealedHalf:
        """A role's half: the leader opens its own and forwards the helper's."""
        half = SealedHalf(self.signed, self.leader if role == "leader" else self.helper)
        object.__setattr__(half, "digest_of", role)
        return half

    @property
    def size(self) -> int:
        """Bytes of the encoding."""
        return len(_encode(pb.SealedBatch(signed=_signed_to_pb(self.signed)))) + sum(
            len(_head(number, part)) + len(part) for number, part in enumerate((self.leader, self.helper), 2) if part
        )

    def to_bytes(self) -> bytes:
        """The canonical encoding, at most MAX_BATCH_BYTES."""
        return _encode(pb.SealedBatch(signed=_signed_to_pb(self.signed)), self.leader, self.helper)

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedBatch:
        """Parse. Raises BatchTooLarge, BatchMalformed and DigestMismatch."""
        signed, leader, helper = _fields("sealed batch", data, 3)
        return cls(_signed_from_bytes(signed), leader, helper)


def max_reports(plan: Plan, view: int) -> int:
    """How many reports of a view of a plan fit into a batch, at least 1.

    Raises:
        ReportTooLong: not even one fits (without proofs, from 523,770 slots on). Such a view must be split.
    """
    room, layout = MAX_BATCH_BYTES - BATCH_OVERHEAD, plan.views[view].layout
    to_leader, to_helper, header = _report_bytes(plan, view)
    reports = room // (to_leader + to_helper + header)
    if reports < 1:
        raise ReportTooLong(layout.view.name, layout.length, (room - to_helper - header) * layout.length // to_leader)
    return reports


def _report_bytes(plan: Plan, view: int) -> tuple[int, int, int]:
    """Bytes of one report to the leader, to the helper, and in the header."""
    layout = plan.views[view].layout
    header = HEADER_REPORT_BYTES + (INDEX_BYTES if plan.terms.report_per is ReportPer.SITE else 0)
    match plan.terms:
        case Encrypted():
            return message_bytes(plan.he_parameters(plan.views[view])), 0, header
        case Shares(validity=validity):
            match validity:
                case Validity.NONE:
                    return layout.length * ELEMENT_BYTES, SEED_BYTES, header
                case Validity.PRIO3:
                    # Without the circuit itself: a plan is measured before anything large is built for it.
                    cost = cost_of(layout, clients=plan.clients_a_report)
                    to_leader, to_helper = (
                        size - REPORT_ID_BYTES for size in (cost.report_bytes_leader, cost.report_bytes_helper)
                    )
                    return to_leader, to_helper, header + DIGEST_BYTES


def seal_batch(
    plan: Plan,
    site: str,
    batch_id: bytes,
    leader_half: LeaderHalf | ProvenHalf,
    helper_half: HelperHalf | ProvenHalf,
    key: SigningKey,
    heads: Heads = (None, None),
) -> SealedBatch:
    """Run by the site: seal both halves of one batch to the plan's aggregators, and sign the header and both digests.

    Args:
        batch_id: 16 random bytes, never used before.
        key: the site's signing key.
        heads: the heads of both aggregators' ledgers that the site remembers.

    Raises:
        PlanInvalid: the plan has no keys of aggregators. ReportRefused: the halves are not of one batch, or do not fit the
            plan's `validity`. BatchTooLarge: over MAX_BATCH_BYTES; see `max_reports`. KeyInvalid: a seal key of the plan is
            not valid.
    """
    if plan.wire is None:
        raise PlanInvalid("the plan names no keys of parties: it is for one process, and nothing can be sealed for it")
    require_one_batch(leader_half, helper_half)
    hashes, contents = _contents(plan, leader_half, helper_half)
    collection, ids, clients = leader_half.collection, leader_half.report_ids, leader_half.clients
    header = BatchHeader(plan.hash, site, batch_id, collection, ids, hashes, clients, heads)
    return seal_contents(plan, header, contents, key)


def seal_contents(
    plan: Plan, header: BatchHeader, contents: tuple[bytes, bytes | None], key: SigningKey
) -> SealedBatch:
    """Seal the contents for leader and helper, and sign them with their header. None: nothing is for the helper."""
    if plan.wire is None:
        raise PlanInvalid("the plan names no keys of parties: it is for one process, and nothing can be sealed for it")
    if (size := sum(len(content) for content in contents if content is not None)) > MAX_BATCH_BYTES:
        raise BatchTooLarge(size, MAX_BATCH_BYTES)
    signed, (to_leader, to_helper) = header.to_bytes(), (plan.wire.live("leader").seal, plan.wire.live("helper").seal)
    leader = seal(to_leader, contents[0] or b"", _info("leader", to_leader.id, signed))
    helper = b"" if contents[1] is None else seal(to_helper, contents[1], _info("helper", to_helper.id, signed))
    digests = hashlib.sha256(leader).digest(), hashlib.sha256(helper).digest()
    signature = key.sign(DOMAIN, signed + b"".join(digests))
    batch = SealedBatch(SignedHeader(signed, *digests, signature), leader, helper, just_hashed=True)
    if batch.size > MAX_BATCH_BYTES:
        raise BatchTooLarge(batch.size, MAX_BATCH_BYTES)
    return batch


def _contents(
    plan: Plan, leader: LeaderHalf | ProvenHalf, helper: HelperHalf | ProvenHalf
) -> tuple[npt.NDArray[np.uint8] | None, tuple[bytes, bytes]]:
    """The hashes of the public shares, if there are any, and the contents to seal to leader and helper."""
    if plan.terms.validity is Validity.NONE and isinstance(leader, LeaderHalf) and isinstance(helper, HelperHalf):
        return None, (leader.shares.to_bytes(), helper.seeds.to_bytes())
    if not (
        plan.terms.validity is Validity.PRIO3 and isinstance(leader, ProvenHalf) and isinstance(helper, ProvenHalf)
    ):
        raise ReportRefused(
            f"the plan says validity {plan.terms.validity.value!r}, but these halves have another validity"
        )
    prio3 = prio3_for(plan, leader.view)
    to_leader, to_helper = (
        prio3.encode_public_shares(half.public_shares).tobytes()
        + prio3.encode_input_shares(half.input_shares).tobytes()
        for half in (leader, helper)
    )
    return public_hashes(leader.public_shares), (to_leader, to_helper)


@overload
def open_half(
    role: Literal["leader"], plan: Plan, key: SealKey, roster: Roster, half: SealedHalf
) -> LeaderHalf | ProvenHalf: ...
@overload
def open_half(
    role: Literal["helper"], plan: Plan, key: SealKey, roster: Roster, half: SealedHalf
) -> HelperHalf | ProvenHalf: ...
def open_half(
    role: Aggregator, plan: Plan, key: SealKey, roster: Roster, half: SealedHalf
) -> LeaderHalf | HelperHalf | ProvenHalf:
    """Run by an aggregator: check one batch as far as possible, then open it. A batch is accepted as a whole, or refused.

    In a batch with proofs, a report with a malformed share or another public share is marked; the others are not affected.

    The caller makes the checks that need a memory or a clock: ids and batch ids that were received before, the site's
    earlier reports (`RosterEntry.count`), the deadline, closed collections.

    Args:
        key: this aggregator's own seal key.
        roster: this aggregator's own list of sites.

    Raises:
        BatchMalformed, BatchOfAnotherPlan, UnknownSite, SignatureInvalid, DigestMismatch: the batch is wrong.
        BatchTooLarge: the half has more reports than fit into a batch together with their other half.
        ReportRefused, RosterExceeded, ReportedTwice, TooManyDeclared, DuplicateReport: its reports are wrong.
        SealBroken, FieldElementOutOfRange: its content is wrong.
    """
    if not isinstance(plan.terms, Shares):
        raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: its batches hold no shares")
    header, view = half.signed.header, check_half(role, plan, roster, half)
    content = open_content(role, key, half)
    if header.public_hashes is not None:
        return _proven(role, plan, view, header, header.public_hashes, content)
    if role == "helper":
        seeds = HelperSeeds.from_bytes(content, len(header))
        return HelperHalf(view, header.collection, header.report_ids, seeds, clients=header.clients)
    shares = LeaderShares.from_bytes(content, len(header), plan.views[view].layout.length)
    require_canonical(shares.elements)
    return LeaderHalf(view, header.collection, header.report_ids, shares, clients=header.clients)


def check_half(role: Aggregator, plan: Plan, roster: Roster, half: SealedHalf) -> int:
    """Check a role's half as far as possible before it is opened; returns the index of its reports' view.

    Raises as `open_half`, except for errors in the content.
    """
    signed, header = half.signed, half.signed.header
    if header.plan_hash != plan.hash:
        raise BatchOfAnotherPlan(header.plan_hash, plan.hash)
    entry = roster[header.site]
    signed.verify(entry.key)
    if half.digest_of != role:
        _require_digest(signed, role, half.ciphertext)

    view = _view_of(plan, header.collection)
    _require_distinct(header.report_ids)
    _require_declared(plan, header)
    entry.count(np.zeros(plan.offsets[-1], np.int64), header.collection, header.clients)
    if (header.public_hashes is not None) != (plan.terms.validity is Validity.PRIO3):
        has = "has no" if header.public_hashes is None else "has"
        raise BatchMalformed(
            f"the plan says validity {plan.terms.validity.value!r}, but the header {has} hashes of public shares"
        )
    to_leader, to_helper, of_header = _report_bytes(plan, view)
    both = len(header) * (to_leader + to_helper + of_header)
    if both > MAX_BATCH_BYTES:  # a half of seeds is small, but expands to many times its size
        raise BatchTooLarge(both, MAX_BATCH_BYTES)
    size = len(header) * (to_leader if role == "leader" else to_helper)
    _require_bytes(f"{role}'s ciphertext", half.ciphertext, size + SEAL_OVERHEAD)
    return view


def open_content(role: Aggregator, key: SealKey, half: SealedHalf) -> bytes:
    """The content that was sealed to a role. Raises SealBroken."""
    return open_sealed(key, half.ciphertext, _info(role, key.public.id, half.signed.header_bytes))


def _proven(
    role: Aggregator, plan: Plan, view: int, header: BatchHeader, hashes: npt.NDArray[np.uint8], content: bytes
) -> ProvenHalf:
    """The half in the opened content of a batch with proofs: all public shares, then all input shares."""
    prio3, count = prio3_for(plan, view), len(header)
    octets, at = np.frombuffer(content, np.uint8), count * prio3.public_share_size
    public = prio3.decode_public_shares(octets[:at].reshape(count, -1))
    shares, good = prio3.decode_input_shares(0 if role == "leader" else 1, octets[at:].reshape(count, -1))
    announced = (public_hashes(public) == hashes).all(axis=1)
    columns = view, header.collection, header.report_ids
    return ProvenHalf(*columns, role, public, shares, good & announced, clients=header.clients)


def _info(role: Aggregator, key_id: bytes, header: bytes) -> bytes:
    """HPKE's `info`: every part has a fixed length (both roles have six letters), so no two inputs give the same."""
    return DOMAIN + role.encode("ascii") + key_id + hashlib.sha256(header).digest()


def _view_of(plan: Plan, collection: npt.NDArray[np.uint32]) -> int:
    """The index of the view that all these collections belong to. Raises ReportRefused."""
    view = int(np.searchsorted(plan.offsets, int(collection[0]), side="right")) - 1
    if view >= len(plan.views):
        raise ReportRefused(
            f"collection {int(collection[0])} is not in this plan, which has {plan.offsets[-1]} collections"
        )
    if collection.min() < plan.offsets[view] or collection.max() >= plan.offsets[view + 1]:
        name = plan.views[view].view.name
        raise ReportRefused(f"a batch has reports of one view only; this one has reports of {name!r} and of others")
    return view


def _require_declared(plan: Plan, header: BatchHeader) -> None:
    """Return if the header declares numbers of clients exactly if the plan asks for sites' reports, and none too large."""
    if (header.clients is not None) != (plan.terms.report_per is ReportPer.SITE):
        has = "has no" if header.clients is None else "has"
        raise BatchMalformed(
            f"the plan says report_per {plan.terms.report_per.value!r}, but the header {has} numbers of clients"
        )
    if header.clients is not None and (most := int(header.clients.max())) > plan.max_clients:
        raise TooManyDeclared(most, plan.max_clients)


def _require_distinct(report_ids: npt.NDArray[np.uint8]) -> None:
    words = np.ascontiguousarray(report_ids).view(">u8")
    ordered = words[np.lexsort((words[:, 1], words[:, 0]))]
    if duplicates := int(np.count_nonzero((ordered[1:] == ordered[:-1]).all(axis=1))):
        raise DuplicateReport(duplicates)


def _require_digest(signed: SignedHeader, role: Aggregator, ciphertext: bytes) -> None:
    if hashlib.sha256(ciphertext).digest() != signed.digest_of(role):
        raise DigestMismatch(role)


def _head_in(data: bytes) -> Head | None:
    try:
        return Head.from_bytes(data) if data else None
    except ValueError as error:
        raise BatchMalformed(str(error)) from None


def _require_bytes(what: str, data: bytes, need: int) -> None:
    if len(data) != need:
        raise BatchMalformed(f"{what}: {len(data):,} bytes, need {need:,}")


def _require_canonical(what: str, ours: bytes, data: bytes) -> None:
    if ours != data:
        raise BatchMalformed(f"the bytes of a {what} are not canonical")


_LOW_7_BITS: Final = 0x7F
_LENGTH_BYTES: Final = 4
"""Bytes of a length below 2²⁸, which all lengths in a batch are."""
_M = TypeVar("_M", bound=Message)


def _decode(kind: type[_M], data: bytes) -> _M:
    """Parse a message, after a check of its size."""
    if len(data) > MAX_BATCH_BYTES:
        raise BatchTooLarge(len(data), MAX_BATCH_BYTES)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise BatchMalformed("the bytes of a batch are not protobuf") from None


def _encode(message: Message, *payloads: bytes) -> bytes:
    """The canonical encoding of a message without its fields of bytes from number 2 on, and of these fields: `payloads`.

    Payloads are megabytes. They are copied once here, but several times by the protobuf library. The encodings are equal.
    """
    parts = [message.SerializeToString(deterministic=True)]
    for number, payload in enumerate(payloads, 2):
        if payload:  # proto3 leaves out a field that has its default
            parts += _head(number, payload), payload
    return b"".join(parts)


def _head(number: int, payload: bytes) -> bytes:
    """The bytes before a field of bytes: its number and wire type 2, then its length, 7 bits a byte, low bits first."""
    head, rest = bytearray([number << 3 | 2]), len(payload)
    while rest > _LOW_7_BITS:
        head.append(rest & _LOW_7_BITS | _LOW_7_BITS + 1)
        rest >>= 7
    head.append(rest)
    return bytes(head)


def _signed_to_pb(signed: SignedHeader) -> pb.SignedHeader:
    return pb.SignedHeader(
        header=signed.header_bytes,
        leader_digest=signed.leader_digest,
        helper_digest=signed.helper_digest,
        signature=signed.signature,
    )


def _signed_from_bytes(data: bytes) -> SignedHeader:
    message = _decode(pb.SignedHeader, data)
    signed = SignedHeader(message.header, message.leader_digest, message.helper_digest, message.signature)
    _require_canonical("signed header", _encode(_signed_to_pb(signed)), data)
    return signed


def _fields(what: str, data: bytes, count: int) -> tuple[bytes, ...]:
    """The fields 1 to `count` of a message, all of them bytes, from its canonical encoding: see `_encode`.

    Raises BatchTooLarge. Raises BatchMalformed for any other encoding: fields in another order, repeated, empty or unknown,
    a length that is too large, or a length in more bytes than it needs.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise BatchTooLarge(len(data), MAX_BATCH_BYTES)
    fields, at = [b""] * count, 0
    for number in range(1, count + 1):
        if data[at : at + 1] != bytes([number << 3 | 2]):
            continue  # it has its default
        length = shift = 0
        start = at + 1
        for byte in data[start : start + _LENGTH_BYTES]:
            length |= (byte & _LOW_7_BITS) << shift
            start, shift = start + 1, shift + 7
            if byte <= _LOW_7_BITS:
                break
        fields[number - 1] = data[start : start + length]
        if not length or data[at:start] != _head(number, fields[number - 1]):
            raise BatchMalformed(f"the bytes of a {what} are not canonical in field {number}")
        at = start + length
    if at != len(data):
        raise BatchMalformed(f"the bytes of a {what} are not canonical: {len(data) - at:,} more follow byte {at:,}")
    return tuple(fields)
