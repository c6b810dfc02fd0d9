"""Whether a peer answers this role. A monitor checks it for a request, and uses the result for a few seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from base.errors import PeerError, TlsError
from base.tls.links import Links
from base.tls.reach import require_peer
from base.tls.roles import TlsRole

FRESH_S: Final = 5.0
"""How long a result is used, so that frequent requests to the monitor do not load the peer."""


class PeerWatch:
    """The reachability of one peer. Threads may share it.

    Args:
        role: of the peer.
        address: `host:port`.
        links: how the link to it is protected.
    """

    def __init__(self, role: TlsRole, address: str, links: Links) -> None:
        self.role, self.address, self._links = role, address, links
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Why the peer does not answer this role; None: it answers."""
        with self._lock:
            if time.monotonic() - self._checked_at > FRESH_S:
                self._problem = self._check()
                self._checked_at = time.monotonic()
            return self._problem

    def _check(self) -> str | None:
        try:
            require_peer(self._links, self.role, self.address, datetime.now(UTC))
        except PeerError as error:
            return str(error)
        except TlsError as error:
            return f"the {self.role} at {self.address}: {error}"
        return None
