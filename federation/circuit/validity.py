"""Reports with proofs (`validity="prio3"`): the proof by the site, and the one round in which leader and helper verify it.

    site     reports ──prove──► both halves: public share, input share
    leader   half ──start──► Verification ── verifier shares ──►┐
    helper   half ──start──► Verification ───────────────────── judge ──► accepted: bool[R], verifier messages, output shares
    leader   Verification ◄──────────────── messages ───────────┘
             └──finish──► output shares of the reports that the helper accepted

The frame is Prio3 (draft-irtf-cfrg-vdaf, VERSION 18, section 7) in the topology of ping-pong: two aggregators, one round.
The circuit is the view's own (circuit.py). A report's id is the nonce; the context binds plan and collection. Only the
aggregators know the verification key: with it, anyone could make a proof of a false statement.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from crypto.errors import WrongLength
from crypto.ntt_field import Elements, Mask
from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.prio3_messages import PublicShares, VerifierMessages, VerifierShares, VerifyStates
from crypto.sharing import SparseRows
from featurestore.define.layout import Layout
from federation.batch.reports import Indices, ProvenHalf, Randomness, ReportIds, VerifiedHalf, declared
from federation.errors import ReportRefused
from federation.plan import Plan
from federation.terms import Validity

from .circuit import FIELD64_X3, ViewCircuit, ViewPrio3, contexts, prio3_of
from .cost import lengths_of

DIGEST_BYTES: Final = 32
_KEY_DOMAIN: Final = b"covey-1 verification key"


class VerificationKey:
    """The key from which both aggregators draw the test points of one plan's proofs. **Secret** to all other parties."""

    def __init__(self, data: bytes) -> None:
        """`data`: 32 bytes of a CSPRNG. Raises WrongLength."""
        if len(data) != VERIFY_KEY_SIZE:
            raise WrongLength("bytes of a verification key", len(data), VERIFY_KEY_SIZE)
        self._data = data

    def __repr__(self) -> str:
        return "VerificationKey(<secret>)"

    def secret_bytes(self) -> bytes:
        """The key, for storage and for the other aggregator. **Secret.**"""
        return self._data

    def hash_for(self, plan_id: bytes) -> bytes:
        """SHA-256 that commits a plan to this key, and reveals nothing about it."""
        return hashlib.sha256(_KEY_DOMAIN + plan_id + self._data).digest()


def prio3_for(plan: Plan, view: int) -> ViewPrio3:
    """The Prio3 instance of the reports of a view of a plan; if sites report, it allows for sums of their clients."""
    return prio3_of(plan.views[view].layout, clients=plan.clients_a_report)


def report_elements(layout: Layout, validity: Validity, clients: int = 1) -> int:
    """The number of field elements in the leader's half of one report, which is the sum of at most `clients` clients."""
    match validity:
        case Validity.NONE:
            return layout.length
        case Validity.PRIO3:
            return lengths_of(layout, FIELD64_X3.field, clients).report_len(FIELD64_X3.proofs)


def public_hashes(public_shares: PublicShares) -> npt.NDArray[np.uint8]:
    """uint8[R, 32]: SHA-256 of each report's public share. In a batch's header it binds both halves to one public share."""
    parts = public_shares.joint_rand_parts
    digests = b"".join(hashlib.sha256(part).digest() for part in np.ascontiguousarray(parts))
    return np.frombuffer(digests, np.uint8).reshape(len(parts), DIGEST_BYTES)


# ---- the site ----------------------------------------------------------------------------------------------------------


def encode(layout: Layout, slots: SparseRows, clients: int = 1) -> Elements:
    """Run by the site: report vectors as measurements `[R, meas_len]`; each is the sum of at most `clients` clients.

    Raises:
        ReportRefused: a vector that no clients of the view can have. WrongLength.
    """
    return cast(ViewCircuit, prio3_of(layout, clients=clients).circuit).encode(slots)


def prove(
    plan: Plan,
    index: int,
    collection: Indices,
    measurements: Elements,
    report_ids: ReportIds,
    randomness: Randomness,
    clients: Indices | None = None,
) -> tuple[ProvenHalf, ProvenHalf]:
    """Run by the site: shares of encoded measurements (`encode`) with proofs, under fresh randomness.

    Args:
        index: the index of the view in the plan.
        measurements: `[R, meas_len]`. An invalid measurement gets a proof as well, and the aggregators reject it.
        clients: uint32[R], the clients that the site declares for each report, if it is a site's.
    """
    prio3, count = prio3_for(plan, index), len(collection)
    rand = np.frombuffer(randomness(count * prio3.rand_size), np.uint8).reshape(count, prio3.rand_size)
    public, (leader, helper) = prio3.shard_encoded_batch(
        contexts(plan.hash, collection), measurements, report_ids, rand
    )
    good = np.ones(count, np.bool_)
    return (
        ProvenHalf(index, collection, report_ids, "leader", public, leader, good, clients=clients),
        ProvenHalf(index, collection, report_ids, "helper", public, helper, good, clients=clients),
    )


# ---- the aggregators ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Verification:
    """The state of an aggregator that has its verifier shares of a batch, and waits for the other aggregator.

    Attributes:
        offered: bool[R]: the reports that can be verified. Nothing about the others is sent.
        shares: the verifier shares of all R reports.
    """

    half: ProvenHalf
    states: VerifyStates = field(repr=False)
    shares: VerifierShares = field(repr=False)
    offered: Mask

    def take(self, rows: Mask) -> VerifiedHalf:
        """The output shares of reports that both aggregators accept."""
        half, out_shares = self.half, self.states.out_shares[rows]
        clients = declared(half.clients, rows)
        return VerifiedHalf(half.view, half.collection[rows], half.report_ids[rows], out_shares, clients=clients)


def start(plan: Plan, key: VerificationKey, half: ProvenHalf) -> Verification:
    """Run by each aggregator on its own half."""
    states, shares = prio3_for(plan, half.view).verify_init_batch(
        key.secret_bytes(),
        contexts(plan.hash, half.collection),
        0 if half.role == "leader" else 1,
        half.report_ids,
        half.public_shares,
        half.input_shares,
    )
    return Verification(half, states, shares, half.wellformed & states.usable)


def judge(
    plan: Plan, helper: Verification, leader_shares: VerifierShares, offered: Mask
) -> tuple[VerifierMessages, Mask]:
    """Run by the helper: whose proofs hold, bool[R], and the verifier messages for the leader.

    Joint randomness follows from two parts, one of each aggregator, which a client writes into its public share. Each
    aggregator computes its own part, but cannot check the other part itself. In plain ping-pong, only the leader detects a
    client that lies about the *helper's* part, and only after the helper has accepted the report. The two would then hold
    different reports, so one report could make a pane unusable. Therefore the helper, which sees both computed parts,
    accepts no report whose public share differs from them. The leader's `finish` can then accept every such report.

    Args:
        leader_shares: the shares of all R reports; rows that the leader has not `offered` may hold anything.
    """
    half = helper.half
    prio3 = prio3_for(plan, half.view)
    messages, holds = prio3.verifier_shares_to_message_batch(
        contexts(plan.hash, half.collection), [leader_shares, helper.shares]
    )
    computed = np.stack([leader_shares.joint_rand_parts, helper.shares.joint_rand_parts], axis=1)
    honest = (half.public_shares.joint_rand_parts == computed).all(axis=(1, 2))
    accepted = helper.offered & offered & holds & honest & prio3.verify_next_batch(helper.states, messages)
    return messages, accepted


def finish(plan: Plan, leader: Verification, messages: VerifierMessages, accepted: Mask) -> VerifiedHalf:
    """Run by the leader: its output shares of exactly the reports that the helper accepted.

    Raises:
        ReportRefused: the helper accepted a report that the leader must reject, so it does not follow the protocol.
    """
    prio3 = prio3_for(plan, leader.half.view)
    mine = leader.offered & prio3.verify_next_batch(leader.states, messages)
    if differs := int(np.count_nonzero(accepted & ~mine)):
        raise ReportRefused(
            f"the helper accepted {differs} report(s) whose joint randomness the leader rejects: it does not follow the protocol"
        )
    return leader.take(accepted)
