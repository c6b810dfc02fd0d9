"""The leader opens a plan of encrypted reports with the key holder, which receives noised sums only and opens them once.

    heads of both ledgers ──► charge ──► {closed} ──► noise in a fresh encryption, flooding; each sum is made once and stored
    ──► {noised: signed statements}, `done` in the ledger ──► sums to the key holder ──► heads, twice ──► {witnessed}

The leader alone counts the reports. The key holder keeps the leader's signed statement but cannot check the count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import Stage, commitment_from_bytes
from aggregator.collect.meeting import Closing, Meeting
from aggregator.collect.noising import Noising
from aggregator.errors import NotCommitted
from aggregator.he.intake import EncryptedIntake
from aggregator.he.size import require_size
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.rpc import PART_BYTES
from aggregator.shares.peers import PeerCalls
from aggregator.shares.plans import PlanBook
from aggregator.storage.records import PlanState, StoredPlan
from federation.commitment import Commitment
from federation.he.keys import verify_keys
from federation.he.leader import noised_sum, opened_of, outcomes_of, require_source
from federation.ledger.entries import Head
from federation.plan import Plan
from federation.statement import statement_of, verify_statement


class NoisedSums:
    """The noised, encrypted sums of a leader's plans, and their transfer to the key holder."""

    def __init__(self, plans: PlanBook, intake: EncryptedIntake, calls: PeerCalls) -> None:
        self._plans, self._intake, self._calls = plans, intake, calls
        self._storage, self._identity = plans.files.storage, plans.identity

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """Store every noised sum in `finished`, and the statements about them. Nothing is swapped."""
        if stored.own is None:
            raise NotCommitted(plan.hash)
        self._plans.require_charged(plan)
        self._plans.secrets.file(plan)  # without the live secret nothing is signed, not even sums that are finished
        commitment, shares = commitment_from_bytes(plan, stored.own), []
        for view in range(len(plan.views)):
            outcomes, digest = outcomes_of(plan, view, commitment), hashlib.sha256()
            for collection in opened_of(plan, view, outcomes):
                digest.update(self._finished(stored, plan, view, collection, commitment))
            statement = statement_of(plan, view, "leader", outcomes, commitment, digest.digest())
            shares.append(SealedShare(b"", statement.sign(self._identity.sign_key(plan))))
        self._intake.drop_keys(plan)
        with self._storage.transaction():
            self._storage.add_noised(stored.number, shares)

    def require_key_holder(self) -> None:
        """Raise KeyHolderUnknown unless this leader knows a key holder."""
        self._calls.peers.known_key_holder()

    def send(self, plan: Plan) -> None:
        """Have the key holder open the finished sums. A repeat opens nothing again.

        Raises:
            KeyHolderUnavailable, PeerRefused.
        """
        stored, _ = self._plans.opened(plan.hash)
        if stored.state is PlanState.NOISED:
            holder = self._calls.peers.known_key_holder()
            self._calls.call(stored, holder, lambda _: holder.open_sums(self._parts(stored, plan)), b"")

    def _parts(self, stored: StoredPlan, plan: Plan) -> Iterator[pb.SumPart]:
        plan_hash = plan.hash
        for view, share in enumerate(self._storage.noised(stored.number)):
            yield pb.SumPart(plan_hash=plan_hash, view=view, statement=share.statement)
            plan_hash = b""
            outcomes = verify_statement(share.statement, self._identity.sign_key(plan).public).outcomes
            for collection in opened_of(plan, view, outcomes):
                message = self._storage.message("finished", stored.number, collection) or b""
                for at in range(0, len(message), PART_BYTES):
                    yield pb.SumPart(view=view, sums=message[at : at + PART_BYTES])

    def _finished(self, stored: StoredPlan, plan: Plan, view: int, collection: int, commitment: Commitment) -> bytes:
        """The sum of a collection for the key holder: made once, then always the same bytes."""
        if (kept := self._storage.message("finished", stored.number, collection)) is not None:
            return kept
        key, source = self._intake.public_keys(stored, plan)[view], self._plans.secrets.noise_source(plan)
        require_source(plan, "leader", source)
        total = self._intake.sum(stored.number, collection, key, commitment.counts[collection])
        flood = self._plans.secrets.noise(plan)
        message = noised_sum(plan, collection, key, total, commitment.digest, source, flood)
        self._storage.set_message("finished", stored.number, collection, message)
        return message


class SumsOpening:
    """The leader's opening with the key holder: an `Opening`."""

    def __init__(self, plans: PlanBook, sums: NoisedSums, closing: Closing, meeting: Meeting, noising: Noising) -> None:
        self._plans, self._sums, self._closing, self._meeting, self._noising = plans, sums, closing, meeting, noising

    def require(self, plan: Plan) -> None:
        """Raises KeyHolderUnknown, HeImpossible."""
        self._sums.require_key_holder()
        require_size(plan)

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """The key holder's signed public keys. Raises EncryptionKeysInvalid."""
        verify_keys(given, plan)
        return given

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """As `NoisedSums`."""
        self._sums.draw(stored, plan)

    def open(self, plan: Plan) -> None:
        """Close the plan, noise its sums and have the key holder open them. After a failure, the next call continues from there.

        Raises:
            KeyHolderUnavailable, PeerRefused: nothing is lost; call again. LedgerRefusal, and as `Noising.noise`.
        """
        confirmed: Head | None = None
        if self._plans.opened(plan.hash)[0].state is not PlanState.WITNESSED:
            # detect a rolled-back ledger, or a free, before this one charges, and before sums are opened
            confirmed = self._meeting.meet(plan, Stage.UNOPENED, confirmed=None).remembered
        self._closing.close(plan)
        self._noising.noise(plan)  # the key holder draws nothing before it has the sums
        self._sums.send(plan)
        self._meeting.conclude(plan, confirmed, lambda: self._noising.noise(plan))
