"""Counts what models do, in memory that all workers of a server share.

Each worker counts in its own rows, one for each version, and no other worker writes them: no lock is needed, and one count is an
addition to one cell (as in `featurestore.server.metrics`). A row begins with the name of its version, because workers meet
versions in different orders. Any worker can answer for all: it adds up the rows of one name. A replacement of a worker continues
in the rows of its predecessor.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Final

from base.metrics import BATCH_ROWS, FEATURE_STATES, LATENCIES, MODEL_OUTCOMES, MODEL_STAGES, Distribution

from .statistics import VersionStatistics

VERSIONS: Final = 256
"""The most versions with rows: each of 200 models has one. Beyond it, the row of the version that was counted longest ago is
used anew."""
PARTS: Final = 10
"""The most parts of a model's outputs (`training.serving.output_drift`)."""

_NAME_BYTES: Final = 88
"""A name has 63 characters at most, and `@v` and a number follow."""
_OUTCOME_AT: Final = {outcome: _NAME_BYTES // 8 + i for i, outcome in enumerate(MODEL_OUTCOMES)}
_SUCCEEDED_S: Final = _NAME_BYTES // 8 + len(MODEL_OUTCOMES)
_FAILED_S: Final = _SUCCEEDED_S + 1
_WAITING: Final = _SUCCEEDED_S + 2
_LAST_US: Final = _SUCCEEDED_S + 3
_ROWS: Final = _SUCCEEDED_S + 4
_BATCHES: Final = _SUCCEEDED_S + 5
_STAGES: Final = _BATCHES + len(BATCH_ROWS) + 2
_STAGE_CELLS: Final = len(LATENCIES) + 2
_STAGE_AT: Final = {stage: _STAGES + i * _STAGE_CELLS for i, stage in enumerate(MODEL_STAGES)}
_FEATURES: Final = _STAGES + len(MODEL_STAGES) * _STAGE_CELLS
_OUTPUTS: Final = _FEATURES + len(FEATURE_STATES)
_CELLS: Final = _OUTPUTS + PARTS
COUNT_BYTES: Final = 8 * VERSIONS * _CELLS
"""The bytes of one worker."""


class VersionCounter:
    """The row of one version in this worker. The event loop counts."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells

    def outcome(self, outcome: str, seconds: float) -> None:
        """Count a request that has ended, and how long it took."""
        self._cells[_OUTCOME_AT[outcome]] += 1
        self._cells[_SUCCEEDED_S if outcome == "ok" else _FAILED_S] += seconds

    def stage(self, stage: str, seconds: float) -> None:
        """Count the time of a stage."""
        _observe(self._cells, _STAGE_AT[stage], LATENCIES, seconds)

    def batch(self, rows: int, now_us: int) -> None:
        """Count a batch."""
        self._cells[_ROWS] += rows
        self._cells[_LAST_US] = now_us
        _observe(self._cells, _BATCHES, BATCH_ROWS, rows)

    def waiting(self, rows: int) -> None:
        """Set how many rows wait."""
        self._cells[_WAITING] = rows

    def features(self, counts: Sequence[int]) -> None:
        """Count features by `FEATURE_STATES`."""
        for i, count in enumerate(counts):
            self._cells[_FEATURES + i] += count

    def outputs(self, counts: Iterable[int]) -> None:
        """Count outputs by part."""
        for i, count in enumerate(counts):
            self._cells[_OUTPUTS + i] += count


class ModelCounters:
    """The rows of all workers.

    Args:
        descriptor: a shared file of `workers * COUNT_BYTES` bytes; −1: memory of this process.
    """

    def __init__(self, workers: int = 1, worker: int = 0, descriptor: int = -1) -> None:
        self._memory = mmap.mmap(descriptor, workers * COUNT_BYTES)
        self._bytes = memoryview(self._memory)
        self._cells = self._bytes.cast("d")
        self._workers, self._worker = workers, worker
        self._mine: dict[tuple[str, int], VersionCounter] = {}
        for slot, name in enumerate(self._names(worker)):
            self._mine[_parsed(name)] = VersionCounter(self._row(worker, slot))

    def of(self, model: str, version: int) -> VersionCounter:
        """The counter of a version."""
        found = self._mine.get((model, version))
        return found if found is not None else self._begin(model, version)

    def waiting(self, rows: Mapping[tuple[str, int], int]) -> None:
        """Set how many rows wait in this worker for each version; none for all others."""
        for version in rows:
            if len(self._mine) < VERSIONS:  # none takes the row of another
                self.of(*version)
        for version, counter in self._mine.items():
            counter.waiting(rows.get(version, 0))

    def statistics(self) -> list[VersionStatistics]:
        """What all versions have done, by name."""
        rows: dict[str, list[memoryview[float]]] = {}
        for worker in range(self._workers):
            for slot, name in enumerate(self._names(worker)):
                rows.setdefault(name, []).append(self._row(worker, slot))
        return [_added(name, of_name) for name, of_name in sorted(rows.items())]

    def _begin(self, model: str, version: int) -> VersionCounter:
        slot = len(self._mine)
        if slot == VERSIONS:
            slot = min(range(VERSIONS), key=lambda one: self._row(self._worker, one)[_LAST_US])
            del self._mine[_parsed(self._name(self._worker, slot))]
        at = self._at(self._worker, slot)
        self._bytes[at : at + 8 * _CELLS] = bytes(8 * _CELLS)
        encoded = f"{model}@v{version}".encode()
        self._bytes[at : at + len(encoded)] = encoded
        counter = self._mine[model, version] = VersionCounter(self._row(self._worker, slot))
        return counter

    def _at(self, worker: int, slot: int) -> int:
        return worker * COUNT_BYTES + slot * 8 * _CELLS

    def _row(self, worker: int, slot: int) -> memoryview[float]:
        at = self._at(worker, slot) // 8
        return self._cells[at : at + _CELLS]

    def _names(self, worker: int) -> Iterator[str]:
        """The names of a worker's rows, which it began in their order."""
        names = (self._name(worker, slot) for slot in range(VERSIONS))
        return takewhile(bool, names)

    def _name(self, worker: int, slot: int) -> str:
        at = self._at(worker, slot)
        return bytes(self._bytes[at : at + _NAME_BYTES]).rstrip(b"\0").decode()


def _observe(cells: memoryview[float], at: int, buckets: Sequence[float], value: float) -> None:
    cells[at + bisect_left(buckets, value)] += 1
    cells[at + len(buckets) + 1] += value


def _distribution(cells: Sequence[float], at: int, buckets: int) -> Distribution:
    return Distribution(tuple(cells[at : at + buckets + 1]), cells[at + buckets + 1])


def _added(name: str, rows: Sequence[memoryview[float]]) -> VersionStatistics:
    cells = [float(sum(row[i] for row in rows)) if i >= _NAME_BYTES // 8 else 0.0 for i in range(_CELLS)]
    model, version = _parsed(name)
    return VersionStatistics(
        model,
        version,
        {outcome: int(cells[at]) for outcome, at in _OUTCOME_AT.items()},
        cells[_SUCCEEDED_S],
        cells[_FAILED_S],
        int(cells[_ROWS]),
        _distribution(cells, _BATCHES, len(BATCH_ROWS)),
        {stage: _distribution(cells, at, len(LATENCIES)) for stage, at in _STAGE_AT.items()},
        {state: int(cells[_FEATURES + i]) for i, state in enumerate(FEATURE_STATES)},
        tuple(int(count) for count in cells[_OUTPUTS:]),
        int(cells[_WAITING]),
        max(int(row[_LAST_US]) for row in rows),
    )


def _parsed(name: str) -> tuple[str, int]:
    model, _, version = name.partition("@v")
    return model, int(version)
