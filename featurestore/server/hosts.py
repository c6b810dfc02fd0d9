"""Checks the Host header of requests, against DNS rebinding: a web page that reads a server on the loopback address.

A page of evil.example may read every answer of evil.example. Its owner points that name to 127.0.0.1 after the page is loaded,
and the visitor's browser lets the page read the local server's answers. Such a request has the page's name in `Host`, so a
server answers only requests for its own names and addresses. A request that another site's page sends (`Origin`) is refused,
too.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from .refusal import Refused

LOCALHOST: Final = "localhost"
MISDIRECTED: Final = 421
FORBIDDEN: Final = 403

_HOST: Final = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z._-]{1,32})?)\]|([A-Za-z0-9._-]{1,255}))(?::[0-9]{1,5})?"
)
_REMEMBERED: Final = 64
_SHOWN: Final = 80


@dataclass
class Hosts:
    """The names and addresses of a server.

    Attributes:
        address: the IP address that it listens on.
        names: its names beside `localhost`.
    """

    address: str
    names: tuple[str, ...] = ()
    _seen: set[bytes] = field(default_factory=set, init=False, repr=False)

    def require(self, host: list[bytes], origin: bytes | None) -> None:
        """Check that a request is addressed to this server, and not sent by another site's page. Ports are ignored.

        Args:
            host: the values of all Host headers.

        Raises:
            Refused: 421 or 403.
        """
        if len(host) != 1:
            raise Refused(MISDIRECTED, f"a request needs one Host header; this one has {len(host)}")
        if host[0] not in self._seen:
            self._require_own(host[0])
            if len(self._seen) < _REMEMBERED:
                self._seen.add(host[0])
        if origin is not None and origin.partition(b"://")[2].lower() != host[0].lower():
            raise Refused(FORBIDDEN, f"pages of {_shown(origin)} may not read this server; only its own pages may")

    def _require_own(self, host: bytes) -> None:
        parsed = _HOST.fullmatch(host)
        found = (parsed[1] or parsed[2]).decode().lower().removesuffix(".") if parsed else None
        if found is None or not (found in (LOCALHOST, *self.names) or self._is_own_address(found)):
            raise Refused(
                MISDIRECTED,
                f"this server does not answer to the name {_shown(host)}; "
                "if clients reach it by that name, its operator must allow it",
            )

    def _is_own_address(self, found: str) -> bool:
        """Whether a host is an acceptable numeric address. It cannot be rebound, so on all interfaces every address is accepted."""
        try:
            address = ipaddress.ip_address(found.partition("%")[0])
        except ValueError:
            return False
        mine = ipaddress.ip_address(self.address.partition("%")[0])
        return address == mine or mine.is_unspecified or (mine.is_loopback and address.is_loopback)


def hosts_of(listening: socket.socket, host: str, allowed: Iterable[str]) -> Hosts:
    """The names and addresses of a listening server.

    Args:
        host: the name or address from its configuration.
        allowed: further names.
    """
    address = str(listening.getsockname()[0])
    own = [] if ipaddress.ip_address(address.partition("%")[0]).is_loopback else [socket.gethostname()]
    return Hosts(address, tuple(name.lower().removesuffix(".") for name in (host, *own, *allowed)))


def certified_hosts(names: Iterable[str]) -> tuple[str, ...]:
    """The names of a certificate by which its server may be called: DNS names of one host, without those of this machine alone.

    Only the owner of a name gets a certificate for it, so a page of another site does not have one of them.
    """
    return tuple(name for name in names if name != LOCALHOST and "*" not in name and not _is_address(name))


def certified_url(url: str, host: str, names: Sequence[str]) -> str:
    """The URL of a server, whose host is one that its certificate names, so that browsers verify it; else the URL itself.

    Args:
        host: in the URL.
        names: of the certificate.
    """
    named = certified_hosts(names)
    return url if host.strip("[]") in names or not named else url.replace(host, named[0], 1)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _shown(value: bytes) -> str:
    return repr(value[:_SHOWN].decode("latin-1"))
