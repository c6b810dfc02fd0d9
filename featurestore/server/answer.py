"""An answer whose whole body is known before its head is sent: those of Feast's route, and refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final, NamedTuple, TypeAlias

from .refusal import Header

JSON: Final = b"application/json"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Answer(NamedTuple):
    """An answer.

    Attributes:
        kind: the media type of the body.
        more: headers beside the body's type and length.
    """

    status: int
    body: bytes
    kind: bytes = JSON
    more: tuple[Header, ...] = ()

    async def send(self, send: Send) -> None:
        """Send the answer to an ASGI server."""
        headers = [(b"content-type", self.kind), (b"content-length", b"%d" % len(self.body)), *self.more]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


Later: TypeAlias = Coroutine[Any, Any, Answer]
"""An answer that waits for a disk or a network."""
