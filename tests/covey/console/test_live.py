"""Streams of events: how many are open at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from covey.console import live
from covey.console.live import ALIVE, EventLog, Streams
from covey.console.sessions import User
from covey.errors import TooManyStreams
from featurestore.server.roles import Role

READER = User("reader", Role.READER, "reader")


def test_streams_are_bounded_and_a_closed_one_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 2)
    streams, log = Streams(), EventLog()

    async def opened() -> Any:
        lines: Any = streams.answer(READER, log.follow(None)).body_iterator
        assert await anext(lines) == b": open\n\n"
        return lines

    async def follow() -> None:
        first, second = await opened(), await opened()
        with pytest.raises(TooManyStreams, match="2 pages"):
            streams.answer(READER, log.follow(None))
        await second.aclose()
        third = await opened()
        for lines in (first, third):
            await lines.aclose()

    asyncio.run(follow())


def test_one_user_leaves_streams_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EACH_STREAMS", 1)
    streams, log = Streams(), EventLog()

    async def follow() -> None:
        lines: Any = streams.answer(READER, log.follow(None)).body_iterator
        await anext(lines)
        with pytest.raises(TooManyStreams, match="1 page"):
            streams.answer(READER, log.follow(None))
        other: Any = streams.answer(User("operator", Role.OPERATOR, "operator"), log.follow(None)).body_iterator
        assert await anext(other) == b": open\n\n"
        for one in (lines, other):
            await one.aclose()
        streams.answer(READER, log.follow(None))

    asyncio.run(follow())


def test_a_page_gets_the_events_after_the_last_one_that_it_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_EVENTS", 20)
    log = EventLog()
    for number in range(1, 31):
        assert log.append("progress", number).number == number
    first = log.after(0)[0].number
    assert 1 < first <= 11  # older ones were forgotten
    assert [event.data for event in log.after(0)] == list(range(first, 31))
    assert [event.number for event in log.after(27)] == [28, 29, 30]
    assert log.after(30) == log.after(99) == ()


def test_a_stream_without_events_says_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.0)

    async def first_lines() -> list[bytes]:
        log = EventLog()
        log.append("step", 1)
        lines: Any = Streams().answer(READER, log.follow(None)).body_iterator
        found = [await anext(lines) for _ in range(3)]
        await lines.aclose()
        return found

    assert asyncio.run(first_lines()) == [b": open\n\n", b"id: 1\nevent: step\ndata: 1\n\n", ALIVE]
    assert ALIVE == b"event: alive\ndata: {}\n\n"  # the name that the page waits for; without a number, and with data
