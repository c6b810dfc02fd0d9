"""Which addresses of a deployment's roles another process holds."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

import psutil

from base.tls.hosts import split_address
from deployment.errors import PortTaken
from deployment.local.ports import holder_of


def require_free(addresses: Mapping[str, str]) -> None:
    """Return if each role can listen on its address. Raises PortTaken, which names the process that does."""
    for role, address in addresses.items():
        host, port = split_address(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise PortTaken(role, address, _holder(port)) from None


def _holder(port: int) -> str | None:
    """The process that listens on a port, in words."""
    if (found := holder_of(port)) is None:
        return None
    with suppress(psutil.Error):
        return f"process {found.pid} ({' '.join(found.cmdline())[:80]})"
    return None
