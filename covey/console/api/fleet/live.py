"""The fleet's state as events: of each part, its newest state when it has changed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from covey.console.live import HEARTBEAT_S, Event

from .parts import FleetParts

INTERVAL_S: Final = 1.0
"""The state is read as often at most, for all streams together, and only while there is one."""


class FleetEvents:
    """The events of a fleet. A stream gets every part once, and then those that change.

    A part has the number of its last change. A page that resumes names the last number that it has seen, and gets the parts that
    have changed since. Numbers begin with the time, so those of a console that was started again are larger.

    Args:
        read: reads all parts; called in one thread at a time.
        clock: wall clock, µs since the epoch.
        monotonic: seconds.
    """

    def __init__(
        self,
        read: Callable[[], FleetParts],
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._monotonic = read, monotonic
        self._number = clock()
        self._parts: dict[str, Event] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def newest(self) -> tuple[Event, ...]:
        """The newest state of each part, in the order of change. It is read again if it is older than the interval."""
        with self._lock:
            if self._monotonic() - self._read_at >= INTERVAL_S:
                self._take(self._read().model_dump(mode="json"))
                self._read_at = self._monotonic()
            return tuple(sorted(self._parts.values()))

    def _take(self, parts: dict[str, Any]) -> None:
        for name, data in parts.items():
            known = self._parts.get(name)
            if known is None or known.data != data:
                self._number += 1
                self._parts[name] = Event(self._number, name, data)

    async def follow(self, last: int | None) -> AsyncIterator[Event | None]:
        """The parts that have changed after `last`, as they change; None: nothing has changed for a while."""
        seen, idle = last or 0, 0.0
        while True:
            for event in await asyncio.to_thread(self.newest):
                if event.number > seen:
                    seen, idle = event.number, 0.0
                    yield event
            await asyncio.sleep(INTERVAL_S)
            idle += INTERVAL_S
            if idle >= HEARTBEAT_S:
                idle = 0.0
                yield None
