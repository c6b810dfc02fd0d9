"""Makes batches of waiting requests, and gives them to compute threads.

It runs on the event loop. A batch is taken when a compute thread is free and the batch is ready: it has a preferred size, or its
oldest request has waited for `max_queue_delay_us`. While all threads compute, requests gather by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from .job import Job, Outcome
from .model_queue import NEVER, Batch, ModelQueue
from .shares import Shares

_TIMER_S: Final = 0.002
"""Below this a loop's timer is too coarse: uvloop counts milliseconds. The loop is then asked again after each of its rounds."""


class Loop(Protocol):
    """What the batcher needs of an event loop."""

    def time(self) -> float:
        """Seconds of a steady clock."""
        ...

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
"""Computes a batch in a thread, and then calls its last argument on the event loop."""


class Batcher:
    """The batches of all models of a process.

    Args:
        threads: how many batches are computed at a time.
        late: receives the jobs whose deadline has passed.
        finished: receives each batch after its jobs have their outcomes.
    """

    def __init__(
        self,
        loop: Loop,
        threads: int,
        compute: Compute,
        late: Callable[[ModelQueue, Job], None],
        finished: Callable[[ModelQueue, Batch, Finished], None],
    ) -> None:
        self._loop, self._free, self._compute, self._late, self._finished = loop, threads, compute, late, finished
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

    def _look_soon(self) -> None:
        if not self._is_due and self._free:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Give free threads the batches that are ready."""
        self._is_due = False
        now = self._loop.time()
        while self._free and self._queues:
            ready = [queue for queue in self._queues if queue.ready_s() <= now]
            queue = self._shares.choose(ready)
            if queue is None:
                self._look_at(min(queue.ready_s() for queue in self._queues), now)
                return
            batch, late = queue.take(now)
            if not queue.rows:
                self._queues.remove(queue)
            for job in late:
                self._late(queue, job)
            if batch is not None:
                self._begin(queue, batch)

    def _look_at(self, when: float, now: float) -> None:
        if when - now < _TIMER_S:
            self._look_soon()
        elif when < self._timer_s:
            self._timer_s = when
            self._loop.call_later(when - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_s = NEVER
        self._look_soon()

    def _begin(self, queue: ModelQueue, batch: Batch) -> None:
        self._free -= 1
        expected = batch.rows * queue.row_s  # so that one model does not take all threads before its first charge
        self._shares.charge(queue, expected)

        def finished(made: Finished) -> None:
            self._free += 1
            self._shares.charge(queue, made.seconds - expected)
            queue.finished(batch, made.seconds)
            for job, outcome in zip(batch.jobs, made.outcomes, strict=True):
                job.end(outcome)
            self._finished(queue, batch, made)
            if self._queues:
                self._look_soon()

        self._compute(queue, batch, finished)
