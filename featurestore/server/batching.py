"""Combines concurrent small reads of a view on a disk or a network into one read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from featurestore.online.view_rows import Rows, ViewRows
from featurestore.read.request import Entities


@dataclass(eq=False)
class _Queue:
    """The waiting reads of one view, which arrived during the current read."""

    waiting: list[tuple[Entities, int, asyncio.Future[Rows]]] = field(default_factory=list)
    running: bool = False


class Batcher:
    """Batches the reads of one event loop. An idle view is read at once; the next read takes all waiting requests."""

    def __init__(self) -> None:
        self._queues: dict[ViewRows, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def placed(self, views: Sequence[ViewRows], entities: Entities, count: int) -> dict[ViewRows, Rows]:
        """The rows of those views that are on a disk or a network."""
        return {view: await self.rows(view, entities, count) for view in views if view.blocking}

    async def rows(self, view: ViewRows, entities: Entities, count: int) -> Rows:
        """See `ViewRows.rows`."""
        columns = view.header.key_columns(entities, count)  # an invalid request fails alone
        keys = dict(zip(view.header.keys, columns, strict=True))
        queue = self._queues.setdefault(view, _Queue())
        future: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        queue.waiting.append((keys, count, future))
        if not queue.running:
            queue.running = True
            task = asyncio.create_task(self._drain(view, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _drain(self, view: ViewRows, queue: _Queue) -> None:
        try:
            while queue.waiting:
                together, queue.waiting = queue.waiting, []
                await _answer(view, together)
        finally:
            queue.running = False
            del self._queues[view]  # the last read of an old epoch's view removes its queue


async def _answer(view: ViewRows, together: Sequence[tuple[Entities, int, asyncio.Future[Rows]]]) -> None:
    try:
        found = await asyncio.to_thread(_read, view, [(keys, count) for keys, count, _ in together])
    except Exception as error:  # noqa: BLE001 - every waiting request gets the error
        for _, _, future in together:
            if not future.done():
                future.set_exception(error)
        return
    for (_, _, future), rows in zip(together, found, strict=True):
        if not future.done():  # its request may have been cancelled
            future.set_result(rows)


def _read(view: ViewRows, reads: Sequence[tuple[Entities, int]]) -> list[Rows]:
    """The rows of several reads, from one read."""
    merged = {name: [value for keys, _ in reads for value in keys[name]] for name in view.header.keys}
    rows = view.rows(merged, sum(count for _, count in reads))
    found: list[Rows] = []
    first = 0
    for _, count in reads:
        found.append(rows._replace(place=rows.place[first : first + count]))
        first += count
    return found
