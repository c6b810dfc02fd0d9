"""How leader and helper (or key holder) compare their ledgers: each signs its own head, and the other's as it remembers it."""

from __future__ import annotations

from aggregator.collect.collection_job import Witness
from aggregator.errors import PlanUnknown
from aggregator.shares.plans import PlanBook
from federation.ledger.entries import Head
from federation.parties import Aggregator
from federation.plan import Plan
from federation.terms import Encrypted, Terms


class Heads:
    """The heads of both ledgers, as one aggregator knows them."""

    def __init__(self, plans: PlanBook) -> None:
        self._plans, self._identity = plans, plans.identity
        self._ledger, self._storage = plans.files.ledger, plans.files.storage

    def witness(self, plan: Plan, *, committed: bool, confirmed: Head | None) -> Witness:
        """What this aggregator tells the other one of both ledgers."""
        return Witness(plan.hash, committed, self._ledger.head, self._ledger.peer(self._peer_of(plan)), confirmed)

    def check(self, plan: Plan, told: Witness) -> None:
        """Check what the other aggregator tells of both ledgers, and remember its head.

        Raises:
            LedgerBehind: this ledger, or the other one, was rolled back or rewritten; it says which.
        """
        self._ledger.require_known(told.remembered)
        self._ledger.see_peer(self._peer_of(plan), told.head, told.confirmed)

    def witnessed(self, plan: Plan, told: Witness) -> bool:
        """Whether the other aggregator remembers this one's opening; from then on its shares may be sent."""
        known = self._ledger.covers(told.remembered, plan.hash)
        if known:
            self._storage.set_witnessed(self._plans.opened(plan.hash)[0].number)
        return known

    def _peer_of(self, plan: Plan) -> str:
        """Under which name the other aggregator's head is remembered: new keys begin a new ledger."""
        if plan.wire is None:
            raise PlanUnknown(plan.hash)
        peer = self._identity.peer
        return f"{self._name_of(peer, plan.terms)} {plan.wire.sign_key(peer).id.hex()}"

    def _name_of(self, peer: Aggregator, terms: Terms) -> str:
        match peer, terms:
            case "helper", Encrypted():
                return "keyholder"
            case _:
                return peer
