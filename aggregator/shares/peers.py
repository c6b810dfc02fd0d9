"""The parties that a leader works with, and its calls to them. It passes the plan on to a party that does not know it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from aggregator.errors import (
    HelperUnavailable,
    KeyHolderUnavailable,
    KeyHolderUnknown,
    PeerRefused,
    PlanUnknown,
    ProviderUnknown,
    RemoteRefusal,
    Unreachable,
)
from aggregator.intake.refusals import REASONS
from aggregator.services.peer_links import HelperLink, KeyHolderLink, PeerLink, ProviderLink
from aggregator.storage.records import StoredPlan
from aggregator.storage.role_storage import Storage
from base.errors import PeerAway
from crypto.signing import VerifyKey
from federation.plan import Plan

_log = logging.getLogger(__name__)

_PLAN_UNKNOWN: Final = REASONS[PlanUnknown]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Peers:
    """A leader's links to the other parties.

    Attributes:
        key_holder: None if there is none; plans with encrypted reports are then refused.
        provider: None if there is none; plans with the finish mpc are then refused.
    """

    helper: HelperLink
    key_holder: KeyHolderLink | None = None
    provider: ProviderLink | None = None

    def known_key_holder(self) -> KeyHolderLink:
        """The key holder. Raises KeyHolderUnknown."""
        if self.key_holder is None:
            raise KeyHolderUnknown
        return self.key_holder

    def known_provider(self) -> ProviderLink:
        """The provider of triples. Raises ProviderUnknown."""
        if self.provider is None:
            raise ProviderUnknown
        return self.provider


class PeerCalls:
    """A leader's calls to helper and key holder about plans that it has opened."""

    def __init__(self, peers: Peers, storage: Storage) -> None:
        self.peers, self._storage = peers, storage

    def call(self, stored: StoredPlan, peer: PeerLink, call: Callable[[bytes], _T], data: bytes) -> _T:
        """Call a peer. If it does not know the plan, pass the plan on and call again.

        Raises:
            HelperUnavailable, KeyHolderUnavailable, PeerRefused.
        """
        try:
            try:
                return call(data)
            except RemoteRefusal as refused:
                if refused.reason != _PLAN_UNKNOWN:
                    raise
                peer.open_plan(stored.signed)
                return call(data)
        except Unreachable as away:
            if peer is self.peers.key_holder:
                raise KeyHolderUnavailable(why_of(away)) from None
            raise HelperUnavailable(len(self._storage.pending_jobs(stored.number)), why_of(away)) from None
        except RemoteRefusal as refused:
            raise PeerRefused(refused) from None

    def call_helper(self, stored: StoredPlan, call: Callable[[bytes], _T], data: bytes) -> _T:
        """As `call`, to the helper."""
        return self.call(stored, self.peers.helper, call, data)


def why_of(away: Unreachable) -> str:
    """Why a peer cannot be reached, for the coordinator. Empty if it is just away, and comes back."""
    if away.why is None or isinstance(away.why, PeerAway):
        return ""
    _log.warning("%s", away)
    return str(away)


def helper_of(plan: Plan) -> VerifyKey:
    """The signing key of the plan's helper."""
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    return plan.wire.helper


def leader_of(plan: Plan) -> VerifyKey:
    """The signing key of the plan's leader."""
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    return plan.wire.leader
