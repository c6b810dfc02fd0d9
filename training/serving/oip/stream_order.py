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
MAX_UNREAD: Final = 32 * 2**20
"""How many bytes the answers have together at which no more requests are read, until the client has read one of the answers."""

T = TypeVar("T")


async def in_order(
    requests: AsyncIterator[bytes], answer: Callable[[bytes], Awaitable[T]], size_of: Callable[[T], int]
) -> AsyncIterator[T]:
    """One answer for each request, in their order.

    Args:
        size_of: the bytes of an answer.
    """
    ahead: asyncio.Queue[tuple[int, asyncio.Future[tuple[T, int]]] | None] = asyncio.Queue()
    held, unread, room = 0, 0, asyncio.Event()

    def is_full(size: int) -> bool:
        return ahead.qsize() >= MAX_AHEAD or held + size > MAX_BYTES or unread >= MAX_UNREAD

    async def answered(data: bytes) -> tuple[T, int]:
        nonlocal unread
        made = await answer(data)
        size = size_of(made)
        unread += size
        return made, size

    async def read() -> None:
        nonlocal held
        try:
            async for data in requests:
                while held and is_full(len(data)):
                    room.clear()
                    await room.wait()
                held += len(data) + 1  # an empty message counts, too
                ahead.put_nowait((len(data) + 1, asyncio.ensure_future(answered(data))))
        finally:
            ahead.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (one := await ahead.get()) is not None:
            size, made = one
            found, found_size = await made
            yield found
            held, unread = held - size, unread - found_size
            room.set()
        await reading
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        while not ahead.empty():
            if (left := ahead.get_nowait()) is not None:
                left[1].cancel()
