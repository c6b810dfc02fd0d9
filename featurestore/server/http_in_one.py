"""A connection that answers requests of Feast's route in one piece: without a task, without ASGI messages, with one write.

uvicorn starts a task for each request, and passes its body and its answer in messages. For a read from memory this costs as much
as the read (`benchmarks.load`). A request takes the shorter way if it arrives in one piece and its connection waits for nothing
else. All others take the way of ASGI, and get the same answers.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from .answer import Answer, App, Later, Message, Receive, Send
from .http_connection import Connection
from .openapi import ROUTE
from .refusal import Header

_URL: Final = ROUTE.encode()


class Answering(Protocol):
    """Answers requests of Feast's route."""

    def answer(self, headers: list[Header], body: bytes) -> Answer | Later:
        """The answer to the headers and the body of a POST."""
        ...


def answering_in_one(server: Answering) -> type[Connection]:
    """The connections of a server that answers Feast's route in one piece."""

    class Answered(_InOne):
        """A connection of this server."""

        answering = server

    return Answered


class _InOne(Connection):
    """A connection.

    Attributes:
        answering: answers the request.
    """

    answering: ClassVar[Answering]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_first = True
        """Whether the received data has had no request yet. Later ones wait their turn, so that no client holds up the others."""
        self._body: bytes | None = None
        """The body of a request that may be answered in one piece; None: of none."""

    def data_received(self, data: bytes) -> None:
        """Parse the data, and answer its first request if it is whole."""
        self._is_first = True
        super().data_received(data)
        if self._body is not None and not self.transport.is_closing():  # the rest of the body is still to come
            self._begin(self.app)

    def on_headers_complete(self) -> None:
        """Keep the request from uvicorn if it may be answered in one piece."""
        if self._is_first and self.url == _URL and self._may_answer_in_one():
            self.head_received()
            self._body = b""
        else:
            super().on_headers_complete()
        self._is_first = False

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer the request."""
        if self._body is None:
            super().on_message_complete()
            return
        answer = self.answering.answer(self.headers, self._body)
        if isinstance(answer, Answer):
            self._body = None
            self.message_received()
            self._write(answer)
            self.on_response_complete()
        else:
            self._begin(_sending(answer))
            super().on_message_complete()

    def _may_answer_in_one(self) -> bool:
        parser, cycle = self.parser, self.cycle
        return (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.is_surplus
            and (cycle is None or cycle.response_complete)
        )

    def _begin(self, app: App) -> None:
        """Let uvicorn answer the request with this application, and give it the body that has arrived."""
        body, self._body = self._body or b"", None
        own, self.app = self.app, app
        super().on_headers_complete()
        self.app = own
        super().on_body(body)

    def _write(self, answer: Answer) -> None:
        parts = [STATUS_LINE[answer.status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"content-type: ", answer.kind, b"\r\ncontent-length: %d\r\n" % len(answer.body))
        for name, value in answer.more:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", answer.body)
        self.transport.write(b"".join(parts))


def _sending(later: Later) -> App:
    """An application that sends this answer."""

    async def send_it(_: Message, __: Receive, send: Send) -> None:
        await (await later).send(send)

    return send_it
