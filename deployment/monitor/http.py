"""The HTTP server of a monitor: GET of three paths, bounded in size, time and connections.

Each answer closes its connection. A request has at most `MAX_HEAD` bytes and `REQUEST_S` seconds in all: a slow client holds one of
`THREADS` threads for that time at most. No part of a request is repeated in an answer.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from threading import BoundedSemaphore, Event, Thread
from typing import Final

from base.errors import CoveyError
from base.exposition import MEDIA_TYPE, text_of

from .watched import Watched

MAX_HEAD: Final = 8_192
REQUEST_S: Final = 5.0
THREADS: Final = 4
WAITING: Final = 16
"""Connections that are accepted and wait for a thread; further ones are closed."""
ACCEPT_AGAIN_S: Final = 1.0
"""The pause after a connection that could not be accepted."""
PATHS: Final = ("/metrics", "/healthz", "/readyz")

_LINE: Final = re.compile(rb"(GET|HEAD) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HOST: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,255}))(?::[0-9]{1,5})?")
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

log = logging.getLogger(__name__)


class _BadRequest(Exception):
    """A request that gets a status and no content."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    kind: str
    body: bytes

    def to_bytes(self, *, with_body: bool) -> bytes:
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nContent-Type: {self.kind}\r\n"
            f"Content-Length: {len(self.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + (self.body if with_body else b"")


@contextmanager
def serve_monitor(
    watched: Watched, listening: socket.socket, context: Callable[[], ssl.SSLContext] | None = None
) -> Iterator[None]:
    """Answer in threads until the block ends.

    Args:
        context: makes the TLS context of a connection; it requires a certificate of the client. None: clear text.
    """
    pool, room = ThreadPoolExecutor(THREADS, thread_name_prefix="monitor"), BoundedSemaphore(THREADS + WAITING)
    ended = Event()

    def handle(connection: socket.socket) -> None:
        try:
            until = time.monotonic() + REQUEST_S
            with connection, suppress(OSError):
                if context is None:
                    _serve(watched, connection, until, named=False)
                    return
                connection.settimeout(REQUEST_S)
                with _handshake(context, connection) as secured:
                    _serve(watched, secured, until, named=True)
        except CoveyError as error:
            log.warning("a connection was closed: %s", error)
        finally:
            room.release()

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError as error:  # too many open files, or a client that was gone at once
                if not ended.is_set():
                    log.warning("the monitor cannot accept a connection: %s", error)
                if ended.wait(ACCEPT_AGAIN_S):
                    return
                continue
            if room.acquire(blocking=False):
                pool.submit(handle, connection)
            else:
                connection.close()

    thread = Thread(target=accept, name="monitor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)  # ends accept()
        listening.close()
        thread.join()
        pool.shutdown(wait=True, cancel_futures=True)


def _handshake(context: Callable[[], ssl.SSLContext], connection: socket.socket) -> ssl.SSLSocket:
    """The connection after its TLS handshake. Raises OSError: it failed. TlsError: the own files cannot be used."""
    try:
        return context().wrap_socket(connection, server_side=True)
    except ssl.SSLError as error:
        log.warning("a client of the monitor was refused: %s", error.reason or "no TLS")
        raise


def _serve(watched: Watched, connection: socket.socket, until: float, *, named: bool) -> None:
    """Answer one request.

    Args:
        named: the client is authenticated, so it may use any name of this host.
    """
    method = b"GET"
    try:
        method, path = _request(_head(connection, until), named=named)
        answer = _guarded(watched, path)
    except _BadRequest as bad:
        answer = _without_content(bad.status)
    connection.settimeout(max(0.1, until - time.monotonic()))
    connection.sendall(answer.to_bytes(with_body=method == b"GET"))


def _guarded(watched: Watched, path: str) -> _Answer:
    try:
        return _answer(watched, path)
    except _BadRequest:
        raise
    except Exception:  # the edge: a defect must not end the monitor
        log.exception("the monitor has a defect")
        return _without_content(HTTPStatus.INTERNAL_SERVER_ERROR)


def _without_content(status: HTTPStatus) -> _Answer:
    return _Answer(status, _TEXT, f"{status.phrase}\n".encode())


def _head(connection: socket.socket, until: float) -> bytes:
    """The request up to the empty line."""
    data = b""
    while b"\r\n\r\n" not in data:
        left = until - time.monotonic()
        if left <= 0:
            raise _BadRequest(HTTPStatus.REQUEST_TIMEOUT)
        connection.settimeout(left)
        try:
            part = connection.recv(MAX_HEAD)
        except TimeoutError:
            raise _BadRequest(HTTPStatus.REQUEST_TIMEOUT) from None
        data += part
        if not part:
            raise _BadRequest(HTTPStatus.BAD_REQUEST)
        if len(data) > MAX_HEAD:
            raise _BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    return data.partition(b"\r\n\r\n")[0]


def _request(head: bytes, *, named: bool) -> tuple[bytes, str]:
    """(method, path) of a request without a body, to a host that is an address or localhost, unless it may be `named`.

    A page of another site cannot read a monitor: its requests name the page's host (DNS rebinding; featurestore/server/hosts.py).
    """
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        known = re.match(rb"[A-Z]{1,16} /", first) is not None
        raise _BadRequest(HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.BAD_REQUEST)
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (one.partition(b":") for one in lines)]
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not (named or _is_address(hosts[0])):
        raise _BadRequest(HTTPStatus.MISDIRECTED_REQUEST)
    if any(name in (b"origin", b"transfer-encoding") for name, _ in headers):
        raise _BadRequest(HTTPStatus.FORBIDDEN)
    return line[1], line[2].decode("ascii").partition("?")[0]


def _is_address(host: bytes) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found[1] or found[2]).decode("ascii").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


def _answer(watched: Watched, path: str) -> _Answer:
    match path:
        case "/metrics":
            return _Answer(HTTPStatus.OK, MEDIA_TYPE, text_of(watched.samples()))
        case "/healthz":
            return _Answer(HTTPStatus.OK, _JSON, b'{"status": "ok"}')
        case "/readyz":
            probe = watched.probe()
            return _Answer(probe.status, _JSON, json.dumps(probe.to_json()).encode())
        case _:
            raise _BadRequest(HTTPStatus.NOT_FOUND)
