"""Aggregate shares and noised shares in pieces, as they are sent over a gRPC stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aggregator.collect.aggregate_share import SealedShare
from aggregator.errors import MessageMalformed
from aggregator.services import aggregator_pb2 as pb
from crypto import field as field64
from crypto.seal import SEAL_OVERHEAD
from crypto.signing import SIGNATURE_BYTES
from federation.opened_values import CONTENT_BYTES
from federation.opened_values import FIXED_BYTES as VALUES_BYTES
from federation.plan import Plan
from federation.statement import most_statement_bytes
from federation.terms import Finish


def shares_to_parts(shares: list[SealedShare], size: int) -> Iterator[pb.SharePart]:
    """The stored shares in pieces of at most `size` bytes. The first piece of a view has its statement."""
    for view, share in enumerate(shares):
        for at in range(0, max(1, len(share.sealed)), size):  # under `he` the leader has a statement and no share
            first = {} if at else {"statement": share.statement, "opened": share.opened}
            yield pb.SharePart(view=view, sealed=share.sealed[at : at + size], **first)


def shares_from_parts(plan: Plan, parts: Iterable[pb.SharePart]) -> list[SealedShare]:
    """Join the shares of all views of a plan. The plan bounds the memory. Raises MessageMalformed."""
    found: list[tuple[bytes, bytes, bytearray]] = []
    for part in parts:
        if part.statement:
            found.append((part.statement, part.opened, bytearray()))
        if part.view != len(found) - 1 or len(found) > len(plan.views):
            raise MessageMalformed("the pieces of shares are out of order")
        statement, opened, sealed = found[-1]
        sealed.extend(part.sealed)
        planned = plan.views[part.view]
        panes = len(planned.pane_starts)
        most = panes * planned.layout.length * field64.ELEMENT_BYTES + SEAL_OVERHEAD
        if plan.terms.finish is Finish.MPC:  # one byte per cell: whether it is suppressed
            most += panes * planned.layout.keys
        most_signed = (
            most_statement_bytes(plan, part.view),
            VALUES_BYTES + panes * CONTENT_BYTES + SIGNATURE_BYTES,
        )
        if len(sealed) > most or len(statement) > most_signed[0] or len(opened) > most_signed[1]:
            raise MessageMalformed(f"the share or statement of view {part.view} is longer than its panes allow")
    if len(found) != len(plan.views):
        raise MessageMalformed(f"there are shares of {len(found)} views, but the plan has {len(plan.views)}")
    return [SealedShare(bytes(sealed), statement, opened) for statement, opened, sealed in found]


def swap_parts(shares: bytes, size: int, plan_hash: bytes = b"") -> Iterator[pb.SwapPart]:
    """Noised shares for the other aggregator in pieces of at most `size` bytes. The first piece names the plan."""
    for at in range(0, max(1, len(shares)), size):
        yield pb.SwapPart(plan_hash=b"" if at else plan_hash, shares=shares[at : at + size])


def swapped_pieces(parts: Iterable[pb.SwapPart], size: int) -> list[bytes]:
    """The pieces of the other aggregator's noised shares. A stream of more than `size` bytes is not read to its end."""
    pieces, left = list[bytes](), size
    for part in parts:
        pieces.append(part.shares)
        left -= len(part.shares)
        if left < 0 or not part.shares:
            break
    return pieces
