"""Noised shares as they are stored and sent: sealed to the collector, each with its aggregator's signed statement.

The statement (federation/statement.py) says which panes were opened and binds the sealed bytes; the share itself holds
nothing but field elements. There is one signature, and it is the one that a release can be checked against for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from crypto.seal import SEAL_OVERHEAD, SealKey, SealPublicKey, open_sealed, seal
from crypto.signing import SIGNATURE_BYTES, SigningKey
from federation.parties import Aggregator
from federation.plan import Plan
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

from . import aggregator_pb2 as pb
from .errors import MessageMalformed, PlanUnknown
from .messages import require_length

_INFO = b"covey-1 share"


@dataclass(frozen=True)
class SealedShare:
    """One aggregator's noised share of one view: what is stored and sent.

    Attributes:
        statement: the signed statement of the view.
    """

    sealed: bytes = field(repr=False)
    statement: bytes = field(repr=False)

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
    def of_sums(
        cls, plan: Plan, said: Statement, sums: npt.NDArray[np.int64], collector: SealPublicKey, key: SigningKey
    ) -> SealedShare:
        """Run by the key holder: int64[opened, K·S] with both noises, and that it has opened what the leader says."""
        info = _share_info(plan, "helper", said.view, collector)
        sealed = seal(collector, field64.to_bytes(field64.encode(sums)), info)
        digest = hashlib.sha256(sealed).digest()
        mine = statement_of(plan, said.view, "helper", said.outcomes, said.sets, digest)
        return cls(sealed, mine.sign(key))

    def open(
        self, plan: Plan, view: int, role: Aggregator, collector: SealKey
    ) -> tuple[Statement, npt.NDArray[np.uint64]]:
        """Run by the collector: what the plan's leader or helper says, and its share, uint64[opened, K·S].

        Raises:
            SignatureInvalid, StatementMalformed, SealBroken, MessageMalformed, FieldElementOutOfRange.
        """
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        statement = verify_statement(self.statement, plan.wire.keys_of(role).sign)
        require_subject(statement, plan, view, role)
        if hashlib.sha256(self.sealed).digest() != statement.share:
            raise MessageMalformed(f"view {view}: the sealed share is not the one that the {role} signed")
        plaintext = open_sealed(collector, self.sealed, _share_info(plan, role, view, collector.public))
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
        statement = verify_statement(self.statement, plan.wire.leader.sign)
        require_subject(statement, plan, view, "leader")
        require_length(f"leader's share of view {view}", self.sealed, 0)
        return statement, np.zeros(
            (statement.outcomes.count(Outcome.OPENED), plan.views[view].layout.length), np.uint64
        )


@dataclass(frozen=True, eq=False)
class Fetched:
    """What the collector holds of a plan: both noised shares, and the evidence for what becomes of them.

    Attributes:
        statements: the signed statements of leader and helper, for each view.
    """

    leader: NoisedShares
    helper: NoisedShares
    statements: tuple[tuple[bytes, bytes], ...] = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, leader: list[SealedShare], helper: list[SealedShare], collector: SealKey) -> Fetched:
        """Run by the collector: check the statements of both against plan and each other, and open the shares.

        Raises:
            StatementsDisagree; and as `SealedShare.open`.
        """
        from_leader = [
            share.open(plan, view, "leader", collector) if plan.protection == "shares" else share.said(plan, view)
            for view, share in enumerate(leader)
        ]
        from_helper = [share.open(plan, view, "helper", collector) for view, share in enumerate(helper)]
        for planned, (mine, _), (theirs, _) in zip(plan.views, from_leader, from_helper, strict=True):
            require_agreement(planned.view.name, mine, theirs)
        statements = tuple((one.statement, other.statement) for one, other in zip(leader, helper, strict=True))
        return cls(_noised("leader", from_leader), _noised("helper", from_helper), statements)

    def open(self, plan: Plan) -> tuple[OpenedView, ...]:
        """The noised sums of each view."""
        return open_shares(plan, self.leader, self.helper)


def shares_to_parts(shares: list[SealedShare], size: int) -> Iterator[pb.SharePart]:
    """The stored shares in pieces of at most `size` bytes; a view's first one has its statement too."""
    for view, share in enumerate(shares):
        for at in range(0, max(1, len(share.sealed)), size):  # under `he` the leader has a statement and no share
            yield pb.SharePart(view=view, statement=b"" if at else share.statement, sealed=share.sealed[at : at + size])


def shares_from_parts(plan: Plan, parts: Iterable[pb.SharePart]) -> list[SealedShare]:
    """The shares of all views of a plan; memory is bounded by the plan. Raises MessageMalformed."""
    found: list[tuple[bytes, bytearray]] = []
    for part in parts:
        if part.statement:
            found.append((part.statement, bytearray()))
        if part.view != len(found) - 1 or len(found) > len(plan.views):
            raise MessageMalformed("pieces of shares out of order")
        found[-1][1].extend(part.sealed)
        planned = plan.views[part.view]
        panes = len(planned.pane_starts)
        most = panes * planned.layout.length * field64.ELEMENT_BYTES + SEAL_OVERHEAD
        if len(found[-1][1]) > most or len(found[-1][0]) > FIXED_BYTES + panes + SIGNATURE_BYTES:
            raise MessageMalformed(f"a share of view {part.view} is longer than its panes")
    if len(found) != len(plan.views):
        raise MessageMalformed(f"shares of {len(found)} views, the plan has {len(plan.views)}")
    return [SealedShare(bytes(sealed), statement) for statement, sealed in found]


def _noised(role: Aggregator, opened: list[tuple[Statement, npt.NDArray[np.uint64]]]) -> NoisedShares:
    outcomes = tuple(np.frombuffer(statement.outcomes, np.uint8) for statement, _ in opened)
    return NoisedShares(role, outcomes, tuple(share for _, share in opened))


def _share_info(plan: Plan, role: Aggregator, view: int, collector: SealPublicKey) -> bytes:
    """HPKE's `info`, in the form of a batch's; both roles are six letters."""
    return _INFO + role.encode("ascii") + collector.id + plan.hash + view.to_bytes(4, "big")
