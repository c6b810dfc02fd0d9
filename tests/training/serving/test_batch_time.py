"""How long batches are expected to take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.serving.batch_time import BatchTime

SIZES = st.lists(st.integers(1, 64), min_size=3, max_size=40).filter(lambda sizes: len(set(sizes)) > 1)


def measured(sizes: list[int], a_batch: float, a_row: float) -> BatchTime:
    time = BatchTime()
    for rows in sizes:
        time.add(rows, a_batch + rows * a_row)
    return time


@given(SIZES, st.sampled_from([0.0, 1e-4, 1e-2]), st.sampled_from([1e-6, 1e-3]))
def test_batches_of_several_sizes_say_what_a_batch_and_what_a_row_takes(
    sizes: list[int], a_batch: float, a_row: float
) -> None:
    found = measured(sizes, a_batch, a_row).of(3, 5_000)
    assert found == pytest.approx(3 * a_batch + 5_000 * a_row, rel=1e-3, abs=1e-6)


def test_nothing_is_expected_before_the_first_batch() -> None:
    assert BatchTime().of(1, 100) == 0


def test_batches_of_one_size_expect_no_more_than_they_took() -> None:
    time = measured([1] * 20, 3e-4, 1e-6)
    assert time.of(1, 10_000) == pytest.approx(3.01e-4)
    assert time.of(2, 2) == pytest.approx(6.02e-4)
    assert measured([8] * 20, 0.0, 0.01).of(1, 5) == pytest.approx(0.05)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 10)), min_size=1), st.integers(1, 9), st.integers(1, 99))
def test_no_measurement_makes_a_time_that_is_negative_or_none(
    batches: list[tuple[int, float]], count: int, rows: int
) -> None:
    time = BatchTime()
    for of_rows, seconds in batches:
        time.add(of_rows, seconds)
    assert 0 <= time.of(count, rows) < float("inf")
