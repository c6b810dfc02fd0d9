"""Latencies of stages: the buckets of quantiles, and histograms that are none."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.metrics import LATENCIES, MODEL_STAGES, Distribution
from training.serving.statistics.latencies import latencies_from_json, latencies_to_json


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_the_bucket_of_a_quantile_has_the_quantile(times: list[float]) -> None:
    counts = [0.0] * (len(LATENCIES) + 1)
    for time in times:
        counts[bisect_left(LATENCIES, time)] += 1
    sent = latencies_to_json(dict.fromkeys(MODEL_STAGES, Distribution(tuple(counts), sum(times))))
    found = latencies_from_json(sent)
    assert [one.stage for one in found] == list(MODEL_STAGES)
    assert found[0].count == len(times)
    assert found[0].mean_ms == pytest.approx(sum(times) / len(times) * 1e3)
    for share, bucket in ((0.5, found[0].p50), (0.95, found[0].p95)):
        quantile = next(time for time in sorted(times) if sum(one <= time for one in times) >= share * len(times))
        assert bucket.from_ms <= quantile * 1e3
        assert bucket.to_ms is None or quantile * 1e3 <= bucket.to_ms


def test_a_stage_without_times_is_left_out() -> None:
    nothing = Distribution((0.0,) * (len(LATENCIES) + 1), 0.0)
    assert latencies_from_json(latencies_to_json(dict.fromkeys(MODEL_STAGES, nothing))) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"counts": [1]},
        {"counts": [1, -1, 2]},
        {"counts": ["x", 1, 1]},
        {"s": "nan"},
        {"s": 1e999},
        {"counts": None},
    ],
)
def test_a_histogram_that_is_none_is_refused(changed: dict[str, Any]) -> None:
    stage = {"counts": [1, 0, 1], "s": 1.0, **changed}
    with pytest.raises((ValueError, TypeError)):
        latencies_from_json({"le": [0.1, 0.2], "stages": dict.fromkeys(MODEL_STAGES, stage)})


@pytest.mark.parametrize("ends", [[0.2, 0.1], [0.1, float("nan")], [0.1, 1e999]])
def test_ends_of_buckets_that_are_not_in_order_are_refused(ends: list[float]) -> None:
    stage = {"counts": [1, 0, 1], "s": 1.0}
    with pytest.raises(ValueError, match="in order"):
        latencies_from_json({"le": ends, "stages": dict.fromkeys(MODEL_STAGES, stage)})
