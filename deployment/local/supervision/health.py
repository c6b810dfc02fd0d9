"""Whether a supervised role works: its monitor says so, or its port answers if it has no monitor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Final

from base.ports import free_port, why_closed
from base.probes import MAX_PROBE_BYTES, Probe
from base.tls.hosts import split_address

READY_S: Final = 5.0
"""How long the answer of a role that works is used."""
WAITING_S: Final = 0.5
"""How long the answer of another role is used."""
_SECONDS: Final = 1.0
"""The longest wait for an answer."""


@dataclass
class Monitors:
    """The monitors of the roles. Each start of a role gets a port that is free then."""

    addresses: dict[str, str] = field(default_factory=dict)

    def next_of(self, name: str) -> str:
        """The address for the next start of a role."""
        self.addresses[name] = f"127.0.0.1:{free_port()}"
        return self.addresses[name]


class Health:
    """Asks roles whether they work.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, monitors: Monitors, clock: Callable[[], float]) -> None:
        self._monitors, self._clock = monitors, clock
        self._known: dict[int, tuple[float, str | None]] = {}

    def waits_for(self, name: str, address: str | None, pid: int) -> str | None:
        """What a running role waits for; None: it works."""
        until, answer = self._known.get(pid, (0.0, None))
        if self._clock() < until:
            return answer
        monitor = self._monitors.addresses.get(name)
        answer = _port_waits_for(address) if monitor is None else _monitor_waits_for(monitor)
        self._known[pid] = self._clock() + (READY_S if answer is None else WAITING_S), answer
        return answer


def _monitor_waits_for(monitor: str) -> str | None:
    """What `/readyz` says: 200, or 503 with the reason."""
    connection = HTTPConnection(*split_address(monitor), timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return Probe.from_json(answer.read(MAX_PROBE_BYTES + 1)).waits_for
    except ConnectionRefusedError:
        return "its start"
    except (OSError, HTTPException, ValueError):
        return "an answer of its monitor"
    finally:
        connection.close()


def _port_waits_for(address: str | None) -> str | None:
    if address is None:
        return None
    return None if why_closed(*split_address(address), _SECONDS) is None else f"its port {address}"
