"""Parameters: 128 bits of security and room for every sum. Impossible demands are refused before anything is encrypted."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crypto.bfv_parameters import (
    CHAINS,
    LEAK_LIMIT,
    MOST_BITS,
    MOST_CLIENTS,
    MOST_PLAIN_BITS,
    BfvParameters,
    _is_prime,
    gaussian_bound,
    leak_rho,
)
from crypto.errors import BfvImpossible, ParameterOutOfRange

OFF = Fraction(0)


@st.composite
def wishes(draw: st.DrawFn) -> tuple[int, int, int, Fraction, int]:
    low, high = sorted(draw(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=2)))
    sigma_sq = Fraction(draw(st.integers(0, 2**40)), draw(st.integers(1, 1000)))
    return draw(st.integers(1, MOST_CLIENTS)), low, high, sigma_sq, draw(st.integers(1, 200_000))


@given(wishes())
def test_what_is_chosen_keeps_every_bound_of_the_docstring(wish: tuple[int, int, int, Fraction, int]):
    clients, low, high, sigma_sq, slots = wish
    try:
        chosen = BfvParameters.choose(clients, low, high, sigma_sq, slots)
    except BfvImpossible:
        assume(False)
    n, q, t = chosen.degree, chosen.q, chosen.plain_modulus
    assert math.prod(chosen.moduli).bit_length() <= MOST_BITS[n]
    assert t % (2 * n) == 1
    assert _is_prime(t)
    assert t.bit_length() <= MOST_PLAIN_BITS
    assert t not in chosen.moduli
    assert t > 4 * (clients * max(abs(low), abs(high)) + 2 * chosen.noise_bound)
    assert chosen.noise_bound**2 >= 144 * sigma_sq
    spread = math.sqrt(chosen.flood_sigma_sq + (clients + 1) * n / 18)
    assert 9 * spread + (clients + 1) / 2 <= q / (2 * t) * (1 + 1e-12)
    assert leak_rho(chosen) == chosen.ciphertexts * n / (2 * chosen.flood_sigma_sq) <= LEAK_LIMIT
    assert chosen.ciphertexts * n >= slots > (chosen.ciphertexts - 1) * n
    assert BfvParameters.choose(clients, low, high, sigma_sq, slots) == chosen


def test_every_chain_is_within_the_table_of_128_bits():
    assert all(sum(bits) <= MOST_BITS[degree] for degree, bits in CHAINS)


def test_primes_are_those_of_trial_division_and_known_pseudoprimes_are_none():
    sieve = [n for n in range(2000) if n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))]
    assert [n for n in range(2000) if _is_prime(n)] == sieve
    assert _is_prime(2**61 - 1)
    assert not any(_is_prime(n) for n in (3215031751, 3825123056546413051, (2**31 - 1) ** 2))


def test_the_largest_values_are_granted_and_one_more_is_refused():
    degree = CHAINS[-1][0]
    top = 2**MOST_PLAIN_BITS - 1
    t = next(v for v in range(top - (top - 1) % (2 * degree), 0, -2 * degree) if _is_prime(v) and v not in CHAIN_PRIMES)
    most = (t - 1) // 4
    assert BfvParameters.choose(1, 0, most, OFF, 1).plain_modulus == t
    with pytest.raises(BfvImpossible) as refused:
        BfvParameters.choose(1, 0, most + 1, OFF, 1)
    assert refused.value.most_bits == MOST_PLAIN_BITS
    with pytest.raises(BfvImpossible):
        BfvParameters.choose(1, 0, most, Fraction(1), 1)  # there is no room for its noise
    with pytest.raises(BfvImpossible):
        BfvParameters.choose(2, -most, 0, OFF, 1)


CHAIN_PRIMES = BfvParameters.choose(1, 0, 2**55, OFF, 1).moduli


def test_one_client_beyond_the_documented_most_is_refused():
    assert BfvParameters.choose(MOST_CLIENTS, 0, 1, OFF, 1).max_clients == MOST_CLIENTS
    with pytest.raises(ParameterOutOfRange, match=f"max_clients = {MOST_CLIENTS + 1}: must be in"):
        BfvParameters.choose(MOST_CLIENTS + 1, 0, 1, OFF, 1)


@pytest.mark.parametrize(
    "wish",
    [(0, 0, 1, OFF, 1), (1, 2, 1, OFF, 1), (1, 0, 2**62 + 1, OFF, 1), (1, 0, 1, OFF, 0), (1, 0, 1, Fraction(-1), 1)],
)
def test_nonsense_is_refused_by_name(wish: tuple[int, int, int, Fraction, int]):
    with pytest.raises(ParameterOutOfRange):
        BfvParameters.choose(*wish)


def test_small_sums_take_the_cheap_chain_and_the_leak_is_a_millionth():
    chosen = BfvParameters.choose(10_000, 0, 2**16, Fraction(100), 4096)
    assert (chosen.degree, chosen.prime_bits) == CHAINS[0]
    assert leak_rho(chosen) <= 1e-6


def test_a_leak_above_the_limit_takes_a_larger_chain():
    wish = (1000, 0, 2**31, OFF, 4096)
    assert BfvParameters.choose(*wish).prime_bits == (60, 20)
    assert BfvParameters.choose(*wish, leak_limit=Fraction(1, 10**7)).prime_bits == (33, 33, 43)


def test_fingerprints_differ_where_any_parameter_does():
    wishes = [
        (10, 0, 9, OFF, 9),
        (11, 0, 9, OFF, 9),
        (10, -1, 9, OFF, 9),
        (10, 0, 8, OFF, 9),
        (10, 0, 9, Fraction(1), 9),
    ]
    prints = [BfvParameters.choose(*wish).fingerprint for wish in wishes]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    ("sigma_sq", "bound"), [(OFF, 0), (Fraction(1), 12), (Fraction(1, 3), 7), (Fraction(100**2), 1200)]
)
def test_the_bound_of_a_gaussian_is_twelve_sigma_rounded_up(sigma_sq: Fraction, bound: int):
    assert gaussian_bound(sigma_sq) == bound
