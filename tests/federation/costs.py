"""Hypothesis strategies: costs of charges, and their prices as ledgers hold them."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import strategies as st

from featurestore.define.accounting import Moves, merged
from featurestore.define.epsilon import micro_rho_of_pure
from federation.accountant import Cost
from federation.price import Price

_moves = st.builds(
    Moves,
    st.sampled_from([Fraction(1), Fraction(2), Fraction(9), Fraction(100)]),
    st.integers(1, 5),
    st.integers(1, 4),
    st.booleans(),
)


@st.composite
def costs(draw: st.DrawFn) -> Cost:
    moves = merged(draw(st.lists(_moves, max_size=3)))
    gaussian = sum(math.ceil(10**6 * one.delta2_sq / (2 * one.sigma_sq)) for one in moves)
    laplace, leak = draw(st.integers(0, 10**6)), draw(st.sampled_from([0, 0, 1_000]))
    return Cost(gaussian + micro_rho_of_pure(laplace) + leak, moves, laplace, leak)


def prices() -> st.SearchStrategy[Price]:
    return costs().map(lambda cost: cost.price)
