"""Requests of a stream that are computed at the same time, and whose answers keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

MAX_AHEAD: Final = 64
"""How many requests of a stream are computed at a time. A client that sends more waits: its stream is not read."""
MAX_BYTES: Final = 8 * 2**20
"""How many bytes they may have together; one request alone may have more."""

T = TypeVar("T")


async def in_order(requests: AsyncIterator[bytes], answer: Callable[[bytes], Awaitable[T]]) -> AsyncIterator[T]:
    """One answer for each request, in their order."""
    ahead: asyncio.Queue[tuple[int, asyncio.Future[T]] | None] = asyncio.Queue()
    held, room = 0, asyncio.Event()

    async def read() -> None:
        nonlocal held
        try:
            async for data in requests:
                while held and (ahead.qsize() >= MAX_AHEAD or held + len(data) > MAX_BYTES):
                    room.clear()
                    await room.wait()
                held += len(data) + 1  # an empty message counts, too
                ahead.put_nowait((len(data) + 1, asyncio.ensure_future(answer(data))))
        finally:
            ahead.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (one := await ahead.get()) is not None:
            size, made = one
            yield await made
            held -= size
            room.set()
        await reading
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        while not ahead.empty():
            if (left := ahead.get_nowait()) is not None:
                left[1].cancel()
