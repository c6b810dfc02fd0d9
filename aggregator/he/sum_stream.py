"""The stream of a plan's sums to the key holder: statements and ciphertexts, read strictly in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from aggregator.errors import CommitmentConflict, MessageMalformed
from aggregator.services import aggregator_pb2 as pb
from aggregator.shares.peers import leader_of
from aggregator.storage.records import StoredPlan
from crypto.signing import SIGNATURE_BYTES
from federation.errors import StatementMalformed
from federation.he.key_holder import require_sums
from federation.plan import Plan
from federation.statement import FIXED_BYTES, Statement, sites_size, verify_statement


class SumStream:
    """A stream of `SumPart`s, read in the order and with the sizes that the plan determines. Nothing larger is held."""

    def __init__(self, first: pb.SumPart, rest: Iterator[pb.SumPart]) -> None:
        self._next: pb.SumPart | None = first
        self._rest = rest

    def statement(self, view: int, most: int) -> bytes:
        """The statement at the beginning of a view."""
        part = self._take(view)
        if not part.statement or len(part.statement) > most or part.sums:
            raise MessageMalformed(f"the sums of view {view} do not begin with its statement")
        return bytes(part.statement)

    def message(self, view: int, size: int) -> bytes:
        """The next message of a view, of exactly `size` bytes."""
        found = bytearray()
        while len(found) < size:
            part = self._take(view)
            if part.statement or not part.sums:
                raise MessageMalformed(f"the sums of view {view} end early")
            found += part.sums
        if len(found) > size:
            raise MessageMalformed(f"a sum of view {view} is longer than {size:,} bytes")
        return bytes(found)

    def end(self) -> None:
        """Raise MessageMalformed if anything follows."""
        if self._next is not None or next(self._rest, None) is not None:
            raise MessageMalformed("there are more sums than the statements name")

    def _take(self, view: int) -> pb.SumPart:
        part = next(self._rest, None) if self._next is None else self._next
        self._next = None
        if part is None or part.view != view:
            raise MessageMalformed(f"the sums of view {view} end early")
        return part


def statement_in(plan: Plan, view: int, signed: bytes) -> Statement:
    """The leader's statement of this view, verified. Raises SignatureInvalid and StatementMalformed."""
    statement = verify_statement(signed, leader_of(plan))
    require_sums(plan, statement)
    if statement.view != view:
        raise StatementMalformed(f"it is about view {statement.view}, not about view {view}")
    return statement


def first_statement(plan: Plan, view: int, statements: bytes) -> bytes:
    """The first of signed statements that follow each other without a mark; it is about this view."""
    size = FIXED_BYTES + sites_size(statements) + len(plan.views[view].pane_starts) + SIGNATURE_BYTES
    return statements[:size]


def require_same(stored: StoredPlan, statements: bytes) -> None:
    """Check that the leader signed the same statements of the first views before. Raises CommitmentConflict."""
    if stored.other is not None and not stored.other.startswith(statements):
        raise CommitmentConflict("the leader signed other sums of this plan before")


def require_repeat(stored: StoredPlan, first: pb.SumPart, rest: Iterator[pb.SumPart]) -> None:
    """Check that the sums of an opened plan come with the same statements as before. Raises CommitmentConflict."""
    statements = b""
    for part in chain([first], rest):
        statements += part.statement
        if not statements:  # parts without statements prove nothing and could go on without end
            break
        require_same(stored, statements)
        if statements == stored.other:
            return
    raise CommitmentConflict("the leader signed other sums of this plan before")
