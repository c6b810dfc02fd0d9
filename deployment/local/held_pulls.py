"""Pulls of sites that wait for their message at the SuperLink, so a site asks seldom and learns of a plan at once.

    site ──pull, covey-wait: 10──► Flower: nothing ──► wait until the coordinator has pushed ──► Flower again ──► the message

Flower answers a pull at once, also without a message. A pull with the header `covey-wait` that gets nothing stays here for so many
seconds, or until the coordinator has pushed messages. Then it is passed to Flower again. Flower authenticates the caller each time,
so only an admitted node's pull waits. A site that has closed its connection meanwhile gets no message: Flower counts a message that
it has handed out as delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from edge_client.fleet_client import WAIT_HEADER

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MOST_WAIT_S: Final = 20.0
"""The longest wait of a pull. Flower accepts the signed time of a request for five minutes."""
QUIET_S: Final = 0.01
"""How long nothing more has been pushed before the sites are served: the coordinator pushes a plan in several calls."""
_MOST_BODY: Final = 4_096
_PULL: Final = "/v1/fleet/pull-messages"
_PUSH: Final = "/v1/runtime/push-object"
_HEADER: Final = WAIT_HEADER.encode("ascii")


class Pushes:
    """What the coordinator has pushed. Used in one event loop.

    Attributes:
        closed: whether no pull shall wait any longer.
    """

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def next(self) -> asyncio.Event:
        """Is set once something has been pushed after this call, or no pull shall wait any longer."""
        return self._next

    def pushed(self) -> None:
        """Something was pushed: wake the waiting pulls when nothing more follows."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(QUIET_S, self._wake)

    def close(self) -> None:
        """End all waits, now and later: the SuperLink stops."""
        self.closed = True
        self._next.set()

    def _wake(self) -> None:
        woken, self._next = self._next, asyncio.Event()
        if self.closed:
            self._next.set()
        woken.set()


class SeesPushes:
    """The application as the coordinator reaches it: what it pushes wakes the waiting pulls."""

    def __init__(self, app: App, pushes: Pushes) -> None:
        self._app, self._pushes = app, pushes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self._app(scope, receive, send)
        if scope.get("path") == _PUSH:
            self._pushes.pushed()


class HeldPulls:
    """The application as sites reach it: a pull may wait for its message."""

    def __init__(self, app: App, pushes: Pushes) -> None:
        self._app, self._pushes = app, pushes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on; a pull that may wait and gets no message, once more after a push."""
        seconds = _wait_of(scope)
        if seconds is None:
            await self._app(scope, receive, send)
            return
        if (body := await _small_body(receive)) is None:
            return
        end = asyncio.get_running_loop().time() + seconds
        gone = asyncio.ensure_future(receive())  # the client has sent all: what comes next is the end of its connection
        try:
            while True:
                pushed = self._pushes.next()
                answer = await self._answer(scope, body)
                left = end - asyncio.get_running_loop().time()
                if not _is_empty(answer) or left <= 0 or self._pushes.closed:
                    break
                await _first_of(pushed, gone, left)  # at once, if something was pushed while Flower answered
                if gone.done():
                    return
                if not pushed.is_set():
                    break
        finally:
            gone.cancel()
        for message in answer:
            await send(message)

    async def _answer(self, scope: MutableMapping[str, Any], body: bytes) -> list[Message]:
        """What Flower answers to the pull."""
        sent: list[Message] = []
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await (
                    asyncio.Event().wait()
                )  # Flower's server watches for the end of the connection; this class does that
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(dict(scope), receive, send)
        return sent


def _wait_of(scope: MutableMapping[str, Any]) -> float | None:
    """The seconds that a request may wait; None: it is no pull that may."""
    if scope.get("path") != _PULL:
        return None
    text = dict(scope["headers"]).get(_HEADER, b"")
    return min(float(text), MOST_WAIT_S) if text.isdigit() and len(text) <= 3 else None


async def _small_body(receive: Receive) -> bytes | None:
    """The body of a pull; None: it is too large for one, or its connection has ended."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece: bytes = message.get("body", b"")
        body += piece
        if len(body) > _MOST_BODY:
            return None
        if not message.get("more_body", False):
            return body


def _is_empty(answer: list[Message]) -> bool:
    """Whether Flower has authenticated the pull and has no message for it."""
    status = next((one["status"] for one in answer if one["type"] == "http.response.start"), 0)
    return status == 200 and not any(one.get("body") for one in answer if one["type"] == "http.response.body")


async def _first_of(pushed: asyncio.Event, gone: asyncio.Future[Message], seconds: float) -> None:
    waiting = asyncio.ensure_future(pushed.wait())
    both: set[asyncio.Future[Any]] = {waiting, gone}
    try:
        await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
