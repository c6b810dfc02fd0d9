"""The identity of an aggregator: its role, its keys and its operator's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aggregator.errors import PeerUnknown
from crypto.signing import SigningKey, VerifyKey
from federation.draft import verify_draft
from federation.former_keys import NO_FORMER_KEYS, FormerKeys, PinnedKey
from federation.keys import RoleKeys
from federation.ledger.state import Budget
from federation.parties import Aggregator, Roster
from federation.plan import Plan
from federation.signed_plan import verify_plan

Clock: TypeAlias = Callable[[], int]
"""The wall clock: µs since the epoch."""


@dataclass(frozen=True)
class Settings:
    """The settings of an aggregator's operator. No plan can change them.

    Attributes:
        coordinator: the key that signs the plans of this aggregator.
        roster: its own list of sites, each with its largest number of clients.
        budget: the most that a client-day may cost, over all views and for single ones.
        allow_no_noise: allow plans with noise off; for tests and labs only.
        require_proofs: refuse plans without proofs.
        peer: the other aggregator's signing key, if it is pinned; plans with proofs need it.
        former: the earlier keys of coordinator and aggregators.
    """

    coordinator: VerifyKey
    roster: Roster
    budget: Budget
    allow_no_noise: bool = False
    require_proofs: bool = False
    peer: VerifyKey | None = None
    former: FormerKeys = NO_FORMER_KEYS

    @property
    def coordinator_keys(self) -> PinnedKey:
        """The coordinator's keys."""
        return self.former.pinned("coordinator", self.coordinator)

    def peer_keys(self, peer: Aggregator) -> PinnedKey | None:
        """The other aggregator's keys, if they are pinned."""
        return None if self.peer is None else self.former.pinned(peer, self.peer)


SettingsSource: TypeAlias = Callable[[], Settings]
"""Reads the operator's settings as they are now. Raises CoveyError: they cannot be used."""


@dataclass
class RoleIdentity:
    """The identity of one aggregator. All of its parts share this object, so new settings reach all of them.

    Attributes:
        role: its role in plans and statements; the key holder has the helper's.
        settings: those in force.
        source: reads them again before a new plan (shares/settings_edits.py); default: they never change.
    """

    role: Aggregator
    keys: RoleKeys
    settings: Settings
    source: SettingsSource = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.source = lambda: self.settings

    @property
    def peer(self) -> Aggregator:
        """The other role."""
        return "helper" if self.role == "leader" else "leader"

    def sign_key(self, plan: Plan) -> SigningKey:
        """The own signing key for everything about a plan, or about its draft."""
        return self.keys.at(plan.deadline_us).sign

    def pinned_peer(self) -> PinnedKey:
        """The other aggregator's signing keys from the settings. Raises PeerUnknown."""
        if (pinned := self.settings.peer_keys(self.peer)) is None:
            raise PeerUnknown(self.peer)
        return pinned

    def plan(self, signed: bytes) -> Plan:
        """The plan in these bytes, if the coordinator signed it. Raises KeyNotInForce, and as `verify_plan`."""
        keys = self.settings.coordinator_keys
        return keys.verified(lambda key: verify_plan(signed, key), lambda plan: plan.deadline_us)

    def draft(self, signed: bytes) -> Plan:
        """The draft in these bytes, if the coordinator signed it. Raises KeyNotInForce, and as `verify_draft`."""
        keys = self.settings.coordinator_keys
        return keys.verified(lambda key: verify_draft(signed, key), lambda plan: plan.deadline_us)
