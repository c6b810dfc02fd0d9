"""A connection of an HTTP server whose client is limited in time, and whose server is limited in connections.

uvicorn limits only how long a connection is idle between two requests. A client that sends a request slowly (slowloris), never
ends one, or does not read its answer would hold its connection forever. With TLS the same goes for its handshake.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .connections import ANSWER_S, BODY_S, ENDLESS, HEAD_S, MAX_HEAD, MIN_BYTES_S, SURPLUS, Connections
from .handshake import Handshake
from .refusal import MEDIA_TYPE

RETIRE_S: Final = 5.0
"""How long an answer may still take after its client has lost the right to the connection."""
LINGER_S: Final = 2.0
"""How long a connection that was refused is still read, so that its client can read the refusal."""
MAX_LINGER: Final = 2**20
"""Bytes that are read and dropped in that time."""


def protocol_of(
    connections: Connections, context: ssl.SSLContext | None, kind: type[Connection] | None = None
) -> Callable[..., asyncio.Protocol]:
    """Makes the protocol of each connection: the setting `http` of uvicorn, which gets no TLS settings beside it.

    Args:
        kind: the connections; default: `Connection`.
    """

    class Counted(kind or Connection):  # type: ignore[misc]  # a class that is given
        """A connection of this server."""

        clients = connections

    if context is None:
        return Counted

    def accepted(**named: Any) -> Handshake:
        def make(end: Callable[[], None]) -> Counted:
            made = Counted(**named)
            made.begin = end
            return made

        return Handshake(context, connections, named["server_state"].connections, make)

    return accepted


class Connection(HttpToolsProtocol):
    """uvicorn's connection, whose client is limited in time. A request that arrives in one piece sets no timer.

    Attributes:
        clients: the connections of the server.
        is_surplus: whether the connection is beyond the server's limit.
    """

    clients: Connections
    is_surplus = False

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._unfinished, self._in_body = True, False
        self._received, self._since = 0, 0.0
        self._head, self._goes_on = 0, False
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._valid: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        """Set once the connection is refused: only its client's end is awaited."""
        self._dropped = 0
        self._cycles: list[Any] = []
        """The requests that wait for their answers. uvicorn knows only the last one."""
        self.begin: Callable[[], None] = lambda: None
        """Called before the connection is counted: a handshake that ends here was counted itself."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a TCP server's
        """Count the connection, and close or refuse it beyond the limit."""
        super().connection_made(transport)
        self.begin()
        self.clients.open += 1
        if self.clients.flooded:
            transport.abort()
            return
        if self.clients.full:
            self.is_surplus, self.app = True, _refusing(self.app, self.clients.most)
        self._reading = self.loop.call_later(HEAD_S, self._check)
        if certificate := transport.get_extra_info("peercert"):
            left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
            self._valid = self.loop.call_later(max(0.0, left), self.retire)

    @property
    def has_ended(self) -> bool:
        """Whether nothing may be written any more."""
        return self._lingering is not None or self.transport.is_closing()

    def withdraw(self) -> None:
        """End all requests of the client, whose answers have no reader any more."""
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()

    def shutdown(self) -> None:
        """The server ends: a stream of events would not, so its connection is closed. Other answers are sent to their end."""
        super().shutdown()
        if any(ENDLESS in cycle.scope and not cycle.response_complete for cycle in self._cycles):
            self.transport.close()

    def retire(self) -> None:
        """End the connection after the answer that is being sent, if it ends soon. The client may make another one."""
        self.shutdown()
        self.loop.call_later(RETIRE_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and end all requests of the client."""
        self.clients.open -= 1
        self.withdraw()
        for timer in (self._reading, self._writing, self._valid, self._lingering):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data. The client then has a time for what is missing."""
        if self._lingering is not None:
            self._dropped += len(data)
            if self._dropped > MAX_LINGER:
                self.transport.abort()
            return
        self._received += len(data)
        self._goes_on = False
        super().data_received(data)
        self._head = 0 if self._goes_on else self._head + len(data)
        if self._head > MAX_HEAD:
            self._end(
                f"the head of a request may have at most {MAX_HEAD:,} bytes", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            )
            return
        if not self._unfinished:
            if self._reading is not None:
                self._reading.cancel()
                self._reading = None
        elif self._reading is None:
            self._reading = self.loop.call_later(BODY_S if self._in_body else HEAD_S, self._check)

    def on_message_begin(self) -> None:
        """The first byte of a request has arrived."""
        super().on_message_begin()
        self._unfinished, self._in_body = True, False

    def on_headers_complete(self) -> None:
        """The head of a request has arrived."""
        super().on_headers_complete()
        self._cycles = [*(one for one in self._cycles if not one.response_complete), self.cycle]
        self.head_received()

    def on_body(self, body: bytes) -> None:
        """A part of a body has arrived."""
        self._goes_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A whole request has arrived."""
        super().on_message_complete()
        self.message_received()

    def head_received(self) -> None:
        """A body follows now."""
        self._goes_on = True
        self._in_body, self._received, self._since = True, 0, self.loop.time()

    def message_received(self) -> None:
        """The client owes nothing now."""
        self._goes_on = True
        self._unfinished = False

    def pause_writing(self) -> None:
        """The client has a full buffer to read."""
        super().pause_writing()
        self._writing = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read enough."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _check(self) -> None:
        """End the connection, unless a body is arriving fast enough."""
        self._reading, now = None, self.loop.time()
        if not self._in_body:
            self._end(f"the head of a request took longer than {HEAD_S:.0f} s")
            return
        if self.flow.read_paused:
            self._since, self._received = now, 0
        due = self._since + BODY_S + self._received / MIN_BYTES_S
        if now < due:
            self._reading = self.loop.call_at(due, self._check)
        else:
            took = now - self._since
            self._end(f"a body must arrive with {MIN_BYTES_S:,} bytes/s; this has {self._received:,} in {took:.0f} s")

    def _end(self, why: str, status: HTTPStatus = HTTPStatus.REQUEST_TIMEOUT) -> None:
        """Close the connection, with an answer if none has begun."""
        if self.has_ended:
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = json.dumps({"title": status.phrase, "status": status, "detail": why}).encode()
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(f"HTTP/1.1 {status} {status.phrase}\r\n{head}".encode() + body)
        self._linger()

    def _linger(self) -> None:
        """End the connection, and read what the client still sends.

        A socket that is closed with unread data resets the connection, and the client may lose the answer (RFC 9112, section 9.6).
        TLS cannot close one direction: such a connection is closed at once.
        """
        self.withdraw()
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._lingering = self.loop.call_later(LINGER_S, self.transport.abort)


def _refusing(app: Any, most: int) -> Callable[..., Any]:
    """The application for a connection beyond the limit."""

    async def marked(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope[SURPLUS] = most
        await app(scope, receive, send)

    return marked
