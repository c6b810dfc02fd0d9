"""Noised shares as they are stored and sent: sealed to the collector, each with its aggregator's signed statement.

The statement (federation/statement.py) says which panes were opened and binds the sealed bytes; the share itself holds
nothing but field elements. There is one signature, and it is the one that a release can be checked against for ever. With finish
mpc the noised share is held (`HeldShare`), and what both have opened of their shares is sealed instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.errors import MessageMalformed, PlanUnknown
from aggregator.services import aggregator_pb2 as pb
from aggregator.shares.messages import require_length
from crypto import field as field64
from crypto.seal import SEAL_OVERHEAD, SealKey, SealPublicKey, open_sealed, seal
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from federation.errors import FinishRefused, StatementsDisagree
from federation.opened_values import CONTENT_BYTES, require_values, sign_values, signers
from federation.opened_values import FIXED_BYTES as VALUES_BYTES
from federation.parties import Aggregator
from federation.plan import Plan, PlannedView
from federation.protocol import Commitment, NoisedShares, OpenedView, Outcome, open_shares
from federation.statement import (
    FIXED_BYTES,
    Statement,
    require_agreement,
    require_subject,
    sign_statement,
    statement_of,
    verify_statement,
)

_INFO = b"covey-1 share"
ROLES: Final[tuple[Aggregator, ...]] = ("leader", "helper")
"""In the order of a collect: the leader opens with the helper."""


@dataclass(frozen=True)
class SealedShare:
    """One aggregator's noised share of one view: what is stored and sent.

    Attributes:
        statement: the signed statement of the view.
        opened: the signed values of the view (federation/opened_values.py); none of a leader under `he`, and before the swap.
    """

    sealed: bytes = field(repr=False)
    statement: bytes = field(repr=False)
    opened: bytes = field(default=b"", repr=False)

    @classmethod
    def make(
        cls,
        plan: Plan,
        view: int,
        shares: NoisedShares,
        commitment: Commitment,
        collector: SealPublicKey,
        key: SigningKey,
    ) -> SealedShare:
        """Run by an aggregator. Plaintext: the elements of the opened panes."""
        plaintext = field64.to_bytes(shares.shares[view])
        sealed = seal(collector, plaintext, _share_info(plan, shares.role, view, collector))
        outcomes = shares.outcomes[view].tobytes()
        return cls(sealed, sign_statement(plan, view, shares.role, outcomes, commitment, sealed, key))

    @classmethod
    def of_finished(cls, plan: Plan, said: Statement, opened: OpenedView, key: SigningKey) -> SealedShare:
        """Run by leader and helper, with finish mpc: what both have opened, instead of the share of which `said` speaks."""
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        collector = plan.wire.collector.seal
        sealed = seal(collector, _finished_bytes(opened), _share_info(plan, said.role, said.view, collector))
        values = sign_values(plan, said.view, said.role, opened.sums, key)
        return cls(sealed, replace(said, share=hashlib.sha256(sealed).digest()).sign(key), values)

    @classmethod
    def of_sums(
        cls, plan: Plan, said: Statement, sums: npt.NDArray[np.int64], collector: SealPublicKey, key: SigningKey
    ) -> SealedShare:
        """Run by the key holder: int64[opened, K·S] with both noises, and that it has opened what the leader says."""
        info = _share_info(plan, "helper", said.view, collector)
        sealed = seal(collector, field64.to_bytes(field64.encode(sums)), info)
        digest = hashlib.sha256(sealed).digest()
        mine = statement_of(plan, said.view, "helper", said.outcomes, said.sets, digest)
        return cls(sealed, mine.sign(key), sign_values(plan, said.view, "helper", sums, key))

    def plaintext(self, plan: Plan, view: int, role: Aggregator, collector: SealKey) -> tuple[Statement, bytes]:
        """Run by the collector: what the plan's leader or helper says, and what it has sealed.

        Raises:
            SignatureInvalid, StatementMalformed, SealBroken, MessageMalformed.
        """
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        statement = verify_statement(self.statement, plan.wire.sign_key(role))
        require_subject(statement, plan, view, role)
        if hashlib.sha256(self.sealed).digest() != statement.share:
            raise MessageMalformed(f"view {view}: the sealed share is not the one that the {role} signed")
        return statement, open_sealed(collector, self.sealed, _share_info(plan, role, view, collector.public))

    def open(
        self, plan: Plan, view: int, role: Aggregator, collector: SealKey
    ) -> tuple[Statement, npt.NDArray[np.uint64]]:
        """Run by the collector: what the plan's leader or helper says, and its share, uint64[opened, K·S].

        Raises:
            FieldElementOutOfRange; and as `plaintext`.
        """
        statement, plaintext = self.plaintext(plan, view, role, collector)
        opened, length = statement.outcomes.count(Outcome.OPENED), plan.views[view].layout.length
        elements = require_length(f"share of view {view}", plaintext, opened * length * field64.ELEMENT_BYTES)
        return statement, field64.from_bytes(elements).reshape(opened, length)

    def said(self, plan: Plan, view: int) -> tuple[Statement, npt.NDArray[np.uint64]]:
        """Run by the collector, under `he`: what the leader says, and zeros: its noise is in the key holder's sums.

        Raises:
            SignatureInvalid, StatementMalformed, MessageMalformed.
        """
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        statement = verify_statement(self.statement, plan.wire.leader)
        require_subject(statement, plan, view, "leader")
        require_length(f"leader's share of view {view}", self.sealed, 0)
        return statement, np.zeros(
            (statement.outcomes.count(Outcome.OPENED), plan.views[view].layout.length), np.uint64
        )


@dataclass(frozen=True)
class HeldShare:
    """With finish mpc: one aggregator's noised share of one view, which goes into its own process and nowhere else.

    Attributes:
        share: field elements of the opened panes. **Secret** until its view is finished.
        statement: the signed statement of the share; it stays here, and is what the ledger knows.
    """

    share: bytes = field(repr=False)
    statement: bytes = field(repr=False)

    @classmethod
    def make(cls, plan: Plan, view: int, shares: NoisedShares, commitment: Commitment, key: SigningKey) -> HeldShare:
        """Run by an aggregator that has drawn its noise."""
        share, outcomes = field64.to_bytes(shares.shares[view]), shares.outcomes[view].tobytes()
        return cls(share, sign_statement(plan, view, shares.role, outcomes, commitment, share, key))


def noised_of(
    plan: Plan, role: Aggregator, held: list[HeldShare], key: VerifyKey
) -> tuple[NoisedShares, list[Statement]]:
    """Run by the same aggregator: the shares again, and what it has said of them."""
    said = [verify_statement(one.statement, key) for one in held]
    shares = [
        (statement, field64.from_bytes(one.share).reshape(-1, planned.layout.length))
        for statement, one, planned in zip(said, held, plan.views, strict=True)
    ]
    return _noised(role, shares), said


@dataclass(frozen=True, eq=False)
class Finished:
    """With finish mpc: what the collector holds of a plan, which leader and helper have opened together.

    Attributes:
        statements: the signed statements of leader and helper, for each view.
        values: the signed values of both, likewise.
    """

    opened: tuple[OpenedView, ...]
    statements: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    values: tuple[tuple[bytes, ...], ...] = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, leader: list[SealedShare], helper: list[SealedShare], collector: SealKey) -> Finished:
        """Run by the collector: both must say and have opened the same.

        Raises:
            StatementsDisagree; and as `SealedShare.plaintext`.
        """
        opened = []
        for view, (planned, *both) in enumerate(zip(plan.views, leader, helper, strict=True)):
            (mine, sums), (theirs, others) = (
                share.plaintext(plan, view, role, collector) for share, role in zip(both, ROLES, strict=True)
            )
            require_agreement(planned.view.name, mine, theirs)
            if sums != others:
                raise StatementsDisagree(planned.view.name, "opened different values")
            opened.append(_finished_view(planned, mine, sums))
        statements = tuple((one.statement, other.statement) for one, other in zip(leader, helper, strict=True))
        return cls(tuple(opened), statements, _values(plan, leader, helper, opened))

    def open(self, plan: Plan) -> tuple[OpenedView, ...]:
        """The noised sums of each view, zeros where a cell was suppressed."""
        return self.opened


@dataclass(frozen=True, eq=False)
class Fetched:
    """What the collector holds of a plan: both noised shares, and the evidence for what becomes of them.

    Attributes:
        opened: the noised sums of each view.
        statements: the signed statements of leader and helper, for each view.
        values: the signed values of both (under `he` the key holder's), likewise.
    """

    opened: tuple[OpenedView, ...]
    statements: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    values: tuple[tuple[bytes, ...], ...] = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, leader: list[SealedShare], helper: list[SealedShare], collector: SealKey) -> Fetched:
        """Run by the collector: check the statements of both against plan and each other, and open the shares.

        Raises:
            StatementsDisagree; StatementMalformed, also where other values were signed than the shares add up to; and as
            `SealedShare.open`.
        """
        from_leader = [
            share.open(plan, view, "leader", collector) if plan.protection == "shares" else share.said(plan, view)
            for view, share in enumerate(leader)
        ]
        from_helper = [share.open(plan, view, "helper", collector) for view, share in enumerate(helper)]
        for planned, (mine, _), (theirs, _) in zip(plan.views, from_leader, from_helper, strict=True):
            require_agreement(planned.view.name, mine, theirs)
        statements = tuple((one.statement, other.statement) for one, other in zip(leader, helper, strict=True))
        opened = open_shares(plan, _noised("leader", from_leader), _noised("helper", from_helper))
        return cls(opened, statements, _values(plan, leader, helper, opened))

    def open(self, plan: Plan) -> tuple[OpenedView, ...]:
        """The noised sums of each view."""
        return self.opened


def _values(
    plan: Plan, leader: list[SealedShare], helper: list[SealedShare], opened: Sequence[OpenedView]
) -> tuple[tuple[bytes, ...], ...]:
    """The signed values of each view, which are those that were opened."""
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    keys, found = [plan.wire.sign_key(role) for role in signers(plan)], []
    for view, (both, one) in enumerate(zip(zip(leader, helper, strict=True), opened, strict=True)):
        by_role = dict(zip(ROLES, both, strict=True))
        signed = tuple(by_role[role].opened for role in signers(plan))
        require_values(signed, plan, view, keys, one.sums)
        found.append(signed)
    return tuple(found)


def shares_to_parts(shares: list[SealedShare], size: int) -> Iterator[pb.SharePart]:
    """The stored shares in pieces of at most `size` bytes; a view's first one has its statement too."""
    for view, share in enumerate(shares):
        for at in range(0, max(1, len(share.sealed)), size):  # under `he` the leader has a statement and no share
            first = {} if at else {"statement": share.statement, "opened": share.opened}
            yield pb.SharePart(view=view, sealed=share.sealed[at : at + size], **first)


def shares_from_parts(plan: Plan, parts: Iterable[pb.SharePart]) -> list[SealedShare]:
    """The shares of all views of a plan; memory is bounded by the plan. Raises MessageMalformed."""
    found: list[tuple[bytes, bytes, bytearray]] = []
    for part in parts:
        if part.statement:
            found.append((part.statement, part.opened, bytearray()))
        if part.view != len(found) - 1 or len(found) > len(plan.views):
            raise MessageMalformed("pieces of shares out of order")
        statement, opened, sealed = found[-1]
        sealed.extend(part.sealed)
        planned = plan.views[part.view]
        panes = len(planned.pane_starts)
        most = panes * planned.layout.length * field64.ELEMENT_BYTES + SEAL_OVERHEAD
        most += panes * planned.layout.keys if plan.finish == "mpc" else 0
        most_signed = (FIXED_BYTES + panes + SIGNATURE_BYTES, VALUES_BYTES + panes * CONTENT_BYTES + SIGNATURE_BYTES)
        if len(sealed) > most or len(statement) > most_signed[0] or len(opened) > most_signed[1]:
            raise MessageMalformed(f"a share of view {part.view} is longer than its panes")
    if len(found) != len(plan.views):
        raise MessageMalformed(f"shares of {len(found)} views, the plan has {len(plan.views)}")
    return [SealedShare(bytes(sealed), statement, opened) for statement, opened, sealed in found]


def swap_parts(shares: bytes, size: int, plan_hash: bytes = b"") -> Iterator[pb.SwapPart]:
    """Noised shares for the other aggregator in pieces of at most `size` bytes; the first one names the plan."""
    for at in range(0, max(1, len(shares)), size):
        yield pb.SwapPart(plan_hash=b"" if at else plan_hash, shares=shares[at : at + size])


def _finished_bytes(opened: OpenedView) -> bytes:
    """int64[opened, K, S] LE, and a byte a cell, 1 where it is suppressed."""
    if opened.suppressed is None:
        raise FinishRefused("these are no sums that were finished by mpc")
    return opened.sums.astype("<i8").tobytes() + opened.suppressed.astype(np.uint8).tobytes()


def _finished_view(planned: PlannedView, said: Statement, data: bytes) -> OpenedView:
    """`_finished_bytes` read again. Raises MessageMalformed."""
    layout, panes = planned.layout, said.outcomes.count(Outcome.OPENED)
    words = panes * layout.length * field64.ELEMENT_BYTES
    what = f"what was opened of view {planned.view.name!r}"
    require_length(what, data, words + panes * layout.keys)
    sums = np.frombuffer(data[:words], "<i8").astype(np.int64).reshape(panes, layout.keys, layout.slots_per_key)
    cells = np.frombuffer(data[words:], np.uint8).reshape(panes, layout.keys)
    if (cells > 1).any() or sums[cells == 1].any():
        raise MessageMalformed(f"{what} is no set of cells")
    return OpenedView(planned, np.frombuffer(said.outcomes, np.uint8), sums, suppressed=cells == 1)


def _noised(role: Aggregator, opened: list[tuple[Statement, npt.NDArray[np.uint64]]]) -> NoisedShares:
    outcomes = tuple(np.frombuffer(statement.outcomes, np.uint8) for statement, _ in opened)
    return NoisedShares(role, outcomes, tuple(share for _, share in opened))


def _share_info(plan: Plan, role: Aggregator, view: int, collector: SealPublicKey) -> bytes:
    """HPKE's `info`, in the form of a batch's; both roles are six letters."""
    return _INFO + role.encode("ascii") + collector.id + plan.hash + view.to_bytes(4, "big")
