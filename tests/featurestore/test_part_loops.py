"""Parts of answers that numpy fills are those that the compiled loops fill, and their intervals are those of the rules."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from featurestore.define.decoded import Status
from featurestore.define.interval import Estimate, Interval, Ratio, WholeNumber, ends, rules_of
from featurestore.read import part_loops, part_loops_numpy

RULES = [
    Interval(WholeNumber(), 1.96),
    Interval(Estimate(), 2.1),
    Interval(Ratio(0.5, 2.0, 0.0, 1.0), 2.3),
    Interval(Ratio(60.0, 9.5, -60.0, 180.0, apart=False), 2.3),
]
SPECIAL = [0.0, -0.0, np.nan, 1e15, -3.0, 0.25]
PLACE = np.array([0, -1, 4, 5, 2, -1, 9, 8], np.int64)


def stored(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows with every kind of number; the last one stands for a missing key."""
    numbers = np.round(rng.normal(0, 20, size=(10, 14)), 1)
    numbers[:, 7:11] = np.abs(numbers[:, 7:11]) / 4  # standard errors
    numbers[1:7, 3] = SPECIAL
    numbers[3, 7:11], numbers[9] = 0.0, np.nan
    status = rng.integers(0, len(Status), (10, 4), np.uint8)
    status[~np.isfinite(numbers[:, :4])] = Status.DROWNED
    status[9] = Status.NOT_FOUND
    return numbers, status


def scalars_by(
    loops: ModuleType, numbers: np.ndarray, status: np.ndarray, *, expired: bool, clamp: bool
) -> list[np.ndarray]:
    count = len(PLACE)
    features = np.array([[2, 7], [0, 8], [3, 9], [1, 10], [1, 7]], np.int64)
    scalars = np.array([[0, 0], [1, 1], [3, 2], [4, 3]], np.int64)
    counted = np.array([[3, 11], [4, 12]], np.int64)
    limits = np.array([[0.0, np.inf], [-np.inf, np.inf], [0.0, 1.0], [-6.0, 18.0]])
    masks, floats = np.zeros((8, count), np.bool_), np.full((17, count), 7.0)
    ints, codes = np.full((5, count), 7), np.full((5, count), 7, np.uint8)
    loops.fill_scalars(
        PLACE, numbers, status, expired, features, scalars, counted, np.array([0], np.int64),
        rules_of(RULES), limits, clamp, np.array([5, 6]),
        masks, floats, ints, codes,
    )  # fmt: skip
    return [masks, floats, ints, codes]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clamp", [False, True])
@pytest.mark.parametrize("expired", [False, True])
def test_scalars_filled_by_numpy_are_those_of_the_compiled_loop(seed: int, clamp: bool, expired: bool) -> None:
    numbers, status = stored(np.random.default_rng(seed))
    numbers.flags.writeable = status.flags.writeable = False
    found = [scalars_by(one, numbers, status, expired=expired, clamp=clamp) for one in (part_loops, part_loops_numpy)]
    for expected, other in zip(*found, strict=True):
        np.testing.assert_array_equal(other, expected)
    masks, floats, ints, codes = found[0]
    assert ints[-2:].tolist() == [[5] * len(PLACE), [6] * len(PLACE)]
    assert (codes[:, PLACE < 0] == Status.NOT_FOUND).all()
    assert expired == (codes[:, PLACE >= 0] == Status.OUTSIDE_MAX_AGE).all()
    if not clamp:
        np.testing.assert_array_equal(floats[:4], numbers[PLACE][:, :4].T)
    assert (ints[0][masks[0]] == floats[0][masks[0]].astype(np.int64)).all()


@pytest.mark.parametrize("rule", RULES[:2])
@pytest.mark.parametrize("clamp", [False, True])
@pytest.mark.parametrize("expired", [False, True])
def test_lists_filled_by_numpy_are_those_of_the_compiled_loop(rule: Interval, clamp: bool, expired: bool) -> None:
    numbers, _ = stored(np.random.default_rng(3))
    there = np.isfinite(numbers[PLACE, 0:3]).all(axis=1) & (not expired)
    found = []
    for loops in (part_loops, part_loops_numpy):
        values, low, high = np.full((len(PLACE), 3), 7), np.full((len(PLACE), 3), 7.0), np.full((len(PLACE), 3), 7.0)
        loops.fill_list(
            PLACE, numbers, expired, 0, 7, rules_of([rule])[0], np.array([0.0, np.inf]), clamp, there, values, low, high
        )
        found.append([values, low, high])
    for expected, other in zip(*found, strict=True):
        np.testing.assert_array_equal(other, expected)
    if not (clamp or expired):
        np.testing.assert_array_equal(found[0][1:], rule.bounds(numbers[PLACE, 0:3], numbers[PLACE, 7]))


def test_the_ends_of_several_features_are_those_of_each() -> None:
    rng = np.random.default_rng(1)
    value, se = rng.normal(0, 20, (len(RULES), 50)), np.abs(rng.normal(0, 3, (len(RULES), 50)))
    together = ends(value, se, rules_of(RULES))
    for at, rule in enumerate(RULES):
        np.testing.assert_array_equal([one[at] for one in together], rule.bounds(value[at], se[at]))
