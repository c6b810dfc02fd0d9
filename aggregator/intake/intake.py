"""The leader's intake: takes batches of sites, asks the helper, and counts only what both took.

    Submit    check, open, with proofs compute verifier shares ──► {ids, batch} kept in one transaction
              ──► job to the helper ──► {sums, answer} in one transaction: what the helper took, and nothing else.
              The helper down: the batch stays kept, and every later submit or collect asks again

One thread at a time passes batches to the helper; checking and opening the next ones goes on meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np

from aggregator.errors import (
    HelperUnavailable,
    JobConflict,
    KeyHolderUnavailable,
    MessageMalformed,
    PeerRefused,
    PlanUnknown,
    Refused,
    SealKeyErased,
    Unreachable,
)
from aggregator.he.intake import EncryptedIntake
from aggregator.services.peer_links import HelperLink, KeyHolderLink, PeerLink, as_peers
from aggregator.shares.messages import (
    ANSWER_DOMAIN,
    JOB_DOMAIN,
    JOB_ID_BYTES,
    Answer,
    Job,
    Signed,
    Verdict,
    Verdicts,
    job_digest,
    sign,
    verdicts_from,
)
from aggregator.shares.party import Clock, Settings
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Pending, Storage, StoredPlan
from crypto.ntt_field import Mask
from crypto.signing import VerifyKey
from federation.batch.batch import BatchHeader, SealedBatch, open_half
from federation.batch.reports import Addable, LeaderHalf, ProvenHalf, declared
from federation.circuit.validity import Started, start
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.parties import MAX_CLIENTS, Roster, RosterEntry, clients_in
from federation.plan import Plan
from federation.terms import Protection

from .refusals import REASONS, refusal_of
from .verification import finished, offer

log = logging.getLogger(__name__)

_PLAN_UNKNOWN: Final = REASONS[PlanUnknown]
_T = TypeVar("_T")

_Work = LeaderHalf | Started
"""The leader's half of a batch while it is under way: as it is added, or waiting for the helper's word of its proofs."""


@dataclass(frozen=True)
class Submitted:
    """What became of a batch.

    Attributes:
        pending: kept; the helper has not answered yet. Then there are no verdicts.
        verdicts: one byte of `Verdict` a report.
    """

    pending: bool
    verdicts: bytes = field(repr=False)


class Intake(EncryptedIntake):
    """The leader, as far as batches are concerned."""

    role = "leader"
    peer = "helper"
    protections = (Protection.SHARES, Protection.HE)

    def __init__(
        self,
        keys: RoleKeys,
        settings: Settings,
        storage: Storage,
        ledger: Ledger,
        live: LiveFolder,
        clock: Clock,
        helper: HelperLink,
        key_holder: KeyHolderLink | None = None,
    ) -> None:
        super().__init__(keys, settings, storage, ledger, live, clock)
        self._helper, self._key_holder = helper, key_holder
        self._line = threading.Lock()
        self._fresh: dict[bytes, tuple[SealedBatch, _Work]] = {}  # by digest, while under way: opened once only

    def submit(self, data: bytes) -> Submitted:
        """Take one batch of a site's, whole but for duplicate ids. A repeat gives the same answer.

        Raises:
            AlreadyCollected, AfterDeadline, PlanUnknown, JobConflict, and as `SealedBatch.from_bytes` and `open_half`:
            nothing of it was kept. LedgerBehind: nor of one that remembers a head which this ledger lacks. Refused: the helper
            takes none of it.
        """
        batch = SealedBatch.from_bytes(data)
        header = batch.signed.header
        stored, plan = self._opened(header.plan_hash)
        job, digest = job_id_of(header.site, header.batch_id), batch.signed.digest
        if plan.protection == "he":
            if self._known_digest(stored.number, job) != digest:
                self._require_open(plan.hash)
                self._take_encrypted(stored, plan, job, batch)
            return self._submitted(stored.number, job)
        try:
            if (
                self._known_digest(stored.number, job) != digest
            ):  # new; or a conflict, which is told once it is verified
                self._require_open(plan.hash)
                roster = self.settings.roster
                work = self._opened_half(plan, roster, batch)
                self._fresh[digest] = batch, work
                self._keep(plan, job, batch, data, _offered(work))
            if self.storage.pending_digest(stored.number, job) is not None:
                with self._line:
                    self._ask_all(None)
        except (HelperUnavailable, PeerRefused) as error:
            log.warning("batches are kept: %s", error)
        finally:
            self._fresh.pop(digest, None)
        return self._submitted(stored.number, job)

    # a batch

    def _known_digest(self, number: int, job: bytes) -> bytes | None:
        """The digest of a batch that is kept or answered."""
        answered = self.storage.job(number, job)
        return answered[0] if answered else self.storage.pending_digest(number, job)

    def _opened_half(self, plan: Plan, roster: Roster, batch: SealedBatch) -> _Work:
        """The leader's half, checked and opened; with proofs its verifier shares, always the same ones."""
        half = open_half("leader", plan, self._seal_key(plan), roster, batch.half("leader"))
        self.ledger.require_known(batch.signed.header.head_of("leader"))
        return start(plan, self._verification_key(plan), half) if isinstance(half, ProvenHalf) else half

    def _keep(self, plan: Plan, job: bytes, batch: SealedBatch, data: bytes, offered: Mask) -> None:
        """Take the batch's new ids and keep it, on disk, until the helper answers.

        Args:
            offered: bool[R]: what the leader itself does not reject.
        """
        header, digest = batch.signed.header, batch.signed.digest
        with self.storage.transaction():
            number = self._require_open(plan.hash).number
            if (known := self._known_digest(number, job)) is not None:
                if known != digest:
                    raise JobConflict(job)
                return
            if plan.validity == "prio3":
                self._verification_key(plan)  # from here on it stays while the batch waits (retention.py)
            verdicts = np.where(offered, Verdict.TAKEN, Verdict.REJECTED).astype(np.uint8)
            self._count(number, plan, header, verdicts)
            encoded = verdicts.tobytes()
            if not (verdicts == Verdict.TAKEN).any():  # nothing to ask the helper
                self.storage.record(number, job, digest, Answer(plan.hash, job, digest, encoded).to_bytes())
                return
            site_key = self.settings.roster[header.site].key.data
            self.storage.keep(Pending(number, job, digest, site_key, encoded, data))

    def _submitted(self, number: int, job: bytes) -> Submitted:
        """What the storage says of a batch. Raises Refused."""
        if (found := self.storage.job(number, job)) is None:
            return Submitted(True, b"")
        answer = Answer.from_bytes(found[1])
        if answer.refusal is not None:
            refusal = answer.refusal
            raise Refused("helper", refusal.reason, refusal.text, refusal.numbers)
        return Submitted(False, answer.verdicts)

    # what is kept (holding the line)

    def _ask_all(self, number: int | None) -> None:
        """Ask the helper about all batches that wait (of one plan), oldest first.

        Raises:
            HelperUnavailable: at once. PeerRefused: after all others were asked.
        """
        refused: PeerRefused | None = None
        for of, job in self.storage.pending_jobs(number):
            pending = self.storage.pending(of, job)
            if pending is None:
                continue
            try:
                self._ask(pending)
            except PeerRefused as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def _ask(self, pending: Pending) -> None:
        """Ask about one batch and commit what the helper says."""
        stored, plan = self._opened(self.storage.hash_of(pending.plan))
        try:
            batch, work = self._fresh.get(pending.digest) or self._reopen(plan, pending)
        except SealKeyErased as error:
            self._give_up(plan, pending, error)
            return
        header = batch.signed.header
        offered = verdicts_from(pending.verdicts, len(header)) == Verdict.TAKEN
        shares = offer(plan, work, offered) if isinstance(work, Started) else b""
        body = Job(plan.hash, pending.job, batch.half("helper").to_bytes(), pending.verdicts, shares).to_bytes()

        reply = self._call(stored, self._helper, self._helper.aggregate, sign(JOB_DOMAIN, body, self.keys.sign))
        with as_peers():
            answer = Answer.from_bytes(Signed.from_bytes(reply).verify(ANSWER_DOMAIN, helper_of(plan)))
            if (answer.plan_hash, answer.job_id, answer.job_digest) != (plan.hash, pending.job, job_digest(body)):
                raise MessageMalformed("an answer to another job")
            verdicts = np.full(len(header), Verdict.DUPLICATE, np.uint8)  # refused: no id of it is used up
            if answer.refusal is None:
                verdicts = verdicts_from(answer.verdicts, len(header))
            taken = verdicts == Verdict.TAKEN
            if (taken & ~offered).any():
                raise MessageMalformed("the helper took a report that was not offered")
            if isinstance(work, Started):
                mine: Addable = finished(plan, work, answer.verifier_messages, taken)
            else:
                mine = work.take(taken)

        self._settle(plan, pending, header, mine, offered, verdicts, answer)

    def _reopen(self, plan: Plan, pending: Pending) -> tuple[SealedBatch, _Work]:
        """A kept batch, opened again. It was checked against the roster of its time."""
        batch = SealedBatch.from_bytes(pending.batch)
        roster = Roster([RosterEntry(batch.signed.header.site, VerifyKey(pending.site_key), MAX_CLIENTS)])
        return batch, self._opened_half(plan, roster, batch)

    def _give_up(self, plan: Plan, pending: Pending, why: SealKeyErased) -> None:
        """Take nothing of a batch that can be opened no more."""
        header = SealedBatch.from_bytes(pending.batch).signed.header
        offered = verdicts_from(pending.verdicts, len(header)) == Verdict.TAKEN
        answer = Answer(plan.hash, pending.job, pending.digest, b"", refusal_of(why))
        nothing = np.full(len(header), Verdict.DUPLICATE, np.uint8)
        self._settle(plan, pending, header, None, offered, nothing, answer)

    def _settle(
        self,
        plan: Plan,
        pending: Pending,
        header: BatchHeader,
        mine: Addable | None,
        offered: Mask,
        verdicts: Verdicts,
        answer: Answer,
    ) -> None:
        """Commit exactly what the helper took, keep the ids that it rejected as rejected, and give the others back."""
        number, site = pending.plan, header.site
        rejected = offered & (verdicts == Verdict.REJECTED)
        back = offered & (verdicts == Verdict.DUPLICATE)
        with self.storage.transaction():
            if not self.storage.drop_pending(number, pending.job):
                return
            if mine is not None and len(mine.collection):
                self._add(number, plan, mine)
            self.storage.drop_reports(number, header.report_ids[rejected | back])
            self.storage.add_rejected(number, header.collection[rejected], header.report_ids[rejected])
            if back.any():
                touched, clients = clients_in(header.collection[back], declared(header.clients, back))
                before = self.storage.site_counts(number, site, touched, plan.offsets[-1])
                self.storage.set_site_counts(number, site, touched, before[touched] - clients)
            self.storage.record(number, pending.job, pending.digest, answer.to_bytes())

    def _call(self, stored: StoredPlan, peer: PeerLink, call: Callable[[bytes], _T], data: bytes) -> _T:
        """Call the helper or key holder; pass the plan on first where it says that it does not know it."""
        try:
            try:
                return call(data)
            except Refused as refused:
                if refused.reason != _PLAN_UNKNOWN:
                    raise
                peer.open_plan(stored.signed)
                return call(data)
        except Unreachable:
            if peer is self._key_holder:
                raise KeyHolderUnavailable from None
            raise HelperUnavailable(len(self.storage.pending_jobs(stored.number))) from None
        except Refused as refused:
            raise PeerRefused(refused) from None


def _offered(work: _Work) -> Mask:
    """bool[R]: the reports of an opened half that the leader can offer to the helper."""
    return work.offered if isinstance(work, Started) else np.ones(len(work.collection), np.bool_)


def job_id_of(site: str, batch_id: bytes) -> bytes:
    """16 bytes that name a site's batch in a plan; no site can take another's."""
    return hashlib.sha256(b"covey-1 job id" + batch_id + site.encode("ascii")).digest()[:JOB_ID_BYTES]


def helper_of(plan: Plan) -> VerifyKey:
    """The key that the plan's helper signs with."""
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    return plan.wire.helper
