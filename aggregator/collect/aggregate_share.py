"""Aggregate shares as they are stored and sent: sealed to the collector, each with its aggregator's signed statement.

The statement (federation/statement.py) names the opened panes and binds the sealed bytes. The share itself holds only field
elements. There is one signature, and a release can always be checked against it. With the finish mpc an aggregator holds its
noised share (`HeldShare`) and seals the values that both have opened instead.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.errors import MessageMalformed, PlanUnknown
from aggregator.signed_message import require_length
from crypto import field as field64
from crypto.seal import SealKey, SealPublicKey, open_sealed, seal
from crypto.signing import SigningKey, VerifyKey
from federation.aggregation import NoisedShares, OpenedView
from federation.commitment import Commitment, Outcome
from federation.errors import FinishRefused
from federation.opened_values import sign_values
from federation.parties import Aggregator
from federation.plan import Plan
from federation.statement import (
    Statement,
    require_subject,
    sign_statement,
    verify_statement,
)

_INFO = b"covey-1 share"
ROLES: Final[tuple[Aggregator, ...]] = ("leader", "helper")
"""In the order of a collection: the collector sends its request to the leader first."""


@dataclass(frozen=True)
class SealedShare:
    """One aggregator's noised share of one view, as it is stored and sent.

    Attributes:
        statement: the signed statement of the view.
        opened: the signed values of the view (federation/opened_values.py); empty before the swap, and for a leader under `he`.
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
        """Run by an aggregator: seal the field elements of the opened panes."""
        plaintext = field64.to_bytes(shares.shares[view])
        sealed = seal(collector, plaintext, _share_info(plan, shares.role, view, collector))
        outcomes = shares.outcomes[view].tobytes()
        return cls(sealed, sign_statement(plan, view, shares.role, outcomes, commitment, sealed, key))

    @classmethod
    def of_finished(cls, plan: Plan, statement: Statement, opened: OpenedView, key: SigningKey) -> SealedShare:
        """Run by leader and helper, with finish mpc: seal the opened values instead of the share that `statement` describes."""
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        collector = plan.wire.collector.seal
        sealed = seal(collector, sums_to_bytes(opened), _share_info(plan, statement.role, statement.view, collector))
        values = sign_values(plan, statement.view, statement.role, opened.sums, key)
        return cls(sealed, replace(statement, share=hashlib.sha256(sealed).digest()).sign(key), values)

    @classmethod
    def of_sums(
        cls, plan: Plan, statement: Statement, sums: npt.NDArray[np.int64], collector: SealPublicKey, key: SigningKey
    ) -> SealedShare:
        """Run by the key holder: seal int64[opened, K·S] with both noises, and state that it opened the leader's sums."""
        info = _share_info(plan, "helper", statement.view, collector)
        sealed = seal(collector, field64.to_bytes(field64.encode(sums)), info)
        digest = hashlib.sha256(sealed).digest()
        mine = replace(statement, role="helper", share=digest)
        return cls(sealed, mine.sign(key), sign_values(plan, statement.view, "helper", sums, key))

    def plaintext(self, plan: Plan, view: int, role: Aggregator, collector: SealKey) -> tuple[Statement, bytes]:
        """Run by the collector: the statement of the plan's leader or helper, and its unsealed bytes.

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
        """Run by the collector: the statement of the plan's leader or helper, and its share, uint64[opened, K·S].

        Raises:
            FieldElementOutOfRange; and as `plaintext`.
        """
        statement, plaintext = self.plaintext(plan, view, role, collector)
        opened, length = statement.outcomes.count(Outcome.OPENED), plan.views[view].layout.length
        elements = require_length(f"share of view {view}", plaintext, opened * length * field64.ELEMENT_BYTES)
        return statement, field64.from_bytes(elements).reshape(opened, length)

    def leader_statement(self, plan: Plan, view: int) -> tuple[Statement, npt.NDArray[np.uint64]]:
        """Run by the collector, under `he`: the leader's statement, and zeros, because its noise is in the key holder's sums.

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
    """With finish mpc: one aggregator's noised share of one view. It is passed to its own process and to no other party.

    Attributes:
        share: field elements of the opened panes. **Secret** until its view is finished.
        statement: the signed statement of the share. It stays here; the ledger records its digest.
    """

    share: bytes = field(repr=False)
    statement: bytes = field(repr=False)

    @classmethod
    def make(cls, plan: Plan, view: int, shares: NoisedShares, commitment: Commitment, key: SigningKey) -> HeldShare:
        """Run by an aggregator after it has drawn its noise."""
        share, outcomes = field64.to_bytes(shares.shares[view]), shares.outcomes[view].tobytes()
        return cls(share, sign_statement(plan, view, shares.role, outcomes, commitment, share, key))


def noised_of(
    plan: Plan, role: Aggregator, held: list[HeldShare], key: VerifyKey
) -> tuple[NoisedShares, list[Statement]]:
    """Run by the same aggregator: read the shares again, with its own statements."""
    statements = [verify_statement(one.statement, key) for one in held]
    shares = [
        (statement, field64.from_bytes(one.share).reshape(-1, planned.layout.length))
        for statement, one, planned in zip(statements, held, plan.views, strict=True)
    ]
    return noised_shares(role, shares), statements


def sums_to_bytes(opened: OpenedView) -> bytes:
    """int64[opened, K, S] LE, then one byte per cell, 1 if it is suppressed."""
    if opened.suppressed is None:
        raise FinishRefused("these sums were not finished by mpc")
    return opened.sums.astype("<i8").tobytes() + opened.suppressed.astype(np.uint8).tobytes()


def noised_shares(role: Aggregator, opened: list[tuple[Statement, npt.NDArray[np.uint64]]]) -> NoisedShares:
    """Join an aggregator's statements and shares of all views."""
    outcomes = tuple(np.frombuffer(statement.outcomes, np.uint8) for statement, _ in opened)
    return NoisedShares(role, outcomes, tuple(share for _, share in opened))


def _share_info(plan: Plan, role: Aggregator, view: int, collector: SealPublicKey) -> bytes:
    """HPKE's `info`, in the form of a batch's. Both role names have six letters."""
    return _INFO + role.encode("ascii") + collector.id + plan.hash + view.to_bytes(4, "big")
