"""Who does the shards' work: this process, or processes of this machine. Others (Ray) do the same behind one interface."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, Protocol, TypeVar

from edge_client.encrypting import cores
from simulations.errors import WorkerDied

T = TypeVar("T")
R = TypeVar("R")

AHEAD: Final = 2
"""Tasks for each worker that are under way or done and not taken: so the memory does not depend on the number of tasks."""


class Workers(Protocol):
    """Calls a function for many tasks, possibly elsewhere."""

    @property
    def count(self) -> int:
        """How many work at a time."""

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """The results, in the order of the tasks. What a task raises is raised."""


class Inline:
    """The calling process."""

    count = 1

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """One after the other."""
        return map(function, tasks)


class LocalProcesses:
    """Processes of this machine, as many as it has cores unless told otherwise."""

    def __init__(self, count: int | None = None) -> None:
        self.count = count or cores()

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """As `Workers.map`. Raises WorkerDied: a process was killed, most likely for want of memory."""
        pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), initializer=_ignore_interrupts)
        try:
            yield from in_order(lambda task: pool.submit(function, task), Future.result, tasks, AHEAD * self.count)
        except BrokenProcessPool:
            raise WorkerDied(self.count) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


S = TypeVar("S")


def in_order(submit: Callable[[T], S], result: Callable[[S], R], tasks: Iterable[T], ahead: int) -> Iterator[R]:
    """Submit tasks, `ahead` of what is taken, and give their results in order."""
    under_way: deque[S] = deque()
    for task in tasks:
        if len(under_way) == ahead:
            yield result(under_way.popleft())
        under_way.append(submit(task))
    while under_way:
        yield result(under_way.popleft())


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the parent decides what becomes of the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
