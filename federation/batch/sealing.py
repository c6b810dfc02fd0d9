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
from typing import Final, Literal, overload

import numpy as np
import numpy.typing as npt

from crypto.bfv import message_bytes
from crypto.field import ELEMENT_BYTES, require_canonical
from crypto.seal import SEAL_OVERHEAD, SealKey, open_sealed, seal
from crypto.sharing import HelperSeeds, LeaderShares
from crypto.signing import SigningKey
from crypto.xof import SEED_BYTES
from federation.circuit.cost import cost_of
from federation.circuit.validity import prio3_for, public_hashes
from federation.errors import (
    BatchMalformed,
    BatchOfAnotherPlan,
    BatchTooLarge,
    DuplicateReport,
    PlanInvalid,
    ReportRefused,
    ReportTooLong,
    TooManyDeclared,
)
from federation.parties import Aggregator, Roster, RosterEntry
from federation.plan import Plan
from federation.report_checks import require_one_batch
from federation.terms import Encrypted, ReportPer, Shares, Validity

from .batch import (
    DIGEST_BYTES,
    DOMAIN,
    HEADER_REPORT_BYTES,
    INDEX_BYTES,
    BatchHeader,
    Heads,
    SealedBatch,
    SealedHalf,
    SignedHeader,
)
from .encoding import MAX_BATCH_BYTES, require_bytes
from .reports import REPORT_ID_BYTES, HelperHalf, LeaderHalf, ProvenHalf

BATCH_OVERHEAD: Final = 4_096
"""Room for the bytes of a batch besides its reports: 2,670 at most."""


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
    header, entry = half.signed.header, check_sender(role, plan, roster, half)
    if not len(header):
        raise BatchMalformed("it is an empty batch: it has no reports")
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
    require_bytes(f"{role}'s ciphertext", half.ciphertext, size + SEAL_OVERHEAD)
    return view


def check_sender(role: Aggregator, plan: Plan, roster: Roster, half: SealedHalf) -> RosterEntry:
    """The roster entry of the site that signed this half for this role and plan.

    Raises:
        BatchOfAnotherPlan, UnknownSite, SignatureInvalid, DigestMismatch.
    """
    signed, header = half.signed, half.signed.header
    if header.plan_hash != plan.hash:
        raise BatchOfAnotherPlan(header.plan_hash, plan.hash)
    entry = roster[header.site]
    signed.verify(entry.key_at(plan.deadline_us))
    if half.digest_of != role:
        signed.require_digest(role, half.ciphertext)
    return entry


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
