"""Connections that answer requests in one piece: without a task, without ASGI messages, with one write.

uvicorn starts a task for each request, and passes its body and its answer in messages. For a read from memory this costs as much
as the read (`benchmarks.load`). A request takes the shorter way if it arrives in one piece and its connection waits for nothing
else. All others take the way of ASGI, and get the same answers. These are the requests of Feast's route, and of the routes of an
extension, whose answers may be promised: the connection then answers its next request after that one.

Requests that arrive in the same round of the event loop are answered one right after the other, and then written. A call of the
system between two answers would leave the processor's caches and its predictions of branches to the kernel: an answer then takes
twice as long.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from .answer import Answer, App, Later, Message, Promised, Receive, Send
from .http_connection import Connection
from .openapi import ROUTE
from .refusal import Header
from .whole_routes import WholeRequest, WholeRoute

TOGETHER_S: Final = 0.001
"""How long an answer waits for those of other connections."""
_URL: Final = ROUTE.encode()


class Answering(Protocol):
    """Answers requests."""

    def answer(self, headers: list[Header], body: bytes) -> Answer | Later:
        """The answer to the headers and the body of a POST of Feast's route."""
        ...

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of an extension that answers a POST."""

    def whole(self, route: WholeRoute, request: WholeRequest) -> Answer | Promised:
        """The answer to a POST of this route."""
        ...


def answering_in_one(server: Answering) -> type[Connection]:
    """The connections of a server that answers in one piece."""

    class Answered(_InOne):
        """A connection of this server."""

        answering, arrived = server, _Arrived()

    return Answered


class _Arrived:
    """The connections whose requests have arrived in this round of the event loop."""

    def __init__(self) -> None:
        self._waiting: list[_InOne] = []

    def add(self, connection: _InOne) -> None:
        """Answer this connection's request after this round."""
        if not self._waiting:
            connection.loop.call_soon(self._answer)
        self._waiting.append(connection)

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        made: list[tuple[_InOne, Answer]] = []
        due = time.perf_counter() + TOGETHER_S
        for connection in waiting:
            if (answer := connection.take()) is not None:
                made.append((connection, answer))
            if time.perf_counter() > due:  # an answer that is there does not wait long for others
                _write(made)
                made, due = [], time.perf_counter() + TOGETHER_S
        _write(made)


def _write(made: list[tuple[_InOne, Answer]]) -> None:
    for connection, answer in made:
        connection.write(answer)


class _Waiting:
    """Stands in the place of uvicorn's cycle while an answer is promised: later requests of the connection queue behind it."""

    def __init__(self) -> None:
        self.response_started = self.response_complete = self.disconnected = False
        self.keep_alive = True
        self.message_event = asyncio.Event()


class _InOne(Connection):
    """A connection.

    Attributes:
        answering: answers the requests.
        arrived: the connections of this server whose requests have arrived.
    """

    answering: ClassVar[Answering]
    arrived: ClassVar[_Arrived]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_first = True
        """Whether the received data has had no request yet. Later ones wait their turn, so that no client holds up the others."""
        self._body: bytes | None = None
        """The body of a request that may be answered in one piece; None: of none."""
        self._route: WholeRoute | None = None
        """The route of this request; None: Feast's."""
        self._promised: Promised | None = None
        self._is_whole = False
        """Whether this request has arrived, and waits for its answer."""

    def data_received(self, data: bytes) -> None:
        """Parse the data, and answer its first request if it is whole."""
        self._is_first = True
        super().data_received(data)
        if (
            self._body is not None and not self._is_whole and not self.has_ended
        ):  # the rest of the body is still to come
            self._begin(self.app)

    def on_headers_complete(self) -> None:
        """Keep the request from uvicorn if it may be answered in one piece."""
        if self._is_first and self._may_answer_in_one() and self._is_found():
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
        """Answer the request after this round of the event loop."""
        if self._body is None:
            super().on_message_complete()
        else:
            self.message_received()
            self._is_whole = True
            self.arrived.add(self)

    def on_message_begin(self) -> None:
        """Answer the request before, if it waits."""
        self._answer_now()
        super().on_message_begin()

    def shutdown(self) -> None:
        """Answer the request that waits, and end the connection."""
        self._answer_now()
        super().shutdown()

    def _answer_now(self) -> None:
        if self._is_whole and (answer := self.take()) is not None:
            self.write(answer)

    def take(self) -> Answer | None:
        """The answer to the request that waits; None: there is none, or uvicorn sends it."""
        if not self._is_whole or self._body is None or self.has_ended:
            return None
        self._is_whole = False
        if self._route is not None:
            return self._take_from(self._route, WholeRequest(self.url, self.headers, self._body))
        answer = self.answering.answer(self.headers, self._body)
        if isinstance(answer, Answer):
            self._body = None
            return answer
        self._begin(_sending(answer))
        super().on_message_complete()
        return None

    def _take_from(self, route: WholeRoute, request: WholeRequest) -> Answer | None:
        self._body, answer = None, self.answering.whole(route, request)
        if isinstance(answer, Answer):
            return answer
        waiting: Any = _Waiting()
        self.cycle, self._promised = waiting, answer

        def use(made: Answer | None) -> None:
            self._promised, waiting.response_complete = None, True
            if made is not None and not self.has_ended:
                self.write(made)
                if not waiting.keep_alive:  # the server ends
                    self.transport.close()

        answer.then(use)
        return None

    def withdraw(self) -> None:
        """End all requests, also the one whose answer is promised."""
        if self._promised is not None:
            self._promised.withdraw()
        super().withdraw()

    def _is_found(self) -> bool:
        if self.url == _URL:
            self._route = None
            return True
        self._route = self.answering.find(self.url)
        return self._route is not None

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

    def write(self, answer: Answer) -> None:
        """Write an answer. The connection may then have another request."""
        parts = [STATUS_LINE[answer.status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"content-type: ", answer.kind, b"\r\ncontent-length: %d\r\n" % len(answer.body))
        for name, value in answer.more:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", answer.body)
        self.transport.write(b"".join(parts))
        self.on_response_complete()
        if answer.pause_s and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(answer.pause_s, self._resume)

    def _resume(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()


def _sending(later: Later) -> App:
    """An application that sends this answer."""

    async def send_it(_: Message, __: Receive, send: Send) -> None:
        await (await later).send(send)

    return send_it
