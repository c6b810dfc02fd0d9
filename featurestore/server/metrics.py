"""Counts the server's work in memory that all workers share, and shows it as Prometheus text.

Each worker counts in its own row of float64 cells. No other worker writes it, so no lock is needed, and one count is an
addition to one cell. A replacement worker continues in its predecessor's row, so a counter never falls while the server runs.
Any worker can answer for all: it adds up the rows.

prometheus_client's multiprocess mode is not used for counting. One request (a counter and a histogram) costs 8 to 13 times as
much there, the mode needs an environment variable before its first import, and every replaced worker leaves files that each
answer of `/metrics` reads again. Only its text format is used.
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
"""The prefix of a gRPC call's path."""
ROUTES: Final = (
    "/get-online-features",
    "/health",
    "/metrics",
    *(GRPC + call for call in ("GetFeatures", "Subscribe", "Read")),
    "other",
)
BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""The upper ends of the latency buckets, s."""
GONE: Final = 0
"""The status of a request whose client disconnected before the answer."""

_US: Final = 1_000_000
_STATUSES: Final = (GONE, *HTTPStatus)
_STATUS_AT: Final = {int(status): i for i, status in enumerate(_STATUSES)}
_OTHER: Final = len(ROUTES) - 1
_ROUTE_AT: Final = {route: i for i, route in enumerate(ROUTES)}

# A row holds each route's statuses, buckets (the last one is open) and seconds; then the number of rows read.
_BUCKETS_AT: Final = len(_STATUSES)
_SECONDS_AT: Final = _BUCKETS_AT + len(BUCKETS) + 1
_ROUTE_CELLS: Final = _SECONDS_AT + 1
_ROWS_AT: Final = len(ROUTES) * _ROUTE_CELLS
ROW_BYTES: Final = 8 * (_ROWS_AT + 1)


class Counts:
    """The counter rows of all workers, and the number of this worker's row.

    Args:
        descriptor: a shared file of `workers * ROW_BYTES` bytes; −1: memory of this process.
    """

    def __init__(self, workers: int = 1, worker: int = 0, descriptor: int = -1) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, workers * ROW_BYTES)).cast("d")
        self._per_worker = ROW_BYTES // 8
        self._mine = self._cells[worker * self._per_worker : (worker + 1) * self._per_worker]

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        at, mine = _ROUTE_AT.get(path, _OTHER) * _ROUTE_CELLS, self._mine
        mine[at + _STATUS_AT[status]] += 1
        mine[at + _BUCKETS_AT + bisect_left(BUCKETS, seconds)] += 1
        mine[at + _SECONDS_AT] += seconds

    def rows(self, rows: int) -> None:
        """Count requested rows."""
        self._mine[_ROWS_AT] += rows

    def total(self) -> Sequence[float]:
        """The sum of all workers' rows."""
        cells, size = self._cells, self._per_worker
        return [sum(cells[cell::size]) for cell in range(size)]


class _Families(Collector):
    """The metrics in the form of prometheus_client."""

    def __init__(self, total: Sequence[float], health: dict[str, Any], now_us: int) -> None:
        self._total, self._health, self._now_us = total, health, now_us

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """The counters of all workers, and gauges of this worker's snapshot."""
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
        yield CounterMetricFamily("covey_rows", "Requested rows.", self._total[_ROWS_AT])
        yield GaugeMetricFamily("covey_epoch", "The served publication.", self._health["epoch"])
        age = GaugeMetricFamily(
            "covey_view_age_seconds", "The age of a view's rows.", labels=("view", "version", "since")
        )
        for view in self._health["views"]:
            for since in ("pane_end", "released_at"):
                if view[since] is not None:
                    labels = (view["view"], str(view["version"]), since)
                    age.add_metric(labels, (self._now_us - view[since]) / _US)
        yield age
        release_sites = GaugeMetricFamily(
            "covey_release_sites",
            "The sites of the roster that are counted in a view's newest pane, and those that are missing.",
            labels=("view", "version", "state"),
        )
        for view in self._health["views"]:
            if (sites := view["sites"]) is not None:
                names = view["view"], str(view["version"])
                release_sites.add_metric((*names, "counted"), sites["counted"])
                release_sites.add_metric((*names, "missing"), len(sites["missing"]))
        yield release_sites


def exposition(counts: Counts, health: dict[str, Any], now_us: int) -> bytes:
    """The text of `/metrics`.

    Args:
        health: from `featurestore.server.app.health_of`.
        now_us: wall clock, µs since the epoch.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(counts.total(), health, now_us))
    return generate_latest(registry)
