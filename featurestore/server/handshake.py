"""The TLS handshake of a connection.

asyncio shows a connection to its protocol only after the handshake. Here a connection counts from its acceptance on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .connections import HEAD_S, Connections


class Handshake(asyncio.Protocol):
    """A connection from its acceptance to the end of its handshake, when a protocol of its own takes over.

    Args:
        clients: counts the connection.
        there: the connections of the server, which ends them. This one is among them.
        make: makes the protocol, which calls `end` when it counts the connection itself.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        clients: Connections,
        there: set[Any],
        make: Callable[[Callable[[], None]], asyncio.Protocol],
    ) -> None:
        self._context, self._clients, self._there, self._make = context, clients, there, make
        self._counted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a TCP server's
        """Count the connection, and begin the handshake unless there are too many."""
        self._counted = True
        self._clients.open += 1
        self._there.add(self)
        if self._clients.flooded:
            self.end()
        else:
            taken = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            taken.setblocking(False)
            self._task = asyncio.get_running_loop().create_task(self._run(taken))
        transport.abort()  # of a connection that goes on, only this end's first descriptor is closed

    def shutdown(self) -> None:
        """End the connection."""
        self._task.cancel()

    retire = shutdown

    def end(self) -> None:
        """Count the connection no longer."""
        if self._counted:
            self._counted = False
            self._clients.open -= 1
            self._there.discard(self)

    async def _run(self, taken: socket.socket) -> None:
        try:
            with suppress(OSError):  # the handshake failed, or took too long
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: self._make(self.end), taken, ssl=self._context, ssl_handshake_timeout=HEAD_S
                )
        finally:
            self.end()
