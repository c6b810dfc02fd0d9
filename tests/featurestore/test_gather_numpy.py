"""Rows gathered by numpy are those that the compiled loop gathers."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.read import gather, gather_numpy


@pytest.mark.parametrize("expired", [False, True])
def test_rows_gathered_by_numpy_are_those_of_the_compiled_loop(expired: bool) -> None:
    rng = np.random.default_rng(7)
    numbers, status = rng.normal(size=(6, 5)), rng.integers(0, 9, (6, 3), np.uint8)
    place = np.array([0, -1, 4, 5, 2, -1], np.int64)
    values_at, se_at, status_at = (np.array(at, np.int64) for at in ([0, 2, 3], [1, 1, 4], [2, 0, 0]))
    found = []
    for one in (gather, gather_numpy):
        values, se, codes = np.zeros((6, 3)), np.zeros((6, 3)), np.zeros((6, 3), np.uint8)
        one.gather(place, numbers, status, values_at, se_at, status_at, expired, values, se, codes)
        found.append((values, se, codes))
    for expected, other in zip(*found, strict=True):
        np.testing.assert_array_equal(other, expected)


@pytest.mark.parametrize(("places", "all_there"), [([0, 3], True), ([0, 1], False), ([0, -1], False), ([], True)])
def test_gathered_columns_say_whether_all_features_of_the_rows_have_values(places: list[int], all_there: bool) -> None:
    rng = np.random.default_rng(7)
    numbers = rng.normal(size=(5, 4))
    status = np.array([[0, 2], [0, 3], [8, 8], [1, 0], [8, 8]], np.uint8)
    place, columns = np.array(places, np.int64), np.array([3, 1], np.int64)
    values = np.zeros((2, len(places)))
    assert gather.gather_columns(place, numbers, status, columns, values) == all_there
    np.testing.assert_array_equal(values, numbers[place][:, columns].T)
