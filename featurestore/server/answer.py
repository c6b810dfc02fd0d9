"""An answer whose whole body is known before its head is sent: those of Feast's route, those of an extension, and refusals."""

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
        pause_s: how long a client that floods the server waits: its connection is not read afterwards, or, through ASGI, it gets
            its answer later.
    """

    status: int
    body: bytes
    kind: bytes = JSON
    more: tuple[Header, ...] = ()
    pause_s: float = 0.0

    async def send(self, send: Send) -> None:
        """Send the answer to an ASGI server."""
        headers = [(b"content-type", self.kind), (b"content-length", b"%d" % len(self.body)), *self.more]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


Later: TypeAlias = Coroutine[Any, Any, Answer]
"""An answer that waits for a disk or a network."""


def _nothing() -> None:
    """Do nothing."""


class Promised:
    """An answer that is made later, on the event loop, without a task for its request.

    Args:
        withdrawn: called if the client goes away first.
    """

    __slots__ = ("_answer", "_is_open", "_uses", "withdrawn")

    def __init__(self, withdrawn: Callable[[], None] = _nothing) -> None:
        self.withdrawn = withdrawn
        self._is_open = True
        self._answer: Answer | None = None
        self._uses: list[Callable[[Answer | None], None]] = []

    def then(self, use: Callable[[Answer | None], None]) -> None:
        """Call `use` with the answer, or with None if the client goes away; at once if that is known already."""
        if self._is_open:
            self._uses.append(use)
        else:
            use(self._answer)

    def give(self, answer: Answer) -> None:
        """Give the answer. It is dropped if the client has gone."""
        self._end(answer)

    def withdraw(self) -> None:
        """The client has gone away."""
        if self._is_open:
            self._end(None)
            self.withdrawn()

    def _end(self, answer: Answer | None) -> None:
        if self._is_open:
            self._is_open, self._answer = False, answer
            uses, self._uses = self._uses, []
            for use in uses:
                use(answer)
