"""Whether a supervised role works: its port answers, or a site has registered."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from deployment.local.processes import Processes

from .roles import Role

_REGISTERED: Final = "registered as node"
"""A site's log has it when its SuperLink has accepted it."""
_SECONDS: Final = 0.5


_AGAIN_S: Final = 5.0
"""How long a role that works is not asked again."""


class Health:
    """Asks roles whether they work.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, processes: Processes, clock: Callable[[], float]) -> None:
        self._processes, self._clock = processes, clock
        self._works_until: dict[int, float] = {}

    def waits_for(self, role: Role, pid: int) -> str | None:
        """What a running role waits for; None: it works."""
        if self._clock() < self._works_until.get(pid, 0.0):
            return None
        found = self._ask(role)
        if found is None:
            self._works_until[pid] = self._clock() + _AGAIN_S
        return found

    def _ask(self, role: Role) -> str | None:
        if role.address is not None:
            return None if _answers(role.address) else f"its port {role.address}"
        if role.is_task or _REGISTERED in self._processes.said(role.name):
            return None
        return "the SuperLink"


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS):
            return True
    except OSError:
        return False
