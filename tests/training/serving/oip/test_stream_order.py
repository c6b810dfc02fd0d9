from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from training.serving.oip import stream_order as module
from training.serving.oip.stream_order import in_order


async def sent(count: int, size: int, read: list[int]) -> AsyncIterator[bytes]:
    for number in range(count):
        read.append(number)
        yield number.to_bytes(4, "big") + bytes(size)


async def collected(requests: AsyncIterator[bytes], answer: Callable[[bytes], Awaitable[int]]) -> list[int]:
    return [one async for one in in_order(requests, answer)]


async def settled() -> None:
    """Let every task run until all wait."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_answers_keep_the_order_of_requests_that_end_in_another() -> None:
    async def run() -> tuple[list[int], list[int]]:
        ended: list[int] = []
        events = [asyncio.Event() for _ in range(5)]

        async def answer(data: bytes) -> int:
            number = int.from_bytes(data[:4], "big")
            if number == 4:
                events[4].set()
            await events[number].wait()
            ended.append(number)
            if number:
                events[number - 1].set()
            return number

        return await collected(sent(5, 0, []), answer), ended

    assert asyncio.run(run()) == ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])


@pytest.mark.parametrize(
    ("size", "most"), [(0, module.MAX_AHEAD + 2), (module.MAX_BYTES // 4, 5), (2 * module.MAX_BYTES, 2)]
)
def test_a_stream_is_not_read_further_than_its_bounds(size: int, most: int) -> None:
    async def run() -> tuple[int, int]:
        read: list[int] = []
        open_ = asyncio.Event()

        async def answer(_: bytes) -> int:
            await open_.wait()
            return 1

        asked = asyncio.create_task(collected(sent(200, size, read), answer))
        await settled()
        ahead = len(read)
        open_.set()
        return ahead, len(await asked)

    ahead, answers = asyncio.run(run())
    assert ahead <= most
    assert answers == 200


def test_what_is_computed_for_a_client_that_has_gone_is_cancelled() -> None:
    async def run() -> int:
        cancelled = 0

        async def answer(_: bytes) -> int:
            nonlocal cancelled
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise
            return 1

        asked = asyncio.create_task(collected(sent(10, 0, []), answer))
        await settled()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await settled()
        return cancelled

    assert asyncio.run(run()) == 10
