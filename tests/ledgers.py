"""What a ledger has spent, as numbers."""

from __future__ import annotations

from federation.ledger.state import LedgerState


def spent_of(state: LedgerState) -> dict[int, int]:
    """The micro-ρ of each UTC day against an aggregator, which budgets count by default."""
    return {day: price.aggregator.micro_rho for day, price in state.prices.items()}
