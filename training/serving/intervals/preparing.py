"""Requests with an interval that wait until the sums behind it are read. It runs on the event loop; the reading does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from featurestore.store import Store
from training.errors import ModelBusy, ModelNotReady
from training.serving.batches.job import Job

from .intervals import Intervals

_TRIES: Final = 10
_PAUSE_S: Final = 0.1
"""Between a publication in the registry and its epoch in the blocks no sums fit the served rows; then they are read again."""


class Preparing:
    """Plans that are being made, each with the requests that wait for it.

    Args:
        again: asks a request again.
    """

    def __init__(self, store: Store, again: Callable[[Job], None]) -> None:
        self._store, self._again = store, again
        self._thread = ThreadPoolExecutor(1, "covey-intervals")
        self._waiting: dict[Intervals, list[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def is_needed(self, intervals: Intervals) -> bool:
        """Whether a request with an interval must wait."""
        return not intervals.is_ready(self._store.blocks.snapshot)

    def add(self, intervals: Intervals, job: Job, most_rows: int) -> None:
        """Let a request wait, for the plan of the newest epoch. Raises ModelBusy: too many rows wait."""
        waiting = self._waiting.get(intervals)
        if waiting is None:
            waiting = self._waiting[intervals] = []
            task = asyncio.get_running_loop().create_task(self._prepare(intervals))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting[:] = [one for one in waiting if one.is_open]
        if sum(one.rows for one in waiting) >= most_rows:
            raise ModelBusy(job.ask.model, "the sums behind its intervals are being read, and requests wait", _PAUSE_S)
        waiting.append(job)

    def close(self, error: Callable[[Job], Exception]) -> None:
        """Prepare no more. Requests that wait end with an error."""
        for task in self._tasks:
            task.cancel()
        self._thread.shutdown(
            cancel_futures=True
        )  # it waits for a reading under way, because the store may be closed afterwards
        for job in [job for waiting in self._waiting.values() for job in waiting]:
            job.end(error(job))

    async def _prepare(self, intervals: Intervals) -> None:
        error = await self._plan(intervals)
        for job in self._waiting.pop(intervals):
            if error is None:
                self._again(job)
            else:
                job.end(error)

    async def _plan(self, intervals: Intervals) -> Exception | None:
        """Make the plan of the newest epoch. Returns what failed."""
        last: Exception | None = None
        for _ in range(_TRIES):
            try:
                snapshot = self._store.blocks.require()
                await asyncio.get_running_loop().run_in_executor(self._thread, intervals.plan, self._store, snapshot)
            except ModelNotReady as error:
                last = error
                await asyncio.sleep(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - every error is the outcome of the requests
                return error
            else:
                return None
        return last
