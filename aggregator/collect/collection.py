"""The collector reads the answers of both aggregators: it checks statements, opens sums and keeps the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

import numpy as np

from aggregator.collect.aggregate_share import ROLES, SealedShare, noised_shares
from aggregator.errors import MessageMalformed, PlanUnknown
from aggregator.signed_message import require_length
from crypto import field as field64
from crypto.seal import SealKey
from federation.aggregation import OpenedView, open_shares
from federation.commitment import Outcome
from federation.errors import StatementsDisagree
from federation.opened_values import require_values, signers
from federation.plan import Plan, PlannedView
from federation.statement import (
    Statement,
    require_agreement,
)
from federation.terms import Encrypted, Finish, Shares, Terms


@dataclass(frozen=True, eq=False)
class CollectedSums:
    """With finish mpc: the sums of a plan that leader and helper have opened together, and the evidence.

    Attributes:
        statements: the signed statements of leader and helper, for each view.
        values: the signed values of both, for each view.
    """

    opened: tuple[OpenedView, ...]
    statements: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    values: tuple[tuple[bytes, ...], ...] = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, leader: list[SealedShare], helper: list[SealedShare], collector: SealKey) -> CollectedSums:
        """Run by the collector: require equal statements and equal opened values.

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
            opened.append(_sums_from_bytes(planned, mine, sums))
        statements = tuple((one.statement, other.statement) for one, other in zip(leader, helper, strict=True))
        return cls(tuple(opened), statements, _values(plan, leader, helper, opened))

    def open(self, plan: Plan) -> tuple[OpenedView, ...]:
        """The noised sums of each view; zeros where a cell is suppressed."""
        return self.opened


@dataclass(frozen=True, eq=False)
class CollectedShares:
    """The sums of a plan from both noised shares, and the evidence.

    Attributes:
        opened: the noised sums of each view.
        statements: the signed statements of leader and helper, for each view.
        values: the signed values of both (under `he` the key holder's), for each view.
    """

    opened: tuple[OpenedView, ...]
    statements: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    values: tuple[tuple[bytes, ...], ...] = field(repr=False)

    @classmethod
    def of(
        cls, plan: Plan, leader: list[SealedShare], helper: list[SealedShare], collector: SealKey
    ) -> CollectedShares:
        """Run by the collector: check both statements against the plan and each other, and open the shares.

        Raises:
            StatementsDisagree. StatementMalformed: also if the signed values differ from the sums of the shares. And as
            `SealedShare.open`.
        """
        match plan.terms:
            case Shares():
                from_leader = [share.open(plan, view, "leader", collector) for view, share in enumerate(leader)]
            case Encrypted():
                from_leader = [share.leader_statement(plan, view) for view, share in enumerate(leader)]
            case other:
                assert_never(other)
        from_helper = [share.open(plan, view, "helper", collector) for view, share in enumerate(helper)]
        for planned, (mine, _), (theirs, _) in zip(plan.views, from_leader, from_helper, strict=True):
            require_agreement(planned.view.name, mine, theirs)
        statements = tuple((one.statement, other.statement) for one, other in zip(leader, helper, strict=True))
        opened = open_shares(plan, noised_shares("leader", from_leader), noised_shares("helper", from_helper))
        return cls(opened, statements, _values(plan, leader, helper, opened))

    def open(self, plan: Plan) -> tuple[OpenedView, ...]:
        """The noised sums of each view."""
        return self.opened


def _values(
    plan: Plan, leader: list[SealedShare], helper: list[SealedShare], opened: Sequence[OpenedView]
) -> tuple[tuple[bytes, ...], ...]:
    """The signed values of each view, checked against the opened sums."""
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    keys, found = [plan.wire.sign_key(role) for role in signers(plan)], []
    for view, (both, one) in enumerate(zip(zip(leader, helper, strict=True), opened, strict=True)):
        by_role = dict(zip(ROLES, both, strict=True))
        signed = tuple(by_role[role].opened for role in signers(plan))
        require_values(signed, plan, view, keys, one.sums)
        found.append(signed)
    return tuple(found)


def _sums_from_bytes(planned: PlannedView, statement: Statement, data: bytes) -> OpenedView:
    """The inverse of `sums_to_bytes`. Raises MessageMalformed."""
    layout, panes = planned.layout, statement.outcomes.count(Outcome.OPENED)
    words = panes * layout.length * field64.ELEMENT_BYTES
    what = f"the opened sums of view {planned.view.name!r}"
    require_length(what, data, words + panes * layout.keys)
    sums = np.frombuffer(data[:words], "<i8").astype(np.int64).reshape(panes, layout.keys, layout.slots_per_key)
    cells = np.frombuffer(data[words:], np.uint8).reshape(panes, layout.keys)
    if (cells > 1).any() or sums[cells == 1].any():
        raise MessageMalformed(f"{what} are malformed: a flag is not 0 or 1, or a suppressed cell is not zero")
    return OpenedView(planned, np.frombuffer(statement.outcomes, np.uint8), sums, suppressed=cells == 1)


Collection: TypeAlias = CollectedShares | CollectedSums
"""The opened sums of a plan, as the collector holds them."""


def collection_type(terms: Terms) -> type[CollectedShares] | type[CollectedSums]:
    """The type that reads the answers for plans of these terms."""
    match terms:
        case Shares(finish=finish):
            return CollectedSums if finish is Finish.MPC else CollectedShares
        case Encrypted():
            return CollectedShares
        case other:
            assert_never(other)
