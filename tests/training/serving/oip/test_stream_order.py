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
    return [one async for one in in_order(requests, answer, lambda _: 0)]


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


@pytest.mark.parametrize(
    ("size", "ahead"), [(0, range(0)), (module.MAX_UNREAD // 4, range(5, 8)), (2 * module.MAX_UNREAD, range(2, 4))]
)
def test_a_stream_whose_answers_are_not_read_is_not_read_either(size: int, ahead: range) -> None:
    async def run() -> tuple[int, int, list[int]]:
        read: list[int] = []

        async def answer(data: bytes) -> int:
            return int.from_bytes(data[:4], "big")

        async def slowly() -> AsyncIterator[bytes]:
            async for one in sent(60, 0, read):
                await settled()  # the answers of the requests before are made
                yield one

        answers = in_order(slowly(), answer, lambda _: size)
        found, counts = list[int](), list[int]()
        for _ in range(2):
            found += [await anext(answers) for _ in range(20)]
            for _ in range(100):
                await settled()
            counts.append(len(read))
        return counts[0], counts[1], found + [one async for one in answers]

    first, second, answers = asyncio.run(run())
    assert first - 19 in ahead or first == 60
    assert second - 39 in ahead or second == 60
    assert answers == list(range(60))


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
