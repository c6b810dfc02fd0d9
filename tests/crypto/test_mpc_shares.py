"""Shares of Field64 become shares mod 2^64 of the same value, except with a stated and bounded chance."""

from __future__ import annotations

import ast
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crypto.errors import ConversionUnsafe, FieldElementOutOfRange
from crypto.field import HALF, encode, subtract
from crypto.field_modulus import P
from crypto.mpc_shares import MOST_WRONG, helper_to_ring, leader_to_ring, require_convertible, wrong_chance

ROOT = Path(__file__).resolve().parents[2]
MOST_VALUES = 2**24


def converted(values: np.ndarray, leader: np.ndarray) -> np.ndarray:
    """int64[n]: the shares of these values after the conversion, where `leader` holds the leader's shares."""
    helper = subtract(encode(values), leader)
    return (leader_to_ring(leader) + helper_to_ring(helper)).view(np.int64)


def elements(*words: int) -> np.ndarray:
    return np.array(words, np.uint64)


@given(st.integers(-HALF, HALF), st.integers(0, P - 1))
@example(0, 0)
@example(0, 1)
@example(-1, P - 1)
def test_a_value_comes_out_as_it_went_in_unless_the_leaders_share_is_where_the_page_says(
    value: int, share: int
) -> None:
    (out,) = converted(np.array([value]), elements(share)).tolist()
    wrong = share <= value if value >= 0 else share > P + value
    moved = value + (2**32 - 1) * (1 if value >= 0 else -1)
    assert out == (((moved if wrong else value) + 2**63) % 2**64 - 2**63)


@pytest.mark.parametrize("value", [0, 1, 2, 1000, -1, -2, -1000])
def test_the_chance_is_the_number_of_wrong_shares(value: int) -> None:
    near = [*range(abs(value) + 3), *range(P - abs(value) - 3, P)]  # all other shares convert correctly, as above
    values = np.full(len(near), value)
    assert np.count_nonzero(converted(values, elements(*near)) != values) == wrong_chance(value) * P


def test_the_chance_is_met_by_random_shares() -> None:
    rng = np.random.default_rng(5)
    shares = rng.integers(0, P, 200_000, dtype=np.uint64)
    for bits, sign in ((48, 1), (56, 1), (56, -1), (60, -1)):
        values = np.full(len(shares), sign * (2**bits - 1))
        wrong = np.count_nonzero(converted(values, shares) != values)
        expected = float(len(shares) * wrong_chance(int(values[0])))
        assert abs(wrong - expected) <= 5 * expected**0.5 + 3, bits


@given(st.integers(0, HALF), st.integers(1, MOST_VALUES))
def test_what_is_not_refused_is_wrong_with_a_chance_below_the_bound(largest: int, values: int) -> None:
    chance = values * max(wrong_chance(largest), wrong_chance(-largest))
    if chance <= MOST_WRONG / 2:  # the bits are rounded up: to no more than twice as much
        require_convertible(values, largest)
    elif chance > MOST_WRONG * (1 + Fraction(1, 2**31)):
        with pytest.raises(ConversionUnsafe) as refused:
            require_convertible(values, largest)
        assert (refused.value.values, refused.value.bits) == (values, largest.bit_length())
        if refused.value.most:
            require_convertible(refused.value.most, largest)


def test_the_refusal_begins_one_value_beyond_the_bound() -> None:
    largest = 2**30 - 1  # 30 bits: 2^14 values
    require_convertible(2**14, largest)
    with pytest.raises(ConversionUnsafe, match="At most 16,384 values"):
        require_convertible(2**14 + 1, largest)
    with pytest.raises(ConversionUnsafe):
        require_convertible(2**14, largest + 1)


def test_words_that_are_no_elements_are_refused() -> None:
    for convert in (leader_to_ring, helper_to_ring):
        convert(elements(P - 1))
        with pytest.raises(FieldElementOutOfRange):
            convert(elements(P))


def test_one_module_imports_crypten() -> None:
    importing = set()
    for path in ROOT.glob("[!.]*/**/*.py"):
        if path.is_relative_to(ROOT / "tests"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "crypten" for name in names):
                importing.add(str(path.relative_to(ROOT)))
    assert importing == {"crypto/mpc.py"}
