"""Server-sent events: what happens while a page is open. A lost stream goes on after the last event that the page has seen."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Final, NamedTuple, TypeAlias

import orjson
from fastapi import Header
from fastapi.responses import StreamingResponse

from covey.errors import TooManyStreams

from .sessions import User

HEARTBEAT_S: Final = 15.0
"""How often an idle stream sends `ALIVE`. It reveals a page that has gone, and to a page that the stream is not dead."""
ALIVE: Final = b"event: alive\ndata: {}\n\n"
"""An event, because scripts do not get comments; it has no number."""
LOOK_S: Final = 0.05
"""How often a stream looks for new events."""
MAX_STREAMS: Final = 32
"""So many streams of one kind are open at once."""
EACH_STREAMS: Final = 24
"""Of one user, so that readers never keep the operator from following."""
MAX_EVENTS: Final = 10_000
"""A log keeps so many events; a page that missed older ones continues with what is kept."""

LastEvent: TypeAlias = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=2**53)]
"""A parameter of a route: the id of the last event that the page has seen."""


class Event(NamedTuple):
    """An event: its number, its name, and what JSON can hold."""

    number: int
    name: str
    data: object


class EventLog:
    """The events of one matter, in order. Any thread may append; any number of pages may follow."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._first = self._next = 1
        self._closed = False
        self._lock = threading.Lock()

    def append(self, name: str, data: object) -> Event:
        """Append an event."""
        with self._lock:
            event = Event(self._next, name, data)
            self._events.append(event)
            self._next += 1
            if len(self._events) > MAX_EVENTS:
                del self._events[: MAX_EVENTS // 10]
                self._first = self._events[0].number
        return event

    def close(self) -> None:
        """No further event follows: streams end after the last one."""
        self._closed = True

    def after(self, number: int) -> tuple[Event, ...]:
        """The kept events after one."""
        with self._lock:
            return tuple(self._events[max(0, number + 1 - self._first) :])

    async def follow(self, last: int | None) -> AsyncIterator[Event | None]:
        """The events after `last`, as they come; None: nothing is new for a while."""
        seen, idle = last or 0, 0.0
        while True:
            ended, found = self._closed, self.after(seen)
            for event in found:
                seen, idle = event.number, 0.0
                yield event
            if ended:
                return
            await asyncio.sleep(LOOK_S)
            idle += LOOK_S
            if idle >= HEARTBEAT_S:
                idle = 0.0
                yield None


class Streams:
    """The open streams of one kind. They are counted on the event loop alone."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def answer(self, user: User, events: AsyncIterator[Event | None]) -> StreamingResponse:
        """The answer of a route that sends events to a user. Raises TooManyStreams."""
        if self._open[user.ident] >= EACH_STREAMS:
            raise TooManyStreams(EACH_STREAMS)
        if self._open.total() >= MAX_STREAMS:
            raise TooManyStreams(MAX_STREAMS)
        return StreamingResponse(
            self._lines(user.ident, events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _lines(self, user: str, events: AsyncIterator[Event | None]) -> AsyncIterator[bytes]:
        self._open[user] += 1  # a stream that never begins does not count
        try:
            yield b": open\n\n"
            async for event in events:
                if event is None:
                    yield ALIVE
                else:
                    yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                        event.number,
                        event.name.encode(),
                        orjson.dumps(event.data),
                    )
        finally:
            self._open -= Counter((user,))  # forgets a user without streams
