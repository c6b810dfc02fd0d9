"""The client of `benchmarks.read_path`: the same for each server."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from featurestore.server.openapi import ROUTE

MAX_ANSWER: Final = 2**22

Times = dict[tuple[str, int], list[float]]
"""Seconds, by server and rows of a request."""


class Client:
    """A minimal HTTP client over one kept connection."""

    def __init__(self, port: int, api_key: str = "", path: str = ROUTE) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(MAX_ANSWER)
        self._view = memoryview(self._buffer)
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {api_key}\r\n".encode()

    def ask(self, body: bytes) -> memoryview:
        """Return the body of the answer; the next answer overwrites it. SystemExit: there is no valid answer."""
        self._socket.sendall(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (self._head, len(body), body)
        )
        filled = 0
        while (end := self._buffer.find(b"\r\n\r\n", 0, filled)) < 0:
            filled += self._receive(filled)
        head = self._buffer[:end]
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise SystemExit(f"no answer: {bytes(self._buffer[: min(filled, 1_000)])!r}")
        size = end + 4 + int(length[1])
        while filled < size:
            filled += self._receive(filled)
        return self._view[end + 4 : size]

    def _receive(self, filled: int) -> int:
        count = self._socket.recv_into(self._view[filled:])
        if not count:
            raise SystemExit("the server has closed the connection, or its answer is too large")
        return count


def require_equal(answers: Mapping[str, memoryview]) -> None:
    """Check that every server returns the same complete values. Raises SystemExit."""
    found = []
    for answer in answers.values():
        read = orjson.loads(answer)
        columns = zip(read["metadata"]["feature_names"], read["results"], strict=True)
        found.append({name: column["values"] for name, column in columns})
    if any(one != found[0] for one in found) or any(None in values for values in found[0].values()):
        raise SystemExit(f"{', '.join(answers)} differ")


def timed(call: Callable[..., object], *given: Any, **named: Any) -> float:
    """The seconds of a call."""
    started = time.perf_counter()
    call(*given, **named)
    return time.perf_counter() - started
