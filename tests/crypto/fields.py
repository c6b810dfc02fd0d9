"""Fields as test parameters, elements at the edges among others, and arithmetic on plain integers to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from crypto.ntt_field import FIELD64, FIELD128, Elements, NttField

FIELDS = [FIELD64, FIELD128]
each_field = pytest.mark.parametrize("field", FIELDS, ids=[field.name for field in FIELDS])


def draw(field: NttField, count: int, random: Random) -> list[int]:
    """Integers below p. Every third one is at an edge of the field, of a word or of half a word."""
    p = field.modulus
    edges = [0, 1, 2, p - 1, p - 2, p // 2, 2**32 - 1, 2**32, 2**63, p >> 1, (p - 1) & (2**64 - 1), p - 2**32]
    return [random.choice(edges) if random.random() < 0.34 else random.randrange(p) for _ in range(count)]


def matrix(field: NttField, rows: Sequence[Sequence[int]]) -> Elements:
    """Rows of integers as elements."""
    flat = field.from_ints([value % field.modulus for row in rows for value in row])
    return flat.reshape(field.shape(len(rows), len(rows[0])))


def integers(field: NttField, rows: Elements) -> list[list[int]]:
    """Elements `[R, n]` as rows of integers."""
    return [field.to_ints(row) for row in rows]


def value_at(p: int, coefficients: Sequence[int], x: int) -> int:
    """The value of a polynomial whose coefficients start with the constant."""
    return sum(c * pow(x, i, p) for i, c in enumerate(coefficients)) % p


def columns(field: NttField, rows: Sequence[Sequence[int]], reports: int = 1) -> Elements:
    """Values `[R, n, m]` from n rows of m integers, the same for each report."""
    one = matrix(field, rows)
    return np.ascontiguousarray(np.broadcast_to(one, (reports, *one.shape)))
