"""The claims about a client as a small table."""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.define.epsilon import rounded_up
from federation.accountant import EpsilonClaim

from .output import Output
from .tables import Cell, Table


def print_claims(claims: Sequence[EpsilonClaim], delta: float, out: Output) -> None:
    """Print ε of a client-day and of several days, against outsiders and against an aggregator, rounded up."""
    is_pure = all(claim.pure is not None for claim in claims)
    table = Table(
        f"ε at δ = {delta:g}",
        "against outsiders",
        "against an aggregator",
        *(["without δ"] if is_pure else []),
        caption="Outsiders see releases, with the noise of two honest aggregators; an aggregator knows its own noise. Rounded up",
    )
    for claim in claims:
        pure = [] if claim.pure is None or not is_pure else [_cell(claim.pure)]
        table.add_row(_span(claim.days), _cell(claim.outsiders), _cell(claim.aggregator), *pure)
    out.table(table, aside=True)


def _span(days: int) -> str:
    return "a client-day" if days == 1 else f"any {days} days"


def _cell(epsilon: float) -> Cell:
    return Cell(rounded_up(epsilon), epsilon)
