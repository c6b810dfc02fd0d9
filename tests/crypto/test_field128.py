"""Field64 and Field128 against Python's integers, at random and at every edge of a word."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import ParameterOutOfRange, ValueOutOfRange, WrongArray, WrongLength
from crypto.ntt_field import FIELD64, FIELD128, NttField
from tests.crypto.fields import FIELDS, draw, each_field, integers, matrix

seeds = st.integers(0, 2**32)


def edges(field: NttField) -> list[int]:
    """Every combination of extreme half words that is below p, and the numbers next to p."""
    halves = [0, 1, 2**31, 2**32 - 2, 2**32 - 1]
    words = product(halves, repeat=2 * field.words)
    values = {sum(half << (32 * i) for i, half in enumerate(parts)) for parts in words}
    values |= {field.modulus - i for i in range(1, 4)} | {
        field.modulus - 2**i for i in range(2, field.modulus.bit_length())
    }
    return sorted(value for value in values if value < field.modulus)


@each_field
@given(seed=seeds, count=st.integers(0, 70))
def test_arithmetic_is_that_of_integers_mod_p(field: NttField, seed: int, count: int):
    random, p = Random(seed), field.modulus
    a, b, k = draw(field, count, random), draw(field, count, random), random.randrange(-(2**130), 2**130)
    x, y = field.from_ints(a), field.from_ints(b)
    assert field.to_ints(field.add(x, y)) == [(i + j) % p for i, j in zip(a, b, strict=True)]
    assert field.to_ints(field.subtract(x, y)) == [(i - j) % p for i, j in zip(a, b, strict=True)]
    assert field.to_ints(field.multiply(x, y)) == [i * j % p for i, j in zip(a, b, strict=True)]
    assert field.to_ints(field.scale(x, k)) == [i * k % p for i in a]


@each_field
def test_arithmetic_is_exact_at_every_pair_of_edges(field: NttField):
    p, values = field.modulus, edges(field)
    if len(values) > 300:
        values = Random(1).sample(values, 300) + values[:8] + values[-40:]
    a = [i for i in values for _ in values]
    b = values * len(values)
    x, y = field.from_ints(a), field.from_ints(b)
    assert field.to_ints(field.add(x, y)) == [(i + j) % p for i, j in zip(a, b, strict=True)]
    assert field.to_ints(field.subtract(x, y)) == [(i - j) % p for i, j in zip(a, b, strict=True)]
    assert field.to_ints(field.multiply(x, y)) == [i * j % p for i, j in zip(a, b, strict=True)]


@each_field
@given(seed=seeds, rows=st.integers(0, 6), width=st.integers(1, 20))
def test_sums_over_rows_and_columns(field: NttField, seed: int, rows: int, width: int):
    random, p = Random(seed), field.modulus
    values = [draw(field, width, random) for _ in range(rows)]
    elements = matrix(field, values) if rows else field.zeros(0, width)
    selected = np.array([random.random() < 0.5 for _ in range(rows)], np.bool_)
    picked = [row for row, mark in zip(values, selected, strict=True) if mark]
    assert field.to_ints(field.sum_rows(elements, selected)) == [
        sum(row[i] for row in picked) % p for i in range(width)
    ]
    assert field.to_ints(field.sum_columns(elements)) == [sum(row) % p for row in values]


@each_field
@given(seed=seeds, count=st.integers(0, 5), width=st.integers(1, 9))
def test_bytes_are_little_endian_and_come_back(field: NttField, seed: int, count: int, width: int):
    values = [draw(field, width, Random(seed)) for _ in range(count)]
    elements = matrix(field, values) if count else field.zeros(0, width)
    octets = field.encode(elements)
    assert octets.tobytes() == b"".join(v.to_bytes(field.encoded_size, "little") for row in values for v in row)
    decoded, good = field.decode(octets)
    assert good.all()
    assert (decoded == elements).all()


@each_field
def test_a_row_with_an_element_of_p_or_more_is_marked_and_emptied_and_no_other(field: NttField):
    size, p = field.encoded_size, field.modulus
    for bad in (p, p + 1, 2 ** (8 * size) - 1, p + 2**32 - 2):
        for place in range(3):
            rows = [[1, 2, p - 1] for _ in range(4)]
            rows[2][place] = bad
            octets = np.frombuffer(b"".join(v.to_bytes(size, "little") for row in rows for v in row), np.uint8)
            elements, good = field.decode(octets.reshape(4, 3 * size))
            assert good.tolist() == [True, True, False, True]
            assert integers(field, elements) == [rows[0], rows[1], [0, 0, 0], rows[3]]
            assert [bool(mark) for mark in field.canonical(field.decode(octets.reshape(4, -1))[0]).all(axis=1)] == [
                True
            ] * 4


def test_a_high_word_at_its_largest_is_an_element_only_with_a_low_word_of_nought():
    largest = FIELD128.modulus - 1
    assert divmod(largest, 2**64) == (2**64 - 28, 0)
    words = np.array([[0, 2**64 - 28], [1, 2**64 - 28], [2**64 - 1, 2**64 - 29], [0, 2**64 - 27]], np.uint64)
    assert FIELD128.canonical(words).tolist() == [True, False, True, False]
    assert FIELD128.decode(words.view(np.uint8).reshape(4, 16))[1].tolist() == [True, False, True, False]


def test_parameters_are_the_drafts():
    assert FIELD64.modulus == 2**32 * 4294967295 + 1
    assert FIELD128.modulus == 2**66 * 4611686018427387897 + 1
    assert FIELD64.generator == pow(7, 4294967295, FIELD64.modulus)
    assert FIELD128.generator == pow(7, 4611686018427387897, FIELD128.modulus)
    for field in FIELDS:
        assert pow(field.generator, 2**field.log_order, field.modulus) == 1
        assert pow(field.generator, 2 ** (field.log_order - 1), field.modulus) == field.modulus - 1


@each_field
def test_bad_arguments_are_named_errors(field: NttField):
    with pytest.raises(ValueOutOfRange) as refused:
        field.from_ints([0, field.modulus])
    assert refused.value.index == 1
    with pytest.raises(ValueOutOfRange):
        field.from_ints([-1])
    for n in (0, 3, -4, 2 ** (field.log_order + 1)):
        with pytest.raises(ParameterOutOfRange) as parameter:
            field.root(n)
        assert parameter.value.value == n
    with pytest.raises(WrongArray):
        field.add(field.zeros(2), field.zeros(3))
    with pytest.raises(WrongLength):
        field.decode(np.zeros((2, field.encoded_size + 1), np.uint8))
    with pytest.raises(WrongLength):
        field.sum_rows(field.zeros(2, 3), np.ones(3, np.bool_))
