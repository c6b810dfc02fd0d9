"""The sockets of a server, and their addresses."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Final

from featurestore.errors import AddressUnavailable

_BACKLOG: Final = 2_048


def open_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket (port 0: any free port). Raises AddressUnavailable, which says why."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise _unavailable(host, port, error) from None


def hold_port(host: str, port: int) -> socket.socket:
    """Open a socket that reserves a port (0: any free port) for processes that share it. The socket does not listen.

    Raises:
        AddressUnavailable: another process uses the port.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, socket.SOCK_STREAM) as alone:  # sharing a used port raises no error by itself
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            found = alone.getsockname()
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(found)
    except (OSError, OverflowError) as error:
        raise _unavailable(host, port, error) from None
    return held


def _unavailable(host: str, port: int, error: Exception) -> AddressUnavailable:
    number = getattr(error, "errno", None) or 0  # negative if the name cannot be resolved
    reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
    return AddressUnavailable(
        f"cannot listen on {host}:{port}: {reason}; choose another port (0 finds a free one), or another address"
    )


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a listening socket."""
    return f"{scheme}://{address_of(listening)}"


def address_of(bound: socket.socket) -> str:
    """`host:port` of a socket."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{host}:{port}"


def listens_on_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can reach a listening socket."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
