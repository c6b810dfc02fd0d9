"""From an application to a listening process: uvicorn with one worker. This module translates and does nothing else."""

from __future__ import annotations

import os
import socket
from typing import Final

import uvicorn

from featurestore.errors import AddressUnavailable

from .app import FeatureServer

_BACKLOG: Final = 2_048
_GRACE_S: Final = 5
"""How long answers under way may take after SIGTERM."""


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket (port 0: any free one); AddressUnavailable says why there is none."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0  # negative for names that cannot be resolved
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
        raise AddressUnavailable(
            f"cannot listen on {host}:{port}: {reason}; choose another --port (0 finds a free one) or --host"
        ) from None


def url_of(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if listening.family == socket.AF_INET6 else f"http://{host}:{port}"


def serve(server: FeatureServer, listening: socket.socket) -> None:
    """Answer until SIGINT or SIGTERM, which uvicorn raises again once everything is closed."""
    config = uvicorn.Config(
        server,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])
