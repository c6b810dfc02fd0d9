"""Whether a server may answer on its address: off this machine it needs TLS, and readers that authenticate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import ServerExposed

from .tls import ServerTls


@dataclass(frozen=True)
class Exposure:
    """How a server protects itself.

    Attributes:
        tls: its certificate; None: clear text.
        behind_proxy: whether a proxy in front of it has TLS.
        keys: whether readers need an API key that the store has.
    """

    tls: ServerTls | None
    behind_proxy: bool
    keys: bool

    def require(self, address: str, directory: Path, *, loopback: bool) -> None:
        """Return if it may answer on this address. Raises ServerExposed."""
        encrypted = self.tls is not None or self.behind_proxy
        authenticated = self.keys or (self.tls is not None and self.tls.authority is not None)
        if not loopback and not (encrypted and authenticated):
            raise ServerExposed(address, _lacks(encrypted, authenticated), str(directory))


def _lacks(encrypted: bool, authenticated: bool) -> tuple[str, ...]:
    return (*(() if encrypted else ("TLS",)), *(() if authenticated else ("authentication of readers",)))
