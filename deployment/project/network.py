"""`[network]` of covey.toml: where the services of a project listen, and where their peers reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from base.tls.hosts import split_address
from deployment.errors import UsageError

DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "leader": "127.0.0.1:7301",
        "helper": "127.0.0.1:7302",
        "keyholder": "127.0.0.1:7303",
        "provider": "127.0.0.1:7304",
        "superlink": "127.0.0.1:8000",
        "server": "127.0.0.1:6566",
    }
)
"""The address of each service where covey.toml names none."""


@dataclass(frozen=True)
class Network:
    """The addresses of a project's services.

    Attributes:
        named: those in covey.toml, by role.
    """

    named: Mapping[str, str] = field(default_factory=dict)

    def address(self, role: str, given: str | None = None) -> str:
        """Where peers reach a role: the address that an operator gives, that of covey.toml, or the default.

        Raises:
            UsageError: the given address is not HOST:PORT.
        """
        if given is not None:
            try:
                split_address(given)
            except ValueError as error:
                raise UsageError(str(error), settings=(role,)) from None
            return given
        return self.named.get(role, DEFAULTS[role])

    def optional(self, role: str, given: str | None) -> str | None:
        """The address of a role that a project need not have: None if neither an operator nor covey.toml gives one."""
        return None if given is None and role not in self.named else self.address(role, given)


@dataclass(frozen=True)
class Listening:
    """The addresses that an operator gives a role to listen on.

    Attributes:
        host, port: None: as its address in covey.toml says, or the default port of the loopback.
        monitor: the address of its monitor; None: it has none.
    """

    host: str | None = None
    port: int | None = None
    monitor: str | None = None

    def at(self, network: Network, role: str) -> tuple[str, int]:
        """Host and port on which a role listens."""
        host, port = split_address(network.address(role))
        return self.host or host, port if self.port is None else self.port
