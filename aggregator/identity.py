"""Who an aggregator is: its role, its keys, and what its operator allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from aggregator.errors import PeerUnknown
from crypto.signing import VerifyKey
from federation.keys import RoleKeys
from federation.ledger.state import Budget
from federation.parties import Aggregator, Roster

Clock: TypeAlias = Callable[[], int]
"""The wall clock: µs since the epoch."""


@dataclass(frozen=True)
class Settings:
    """What an aggregator's operator decides; no plan can change it.

    Attributes:
        coordinator: this aggregator runs the plans that this key signed.
        roster: its own list of sites, with the most clients of each.
        budget: what a client-day may cost, over all views and of single ones.
        allow_no_noise: for tests and labs only.
        require_proofs: plans without proofs are refused.
        peer: the other aggregator's signing key, if it is pinned here too; plans with proofs need it.
    """

    coordinator: VerifyKey
    roster: Roster
    budget: Budget
    allow_no_noise: bool = False
    require_proofs: bool = False
    peer: VerifyKey | None = None


@dataclass
class RoleIdentity:
    """One aggregator. Its parts share this, so new settings reach all of them.

    Attributes:
        role: its place in plans and statements; the key holder has the helper's.
    """

    role: Aggregator
    keys: RoleKeys
    settings: Settings

    @property
    def peer(self) -> Aggregator:
        """The other role."""
        return "helper" if self.role == "leader" else "leader"

    def pinned_peer(self) -> VerifyKey:
        """The other aggregator's signing key, as the settings have it. Raises PeerUnknown."""
        if self.settings.peer is None:
            raise PeerUnknown(self.peer)
        return self.settings.peer
