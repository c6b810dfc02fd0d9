"""What leader and helper have in common: plans, sums and commitments, over one storage and one ledger.

No network and no clock of its own. An aggregator believes nothing that it can derive: Δ, σ and the basis follow from the
view in the plan, the number of clients from the reports that it took itself. How a plan is charged and opened: opening.py.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np

from aggregator.errors import (
    AfterDeadline,
    AlreadyCollected,
    DraftConflict,
    LiveSecretLost,
    PeerUnknown,
    PlanTooLarge,
    PlanUnknown,
    ProofsRequired,
    SealKeyErased,
    StateBehindLedger,
    Stopping,
    VerificationKeyMissing,
)
from aggregator.intake.key_agreement import Prepared
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.retention import forget, forget_live
from aggregator.storage.role_storage import REPORT_TABLES, PlanState, Storage, StoredPlan
from crypto.bfv import PublicKey
from crypto.noise import Noise, NoiseSource, NoiseStream
from crypto.seal import SealKey
from crypto.sharing import Accumulator
from crypto.signing import VerifyKey
from federation.batch.batch import BatchHeader
from federation.batch.reports import Addable, declared
from federation.circuit.validity import VerificationKey
from federation.draft import verify_draft
from federation.errors import EncryptionKeysInvalid, LedgerRefusal, NoiseRefused, PlanInvalid
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.ledger.state import Budget
from federation.live_keys import LARGEST_US, MOST_AFTER_DEADLINE_US, LiveKeys, sign_live_keys
from federation.parties import Aggregator, Roster
from federation.plan import Plan
from federation.protocol import Commitment, add_half, require_sums_fit
from federation.signed_plan import require_own_key, verify_plan
from federation.terms import Protection

from .messages import Verdict, Verdicts

Clock: TypeAlias = Callable[[], int]
"""The wall clock: µs since the epoch."""

MAX_WIRE_COLLECTIONS: Final = 2**17
"""Collections of one plan on the wire: a commitment to so many has 5 MiB."""
NOISE_PART: Final = 2**18
"""Samples that are drawn in one go: some tenths of a second."""


@dataclass(frozen=True)
class Settings:
    """What an aggregator's operator decides; no plan can change it.

    Attributes:
        coordinator: whose plans this aggregator runs.
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


@dataclass(frozen=True)
class PlanStatus:
    """How far a plan is. No count of reports is told that were taken.

    Attributes:
        rejected: of each view of a plan with proofs, reports that this aggregator has rejected or saw rejected; none
            without proofs. A client within its bounds is among them once in 2^56 reports, so nothing is told of any.
    """

    plan_hash: bytes
    state: PlanState
    deadline_us: int
    pending: int
    rejected: tuple[int, ...] = ()


class Party:
    """An aggregator of either role.

    Args:
        ledger: what this role has charged and opened, in a file that outlives the storage.
        live: the live secrets of its plans, which no backup holds: what opens their batches, and seeds their noise.
    """

    role: Aggregator
    peer: Aggregator
    """The other role."""
    protections: tuple[Protection, ...] = (Protection.SHARES,)
    """Of the plans that this role takes part in."""
    grace_us: int = 0
    """How long after a plan's deadline reports of it are still taken."""

    def __init__(
        self, keys: RoleKeys, settings: Settings, storage: Storage, ledger: Ledger, live: LiveFolder, clock: Clock
    ) -> None:
        self.keys, self.settings, self.storage, self.ledger, self.live = keys, settings, storage, ledger, live
        self._clock = clock
        self._plans: dict[bytes, Plan] = {}
        self._encryption_keys: dict[bytes, tuple[PublicKey, ...]] = {}
        self._noising, self._preparing = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()
        self._forget()

    def prepare(self, data: bytes) -> Prepared:
        """Make what a plan needs of this aggregator before it is signed, from its draft; a repeat gives the same.

        Raises:
            PlanInvalid, SignatureInvalid, PlanTooLarge, NoiseRefused, ProofsRequired, PeerUnknown: as `open_plan`.
            AfterDeadline. DraftConflict: another draft had this plan id. LiveSecretLost.
        """
        draft = verify_draft(data, self.settings.coordinator)
        self._require_terms(draft)
        return Prepared(self._live_keys(draft))

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Take part in a plan from now on; a repeat changes nothing. Returns the plan's hash.

        Args:
            encryption_keys: for the leader of a plan with protection `he`: the key holder's signed public keys.

        Raises:
            PlanInvalid, ReportTooLong, SignatureInvalid, PlanTooLarge, NoiseRefused, AfterDeadline, StateBehindLedger;
            ProofsRequired: of a plan without proofs. PeerUnknown, VerificationKeyMissing: of one with proofs.
            EncryptionKeysInvalid, EncryptionKeysMissing: of one with encrypted reports.
            LiveSecretLost: what its live keys were signed of is not here.
            LedgerRefusal: by what was charged until now; the charge itself comes when the plan is closed.
        """
        plan = verify_plan(signed, self.settings.coordinator)
        self._require_terms(plan)
        if self.storage.plan(plan.hash) is None:
            deadline_us = _deadline_of(plan)
            if self._clock() >= deadline_us:
                raise AfterDeadline(deadline_us)
            self._require_never_opened(plan)
            self._require_affordable(plan)
            if self._live_file(plan).secret.seal is None:
                raise self._lost(plan)
            with self.storage.transaction():  # the key stays while the plan is open
                if plan.validity == "prio3":
                    self._verification_key(plan)
                kept = self._accepted_keys(plan, encryption_keys)
                self.storage.add_plan(plan.hash, plan.plan_id, signed, deadline_us, kept)
            self._forget()
        self._plans[plan.hash] = plan
        return plan.hash

    def stop(self) -> None:
        """Draw no more noise: what is under way ends with Stopping, with nothing opened."""
        self._stopped.set()

    def close(self) -> None:
        """Let go of the files; what was committed stays."""
        self.storage.close()
        self.ledger.close()

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        hashes = [plan_hash] if plan_hash else [plan.hash for plan in self.storage.plans()]
        return [self._status(*self._opened(one)) for one in hashes]

    def _status(self, stored: StoredPlan, plan: Plan) -> PlanStatus:
        rejected: tuple[int, ...] = ()
        if plan.validity == "prio3":
            sums = np.concatenate(([0], np.cumsum(self.storage.rejected(stored.number, plan.offsets[-1]))))
            rejected = tuple(int(count) for count in np.diff(sums[list(plan.offsets)]))
        pending = len(self.storage.pending_jobs(stored.number))
        return PlanStatus(stored.hash, stored.state, stored.deadline_us, pending, rejected)

    def _require_terms(self, plan: Plan) -> None:
        """This aggregator is in the plan, with its own keys, and may run it on its settings and with its roster."""
        if plan.protection not in self.protections:
            raise PlanInvalid(f"this {self.role} takes no part in plans with protection {plan.protection.value!r}")
        require_own_key(plan, self.role, self.keys.sign.public)
        if self.settings.peer is not None:
            require_own_key(plan, self.peer, self.settings.peer)
        if plan.validity == "prio3":
            self._pinned_peer()
        elif self.settings.require_proofs:
            raise ProofsRequired(self.role)
        if plan.noise == "none" and not self.settings.allow_no_noise:
            raise NoiseRefused(f"the plan says noise off; the {self.role}'s own setting does not allow it")
        if plan.offsets[-1] > MAX_WIRE_COLLECTIONS:
            raise PlanTooLarge(plan.offsets[-1], MAX_WIRE_COLLECTIONS)
        require_sums_fit(plan, len(self.settings.roster.entries))

    def _accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """The signed public keys to keep with a plan. Raises EncryptionKeysInvalid: such keys where nothing is encrypted."""
        if given:
            raise EncryptionKeysInvalid(f"nothing is encrypted for plan {plan.hash.hex()[:16]}… here")
        return b""

    def _verification_key(self, plan: Plan) -> VerificationKey:
        """The key that a plan's proofs are verified with.

        Raises:
            VerificationKeyMissing: the plan commits to another key than the one that is kept here.
            AlreadyCollected, AfterDeadline: it was erased, because the plan takes no more reports.
        """
        key = self.storage.key(plan.plan_id)
        if key is None or plan.wire is None or key.hash_for(plan.plan_id) != plan.wire.verify_key_hash:
            if (stored := self.storage.plan(plan.hash)) is not None:
                self._require_open(plan.hash, stored.deadline_us + self.grace_us)
            raise VerificationKeyMissing(plan.plan_id)
        return key

    def _forget(self) -> None:
        """Erase what nothing can ask for any more."""
        forget(self.storage, self._clock(), self.grace_us)
        forget_live(self.live, self.storage, self.ledger.state, self._clock())

    def _live_keys(self, draft: Plan) -> LiveKeys:
        """Draw the live secret of a draft, once, and sign it. The secret is on disk before anybody learns of it."""
        deadline_us = _deadline_of(draft)
        if self._clock() >= deadline_us:
            raise AfterDeadline(deadline_us)
        self._forget()
        with self._preparing:
            if (known := self.storage.prepared(draft.plan_id)) is not None and known[0] != draft.hash:
                raise DraftConflict(draft.plan_id)
            if known is not None:
                if self.live.load(draft.plan_id) is None and not self.storage.plans_of_id(draft.plan_id):
                    raise self._lost(draft)
                return LiveKeys.from_bytes(known[1])
            not_after_us = min(deadline_us + MOST_AFTER_DEADLINE_US, LARGEST_US)
            file = self.live.draw(draft.plan_id, draft.hash, not_after_us)
            if file.draft != draft.hash:
                raise DraftConflict(draft.plan_id)
            if file.secret.seal is None:
                raise self._lost(draft)
            keys = sign_live_keys(
                self.role,
                draft.hash,
                file.secret.seal.public,
                file.secret.secret_hash,
                not_after_us,
                self.ledger.head,
                self.keys.sign,
            )
            with self.storage.transaction():
                self.storage.set_prepared(draft.plan_id, draft.hash, keys.to_bytes(), not_after_us)
            return keys

    def _live_file(self, plan: Plan) -> LiveFile:
        """The live secret that the plan's live keys were signed of. Raises LiveSecretLost."""
        file = self.live.load(plan.plan_id)
        if file is None or plan.wire is None:
            raise self._lost(plan)
        mine, secret = plan.wire.live(self.role), file.secret
        if secret.secret_hash != mine.secret_hash or (secret.seal is not None and secret.seal.public != mine.seal):
            raise self._lost(plan)
        return file

    def _lost(self, plan: Plan) -> LiveSecretLost:
        return LiveSecretLost(self.role, str(self.live.path), plan.plan_id)

    def _seal_key(self, plan: Plan) -> SealKey:
        """What opens the plan's batches here. Raises LiveSecretLost; SealKeyErased: its time is over."""
        seal = self._live_file(plan).secret.seal
        if seal is None:
            raise SealKeyErased(plan.plan_id)
        return seal

    def _pinned_peer(self) -> VerifyKey:
        """The other aggregator's signing key, as this one's own settings have them. Raises PeerUnknown."""
        if self.settings.peer is None:
            raise PeerUnknown(self.peer)
        return self.settings.peer

    def _require_affordable(self, plan: Plan) -> None:
        """The ledger allows the plan, so far. A refusal is recorded; nothing is charged."""
        try:
            self.ledger.check(plan, self.settings.budget)
        except LedgerRefusal as refusal:
            self.ledger.refuse(plan, refusal)
            raise

    def _require_never_opened(self, plan: Plan) -> None:
        """The ledger knows of no opening of a plan that the storage has not opened. Raises StateBehindLedger."""
        if plan.hash in self.ledger.state.done:
            raise StateBehindLedger(str(self.storage.path), plan.hash)

    def _opened(self, plan_hash: bytes) -> tuple[StoredPlan, Plan]:
        """A plan that was opened here, as stored and as parsed. Raises PlanUnknown."""
        stored = self.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if (plan := self._plans.get(plan_hash)) is None:
            plan = self._plans[plan_hash] = verify_plan(stored.signed, self.settings.coordinator)
        return stored, plan

    def _require_open(self, plan_hash: bytes, until_us: int | None = None) -> StoredPlan:
        """The plan, if it still takes reports. Raises AlreadyCollected and AfterDeadline."""
        stored = self.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if stored.state != "open":
            raise AlreadyCollected(plan_hash)
        if self._clock() >= (stored.deadline_us if until_us is None else until_us):
            raise AfterDeadline(stored.deadline_us)
        return stored

    def _add(self, number: int, plan: Plan, half: Addable) -> None:
        """Add shares to the stored sums. Inside the transaction that takes their ids."""
        touched, rows = np.unique(half.collection, return_inverse=True)
        length = plan.views[half.view].layout.length
        sums = Accumulator.from_values(self.storage.sums(number, touched, length))
        add_half(plan, sums, half, rows.astype(np.int64, copy=False))
        self.storage.set_sums(number, touched, sums.values)

    def _count(self, number: int, plan: Plan, header: BatchHeader, verdicts: Verdicts) -> None:
        """Remember a batch's new ids, taken or rejected, against the site's roster entry; inside a transaction.

        Args:
            verdicts: uint8[R] of `Verdict`, changed in place: a report id that is known is a duplicate, one that was
                rejected before stays so. Nobody gets a second try with one nonce, whose test point never changes.

        Raises:
            RosterExceeded: of taken and rejected reports together: a site that lies has no more tries than clients.
            ReportedTwice: likewise, where a report is a site's.
        """
        known, refused = (self.storage.known(number, header.report_ids, table) for table in REPORT_TABLES)
        verdicts[refused] = Verdict.REJECTED
        verdicts[known] = Verdict.DUPLICATE
        taken, rejected = verdicts == Verdict.TAKEN, (verdicts == Verdict.REJECTED) & ~refused
        if not (taken | rejected).any():
            return
        new, ids = taken | rejected, header.report_ids
        collection, clients = header.collection[new], declared(header.clients, new)
        before = self.storage.site_counts(number, header.site, collection, plan.offsets[-1])
        touched, counts = self.settings.roster[header.site].count(before, collection, clients)
        self.storage.set_site_counts(number, header.site, touched, counts)
        self.storage.add_reports(number, header.collection[taken], ids[taken], declared(header.clients, taken))
        self.storage.add_rejected(number, header.collection[rejected], ids[rejected])

    def _commitment(self, number: int, plan: Plan) -> Commitment:
        """Counts and digests of every collection, over ids that come sorted from the storage."""
        collections = plan.offsets[-1]
        counts, digests = [0] * collections, [hashlib.sha256().digest()] * collections
        for collection, reports in groupby(self.storage.reports(number), lambda row: row[0]):
            digest = hashlib.sha256()
            for _, report, clients in reports:
                digest.update(report)
                counts[collection] += clients
            digests[collection] = digest.digest()
        return Commitment(tuple(counts), tuple(digests))

    def _noise_source(self, plan: Plan) -> NoiseSource | None:
        """Where this plan's noise comes from: none where it says noise off, which `_require_terms` has allowed.

        Raises:
            LiveSecretLost: nothing is opened without it, not even without noise.
        """
        source = self._live_noise(plan)
        return None if plan.noise == "none" else source

    def _live_noise(self, plan: Plan) -> NoiseSource:
        """Noise from the live secret of a plan; also what hides the errors of encrypted sums, with noise off too."""
        return _Stoppable(self._live_file(plan).secret.noise, self._stopped)


class _Stoppable:
    """A noise source whose streams are drawn in parts: a thread cannot be interrupted, and a year of noise takes seconds."""

    def __init__(self, source: NoiseSource, stopped: threading.Event) -> None:
        self.name, self.seeded = source.name, source.seeded
        self._source, self._stopped = source, stopped

    def stream(self, context: bytes) -> NoiseStream:
        """The stream of a context."""
        return _StoppableStream(self._source.stream(context), self._stopped)


class _StoppableStream:
    def __init__(self, stream: NoiseStream, stopped: threading.Event) -> None:
        self._stream, self._stopped = stream, stopped

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises Stopping, and as the source."""
        return self._drawn(lambda part: self._stream.discrete_gaussian(sigma_sq, part), size)

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises Stopping, and as the source."""
        return self._drawn(lambda part: self._stream.discrete_laplace(scale, part), size)

    def _drawn(self, draw: Callable[[int], Noise], size: int) -> Noise:
        parts = [np.empty(0, np.int64)]
        for at in range(0, size, NOISE_PART):
            if self._stopped.is_set():
                raise Stopping("this aggregator is stopping; nothing was opened: ask again when it is back")
            parts.append(draw(min(NOISE_PART, size - at)))
        return np.concatenate(parts)


def _deadline_of(plan: Plan) -> int:
    if plan.wire is None:
        raise PlanInvalid("a plan on the wire names its deadline")
    return plan.wire.deadline_us
