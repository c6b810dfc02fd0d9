"""The leader: it accepts batches (intake/), and opens a plan with the helper or the key holder.

    Prepare   draft ──► live secret, on disk ──► live keys, signed; with proofs, a verification key, sent to the helper
    Submit    a site's batch: intake/share_intake.py, or he/intake.py
    Collect   the opening that the plan's terms determine (collect/meeting.py, then collect/swap.py, mpc/session.py; or
              he/noised_sums.py) ──► the stored shares, always the same bytes

One thread at a time opens a plan. Meanwhile the leader accepts batches of other plans.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.freeing import Freeing, LeaderFreeing
from aggregator.collect.heads import Heads
from aggregator.collect.held_shares import HeldShares
from aggregator.collect.meeting import Closing, Meeting, SharedOpening
from aggregator.collect.noising import Noising
from aggregator.collect.swap import LeaderSwap, Swap
from aggregator.errors import HelperUnavailable, PeerRefused, RemoteRefusal, Unreachable
from aggregator.he.intake import EncryptedIntake
from aggregator.he.noised_sums import NoisedSums, SumsOpening
from aggregator.identity import Clock, RoleIdentity, Settings
from aggregator.intake.key_agreement import KEY_BYTES, key_offer, require_taken
from aggregator.intake.preparation import Preparation
from aggregator.intake.readiness import Readiness
from aggregator.intake.share_intake import ShareIntake
from aggregator.intake.submission import Intake, Submission
from aggregator.intake.tally import ReportTally
from aggregator.mpc.session import LeaderSuppression
from aggregator.mpc.suppression import Suppression
from aggregator.services.peer_links import as_peers
from aggregator.shares.peers import PeerCalls, Peers, why_of
from aggregator.shares.plans import Opening, PlanBook
from aggregator.storage.files import Files
from aggregator.storage.records import PlanStatus
from base.fields import Fields
from base.metrics import STEP, Meters
from base.traces import span
from federation.batch.batch import SealedBatch
from federation.circuit.validity import VerificationKey
from federation.errors import PlanFreed
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.terms import Encrypted, Finish, Shares, Validity


class LeaderOpening(Opening, Protocol):
    """An opening that the leader drives."""

    def open(self, plan: Plan) -> None:
        """Close and open the plan with the other party. After a failure, the next call continues from there."""


@dataclass(frozen=True)
class Parts:
    """The leader's parts for plans of some terms."""

    intake: Intake
    opening: LeaderOpening
    freeing: LeaderFreeing


class Leader:
    """The aggregator that holds the long shares, or adds encrypted reports, and drives the other party."""

    role: Final = "leader"

    def __init__(self, keys: RoleKeys, settings: Settings, files: Files, clock: Clock, peers: Peers) -> None:
        self.files, self.peers, self._clock = files, peers, clock
        self.identity = RoleIdentity(self.role, keys, settings)
        self.plans = plans = PlanBook(self.identity, files, clock, lambda plan: self._parts(plan).opening)
        self.tally = tally = ReportTally(self.identity, files.storage.reports)
        calls, heads = PeerCalls(peers, files.storage), Heads(plans)
        self.noising = noising = Noising(plans)
        self.share_intake, self.encrypted_intake = ShareIntake(plans, tally, calls), EncryptedIntake(plans, tally)
        closing = Closing(plans, tally, self.share_intake, calls)
        with_helper = Meeting(plans, heads, calls, lambda: peers.helper, "helper")
        with_key_holder = Meeting(plans, heads, calls, peers.known_key_holder, "key holder")
        shared, held = SharedOpening(plans, closing, with_helper, noising), HeldShares(plans)
        self.suppression = Suppression(plans, held)
        sums = NoisedSums(plans, self.encrypted_intake, calls)
        self.freeing = own = Freeing(plans, noising)
        free = LeaderFreeing(own, heads, with_helper, calls, lambda: peers.helper, "helper")
        free_sums = LeaderFreeing(own, heads, with_key_holder, calls, peers.known_key_holder, "key holder")
        swap, suppression = Swap(plans, held), LeaderSuppression(plans, self.suppression, shared, calls)
        self._swapped = Parts(self.share_intake, LeaderSwap(plans, swap, shared, calls), free)
        self._suppressed = Parts(self.share_intake, suppression, free)
        self._encrypted = Parts(
            self.encrypted_intake, SumsOpening(plans, sums, closing, with_key_holder, noising), free_sums
        )
        self._opening = threading.Lock()  # acquired before the intake's line; one plan at a time, or heads would cross

    @property
    def meters(self) -> Meters:
        """The counters of this role."""
        return self.plans.meters

    def check(self, data: bytes) -> Readiness:
        """What this aggregator would answer to the plan of a draft. Raises as `PlanBook.readiness`."""
        return self.plans.readiness(data)

    def prepare(self, data: bytes) -> Preparation:
        """Prepare a draft: draw its live secret; with proofs, also agree with the helper on the verification key.

        The key is on disk before the helper receives it. A repeat offers the same key.

        Raises:
            HelperUnavailable, PeerRefused: call again. And as `PlanBook.prepare`.
        """
        prepared = Preparation(self.plans.prepare(data))
        draft = self.identity.draft(data)
        if draft.terms.validity is Validity.NONE:
            return prepared
        plan_id, helper = draft.plan_id, self.identity.pinned_peer().at(draft.deadline_us)
        sign = self.identity.sign_key(draft)
        key = self.files.storage.keep_key(plan_id, VerificationKey(os.urandom(KEY_BYTES)), self._clock())
        try:
            with as_peers():
                live = self.peers.helper.prepare(data).live
                live.verify("helper", draft.hash, helper)
            offer = key_offer(plan_id, draft.hash, key, sign, live.seal)
            reply = self.peers.helper.take_key(offer)
        except Unreachable as away:
            raise HelperUnavailable(0, why_of(away)) from None
        except RemoteRefusal as refused:
            raise PeerRefused(refused) from None
        with as_peers():
            require_taken(reply, plan_id, key, helper)
        return replace(prepared, verify_key_hash=key.hash_for(plan_id))

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Open a plan: take part in it from now on. Returns its hash. Raises as `PlanBook.open`.

        Args:
            encryption_keys: for a plan with encrypted reports, the key holder's signed public keys.
        """
        return self.plans.open(signed, encryption_keys)

    def submit(self, data: bytes) -> Submission:
        """Accept one batch of a site, whole except for duplicate ids. A repeat gives the same answer.

        Raises:
            PlanUnknown; as `SealedBatch.from_bytes`; and as the intake of the plan's terms.
        """
        batch = SealedBatch.from_bytes(data)
        stored, plan = self.plans.opened(batch.signed.header.plan_hash)
        with span("batch", Fields(plan=plan.hash, site=batch.signed.header.site)):
            return self._parts(plan).intake.submit(stored, plan, batch, data)

    def collect(self, data: bytes) -> list[SealedShare]:
        """Close and open the plan with the other party, and return the leader's noised shares.

        Raises:
            HelperUnavailable, KeyHolderUnavailable, PeerRefused: nothing is lost; call again. PlanFreed, LedgerRefusal, and
            as the opening of the plan's terms.
        """
        _, plan = self.plans.verify_collect_request(data)
        with self._opening:
            if self.plans.opened(plan.hash)[0].freed:
                raise PlanFreed(plan.hash)
            with span("opening", Fields(plan=plan.hash), panes=plan.offsets[-1]), self.meters.timed(STEP, "open"):
                self._parts(plan).opening.open(plan)
        return self.noising.shares(plan)

    def free(self, data: bytes) -> list[bytes]:
        """Free a plan with the other party, for the coordinator. Returns both statements. Raises as `LeaderFreeing.free`."""
        plan = self.freeing.requested(data)
        with self._opening:
            return self._parts(plan).freeing.free(plan, data, self.plans)

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        return self.plans.status(plan_hash)

    def stop(self) -> None:
        """Draw no more noise, and end the process of the finish. Calls in progress raise Stopping and open nothing."""
        self.plans.stopped.set()
        self.suppression.seat.stop()

    def close(self) -> None:
        """Close the files; committed data stays."""
        self.files.close()

    def _parts(self, plan: Plan) -> Parts:
        """The leader's parts for these terms; the only place that matches them."""
        match plan.terms:
            case Shares(finish=finish):
                return self._suppressed if finish is Finish.MPC else self._swapped
            case Encrypted():
                return self._encrypted
            case other:
                assert_never(other)
