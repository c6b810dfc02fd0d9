"""ε of a ledger: of its budget, and of what it has charged.

Only the budget's ε is a claim for all charges within it. A coordinator may choose each plan with the releases before it in
sight. A limit on ρ is a filter for zCDP (Feldman and Zrnic 2021; Whitehouse et al. 2023), so ε(budget) comes from zCDP. The
rounding bound would need limits on its own integers: noise of small σ² costs it more, without end towards σ² = 1. ε of what
is spent holds where the charges were fixed beforehand: it is the smaller one of both bounds (ADR 38).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.accountant import CLAIMED_DAYS, EpsilonClaim, epsilon, ledger_claim
from federation.ledger.state import EXACT, Budget, LedgerState
from federation.price import NO_PRICE, Observer, Price

LEDGER_DELTA: Final = 1e-6
"""The δ at which ledgers and budgets are stated as ε: the default of a view."""
_MOST_PRICES: Final = {Observer.AGGREGATOR: 1, Observer.OUTSIDERS: 2}


def most_prices(counts: Observer) -> int:
    """How often an aggregator's price fits into what a budget counts, at most (`Price.micro_rho`)."""
    return _MOST_PRICES[counts]


def budget_claims(budget: Budget) -> tuple[EpsilonClaim, ...]:
    """ε of clients whose every day is spent, by zCDP: it holds for any charges within the budget.

    A price against outsiders is at most that against an aggregator, so a budget that counts the latter bounds both.
    """
    most = most_prices(budget.counts)
    return tuple(
        EpsilonClaim(
            days,
            epsilon(budget.micro_rho, LEDGER_DELTA, days),
            epsilon(most * budget.micro_rho, LEDGER_DELTA, days),
            None,
        )
        for days in CLAIMED_DAYS
    )


def spent_claims(state: LedgerState) -> tuple[EpsilonClaim, ...]:
    """ε of a client that was in all charges of the worst day, and of the worst 7 and 30 days in a row.

    Empty if nothing was charged, or if exact sums were charged: no ε holds for them.
    """
    if not state.prices or opened_exactly(state):
        return ()
    return tuple(_worst(state.prices, days) for days in CLAIMED_DAYS)


def opened_exactly(state: LedgerState) -> bool:
    """Whether a plan without noise was charged, for tests and labs."""
    return any(charge.scales.partition(";")[0] == EXACT for charge in state.paid)


def _worst(prices: Mapping[int, Price], days: int) -> EpsilonClaim:
    """The largest ε over windows of days in a row; those that end on a charged day are enough."""
    windows = {
        sum((prices[day] for day in range(last - days + 1, last + 1) if day in prices), NO_PRICE) for last in prices
    }
    claims = [ledger_claim(price, days, LEDGER_DELTA) for price in windows]
    pures = [claim.pure for claim in claims]
    return EpsilonClaim(
        days,
        max(claim.outsiders for claim in claims),
        max(claim.aggregator for claim in claims),
        None if None in pures else max(pure for pure in pures if pure is not None),
    )
