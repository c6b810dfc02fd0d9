"""The requests of one model that wait for a batch: admitted by rows, rate and deadline, and taken in batches of one version."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

from training.errors import DeadlineMissed, ModelBusy
from training.serving.batch_time import BatchTime
from training.serving.settings import ModelSettings

from .job import LOOP, Job

NEVER: Final = math.inf
_LEAST_RETRY_S: Final = 0.001
_BURST_S: Final = 1.0


class Batch(NamedTuple):
    """Jobs of one version that are computed together.

    Attributes:
        taken_s: when it was taken from the queue.
    """

    target: Hashable
    jobs: list[Job]
    rows: int
    taken_s: float


class _Lane:
    """The jobs of one version that one pool computes, the oldest first."""

    __slots__ = ("jobs", "rows")

    def __init__(self) -> None:
        self.jobs: OrderedDict[Job, None] = OrderedDict()
        self.rows = 0


class ModelQueue:
    """The queue of one model. Times are seconds of a steady clock.

    Attributes:
        rows: how many rows wait.
        computing: how many rows are being computed.
        time: how long its batches take.
        passed: the share of the compute threads that the model has used (see `Shares`).
    """

    def __init__(self, name: str, settings: ModelSettings, now: float) -> None:
        self.name, self.settings = name, settings
        self.rows, self.computing, self.passed = 0, 0, 0.0
        self.time = BatchTime()
        self._lanes: dict[tuple[Hashable, Hashable], _Lane] = {}
        """By version and pool."""
        self._tokens, self._filled_s = self._burst, now
        preferred = sorted(size for size in settings.preferred if size <= settings.max_batch)
        self._sizes = (*preferred, settings.max_batch)
        self._delay_s = settings.max_queue_delay_us / 1e6

    @property
    def _burst(self) -> float:
        return NEVER if self.settings.rate is None else self.settings.rate * _BURST_S

    def busy(self, now: float) -> ModelBusy | None:
        """Why no request can be admitted now, whatever its rows; None: one may be."""
        if self.rows >= self.settings.queue:
            return self._full()
        if self.settings.rate is not None and self._refilled(now) <= 0:
            return self._over_rate(self.settings.rate)
        return None

    def admit(self, rows: int, timeout_s: float, now: float) -> None:
        """Admit a request. It may be larger than the queue if the queue is empty.

        Raises:
            ModelBusy: the queue is full, or the model's rate is reached. DeadlineMissed: the rows ahead take longer than the
                client waits.
        """
        if (busy := self.busy(now)) is not None:
            raise busy
        if self.rows and self.rows + rows > self.settings.queue:
            raise self._full()
        wait_s = self.wait_s
        if not 0 < timeout_s >= wait_s:  # also NaN
            raise DeadlineMissed(self.name, timeout_s, wait_s)
        if self.settings.rate is not None:
            self._tokens -= rows  # into debt, as for readers: no request is too large to be admitted

    @property
    def wait_s(self) -> float:
        """How long the rows ahead of a new request take."""
        batches = math.ceil(self.rows / self.settings.max_batch) + (1 if self.computing else 0)
        return self.time.of(batches, self.rows + self.computing)

    def add(self, job: Job) -> None:
        """Queue an admitted request."""
        lane = self._lanes.get((job.target, job.pool))
        if lane is None:
            lane = self._lanes[job.target, job.pool] = _Lane()
        lane.jobs[job] = None
        lane.rows += job.rows
        self.rows += job.rows

    def remove(self, job: Job) -> bool:
        """Drop a request whose client has gone; False: it waits no longer."""
        key = job.target, job.pool
        lane = self._lanes.get(key)
        if lane is None or job not in lane.jobs:
            return False
        self._took(lane, job)
        if not lane.jobs:
            del self._lanes[key]
        return True

    def ready_s(self, pool: Hashable) -> float:
        """When a pool may take its next batch: at once if it has a preferred size; otherwise when its oldest job has waited."""
        ready = NEVER
        for (_, of), lane in self._lanes.items():
            if of is not pool:
                continue
            if of is LOOP or lane.rows >= self._sizes[0]:
                return -NEVER
            ready = min(ready, next(iter(lane.jobs)).arrived_s + self._delay_s)
        return ready

    def take(self, now: float, pool: Hashable) -> tuple[Batch | None, list[Job]]:
        """The next batch of a pool, and the jobs whose deadline has passed: of the version whose job has waited longest."""
        late: list[Job] = []
        while lanes := [(lane, target) for (target, of), lane in self._lanes.items() if of is pool]:
            lane, target = min(lanes, key=lambda one: next(iter(one[0].jobs)).arrived_s)
            most, jobs, rows = self._most(lane, now), list[Job](), 0
            while lane.jobs:
                job = next(iter(lane.jobs))
                if job.due_s < now:
                    late.append(job)
                elif jobs and rows + job.rows > most:
                    break
                else:
                    jobs.append(job)
                    rows += job.rows
                self._took(lane, job)
            if not lane.jobs:
                del self._lanes[target, pool]
            if jobs:
                self.computing += rows
                return Batch(target, jobs, rows, now), late
        return None, late

    def finished(self, batch: Batch, seconds: float) -> None:
        """A batch has ended."""
        self.computing -= batch.rows
        if all(job.ask.level is None for job in batch.jobs):  # copies for intervals take other times
            self.time.add(batch.rows, seconds)

    def drain(self, target: Hashable) -> list[Job]:
        """Take all jobs of a version that cannot answer any more."""
        jobs: list[Job] = []
        for key in [key for key in self._lanes if key[0] is target]:
            lane = self._lanes.pop(key)
            self.rows -= lane.rows
            jobs += lane.jobs
        return jobs

    def drain_all(self) -> list[Job]:
        """Take all jobs."""
        jobs = [job for lane in self._lanes.values() for job in lane.jobs]
        self._lanes.clear()
        self.rows = 0
        return jobs

    def waiting(self, target: Hashable) -> int:
        """How many rows wait for a version."""
        return sum(lane.rows for (of, _), lane in self._lanes.items() if of is target)

    def _most(self, lane: _Lane, now: float) -> int:
        """The most rows of the batch: the largest preferred size that is there, or all if the oldest job has waited enough."""
        if lane.rows < self._sizes[0] or next(iter(lane.jobs)).arrived_s + self._delay_s <= now:
            return self._sizes[-1]
        return max(size for size in self._sizes if size <= lane.rows)

    def _took(self, lane: _Lane, job: Job) -> None:
        del lane.jobs[job]
        lane.rows -= job.rows
        self.rows -= job.rows

    def _refilled(self, now: float) -> float:
        rate = self.settings.rate or 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._filled_s) * rate)
        self._filled_s = now
        return self._tokens

    def _full(self) -> ModelBusy:
        why = f"{self.rows:,} rows wait, and its queue holds {self.settings.queue:,}"
        return ModelBusy(self.name, why, max(_LEAST_RETRY_S, self.wait_s))

    def _over_rate(self, rate: float) -> ModelBusy:
        wait_s = max(_LEAST_RETRY_S, -self._tokens / rate)
        return ModelBusy(self.name, f"its rate of {rate:,.6g} rows/s is reached", wait_s)
