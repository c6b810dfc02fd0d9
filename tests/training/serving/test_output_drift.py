from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.serving.output_drift import MIN_ROWS, PARTS, OutputShares

OUTPUTS = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300)


@given(tested=OUTPUTS, served=OUTPUTS)
def test_every_prediction_is_in_one_part_and_the_lineage_keeps_the_parts(
    tested: list[float], served: list[float]
) -> None:
    made = OutputShares.of_test(np.array(tested, np.float32))
    assert len(made.shares) == len(made.cuts) + 1 <= PARTS
    assert made.shares.sum() == pytest.approx(1)
    kept = OutputShares.of_lineage(json.loads(json.dumps({"outputs": made.to_json()})))
    assert kept is not None
    counts = kept.count(np.array(served, np.float32))
    slow = [0] * len(made.shares)
    for value in served:
        slow[sum(value >= cut for cut in made.cuts.tolist())] += 1
    assert counts.tolist() == slow


@given(tested=OUTPUTS)
def test_the_test_rows_themselves_have_not_drifted(tested: list[float]) -> None:
    outputs = np.tile(np.array(tested, np.float32), MIN_ROWS)
    made = OutputShares.of_test(outputs)
    assert made.psi(made.count(outputs)) == pytest.approx(0, abs=1e-9)


def test_predictions_of_another_distribution_have_drifted() -> None:
    rng = np.random.default_rng(0)
    made = OutputShares.of_test(rng.random(5_000))
    same, other = made.psi(made.count(rng.random(5_000))), made.psi(made.count(rng.random(5_000) ** 3))
    assert same is not None
    assert other is not None
    assert same < 0.02 < 0.25 < other
    shares, served = np.full(10, 0.1), np.array([0.19, 0.01, *[0.1] * 8])
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(shares, served, strict=True))
    even = OutputShares(np.arange(1.0, 10.0), shares)
    assert even.psi(served * 1_000) == pytest.approx(by_hand)


def test_few_predictions_and_null_ones_say_nothing() -> None:
    made = OutputShares.of_test(np.linspace(0, 1, 100))
    assert made.psi(made.count(np.full(MIN_ROWS - 1, 0.5))) is None
    assert made.count(np.array([np.nan, 0.55, np.nan], np.float32)).sum() == 1


@pytest.mark.parametrize(
    "outputs",
    [
        None, 5, {}, {"cuts": [1]}, {"cuts": [1], "shares": [1]}, {"cuts": [2, 1], "shares": [1, 0, 0]}, {"cuts": [], "shares": []},
        {"cuts": ["1"], "shares": [0.5, 0.5]}, {"cuts": [math.nan], "shares": [0.5, 0.5]}, {"cuts": [1], "shares": [2, -1]},
        {"cuts": [*range(50)], "shares": [0] * 51},
    ],
)  # fmt: skip
def test_a_lineage_with_something_else_has_no_such_metric(outputs: Any) -> None:
    assert OutputShares.of_lineage({"outputs": outputs}) is None
    assert OutputShares.of_lineage({}) is None
