"""Whether a peer accepts connections. A monitor checks it when it is asked, and remembers the answer for a moment."""

from __future__ import annotations

import os
import socket
import time
from threading import Lock
from typing import Final

CHECK_S: Final = 1.0
"""Longest wait for a connection."""
FRESH_S: Final = 5.0
"""How long an answer is used again: a monitor that is asked often does not load the peer."""


class PeerWatch:
    """The reachability of one address, `host:port`. Threads may share it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Why the peer accepts no connection; None: it accepts one."""
        with self._lock:
            if time.monotonic() - self._checked_at > FRESH_S:
                self._problem, self._checked_at = _connect(self.address), time.monotonic()
            return self._problem


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
