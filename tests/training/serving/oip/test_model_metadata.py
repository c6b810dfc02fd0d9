from __future__ import annotations

from base.metrics import Distribution
from training.serving.oip.model_metadata import repository_index
from training.serving.oip.model_statistics import model_statistics
from training.serving.statistics.statistics import VersionStatistics
from training.serving.versions.states import Failed, ModelState, Ready, Starting

LATE = ModelState(
    "late", ((1, 0.9), (3, 0.1)), ((1, Ready()), (2, Failed("the file is damaged")), (3, Starting())), None
)
NONE = ModelState("gone", (), (), "no such model is registered")


def test_the_index_says_why_a_version_does_not_answer() -> None:
    assert repository_index([LATE, NONE], only_ready=False) == [
        {"name": "late", "version": "1", "state": "READY", "reason": ""},
        {"name": "late", "version": "2", "state": "UNAVAILABLE", "reason": "the file is damaged"},
        {"name": "late", "version": "3", "state": "LOADING", "reason": ""},
        {"name": "gone", "state": "UNAVAILABLE", "reason": "no such model is registered"},
    ]
    assert repository_index([LATE, NONE], only_ready=True) == [
        {"name": "late", "version": "1", "state": "READY", "reason": ""}
    ]


def test_statistics_add_up_all_outcomes_and_keep_nanoseconds() -> None:
    def seconds(count: int, total: float) -> Distribution:
        return Distribution((0.0, float(count)), total)

    requests = {"ok": 5, "refused": 1, "busy": 2, "late": 3, "not_ready": 0, "failed": 4, "gone": 1}
    stages = {
        "queue": seconds(9, 0.5),
        "fetch": seconds(4, 0.25),
        "transform": seconds(2, 0.125),
        "infer": seconds(4, 2.0),
    }
    one = VersionStatistics("late", 2, requests, 1.5, 0.75, 40, Distribution((1.0, 3.0), 40.0), stages, {}, (), 0, 1_700_000_000_123_456)  # fmt: skip
    found = model_statistics(one)
    assert (found["name"], found["version"], found["last_inference"]) == ("late", "2", 1_700_000_000_123)
    assert (found["inference_count"], found["execution_count"]) == (40, 4)
    times = {name: (one["count"], one["ns"]) for name, one in found["inference_stats"].items()}
    assert times == {
        "success": (5, 1_500_000_000),
        "fail": (11, 750_000_000),
        "queue": (9, 500_000_000),
        "compute_input": (4, 375_000_000),
        "compute_infer": (4, 2_000_000_000),
        "compute_output": (4, 0),
        "cache_hit": (0, 0),
        "cache_miss": (0, 0),
    }
