"""Whether a peer answers this role. A monitor checks it for a request, and uses the result for a few seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from base.errors import TlsError
from base.tls.explain import explain
from base.tls.greeting import require_greeting, why_silent
from base.tls.links import Links
from base.tls.roles import TlsRole

CHECK_S: Final = 2.0
"""Longest wait for each step of an answer."""
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
            require_greeting(self._links, self.role, self.address, CHECK_S)
        except TimeoutError as error:
            return why_silent(error, CHECK_S)
        except (OSError, ValueError, TlsError) as error:
            named = explain(self._links, self.role, self.address, datetime.now(UTC))
            return why_silent(error, CHECK_S) if named is None else str(named)
        return None
