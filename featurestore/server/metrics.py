"""Counts the server's work in memory that all workers share.

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
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from base.exposition import text_of
from base.metrics import (
    EPOCH,
    LATENCIES,
    READ_STATUSES,
    READS,
    READY,
    RELEASE_SITES,
    REQUEST_SECONDS,
    REQUESTS,
    ROWS,
    VIEW_AGE,
    Distribution,
    Sample,
)

GRPC: Final = "/covey.features.v1.Features/"
"""The prefix of a gRPC call's path."""
GONE: Final = 0
"""The status of a request whose client disconnected before the answer."""

_US: Final = 1_000_000
_STATUS_AT: Final = {int(status): i for i, status in enumerate(READ_STATUSES)}
_OTHER: Final = len(READS) - 1
_ROUTE_AT: Final = {route: i for i, route in enumerate(READS)}

# A row holds each route's statuses, buckets (the last one is open) and seconds; then the number of rows read.
_BUCKETS_AT: Final = len(READ_STATUSES)
_SECONDS_AT: Final = _BUCKETS_AT + len(LATENCIES) + 1
_ROUTE_CELLS: Final = _SECONDS_AT + 1
_ROWS_AT: Final = len(READS) * _ROUTE_CELLS
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
        mine[at + _BUCKETS_AT + bisect_left(LATENCIES, seconds)] += 1
        mine[at + _SECONDS_AT] += seconds

    def rows(self, rows: int) -> None:
        """Count requested rows."""
        self._mine[_ROWS_AT] += rows

    def total(self) -> Sequence[float]:
        """The sum of all workers' rows."""
        cells, size = self._cells, self._per_worker
        return [sum(cells[cell::size]) for cell in range(size)]


def server_samples(counts: Counts, health: dict[str, Any], now_us: int) -> Iterator[Sample]:
    """The counters of all workers, and gauges of this worker's snapshot.

    Args:
        health: from `featurestore.server.app.health_of`.
        now_us: wall clock, µs since the epoch.
    """
    total = counts.total()
    for i, route in enumerate(READS):
        cells = total[i * _ROUTE_CELLS : (i + 1) * _ROUTE_CELLS]
        for status, count in zip(READ_STATUSES, cells, strict=False):
            if count:
                yield Sample(REQUESTS, (route, status), count)
        yield Sample(REQUEST_SECONDS, (route,), Distribution(tuple(cells[_BUCKETS_AT:_SECONDS_AT]), cells[_SECONDS_AT]))
    yield Sample(ROWS, (), total[_ROWS_AT])
    yield Sample(READY, (), float(health["problem"] is None))
    yield Sample(EPOCH, (), health["epoch"])
    for view in health["views"]:
        names = view["view"], str(view["version"])
        for since in ("pane_end", "released_at"):
            if view[since] is not None:
                yield Sample(VIEW_AGE, (*names, since), (now_us - view[since]) / _US)
        if (sites := view["sites"]) is not None:
            yield Sample(RELEASE_SITES, (*names, "counted"), sites["counted"])
            yield Sample(RELEASE_SITES, (*names, "missing"), len(sites["missing"]))


def exposition(counts: Counts, health: dict[str, Any], now_us: int, process: Iterable[Sample] = ()) -> bytes:
    """The text of `/metrics`. Its arguments are those of `server_samples`, and the samples of the process."""
    return text_of([*process, *server_samples(counts, health, now_us)])
