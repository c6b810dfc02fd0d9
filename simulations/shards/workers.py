"""Workers that run shards: this process, or processes of this machine. Ray workers have the same interface."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from edge_client.encrypting import cores
from simulations.errors import WorkerDied

T = TypeVar("T")
R = TypeVar("R")

AHEAD: Final = 2
"""Tasks a worker that are submitted and not yet returned, so that memory does not grow with the number of tasks."""


class Workers(Protocol):
    """Calls a function for many tasks, possibly in other processes."""

    @property
    def count(self) -> int:
        """Return the number of parallel workers."""

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order of the tasks. An error of a task is raised."""


class Inline:
    """Runs tasks in the calling process."""

    count = 1

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Run the tasks one after the other."""
        return map(function, tasks)


class LocalProcesses:
    """Runs tasks in processes of this machine, by default one a core."""

    def __init__(self, count: int | None = None) -> None:
        self.count = count or cores()

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Map as `Workers.map` does. Raises WorkerDied: a process was killed, probably because memory ran out."""
        pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), initializer=_ignore_interrupts)
        abandoned = True
        try:

            def submit(task: T) -> Future[R | TaskError]:
                return pool.submit(result_or_error, function, task)

            yield from in_order(submit, lambda future: result_or_raise(future.result()), tasks, AHEAD * self.count)
            abandoned = False
        except BrokenProcessPool:
            raise WorkerDied(self.count) from None
        finally:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes if abandoned else ():  # otherwise Python waits for their shards when it ends
                process.terminate()


@dataclass(frozen=True, eq=False)
class TaskError:
    """The error of a task, in parts, because pickle cannot send an error whose arguments differ from its message."""

    kind: type[Exception]
    args: tuple[Any, ...]
    state: dict[str, Any]

    def again(self) -> Exception:
        """Make the error again."""
        error = self.kind.__new__(self.kind, *self.args)
        error.__dict__.update(self.state)
        return error


def result_or_error(function: Callable[[T], R], task: T) -> R | TaskError:
    """Return the result of a task, or its error. Run in the worker."""
    try:
        return function(task)
    except Exception as error:  # noqa: BLE001 - `result_or_raise` raises it again
        return TaskError(type(error), error.args, vars(error))


def result_or_raise(result: R | TaskError) -> R:
    """Return the result of a task, or raise its error. Run in the parent."""
    if isinstance(result, TaskError):
        raise result.again()
    return result


S = TypeVar("S")


def in_order(submit: Callable[[T], S], result: Callable[[S], R], tasks: Iterable[T], ahead: int) -> Iterator[R]:
    """Submit up to `ahead` tasks at a time, and yield their results in order."""
    under_way: deque[S] = deque()
    for task in tasks:
        if len(under_way) == ahead:
            yield result(under_way.popleft())
        under_way.append(submit(task))
    while under_way:
        yield result(under_way.popleft())


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C, which reaches every process of the terminal. The parent stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
