"""Threads that compute batches: one hop to a thread, and one back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeAlias


class Back(Protocol):
    """The way back to the event loop."""

    def call_soon_threadsafe(self, callback: Callable[[Any], object], made: Any) -> object:
        """Call on the event loop, from another thread."""
        ...


Work: TypeAlias = tuple[Callable[[], Any], Callable[[Any], None]]


class ComputeThreads:
    """Some threads that take work in turn."""

    def __init__(self, loop: Back, threads: int, name: str = "covey-compute") -> None:
        self._loop = loop
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work` in a thread, and then call `done` with its result on the event loop. `work` raises nothing."""
        self._work.put((work, done))

    def close(self) -> None:
        """End the threads after the work that they have."""
        for _ in self._threads:
            self._work.put(None)

    def _run(self) -> None:
        while (one := self._work.get()) is not None:
            work, done = one
            made = work()
            try:
                self._loop.call_soon_threadsafe(done, made)
            except RuntimeError:  # the loop has ended, and with it all clients
                return
