"""Checks of this machine: versions of programs, and ports."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

import psutil

from base.ports import why_closed
from base.tls.hosts import is_loopback, split_address
from base.version import PROTOCOL, VERSION
from deployment.local.ports import holder_of

from .finding import Finding, Place, not_applicable, ok, problem, warning

VERSIONS: Final[Mapping[str, tuple[tuple[int, ...], tuple[int, ...] | None]]] = {
    "cryptography": ((50,), (51,)),
    "duckdb": ((1, 4), None),
    "flwr": ((1, 41), (1, 42)),
    "grpcio": ((1, 80, 1), None),
}
"""(least version, first version that is too new or None), as in pyproject.toml, of the packages whose behaviour matters."""
CONNECT_S: Final = 1.0


def check_versions(place: Place) -> Iterator[Finding]:
    """Whether the packages that files and messages depend on have versions that this program was tested with."""
    installed = f"Covey {VERSION} (protocol {PROTOCOL}), Python {platform.python_version()}"
    for package, (least, below) in VERSIONS.items():
        try:
            found = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # an environment of another role
        number = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
        if number < least or (below is not None and number >= below):
            limits = f">={_dotted(least)}" + ("" if below is None else f",<{_dotted(below)}")
            yield problem(f"{package} {found} is outside {limits}", f"pip install '{package}{limits}'")
        installed += f", {package} {found}"
    yield ok(installed)


def check_ports(place: Place) -> Iterator[Finding]:
    """Whether the ports of the roles here are free, or held by these roles."""
    own = [role for role in _PORTS if _PORTS[role] in place.roles]
    if not own:
        yield not_applicable("no role that listens has its keys here")
    for role in own:
        host, port = split_address(place.addresses[role])
        if not (is_loopback(host) or _is_here(host)):
            continue
        holder = holder_of(port)
        if holder is None:
            if why_closed(host, port, CONNECT_S) is None:
                yield warning(
                    f"port {port} of the {role} is held by a program of another user",
                    f"ss -ltnp 'sport = :{port}' as root names it; if it is not the {role}, choose another --port",
                )
            else:
                yield ok(f"port {port} of the {role} is free: it is not running")
            continue
        line = " ".join(holder.cmdline())
        if f"start {role}" in line or "covey up" in line:
            yield ok(f"port {port} is held by the {role}, process {holder.pid}")
        else:
            yield problem(
                f"port {port} of the {role} is held by process {holder.pid}: {line[:120]}",
                f"stop that process, or choose another port: covey start {role} --port N, and its address in [network]",
            )


_PORTS: Final = {"leader": "leader", "helper": "helper", "superlink": "coordinator"}
"""The roles that listen, and the role whose keys their operator has."""


def _is_here(host: str) -> bool:
    """Whether an address belongs to this machine."""
    return any(found.address == host for card in psutil.net_if_addrs().values() for found in card)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
