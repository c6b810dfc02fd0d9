"""Leader and helper (or key holder) compare their ledgers: each signs its own head and the other's head as it remembers it."""

from __future__ import annotations

from aggregator.collect.collection_job import Stage, Witness
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

    def witness(self, plan: Plan, stage: Stage, confirmed: Head | None) -> Witness:
        """This aggregator's message to the other one about both ledgers."""
        return Witness(plan.hash, stage, self._ledger.head, self._ledger.peer(self._peer_of(plan)), confirmed)

    def check(self, plan: Plan, theirs: Witness) -> None:
        """Check the other aggregator's message about both ledgers, and store its head.

        Raises:
            LedgerBehind: this or the other ledger was rolled back or rewritten; the error names it.
        """
        self._ledger.require_known(theirs.remembered)
        self._ledger.see_peer(self._peer_of(plan), theirs.head, theirs.confirmed)

    def witnessed(self, plan: Plan, theirs: Witness) -> bool:
        """Whether the other aggregator remembers how the plan ended here. If so, shares or "never opened" may be sent."""
        known = self._ledger.covers(theirs.remembered, plan.hash)
        if known:
            self._storage.set_witnessed(self._plans.opened(plan.hash)[0].number)
        return known

    def _peer_of(self, plan: Plan) -> str:
        """The name under which the other aggregator's head is stored. New keys begin a new ledger."""
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
