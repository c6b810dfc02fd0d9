"""Peers that speak TLS and HTTP/2 as far as they like: servers that fall silent, are slow or flood, and clients that flood.

Frames are written by hand (RFC 9113), because a library refuses to misbehave.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from socket import create_connection, create_server, socket
from typing import Final, TypeAlias

from base.tls.contexts import client_context, mutual_context
from base.tls.hosts import split_address
from base.tls.links import Tls
from base.tls.roles import TlsRole

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
ACK, END_HEADERS = 1, 4
Behaviour: TypeAlias = Callable[[ssl.SSLSocket], None]
"""What a server does with a connection after the handshake. It returns, or raises OSError, when the connection is over."""


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def headers(stream: int, *fields: tuple[str, str]) -> bytes:
    """The headers of a request or an answer, whose names and values are written out (RFC 7541, 6.2.2)."""
    block = bytearray()
    for field in fields:
        block += b"\0"
        for part in field:
            block += bytes((len(part),)) + part.encode()
    return frame(HEADERS, END_HEADERS, stream, bytes(block))


def call(stream: int, path: str) -> bytes:
    """The headers of a gRPC call."""
    return headers(
        stream, (":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "peer"), ("te", "trailers"),
        ("content-type", "application/grpc"),
    )  # fmt: skip


GREETING: Final = frame(SETTINGS) + frame(SETTINGS, ACK)
ANSWER: Final = headers(1, (":status", "200"), ("content-type", "application/grpc"))
"""The begin of an answer to the first call of a connection."""
PONG: Final = frame(PING, ACK, 0, bytes(8))


def never_answers(connection: ssl.SSLSocket) -> None:
    """Reads, and sends nothing."""
    while connection.recv(65_536):
        pass


def drips(connection: ssl.SSLSocket) -> None:
    """Sends its greeting and an answer, one byte in half a second."""
    for byte in GREETING + PONG + ANSWER:
        connection.sendall(bytes((byte,)))
        time.sleep(0.5)


def answers_no_call(connection: ssl.SSLSocket) -> None:
    """Speaks HTTP/2, answers every ping, and no call."""
    connection.sendall(GREETING)
    while data := connection.recv(65_536):
        if bytes((PING, 0, 0, 0, 0, 0)) in data:
            at = data.index(bytes((PING, 0, 0, 0, 0, 0))) + 6
            connection.sendall(frame(PING, ACK, 0, data[at : at + 8]))


def floods(kind: int, payload: bytes) -> Behaviour:
    """Sends its greeting, and then frames without an end; reads nothing."""

    def flood(connection: ssl.SSLSocket) -> None:
        connection.sendall(GREETING)
        while True:
            connection.sendall(frame(kind, 0, 0, payload) * 64)

    return flood


def answers_with(*parts: bytes) -> Behaviour:
    """Begins its answer to the first call, and then sends the last part without an end."""

    def answer(connection: ssl.SSLSocket) -> None:
        connection.sendall(GREETING)
        received = b""
        while bytes((HEADERS, END_HEADERS, 0, 0, 0, 1)) not in received:
            if not (part := connection.recv(65_536)):  # the client is gone: it only looked whether the peer is there
                return
            received += part
        for part in parts:
            connection.sendall(part)
        while True:
            connection.sendall(parts[-1])

    return answer


MUCH: Final = answers_with(
    ANSWER, frame(DATA, 0, 1, b"\0" + (2**30).to_bytes(4, "big")), frame(DATA, 0, 1, bytes(16_384))
)
"""Answers with a message of a gibibyte."""


@contextmanager
def serving(tls: Tls, clients: TlsRole, behave: Behaviour) -> Iterator[str]:
    """A server with a role's certificate, that behaves in a way; its address."""
    context = mutual_context(tls.own(), tls.trust(clients))
    context.set_alpn_protocols(["h2"])
    there = list[socket]()
    with create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, context, behave, there), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            for each in there:
                with suppress(OSError):
                    each.close()


def _accept(server: socket, context: ssl.SSLContext, behave: Behaviour, there: list[socket]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            there.append(connection)
            threading.Thread(target=_serve, args=(connection, context, behave), daemon=True).start()


def _serve(connection: socket, context: ssl.SSLContext, behave: Behaviour) -> None:
    with suppress(OSError, ValueError), connection, context.wrap_socket(connection, server_side=True) as spoken:
        behave(spoken)


@contextmanager
def connected(tls: Tls, peer: TlsRole, address: str) -> Iterator[ssl.SSLSocket]:
    """A client with a role's certificate, after the handshake and the preface of HTTP/2."""
    context = client_context(tls.trust(peer), tls.own())
    context.set_alpn_protocols(["h2"])
    with (
        create_connection(split_address(address), 60) as plain,
        context.wrap_socket(plain, server_hostname=peer.dns_name) as spoken,
    ):
        spoken.sendall(PREFACE + frame(SETTINGS))
        yield spoken


def ping_flood(connection: ssl.SSLSocket, until: float) -> None:
    """Pings without a pause. Raises OSError: the service has ended the connection."""
    while time.monotonic() < until:
        connection.sendall(frame(PING, 0, 0, bytes(8)) * 64)


def call_flood(connection: ssl.SSLSocket, path: str, until: float) -> None:
    """Begins calls without a pause, each with a part of a message, and ends none. Raises OSError, as `ping_flood`."""
    for number in count():
        if time.monotonic() > until:
            return
        stream = 2 * number + 1
        connection.sendall(
            call(stream, path) + frame(DATA, 0, stream, b"\0" + (2**22).to_bytes(4, "big") + bytes(16_000))
        )
