"""Runs an application in uvicorn, with limits of time and number for its connections."""

from __future__ import annotations

import logging
import socket
import time
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn

from base.tls.contexts import server_context

from .connections import Connections
from .guard import Guard
from .http_connection import protocol_of
from .http_in_one import answering_in_one
from .seldom_warnings import SeldomWarnings
from .settings import GRACE_S
from .tls import ServerTls

_TICKS: Final = 10
"""uvicorn's ticks between two looks at the authorities of the clients: a second."""


def serve(app: Guard, listening: socket.socket, connections: Connections, tls: ServerTls | None) -> None:
    """Serve until SIGINT or SIGTERM, which uvicorn raises again after it has closed everything.

    Raises:
        TlsError: the certificate cannot be used.
    """
    log, seldom = logging.getLogger("uvicorn.error"), SeldomWarnings(time.monotonic)
    log.addFilter(seldom)
    try:
        make_server(app, connections, tls).run(sockets=[listening])
    finally:
        log.removeFilter(seldom)


def make_server(app: Guard, connections: Connections, tls: ServerTls | None = None) -> uvicorn.Server:
    """The server, before it runs. Raises TlsError: the certificate cannot be used."""
    context = None if tls is None else server_context(tls, datetime.now(UTC))
    config = uvicorn.Config(
        app,
        http=protocol_of(connections, context, answering_in_one(app)),  # type: ignore[arg-type]  # it is only called
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nothing reads the client's address, and any local process could send these headers
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config) if tls is None else _Server(config, tls)


class _Server(uvicorn.Server):
    """A server that ends its connections when the authorities of its clients change: each client is verified anew."""

    def __init__(self, config: uvicorn.Config, tls: ServerTls) -> None:
        super().__init__(config)
        self._tls, self._seen = tls, tls.clients_stamp()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0 and (found := self._tls.clients_stamp()) != self._seen:
            self._seen = found
            kept: list[Any] = list(self.server_state.connections)
            for connection in kept:
                connection.retire()
        return await super().on_tick(counter)
