"""An aggregator frees a plan: it erases what it holds, never opens the plan, and signs that (ADR 0029).

    erase     {sums, ids, batches, keys of the plan deleted; freed} ──► `freed` in the ledger ──► live secret erased
    witness   the other aggregator remembers a head of this ledger that includes `freed` ──► {disowned}
    sign      "never opened", for a disowned plan: federation/unopened.py

The leader has the helper (or key holder) erase first. After a crash the steps are repeated. A plan that either has noised is
not freed: its stored bytes are its result. The ledger keeps a restored copy from opening a freed plan, and the other
aggregator's memory reveals a restored ledger.
"""

from __future__ import annotations

from collections.abc import Callable

from aggregator.collect.collection_job import FREE_DOMAIN, Stage
from aggregator.collect.heads import Heads
from aggregator.collect.meeting import Meeting
from aggregator.collect.noising import Noising
from aggregator.errors import FreeRefused, NotCommitted
from aggregator.services.peer_links import PeerLink, answer_invalid
from aggregator.shares.peers import PeerCalls, helper_of
from aggregator.shares.plans import PlanBook
from aggregator.signed_message import Signed, plan_of
from aggregator.storage.records import PlanState
from federation.plan import Plan
from federation.unopened import never_opened, sign_never_opened


class Freeing:
    """Frees the plans of one aggregator."""

    def __init__(self, plans: PlanBook, noising: Noising) -> None:
        self._plans, self._noising, self._files = plans, noising, plans.files

    def requested(self, data: bytes) -> Plan:
        """The plan of a request to free it, whose coordinator's signature is verified.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid.
            PlanBeforeRebuild: nothing can be said of a plan that is older than the ledger's last rebuild.
        """
        signed = Signed.from_bytes(data)
        _, plan = self._plans.opened(plan_of(signed))
        coordinator = self._plans.identity.settings.coordinator_keys
        coordinator.verified(lambda key: signed.verify(FREE_DOMAIN, key), lambda _: plan.deadline_us)
        self._plans.charges.require_after_rebuild(plan)
        return plan

    def erase(self, plan: Plan) -> None:
        """Erase what this aggregator holds of a plan, and record that it never opens the plan. A repeat changes nothing.

        Raises:
            As `require_unopened`.
        """
        storage, ledger = self._files.storage, self._files.ledger
        with self._noising.alone():
            self.require_unopened(plan)
            stored, _ = self._plans.opened(plan.hash)
            if not stored.freed:
                with storage.transaction():
                    storage.free(stored.number, plan.plan_id)
            storage.empty_log()
            ledger.free(plan.hash)
            self._files.live.erase(plan.plan_id)

    def require_unopened(self, plan: Plan) -> None:
        """Check that a plan may be freed here, or is freed.

        Raises:
            FreeRefused: the plan is noised. LiveSecretLost: nothing can be said of a plan whose live secret is not here.
        """
        stored, _ = self._plans.opened(plan.hash)
        if stored.freed:
            return
        completed = plan.hash in self._files.ledger.state.completed
        if completed or not stored.unopened or self._files.storage.has_finished(stored.number):
            raise FreeRefused(plan.hash)
        self._plans.secrets.file(plan)

    def statement(self, plan: Plan) -> bytes:
        """The signed statement that this role never opened the plan. Raises NotCommitted: the plan is not disowned."""
        stored, _ = self._plans.opened(plan.hash)
        if stored.state is not PlanState.DISOWNED:
            raise NotCommitted(plan.hash)
        return sign_never_opened(self._plans.identity.role, plan.hash, self._plans.identity.sign_key(plan))

    def answer(self, data: bytes) -> list[bytes]:
        """The answer of a helper or key holder: it erases; a plan that is disowned by now also gets its statement.

        Raises:
            As `requested` and `erase`.
        """
        plan = self.requested(data)
        self.erase(plan)
        stored, _ = self._plans.opened(plan.hash)
        return [self.statement(plan)] if stored.state is PlanState.DISOWNED else []


class LeaderFreeing:
    """The leader's side: it drives the party that opens a plan with it.

    Args:
        peer: returns that party. Raises KeyHolderUnknown.
        name: the party's name in errors.
    """

    def __init__(
        self, own: Freeing, heads: Heads, meeting: Meeting, calls: PeerCalls, peer: Callable[[], PeerLink], name: str
    ) -> None:
        self._own, self._heads, self._meeting, self._calls = own, heads, meeting, calls
        self._peer, self._name = peer, name

    def free(self, plan: Plan, request: bytes, plans: PlanBook) -> list[bytes]:
        """Free a plan at both; returns both statements. After a failure, the next call continues from there.

        Raises:
            FreeRefused, PeerRefused: one of the two has noised the plan. LiveSecretLost. HelperUnavailable,
            KeyHolderUnavailable. LedgerBehind.
        """
        stored, _ = plans.opened(plan.hash)
        self._own.require_unopened(plan)  # before the peer erases what a plan that is noised here needs
        peer = self._peer()
        self._calls.call(stored, peer, peer.free, request)
        self._own.erase(plan)
        first = self._meeting.meet(plan, Stage.FREED, confirmed=None)
        second = self._meeting.meet(plan, Stage.FREED, confirmed=first.remembered)
        if not self._heads.witnessed(plan, second):
            raise answer_invalid("it does not remember that the leader has freed the plan", self._name)
        theirs = self._calls.call(stored, peer, peer.free, request)
        if not never_opened(theirs, "helper", plan.hash, helper_of(plan)):
            raise answer_invalid("it has not signed that it never opened the plan", self._name)
        return [self._own.statement(plan), *theirs]
