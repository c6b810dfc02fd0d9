"""The leader closes a plan and meets the party that opens it: they exchange commitments and heads of both ledgers.

With the helper, until both openings are witnessed:

    heads of both ledgers ──► job for each kept batch ──► charge ──► {closed, own commitment} ──► seal seed erased
    ──► the helper's commitment ──► heads; meanwhile both draw noise ──► {noised share} ──► `done` ──► live secret erased
    ──► heads: each knows the other's `done` ──► {witnessed}
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Final

from aggregator.collect.collection_job import (
    COMMITMENT_DOMAIN,
    WITNESS_DOMAIN,
    Stage,
    Witness,
    commitment_from_bytes,
    commitment_to_bytes,
)
from aggregator.collect.heads import Heads
from aggregator.collect.noising import Noising
from aggregator.errors import MessageMalformed, Stopping
from aggregator.intake.share_intake import ShareIntake
from aggregator.intake.tally import ReportTally
from aggregator.services.peer_links import PeerLink, answer_invalid, as_peers
from aggregator.shares.peers import PeerCalls, helper_of
from aggregator.shares.plans import PlanBook
from aggregator.signed_message import Signed, sign
from federation.ledger.entries import Head
from federation.plan import Plan

_LOOK_S: Final = 0.05
"""Interval in which a leader that waits for its peer checks whether it should stop."""


class Closing:
    """The leader's steps that close a plan: no more reports are accepted."""

    def __init__(self, plans: PlanBook, tally: ReportTally, intake: ShareIntake, calls: PeerCalls) -> None:
        self._plans, self._tally, self._intake, self._calls = plans, tally, intake, calls
        self._files, self._identity = plans.files, plans.identity

    def close(self, plan: Plan) -> None:
        """Charge the plan and commit to its set of reports."""
        with self._intake.line:
            self._close(plan)

    def close_with_helper(self, plan: Plan) -> None:
        """Close the plan and exchange commitments with the helper. Raises HelperUnavailable, PeerRefused."""
        with self._intake.line:
            self._close(plan)
            self._agree(plan)

    def _close(self, plan: Plan) -> None:
        storage = self._files.storage
        stored, _ = self._plans.opened(plan.hash)
        while stored.own is None:
            self._intake.send_jobs(stored.number)
            self._plans.charge(plan)
            with storage.transaction():
                if not storage.pending_jobs(stored.number):  # a batch may have arrived in between
                    own = commitment_to_bytes(plan, self._tally.commitment(stored.number, plan))
                    storage.close_plan(stored.number, own, None)
            stored, _ = self._plans.opened(plan.hash)
        self._files.live.erase_seal(plan.plan_id)

    def _agree(self, plan: Plan) -> None:
        stored, _ = self._plans.opened(plan.hash)
        if stored.own is None or stored.other is not None:
            return
        own = sign(COMMITMENT_DOMAIN["leader"], stored.own, self._identity.sign_key(plan))
        reply = self._calls.call_helper(stored, self._calls.peers.helper.commit, own)
        with as_peers():
            other = Signed.from_bytes(reply).verify(COMMITMENT_DOMAIN["helper"], helper_of(plan))
            commitment_from_bytes(plan, other)
        self._files.storage.set_other(stored.number, other)


class Meeting:
    """The leader's exchange of ledger heads with the party that opens a plan with it: helper or key holder.

    Args:
        peer: returns that party. Raises KeyHolderUnknown.
        name: the party's name in errors.
    """

    def __init__(
        self, plans: PlanBook, heads: Heads, calls: PeerCalls, peer: Callable[[], PeerLink], name: str
    ) -> None:
        self._plans, self._heads, self._calls, self._peer, self._name = plans, heads, calls, peer, name

    def meet(
        self,
        plan: Plan,
        stage: Stage,
        *,
        confirmed: Head | None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Witness:
        """Send the heads of both ledgers as known here, receive the same from the peer, and check them.

        Args:
            meanwhile: called while the peer answers; drawing noise takes minutes.

        Raises:
            LedgerBehind: one of the two ledgers was rolled back. HelperUnavailable, KeyHolderUnavailable, Stopping.
            PeerRefused: for one, the peer has freed the plan, and the leader has not.
        """
        stored, _ = self._plans.opened(plan.hash)
        message = self._heads.witness(plan, stage, confirmed)
        data = sign(WITNESS_DOMAIN["leader"], message.to_bytes(), self._plans.identity.sign_key(plan))
        thread = ThreadPoolExecutor(1, thread_name_prefix="witness")
        peer = self._peer()
        reply = thread.submit(copy_context().run, self._calls.call, stored, peer, peer.witness, data)
        try:
            meanwhile()
        finally:
            while not reply.done() and not self._plans.stopped.is_set():
                wait([reply], _LOOK_S)
            thread.shutdown(wait=False)
        if not reply.done():
            raise Stopping("this aggregator is stopping; nothing was opened. Collect again when it is back")
        with as_peers(self._name):
            answer = Witness.from_bytes(
                Signed.from_bytes(reply.result()).verify(WITNESS_DOMAIN["helper"], helper_of(plan))
            )
            if (answer.plan_hash, answer.stage, answer.confirmed) != (plan.hash, stage, message.remembered):
                raise MessageMalformed("it answers another message")
        self._heads.check(plan, answer)
        return answer

    def conclude(self, plan: Plan, confirmed: Head | None, meanwhile: Callable[[], None]) -> None:
        """Meet twice after both have committed. Each then knows the other's `done`, and shares may be sent.

        Raises:
            PeerRefused: the peer does not remember the leader's opening. And as `meet`.
        """
        first = self.meet(plan, Stage.COMMITTED, confirmed=confirmed, meanwhile=meanwhile)
        second = self.meet(plan, Stage.COMMITTED, confirmed=first.remembered)
        if not self._heads.witnessed(plan, second):
            raise answer_invalid("it does not remember the leader's opening", self._name)


class SharedOpening:
    """The leader's steps with the helper before noised shares are swapped or finished by MPC."""

    def __init__(self, plans: PlanBook, closing: Closing, meeting: Meeting, noising: Noising) -> None:
        self._plans, self._closing, self._meeting, self._noising = plans, closing, meeting, noising

    def witnessed(self, plan: Plan) -> None:
        """Close and noise the plan with the helper. After a failure, the next call continues from there.

        A plan that was opened before takes the same steps: no noise is drawn again, and rolled-back files are detected.
        """
        confirmed: Head | None = None
        if self._plans.opened(plan.hash)[0].unopened:  # detect a rolled-back ledger, or a free, before this one charges
            confirmed = self._meeting.meet(plan, Stage.UNOPENED, confirmed=None).remembered
        self._closing.close_with_helper(plan)
        self._meeting.conclude(plan, confirmed, lambda: self._noising.noise(plan))
