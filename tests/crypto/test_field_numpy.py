"""The loops of Field64 in numpy give what the compiled ones give, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crypto import field_kernels, field_numpy
from crypto.field_modulus import P

EDGES = [0, 1, 2**32 - 1, 2**32, P // 2, P - 2**32, P - 1]
Elements = arrays.arrays(np.uint64, 9, elements=st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1)))


@pytest.mark.parametrize("name", ["add_elements", "subtract_elements", "multiply_elements"])
@given(a=Elements, b=Elements)
def test_an_operation_of_elements_is_the_same(name: str, a: Any, b: Any) -> None:
    expected, found = np.empty_like(a), np.empty_like(a)
    getattr(field_kernels, name)(a, b, expected)
    getattr(field_numpy, name)(a, b, found)
    assert found.tolist() == expected.tolist()
    exact: dict[str, Callable[[int, int], int]] = {
        "add_elements": lambda x, y: x + y, "subtract_elements": lambda x, y: x - y, "multiply_elements": lambda x, y: x * y
    }  # fmt: skip
    assert found.tolist() == [exact[name](x, y) % P for x, y in zip(a.tolist(), b.tolist(), strict=True)]


@given(st.lists(st.integers(0, 2), max_size=6), st.integers(0, 2**32))
def test_rows_are_added_to_the_same_totals(rows: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    elements = rng.integers(0, P, (len(rows), 4), np.uint64)
    totals = [rng.integers(0, P, (3, 4), np.uint64)] * 2
    expected, found = (total.copy() for total in totals)
    at = np.array(rows, np.int64)
    assert field_kernels.add_rows(at, elements, expected) == field_numpy.add_rows(at, elements, found) == len(rows)
    assert found.tolist() == expected.tolist()


def test_the_first_row_with_a_word_that_is_no_element_is_named_and_not_added() -> None:
    elements = np.array([[1, 2], [3, P], [5, 6]], np.uint64)
    totals = np.zeros((1, 2), np.uint64)
    assert field_numpy.add_rows(np.zeros(3, np.int64), elements, totals) == 1
    assert totals.tolist() == [[1, 2]]


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**62)), max_size=5), max_size=4))
def test_sparse_rows_are_added_to_the_same_elements_also_where_a_place_repeats(
    rows: list[list[tuple[int, int]]],
) -> None:
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    columns = np.array([column for row in rows for column, _ in row], np.int32)
    values = np.array([value for row in rows for _, value in row], np.int64)
    expected = np.full((len(rows), 5), P - 1, np.uint64)
    found = expected.copy()
    field_kernels.add_sparse(indptr, columns, values, expected)
    field_numpy.add_sparse(indptr, columns, values, found)
    assert found.tolist() == expected.tolist()
