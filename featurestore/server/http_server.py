"""Runs an application in uvicorn. This module only translates."""

from __future__ import annotations

import socket

import uvicorn

from .app import App
from .settings import GRACE_S


def serve(app: App, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which uvicorn raises again after it has closed everything."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])
