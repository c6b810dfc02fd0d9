"""Polynomials in the Lagrange basis, and linear forms, against their definitions on plain integers."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import IndexOutOfRange, WrongLength
from crypto.ntt_field import NttField
from crypto.ntt_forms import Form, LinearForms
from crypto.ntt_polynomial import (
    double_values,
    evaluate,
    extend_to_power_of_two,
    next_power_of_two,
    sum_pair_products,
    weighted_sums,
    weights_at,
)
from tests.crypto.fields import columns, draw, each_field, integers, matrix, value_at
from tests.examples import examples

seeds = st.integers(0, 2**32)
sizes = st.sampled_from([1, 2, 4, 8, 16, 64])


def values(field: NttField, polynomials: list[list[int]], n: int) -> list[list[int]]:
    """n rows; row k holds the values of all polynomials at w^k."""
    p, root = field.modulus, field.root(n)
    return [[value_at(p, c, pow(root, k, p)) for c in polynomials] for k in range(n)]


@each_field
@settings(max_examples=examples(48))  # the definition is quadratic
@given(n=sizes, count=st.integers(1, 40), seed=seeds)
def test_doubling_gives_the_values_at_twice_as_many_roots(field: NttField, n: int, count: int, seed: int):
    polynomials = [draw(field, n, Random(seed + i)) for i in range(count)]
    doubled = double_values(field, columns(field, values(field, polynomials, n), reports=2))
    for report in doubled:
        assert integers(field, report) == values(field, polynomials, 2 * n)


@each_field
@settings(max_examples=examples(48))  # the definition is quadratic
@given(n=sizes, pairs=st.integers(1, 20), seed=seeds)
def test_the_sum_of_the_products_of_pairs(field: NttField, n: int, pairs: int, seed: int):
    p = field.modulus
    polynomials = [draw(field, n, Random(seed + i)) for i in range(2 * pairs)]
    sums = sum_pair_products(field, columns(field, values(field, polynomials, n), reports=2))
    expected = [
        sum(a * b for a, b in zip(row[::2], row[1::2], strict=True)) % p for row in values(field, polynomials, 2 * n)
    ]
    assert integers(field, sums) == [expected, expected]


@each_field
@settings(max_examples=examples(48))  # the definition is quadratic
@given(n=sizes, count=st.integers(1, 20), seed=seeds)
def test_evaluation_at_any_point_nodes_included(field: NttField, n: int, count: int, seed: int):
    random, p = Random(seed), field.modulus
    polynomials = [draw(field, n, random) for _ in range(count)]
    points = [*draw(field, 3, random), pow(field.root(n), random.randrange(n), p), field.root(2 * n)]
    weights, on_node = weights_at(field, field.from_ints(points), n)
    assert on_node.tolist() == [pow(t, n, p) == 1 for t in points]
    found = evaluate(field, columns(field, values(field, polynomials, n), reports=len(points)), weights)
    assert integers(field, found) == [[value_at(p, c, t) for c in polynomials] for t in points]


@each_field
@given(k=st.integers(1, 40), seed=seeds)
def test_missing_values_follow_from_the_degree(field: NttField, k: int, seed: int):
    coefficients = draw(field, k, Random(seed))
    n = next_power_of_two(k)
    all_values = [row[0] for row in values(field, [coefficients], n)]
    extended = extend_to_power_of_two(field, matrix(field, [all_values[:k]] * 3))
    assert integers(field, extended) == [all_values] * 3


def test_the_next_power_of_two():
    assert [next_power_of_two(n) for n in (1, 2, 3, 4, 5, 8, 9)] == [1, 2, 4, 4, 8, 8, 16]


@each_field
@given(length=st.integers(1, 9), seed=seeds)
def test_weighted_sums(field: NttField, length: int, seed: int):
    random = Random(seed)
    a, b = ([draw(field, length, random) for _ in range(3)] for _ in range(2))
    sums = weighted_sums(field, matrix(field, a), field.prepare(matrix(field, b)))
    pairs = [zip(x, y, strict=True) for x, y in zip(a, b, strict=True)]
    assert field.to_ints(sums) == [sum(x * y for x, y in row) % field.modulus for row in pairs]


@each_field
@given(length=st.integers(1, 8), count=st.integers(0, 5), shares=st.integers(1, 5), seed=seeds)
def test_forms_of_shares_add_up_to_the_form(field: NttField, length: int, count: int, shares: int, seed: int):
    random, p = Random(seed), field.modulus
    forms = [
        Form({i: random.randrange(-p, 2 * p) for i in range(length) if random.random() < 0.6}, random.randrange(-9, 9))
        for _ in range(count)
    ]
    parts = [[draw(field, length, random) for _ in range(2)] for _ in range(shares)]
    whole = [[sum(part[r][i] for part in parts) % p for i in range(length)] for r in range(2)]
    expected = [
        [(form.constant + sum(c * vector[i] for i, c in form.terms.items())) % p for form in forms] for vector in whole
    ]
    compiled = LinearForms.compile(field, length, forms)
    total = field.zeros(2, count)
    for part in parts:
        total = field.add(total, compiled.apply(matrix(field, part), shares))
    assert integers(field, total) == expected
    assert len(compiled) == count


@each_field
@pytest.mark.parametrize("value", [1, 2**32 - 1, 2**64 - 2**32, -1, -2, -(2**64)])
def test_forms_of_many_terms_at_the_edges_are_exact(field: NttField, value: int):
    # The kernel reduces a form once, at its end: its sums of products are as large as they get.
    p, length = field.modulus, 5000
    forms = [Form(dict.fromkeys(range(count), value), constant=-1) for count in (length, 1, 2, 3, 257)]
    vector = matrix(field, [[p - 1 - i % 3 for i in range(length)]])
    expected = [(value * sum(p - 1 - i % 3 for i in form.terms) - 1) % p for form in forms]
    assert integers(field, LinearForms.compile(field, length, forms).apply(vector, 1)) == [expected]


@each_field
def test_forms_name_entries_that_exist_and_take_vectors_of_their_length(field: NttField):
    for entry in (3, -1):
        with pytest.raises(IndexOutOfRange) as refused:
            LinearForms.compile(field, 3, [Form({0: 1}), Form({entry: 1})])
        assert (refused.value.index, refused.value.bound) == (entry, 3)
    with pytest.raises(WrongLength):
        LinearForms.compile(field, 3, []).apply(field.zeros(1, 4), 2)


@each_field
def test_arrays_that_are_not_contiguous_are_taken(field: NttField):
    wide = matrix(field, [list(range(8))] * 2)
    assert integers(field, extend_to_power_of_two(field, wide[:, 1:4]))[0][:3] == [1, 2, 3]
    sums = weighted_sums(field, wide[:, ::2], field.prepare(wide[:, 1::2]))
    assert field.to_ints(sums) == [0 * 1 + 2 * 3 + 4 * 5 + 6 * 7] * 2
    assert np.array_equal(field.add(wide[::-1], wide), field.add(wide, wide))
