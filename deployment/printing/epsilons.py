"""The claims about a client as small tables, and what a budget counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from featurestore.define.epsilon import rounded_up
from federation.accountant import EpsilonClaim
from federation.price import Observer

from .output import Output
from .tables import Cell, Table

_OBSERVERS: Final = (
    "Outsiders see releases, with the noise of two honest aggregators; an aggregator knows its own noise. Rounded up"
)

_LEDGER: Final = (
    "ε of the budget is by zCDP and holds for any charges within it. ε of what is spent holds if the charges were fixed "
    "beforehand, so that none depends on a release."
)


def print_claims(claims: Sequence[EpsilonClaim], delta: float, out: Output) -> None:
    """Print ε of a client-day and of several days, against outsiders and against an aggregator, rounded up."""
    _print_rows([(_span(claim.days), claim) for claim in claims], delta, _OBSERVERS, out)


def print_ledger_claims(
    spent: Iterable[EpsilonClaim], budget: Iterable[EpsilonClaim], delta: float, out: Output
) -> None:
    """Print ε of what a ledger has charged, and ε of its budget."""
    rows = [(f"spent, {_worst(claim.days)}", claim) for claim in spent]
    rows += [(f"budget, {_span(claim.days)}", claim) for claim in budget]
    _print_rows(rows, delta, f"{_LEDGER} {_OBSERVERS}", out)


def counts_text(counts: Observer) -> str:
    """Which price of each view counts in a budget, in a few words."""
    match counts:
        case Observer.AGGREGATOR:
            return "it counts prices against an aggregator"
        case Observer.OUTSIDERS:
            return "it counts prices against outsiders, which trusts both aggregators"
        case _:
            assert_never(counts)


def _print_rows(rows: Sequence[tuple[str, EpsilonClaim]], delta: float, caption: str, out: Output) -> None:
    is_pure = all(claim.pure is not None for _, claim in rows)
    table = Table(
        f"ε at δ = {delta:g}",
        "against outsiders",
        "against an aggregator",
        *(["without δ"] if is_pure else []),
        caption=caption,
    )
    for name, claim in rows:
        pure = [] if claim.pure is None or not is_pure else [_cell(claim.pure)]
        table.add_row(name, _cell(claim.outsiders), _cell(claim.aggregator), *pure)
    out.table(table, aside=True)


def _span(days: int) -> str:
    return "a client-day" if days == 1 else f"any {days} days"


def _worst(days: int) -> str:
    return "the worst day" if days == 1 else f"the worst {days} days"


def _cell(epsilon: float) -> Cell:
    return Cell(rounded_up(epsilon), epsilon)
