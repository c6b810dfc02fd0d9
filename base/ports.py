"""Ports, of this machine and of others."""

from __future__ import annotations

import os
import socket


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def why_closed(host: str, port: int, limit_s: float) -> str | None:
    """Why nothing at an address accepts a connection; None: something does.

    The kernel accepts connections for a process that hangs: `base.tls.reach` finds out whether a peer answers.
    """
    try:
        with socket.create_connection((host, port), limit_s):
            return None
    except OSError as error:
        return reason_of(error, limit_s)


def reason_of(error: OSError, limit_s: float) -> str:
    """Why a connection failed, for people."""
    if isinstance(error, TimeoutError):
        return f"no answer within {limit_s:g} s"
    number = error.errno or 0  # negative if a name cannot be resolved
    return os.strerror(number) if number > 0 else error.strerror or str(error)
