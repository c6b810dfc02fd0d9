"""The roles that have a certificate. A certificate names its role, so that its holder can be in that role only."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

DOMAIN: Final = "covey.internal"
"""Names below it are roles. The domain `internal` is reserved for private use, so no such name is a host on the internet."""


class TlsRole(StrEnum):
    """A role with a certificate."""

    COORDINATOR = "coordinator"
    LEADER = "leader"
    HELPER = "helper"
    KEYHOLDER = "keyholder"
    PROVIDER = "provider"
    SUPERLINK = "superlink"
    SERVER = "server"

    @property
    def dns_name(self) -> str:
        """The name of the role in a certificate, such as `leader.covey.internal`."""
        return f"{self.value}.{DOMAIN}"
