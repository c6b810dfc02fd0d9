"""What versions have done, in the form of Triton's statistics extension."""

from __future__ import annotations

from typing import Any

from base.metrics import Distribution
from training.serving.statistics.latencies import latencies_to_json
from training.serving.statistics.statistics import VersionStatistics

_NS = 1e9
_OK = "ok"


def model_statistics(one: VersionStatistics) -> dict[str, Any]:
    """The statistics of a version. Times are of all its requests or batches together.

    The sizes of batches are counted in classes, which the metrics have, and not one by one: `batch_stats` is empty.
    """
    succeeded = one.requests[_OK]
    return {
        "name": one.model,
        "version": str(one.version),
        "last_inference": one.last_us // 1_000,
        "inference_count": one.rows,
        "execution_count": _count(one.batches),
        "inference_stats": {
            "success": _duration(succeeded, one.succeeded_s),
            "fail": _duration(sum(one.requests.values()) - succeeded, one.failed_s),
            "queue": _stage(one, "queue"),
            "compute_input": _duration(
                _count(one.stages["fetch"]), one.stages["fetch"].total + one.stages["transform"].total
            ),
            "compute_infer": _stage(one, "infer"),
            "compute_output": _duration(_count(one.batches), 0.0),
            "cache_hit": _duration(0, 0.0),
            "cache_miss": _duration(0, 0.0),
        },
        "batch_stats": [],
    }


def with_latencies(one: VersionStatistics) -> dict[str, Any]:
    """The statistics of a version, and a field of our own with the histogram of each stage."""
    return {**model_statistics(one), "latencies": latencies_to_json(one.stages)}


def _stage(one: VersionStatistics, name: str) -> dict[str, int]:
    found = one.stages[name]
    return _duration(_count(found), found.total)


def _count(found: Distribution) -> int:
    return int(sum(found.counts))


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * _NS)}
