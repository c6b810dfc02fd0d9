from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from training.bundle.comparison import Decision, Difference, decide  # noqa: E402
from training.fit.metrics import Measured, measure, measure_difference, metrics_of  # noqa: E402

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("ahead", "not_worse", "better"),
    [
        (Measured(0.02, 0.01, 0.03), "it is not worse", "the whole interval is on the better side"),
        (Measured(0.0, 0.0, 0.0), "it is not worse", None),
        (Measured(-0.01, -0.03, 0.01), "the difference can be chance", None),
        (Measured(-0.02, -0.03, -0.01), None, None),
        (Measured(0.01, None, None), "it is not worse", "it is on the better side"),
        (Measured(-0.01, None, None), None, None),
    ],
)
def test_the_interval_of_the_difference_decides(ahead: Measured, not_worse: str | None, better: str | None) -> None:
    for rule, why in (("not-worse", not_worse), ("better", better)):
        decision = decide(rule, ahead)
        assert decision.promotes == (why is not None)
        if why is not None:
            assert decision == Decision(promotes=True, why=why)


def test_a_difference_is_told_with_both_numbers() -> None:
    text = str(Difference("auc", 0.71, 0.7, Measured(0.01, -0.0025, 0.02), 1234))
    assert text == "auc 0.7100 against 0.7000 on the same 1,234 rows: 0.0100 better (95% interval -0.0025 to +0.0200)"
    text = str(Difference("rmse", 3.0, 2.5, Measured(-0.5, None, None), 9))
    assert text == "rmse 3.0000 against 2.5000 on the same 9 rows: 0.5000 worse (one test day: no interval)"


def test_the_interval_of_a_difference_is_of_the_same_days_and_so_narrower_than_both_intervals() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(40), 50)
    truth = np.clip(0.3 + 0.3 * rng.normal(size=40)[day], 0.02, 0.98)
    y = (rng.random(len(day)) < truth).astype(float)
    first, second = np.clip(truth + 0.01 * rng.normal(size=len(day)), 0, 1), np.clip(truth, 0, 1)
    one, other = (measure(y, p, day * DAY, "binary", 0)["logloss"] for p in (first, second))
    metrics = [metrics_of(y, p, "binary")["logloss"] for p in (first, second)]
    difference = measure_difference(metrics[0], metrics[1], day * DAY, 0)
    assert difference.value == pytest.approx(one.value - other.value)
    for measured in (one, other):
        assert difference.high - difference.low < 0.5 * (measured.high - measured.low)
    same = measure_difference(metrics[0], metrics[0], day * DAY, 0)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
