"""The addresses of the roles of a deployment on one machine, and which of them another process holds."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from base.toml import toml_entries
from deployment.errors import PortTaken
from deployment.project.project import FILE

_DEFAULTS: Final = {
    "leader": "127.0.0.1:7301",
    "helper": "127.0.0.1:7302",
    "keyholder": "127.0.0.1:7303",
    "provider": "127.0.0.1:7304",
    "superlink": "127.0.0.1:8000",
    "server": "127.0.0.1:6566",
}


def addresses_of(directory: Path, roles: Sequence[str]) -> dict[str, str]:
    """The address of each role, as `[network]` of covey.toml has it."""
    named = toml_entries(directory / FILE).get("network", {})
    return {role: str(named.get(role, _DEFAULTS[role])) for role in roles}


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


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _holder(port: int) -> str | None:
    """The process that listens on a port; None: it cannot be seen, because it belongs to another user."""
    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                words = psutil.Process(one.pid).cmdline()
                return f"process {one.pid} ({' '.join(words)[:80]})"
    return None
