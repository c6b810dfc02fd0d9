"""Whether the program at an address answers as a gRPC service: it speaks HTTP/2, with TLS where links have TLS.

A port that only accepts connections proves nothing: the kernel accepts them for a process that hangs.
"""

from __future__ import annotations

import os
import socket
from typing import Final, assert_never

from .contexts import client_context
from .hosts import split_address
from .links import ClearText, Links, Tls
from .roles import TlsRole

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The first bytes of an HTTP/2 client: the preface and empty settings. A server answers with its own settings."""
_SETTINGS: Final = 4
"""The type of that frame; it is the fourth byte."""


def require_greeting(links: Links, peer: TlsRole, address: str, limit_s: float) -> None:
    """Return if the peer answers an HTTP/2 client with its settings.

    Args:
        limit_s: the longest wait for each step.

    Raises:
        TimeoutError: no connection, or no answer. OSError: no connection, or no TLS. TlsError: the own files cannot be used.
        ValueError: not an address, or not HTTP/2.
    """
    with socket.create_connection(split_address(address), limit_s) as plain:
        plain.settimeout(limit_s)
        match links:
            case ClearText():
                _require_settings(plain)
            case Tls():
                context = client_context(links.trust(peer), links.own())
                context.set_alpn_protocols(["h2"])
                with context.wrap_socket(plain, server_hostname=peer.dns_name) as spoken:
                    _require_settings(spoken)
            case other:
                assert_never(other)


def why_silent(error: Exception, limit_s: float) -> str:
    """Why a peer did not answer, for people."""
    if isinstance(error, TimeoutError):
        return f"no answer within {limit_s:.0f} s"
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(error)


def _require_settings(connection: socket.socket) -> None:
    connection.sendall(_PREFACE)
    answer = connection.recv(9)
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise ValueError("its first bytes are not HTTP/2 settings")
