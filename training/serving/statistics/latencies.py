"""How long the stages of a model take, from the histograms of a server: means, and the bucket of a share of them.

A histogram says how many times lie in each bucket, so a quantile is known as its bucket, and no finer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, isfinite
from typing import Any, Final

from base.metrics import LATENCIES, MODEL_STAGES, Distribution

_MS: Final = 1e3
_MOST_BUCKETS: Final = 100


@dataclass(frozen=True)
class Bucket:
    """Times above `from_ms`, and up to `to_ms`; None: without an upper end."""

    from_ms: float
    to_ms: float | None


@dataclass(frozen=True)
class StageLatency:
    """The times of one stage.

    Attributes:
        stage: of `base.metrics.MODEL_STAGES`.
        count: of requests in the queue, of batches in the other stages; at least one.
        p50, p95: the buckets that half and 95 % of the times end in.
    """

    stage: str
    count: int
    mean_ms: float
    p50: Bucket
    p95: Bucket


def latencies_to_json(stages: Mapping[str, Distribution]) -> dict[str, Any]:
    """The histograms as JSON. `le`: the upper ends of the buckets, s; the last bucket has none."""
    return {
        "le": list(LATENCIES),
        "stages": {
            name: {"counts": [int(count) for count in stages[name].counts], "s": stages[name].total}
            for name in MODEL_STAGES
        },
    }


def latencies_from_json(data: Any) -> tuple[StageLatency, ...]:
    """The stages that have times. Raises ValueError, KeyError, TypeError, OverflowError: it is none of them."""
    ends = [float(end) for end in data["le"][:_MOST_BUCKETS]]
    if sorted(ends) != ends or not all(map(isfinite, ends)):
        raise ValueError("the ends of buckets are numbers in order")
    found = []
    for name in MODEL_STAGES:
        one = data["stages"][name]
        counts, total = [int(count) for count in one["counts"]], float(one["s"])
        if len(counts) != len(ends) + 1 or min(counts) < 0 or not isfinite(total):
            raise ValueError(f"the stage {name} has no histogram")
        if sum(counts):
            found.append(_Histogram(ends, counts, total).latency(name))
    return tuple(found)


@dataclass(frozen=True)
class _Histogram:
    """Times in s: the upper ends of buckets, the counts of buckets (one more), and the sum."""

    ends: Sequence[float]
    counts: Sequence[int]
    total: float

    def latency(self, stage: str) -> StageLatency:
        count = sum(self.counts)
        return StageLatency(stage, count, self.total / count * _MS, self.quantile(0.5), self.quantile(0.95))

    def quantile(self, share: float) -> Bucket:
        """The bucket of the smallest time that at least this share of the times does not exceed."""
        below = list(accumulate(self.counts))
        at = bisect_left(below, ceil(share * below[-1]))
        ends = [0.0, *self.ends]
        return Bucket(ends[at] * _MS, self.ends[at] * _MS if at < len(self.ends) else None)
