"""ρ as text and as millionths: exact in both directions, and every other text is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.rho import MAX_MICRO_RHO, micro_rho_of, rho_text


@given(st.integers(1, MAX_MICRO_RHO))
def test_what_is_written_is_read(micro_rho: int) -> None:
    assert micro_rho_of(rho_text(micro_rho)) == micro_rho
    assert micro_rho_of(Decimal(rho_text(micro_rho))) == micro_rho


@pytest.mark.parametrize(
    ("text", "micro_rho"), [("0.1", 100_000), (2, 2_000_000), ("1e-6", 1), ("0.100000", 100_000), (" 3 ", 3_000_000)]
)
def test_people_write_it_in_many_ways(text: str | int, micro_rho: int) -> None:
    assert micro_rho_of(text) == micro_rho


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "such as 0.1"),
        ("much", "such as 0.1"),
        ("nan", "such as 0.1"),
        ("inf", "such as 0.1"),
        ("0", "above 0"),
        ("-0.1", "above 0"),
        ("1e7", "at most 1,000,000"),
        ("1e999999999", "at most 1,000,000"),
        ("-1e999999999", "at most 1,000,000"),
        ("1e-999999999", "multiple of a millionth"),
        ("0.0000001", "multiple of a millionth"),
    ],
)
def test_what_is_odd_is_told(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        micro_rho_of(text)


def test_texts_are_plain_decimals() -> None:
    assert [rho_text(value) for value in (100_000, 10**6, 1, 1_250_000, 0)] == ["0.1", "1.0", "0.000001", "1.25", "0.0"]
