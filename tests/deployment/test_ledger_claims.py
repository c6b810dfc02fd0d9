"""ε of what a ledger has charged: the worst windows of days, against a search over all of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployment.inspect.ledger_claims import LEDGER_DELTA, budget_claims, spent_claims
from federation.accountant import epsilon
from federation.ledger.state import Budget, LedgerState
from federation.price import NO_PRICE, Observer, Price, Rho
from tests.federation.costs import prices


def charged_with(prices: dict[int, Price]) -> LedgerState:
    state = LedgerState()
    state.prices = prices
    return state


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.integers(-40, 40), prices(), min_size=1, max_size=6))
def test_the_worst_days_are_found_wherever_they_lie(charged: dict[int, Price]) -> None:
    claims = spent_claims(charged_with(charged))
    assert [claim.days for claim in claims] == [1, 7, 30]
    for claim in claims:
        windows = {
            sum((charged.get(first + day, NO_PRICE) for day in range(claim.days)), NO_PRICE) for first in range(-75, 45)
        }
        for observer, stated in ((Observer.OUTSIDERS, claim.outsiders), (Observer.AGGREGATOR, claim.aggregator)):
            assert stated == max(price.epsilon(LEDGER_DELTA, observer) for price in windows)


def test_pure_epsilon_is_stated_only_if_all_worst_windows_are_pure() -> None:
    pure = Price(Rho(50_000, 0), Rho(50_000, 0), micro_epsilon=316_000)
    gaussian = Price(Rho(10_000, 10_100), Rho(5_000, 5_050), 1)
    assert [claim.pure for claim in spent_claims(charged_with({0: pure, 8: pure}))] == pytest.approx(
        [0.316, 0.316, 0.632]
    )
    assert [claim.pure for claim in spent_claims(charged_with({0: pure, 8: gaussian}))] == [None, None, None]


def test_nothing_is_stated_for_a_ledger_that_was_charged_for_nothing() -> None:
    assert spent_claims(LedgerState()) == ()


def test_a_budget_bounds_an_aggregator_by_twice_what_it_counts_against_outsiders() -> None:
    for counts, times in ((Observer.AGGREGATOR, 1), (Observer.OUTSIDERS, 2)):
        claims = budget_claims(Budget(30_000, counts=counts))
        assert [claim.outsiders for claim in claims] == [epsilon(30_000, LEDGER_DELTA, days) for days in (1, 7, 30)]
        assert [claim.aggregator for claim in claims] == [
            epsilon(times * 30_000, LEDGER_DELTA, days) for days in (1, 7, 30)
        ]
