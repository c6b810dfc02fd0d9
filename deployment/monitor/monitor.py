"""`--monitor HOST:PORT`: starts the monitor of a role."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base.metrics import Role
from deployment.errors import UsageError
from featurestore.server.listen import address_of, is_loopback, open_socket

from .http import serve_monitor
from .watched import RoleState, Watched

_log = logging.getLogger(__name__)


@contextmanager
def monitored(address: str | None, role: Role, directory: Path, state: RoleState) -> Iterator[None]:
    """Serve the monitor of a role while the block runs.

    Args:
        address: `host:port`, port 0 for a free one; None: no monitor.

    Raises:
        UsageError: not an address; or not one of this machine. AddressUnavailable.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(
            f"{address[:120]!r} is not an address; write HOST:PORT, such as 127.0.0.1:9301", settings=("monitor",)
        )
    listening = open_socket(host.strip("[]"), int(port))
    if not is_loopback(listening):
        listening.close()
        raise UsageError(
            f"a monitor without TLS listens on this machine only, because it shows sites, views and budgets; {address} is not a "
            "loopback address",
            settings=("monitor",),
        )
    with serve_monitor(Watched(role, directory, state), listening):
        _log.info("the monitor listens on %s", address_of(listening))
        yield
