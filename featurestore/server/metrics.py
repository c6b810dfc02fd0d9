"""What the server did, counted in memory that all workers share, and shown as Prometheus text.

Each worker counts in its own row of float64 cells: nobody else writes it, so no lock is needed, and one count is an addition
to one cell. A worker that was replaced goes on in its predecessor's row, so a counter never falls while the server runs. Any
worker can answer for all of them: it adds up the rows.

prometheus_client's multiprocess mode is not used for counting: one request (a counter and a histogram) costs it 8 to 13 times as
much, it needs an environment variable before its first import, and every worker that is replaced leaves files that each
answer of `/metrics` reads again. Its text format is used.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

GRPC: Final = "/covey.features.v1.Features/"
"""What the path of a gRPC call begins with."""
ROUTES: Final = (
    "/get-online-features",
    "/health",
    "/metrics",
    *(GRPC + call for call in ("GetFeatures", "Subscribe", "Read")),
    "other",
)
BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends of the latency's buckets, s."""
GONE: Final = 0
"""The status of a request whose client went away before the answer."""

_US: Final = 1_000_000
_STATUSES: Final = (GONE, *HTTPStatus)
_STATUS_AT: Final = {int(status): i for i, status in enumerate(_STATUSES)}
_OTHER: Final = len(ROUTES) - 1
_ROUTE_AT: Final = {route: i for i, route in enumerate(ROUTES)}

# A row: for each route its statuses, its buckets (the last one is open) and its seconds; then the rows that were read.
_BUCKETS_AT: Final = len(_STATUSES)
_SECONDS_AT: Final = _BUCKETS_AT + len(BUCKETS) + 1
_ROUTE_CELLS: Final = _SECONDS_AT + 1
_ROWS_AT: Final = len(ROUTES) * _ROUTE_CELLS
ROW_BYTES: Final = 8 * (_ROWS_AT + 1)


class Counts:
    """The rows of all workers, and which of them is this worker's.

    Args:
        descriptor: a file of `workers * ROW_BYTES` bytes that they share; −1: memory of this process.
    """

    def __init__(self, workers: int = 1, worker: int = 0, descriptor: int = -1) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, workers * ROW_BYTES)).cast("d")
        self._per_worker = ROW_BYTES // 8
        self._mine = self._cells[worker * self._per_worker : (worker + 1) * self._per_worker]

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        at, mine = _ROUTE_AT.get(path, _OTHER) * _ROUTE_CELLS, self._mine
        mine[at + _STATUS_AT[status]] += 1
        mine[at + _BUCKETS_AT + bisect_left(BUCKETS, seconds)] += 1
        mine[at + _SECONDS_AT] += seconds

    def rows(self, rows: int) -> None:
        """Count rows that were asked for."""
        self._mine[_ROWS_AT] += rows

    def total(self) -> Sequence[float]:
        """The sum of all workers' rows."""
        cells, size = self._cells, self._per_worker
        return [sum(cells[cell::size]) for cell in range(size)]


class _Families(Collector):
    """The metrics as prometheus_client takes them."""

    def __init__(self, total: Sequence[float], health: dict[str, Any], now_us: int) -> None:
        self._total, self._health, self._now_us = total, health, now_us

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """Counters of all workers; gauges of the snapshot that this worker serves."""
        requests = CounterMetricFamily(
            "covey_requests", "Requests; status 0: the client went away.", labels=("route", "status")
        )
        seconds = HistogramMetricFamily(
            "covey_request_seconds", "From a request's head to the end of its answer.", labels=("route",)
        )
        for i, route in enumerate(ROUTES):
            cells = self._total[i * _ROUTE_CELLS : (i + 1) * _ROUTE_CELLS]
            for status, count in zip(_STATUSES, cells, strict=False):
                if count:
                    requests.add_metric((route, str(int(status))), count)
            counts = accumulate(cells[_BUCKETS_AT:_SECONDS_AT])
            ends = (*map(str, BUCKETS), "+Inf")
            seconds.add_metric((route,), list(zip(ends, counts, strict=True)), cells[_SECONDS_AT])
        yield requests
        yield seconds
        yield CounterMetricFamily("covey_rows", "Rows asked for.", self._total[_ROWS_AT])
        yield GaugeMetricFamily("covey_epoch", "The publication that is served.", self._health["epoch"])
        age = GaugeMetricFamily(
            "covey_view_age_seconds", "Now less the time of a view's rows.", labels=("view", "version", "since")
        )
        for view in self._health["views"]:
            for since in ("pane_end", "released_at"):
                if view[since] is not None:
                    labels = (view["view"], str(view["version"]), since)
                    age.add_metric(labels, (self._now_us - view[since]) / _US)
        yield age


def exposition(counts: Counts, health: dict[str, Any], now_us: int) -> bytes:
    """The text of `/metrics`.

    Args:
        health: of `featurestore.server.app.health_of`.
        now_us: wall clock, µs since the epoch.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(counts.total(), health, now_us))
    return generate_latest(registry)
