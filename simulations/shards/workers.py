"""Who does the shards' work: this process, or processes of this machine. Others (Ray) do the same behind one interface."""

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
        abandoned = True
        try:

            def submit(task: T) -> Future[R | Raised]:
                return pool.submit(told, function, task)

            yield from in_order(submit, lambda future: taken(future.result()), tasks, AHEAD * self.count)
            abandoned = False
        except BrokenProcessPool:
            raise WorkerDied(self.count) from None
        finally:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes if abandoned else ():  # else Python waits for their shards as it ends
                process.terminate()


@dataclass(frozen=True, eq=False)
class Raised:
    """What a task has raised, in parts: an error that is made of other arguments than its message cannot be sent whole."""

    kind: type[Exception]
    args: tuple[Any, ...]
    state: dict[str, Any]

    def again(self) -> Exception:
        """The error."""
        error = self.kind.__new__(self.kind, *self.args)
        error.__dict__.update(self.state)
        return error


def told(function: Callable[[T], R], task: T) -> R | Raised:
    """Where the work is done: the result, or what was raised."""
    try:
        return function(task)
    except Exception as error:  # noqa: BLE001 - raised again by `taken`
        return Raised(type(error), error.args, vars(error))


def taken(result: R | Raised) -> R:
    """Where it was asked for: the result. Raises what was raised."""
    if isinstance(result, Raised):
        raise result.again()
    return result


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
