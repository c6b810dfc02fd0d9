"""Hosts as certificates spell them, and which of them are this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
UNSPECIFIED: Final = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
"""Hosts that stand for every address of a machine."""
_LABEL: Final = "[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})", re.ASCII)


def plain_host(host: str) -> str:
    """A host as certificates spell it: an address in its short form, a name in lower case. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host[:80]!r} is neither a host name nor an address; give one without a port")
    return host.lower()


def plain_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Each host once, as certificates spell it. Raises ValueError."""
    return tuple(dict.fromkeys(map(plain_host, hosts)))


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 address stands in brackets. Raises ValueError."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f"{address[:120]!r} is not an address; write HOST:PORT, such as 127.0.0.1:7301")
    return plain_host(match["six"] or match["host"]), int(match["port"])


def join_address(host: str, port: int) -> str:
    """`HOST:PORT`; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
