"""Limits how many requests compute at once, so that those that only look something up are answered meanwhile.

A request that must wait does so on the event loop, without a thread. One user never has all slots: the pages of other users, and
those of the operator, go on beside a reader who asks for everything at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from fastapi import Request
from fastapi.routing import APIRoute

from covey.errors import ConsoleBusy

from .roles import CHANGE, USER, required_role

MOST: Final = 12
"""Requests that compute at once. The server has 40 threads."""
EACH: Final = 6
"""Of one user. A browser sends six requests at once."""
MOST_EXPORTS: Final = 8
EACH_EXPORT: Final = 3
"""An export has its slot until its client has read it, so it has slots of its own."""
WAITING: Final = 60
"""Requests of one user that wait for a slot."""
PATIENCE_S: Final = 20.0
"""How long a request waits for one."""
RETRY_S: Final = 2

LIGHT: Final = frozenset({"getPalette", "checkCondition", "getRuns", "getRun", "cancelRun"})
"""The operations that need no slot."""
STREAMS: Final = frozenset({"followRun", "followFleet"})
"""Streams of events have limits of their own; see `covey.console.live`."""
EXPORTS: Final = frozenset({"exportRows"})


class _Waiting(NamedTuple):
    user: str
    turn: asyncio.Future[None]


class Slots:
    """A number of slots, of which one user has some at most. Used on the event loop alone.

    Args:
        most: all slots; each: of one user.
        patience_s: how long a request waits for one.
    """

    def __init__(self, most: int, each: int, patience_s: float = PATIENCE_S) -> None:
        self._most, self._each, self._patience_s = most, each, patience_s
        self._taken: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()

    @asynccontextmanager
    async def of(self, user: str) -> AsyncIterator[None]:
        """Have a slot until the end of the block.

        Raises:
            ConsoleBusy: too many requests of the user wait, or this one has waited too long.
        """
        await self._take(user)
        try:
            yield
        finally:
            self._taken[user] -= 1
            self._pass_on()

    async def _take(self, user: str) -> None:
        if self._is_free(user):
            self._taken[user] += 1
            return
        if sum(one.user == user for one in self._waiting) >= WAITING:
            raise ConsoleBusy(RETRY_S)
        mine = _Waiting(user, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            async with asyncio.timeout(self._patience_s):
                await mine.turn
        except BaseException as error:
            if mine in self._waiting:
                self._waiting.remove(mine)
            if mine.turn.done() and not mine.turn.cancelled():  # the slot came too late
                self._taken[user] -= 1
                self._pass_on()
            if isinstance(error, TimeoutError):
                raise ConsoleBusy(RETRY_S) from None
            raise

    def _is_free(self, user: str) -> bool:
        return self._taken.total() < self._most and self._taken[user] < self._each

    def _pass_on(self) -> None:
        """Give free slots to those that wait, the first ones first."""
        self._taken += Counter()  # forgets users without a slot
        for one in tuple(self._waiting):
            if self._is_free(one.user):
                self._waiting.remove(one)
                if not one.turn.done():
                    self._taken[one.user] += 1
                    one.turn.set_result(None)


class ComputingSlots:
    """The slots of a console's routes. A route needs one unless it is named here."""

    def __init__(self) -> None:
        self._slots, self._exports = Slots(MOST, EACH), Slots(MOST_EXPORTS, EACH_EXPORT)

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        """A dependency of every route of a place: it has the slot until its answer is sent. Raises ConsoleBusy."""
        route: APIRoute = request.scope["route"]
        request.scope[CHANGE].role = required_role(route)  # a change that gets no slot is logged, too
        operation = route.operation_id
        if operation in LIGHT | STREAMS:
            yield
            return
        async with (self._exports if operation in EXPORTS else self._slots).of(request.scope[USER].ident):
            yield
