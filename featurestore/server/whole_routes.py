"""Routes beside Feast's whose requests are answered with their whole body, in one piece or through ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .answer import Answer, Promised, Receive
from .refusal import Header, Refused


class WholeRequest(NamedTuple):
    """A POST with its whole body.

    Attributes:
        url: the path as it was sent, and the query.
    """

    url: bytes
    headers: list[Header]
    body: bytes


class WholeRoute(Protocol):
    """Answers POSTs whose body is read before the answer is made. It runs on the event loop, and must not block it."""

    @property
    def name(self) -> str:
        """The name by which requests are counted, one of `base.metrics.READS`."""

    @property
    def max_body(self) -> int:
        """The most bytes of a body."""

    def turned_away(self, url: bytes) -> Answer | None:
        """The answer to a request whose body need not be read, such as one to a model that is too busy; None: read it."""

    def answer(self, request: WholeRequest, charge: Callable[[int], None]) -> Answer | Promised:
        """The answer to a request, or to its mistakes. `charge` receives the number of rows before they are read."""
        ...

    def refusal(self, refused: Refused) -> Answer:
        """A refusal of the guard in the form of this route."""
        ...


async def wait_for(promised: Promised, receive: Receive) -> Answer | None:
    """Wait for a promised answer; None: the client went away. For a request that has a task."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Answer | None] = loop.create_future()

    def use(answer: Answer | None) -> None:
        if not made.done():
            made.set_result(answer)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        promised.withdraw()

    promised.then(use)
    watching = loop.create_task(watch())
    try:
        return await made
    finally:
        watching.cancel()
        promised.withdraw()  # without effect if the answer is there
