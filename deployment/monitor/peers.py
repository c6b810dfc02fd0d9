"""Whether a peer accepts this role. A monitor checks it when it is asked, and remembers the answer for a moment."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from threading import Lock
from typing import Final, assert_never

from base.tls.explain import explain
from base.tls.links import ClearText, Links, Tls
from base.tls.roles import TlsRole

CHECK_S: Final = 1.0
"""Longest wait for a connection."""
FRESH_S: Final = 5.0
"""How long an answer is used again: a monitor that is asked often does not load the peer."""


class PeerWatch:
    """The reachability of one peer. Threads may share it.

    Args:
        role: of the peer.
        address: `host:port`.
        links: how this role speaks with it; with TLS, the handshake is tried.
    """

    def __init__(self, role: TlsRole, address: str, links: Links) -> None:
        self.role, self.address, self._links = role, address, links
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Why the peer accepts no connection of this role; None: it accepts one."""
        with self._lock:
            if time.monotonic() - self._checked_at > FRESH_S:
                self._problem = _connect(self.address) or self._refusal()
                self._checked_at = time.monotonic()
            return self._problem

    def _refusal(self) -> str | None:
        match self._links:
            case Tls():
                error = explain(self._links, self.role, self.address, datetime.now(UTC))
                return None if error is None else str(error)
            case ClearText():
                return None
            case other:
                assert_never(other)


def _connect(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CHECK_S):
            return None
    except TimeoutError:
        return f"no connection within {CHECK_S:.0f} s"
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        return os.strerror(number) if isinstance(number, int) and number > 0 else str(error)
