"""Makes batches of waiting requests, and gives them to what computes them: the event loop itself, or threads.

The event loop computes batches of quick models (see `Serving`). A hop to a thread and back costs more than such a batch, and a
thread competes with the loop for Python's lock at each step of the model. So the loop takes what arrived in its last round as a
batch, computes it, answers, and looks for requests that arrived meanwhile. Batches grow with the load, and no request waits for
others.

Threads compute all other batches. A free thread takes a batch when it is ready: it has a preferred size, or its oldest request has
waited for `max_queue_delay_us`. While all threads compute, requests gather by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final, Protocol

from .job import INTERVALS, LOOP, SHARED, Job, Outcome
from .model_queue import NEVER, Batch, ModelQueue
from .shares import Shares

_TIMER_S: Final = 0.002
"""Below this a loop's timer is too coarse: uvloop counts milliseconds. The loop is then asked again after each of its rounds."""


class Loop(Protocol):
    """What the batcher needs of an event loop."""

    def call_soon(self, call: Callable[[], object]) -> object:
        """Call after this round."""
        ...

    def call_later(self, delay: float, call: Callable[[], object]) -> object:
        """Call after some seconds."""
        ...


class Finished(Protocol):
    """What a computed batch gives: an outcome for each job, or one error for all."""

    @property
    def outcomes(self) -> list[Outcome]:
        """One for each job of the batch."""

    @property
    def seconds(self) -> float:
        """How long it was computed."""
        ...


Compute = Callable[[ModelQueue, Batch, Callable[[Finished], None]], None]
"""Computes a batch in the pool of its jobs, and calls its last argument on the event loop."""


class Batcher:
    """The batches of all models of a process.

    Args:
        threads: how many batches are computed at a time by the threads that versions share.
        late: receives the jobs whose deadline has passed.
        finished: receives each batch after its jobs have their outcomes.
        clock: seconds of a steady clock. uvloop's own clock counts milliseconds.
    """

    def __init__(
        self,
        loop: Loop,
        threads: int,
        compute: Compute,
        late: Callable[[ModelQueue, Job], None],
        finished: Callable[[ModelQueue, Batch, Finished], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop, self._compute, self._late, self._finished = loop, compute, late, finished
        self._clock = clock
        self._free: dict[Hashable, int] = {LOOP: 1, SHARED: threads, INTERVALS: 1}
        """The free threads of each pool."""
        self._shares = Shares()
        self._queues: list[ModelQueue] = []
        """The queues with jobs."""
        self._is_due = False
        """Whether a look is scheduled."""
        self._timer_s = NEVER

    def add(self, queue: ModelQueue, job: Job) -> None:
        """Queue an admitted job. A batch takes it after this round of the loop at the earliest."""
        if not queue.rows:
            if not queue.computing:
                self._shares.activate(queue)
            self._queues.append(queue)
        queue.add(job)
        self._look_soon()

    def withdraw(self, queue: ModelQueue, job: Job) -> bool:
        """The client of a job has gone; False: it is being computed, or has ended."""
        removed = queue.remove(job)
        if removed and not queue.rows:
            self._queues.remove(queue)
        return removed

    def fail(self, queue: ModelQueue, target: Hashable, error: Exception) -> list[Job]:
        """End all waiting jobs of a version that cannot answer any more, and return them."""
        jobs = queue.drain(target)
        if jobs and not queue.rows:
            self._queues.remove(queue)
        for job in jobs:
            job.end(error)
        return jobs

    def drain(self, queue: ModelQueue) -> list[Job]:
        """Take all waiting jobs of a model, when the server ends."""
        if queue.rows:
            self._queues.remove(queue)
        return queue.drain_all()

    def open_pool(self, pool: Hashable) -> None:
        """A version has a thread of its own."""
        self._free[pool] = 1

    def close_pool(self, pool: Hashable) -> None:
        """A version with a thread of its own computes nothing more."""
        del self._free[pool]

    def _look_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Give free threads the batches that are ready."""
        self._is_due = False
        for pool in list(self._free):
            self._look_in(pool)

    def _look_in(self, pool: Hashable) -> None:
        now = self._clock()
        while self._free[pool] and self._queues:
            ready = {queue: queue.ready_s(pool) for queue in self._queues}
            queue = self._shares.choose(one for one, ready_s in ready.items() if ready_s <= now)
            if queue is None:
                if (next_s := min(ready.values())) < NEVER:
                    self._look_at(next_s, now)
                return
            batch, late = queue.take(now, pool)
            if not queue.rows:
                self._queues.remove(queue)
            for job in late:
                self._late(queue, job)
            if batch is not None:
                self._begin(queue, batch, pool)
                if pool is LOOP:  # requests of others that arrived meanwhile come first
                    self._look_soon()
                    return

    def _look_at(self, when: float, now: float) -> None:
        if when - now < _TIMER_S:
            self._look_soon()
        elif when < self._timer_s:
            self._timer_s = when
            self._loop.call_later(when - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_s = NEVER
        self._look_soon()

    def _begin(self, queue: ModelQueue, batch: Batch, pool: Hashable) -> None:
        self._free[pool] -= 1
        expected = queue.time.of(1, batch.rows)  # so that one model does not take all threads before its first charge
        self._shares.charge(queue, expected)

        def finished(made: Finished) -> None:
            if pool in self._free:
                self._free[pool] += 1
            self._shares.charge(queue, made.seconds - expected)
            queue.finished(batch, made.seconds)
            for job, outcome in zip(batch.jobs, made.outcomes, strict=True):
                job.end(outcome)
            self._finished(queue, batch, made)
            if self._queues:
                self._look_soon()

        self._compute(queue, batch, finished)
