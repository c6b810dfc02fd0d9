"""The plans that an aggregator takes part in: prepared, opened, found again, and what their terms demand of it.

No network and no clock of its own. An aggregator derives what it can: Δ, σ and the basis follow from the view in the plan,
the number of clients from the reports that it took itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol, assert_never

import numpy as np

from aggregator.collect.collection_job import COLLECT_DOMAIN
from aggregator.errors import (
    AfterDeadline,
    AlreadyCollected,
    PlanTooLarge,
    PlanUnknown,
    ProofsRequired,
    VerificationKeyMissing,
)
from aggregator.identity import Clock, RoleIdentity
from aggregator.shares.charges import Charges
from aggregator.shares.live_secrets import LiveSecrets
from aggregator.signed_message import Signed, plan_of
from aggregator.storage.files import Files
from aggregator.storage.records import PlanStatus, StoredPlan
from aggregator.storage.retention import Retention
from federation.circuit.validity import VerificationKey
from federation.draft import verify_draft
from federation.errors import EncryptionKeysInvalid, NoiseRefused, PlanInvalid
from federation.live_keys import LiveKeys
from federation.plan import Plan
from federation.protocol import require_sums_fit
from federation.signed_plan import require_own_key, verify_plan
from federation.terms import Noise, Validity

MAX_WIRE_COLLECTIONS: Final = 2**17
"""Collections of one plan on the wire: a commitment to so many has 5 MiB."""


class Opening(Protocol):
    """How an aggregator opens plans of some terms. Each role picks one for a plan, once, by the plan's terms."""

    def require(self, plan: Plan) -> None:
        """This aggregator has what such an opening needs. Raises what it lacks, by name."""

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """The signed public keys to keep with a plan. Raises EncryptionKeysInvalid, EncryptionKeysMissing."""
        ...

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """Add noise to what was taken of a closed plan, and store the result and its statements."""


class PlanBook:
    """The plans of one aggregator, and the parts that all of their openings use. Threads may share it.

    Args:
        opening_of: how this role opens a plan. Raises PlanInvalid, HeImpossible: it takes no part in plans like this one.
        grace_us: how long after a plan's deadline reports of it are still taken.
    """

    def __init__(
        self,
        identity: RoleIdentity,
        files: Files,
        clock: Clock,
        opening_of: Callable[[Plan], Opening],
        grace_us: int = 0,
    ) -> None:
        self.identity, self.files, self.opening_of = identity, files, opening_of
        self.stopped = threading.Event()
        self.charges = Charges(identity, files, clock)
        self.retention = Retention(files, clock, grace_us)
        self.secrets = LiveSecrets(identity, files, self.stopped)
        self._clock = clock
        self._parsed: dict[bytes, Plan] = {}
        self.retention.forget()

    # before a plan is announced

    def prepare(self, data: bytes) -> LiveKeys:
        """Draw what a plan needs of this aggregator before it is signed, from its draft; a repeat gives the same.

        Raises:
            PlanInvalid, SignatureInvalid, PlanTooLarge, NoiseRefused, ProofsRequired, PeerUnknown: as `open`.
            AfterDeadline. DraftConflict: another draft had this plan id. LiveSecretLost.
        """
        draft = verify_draft(data, self.identity.settings.coordinator)
        self.require_terms(draft)
        deadline_us = self._open_deadline(draft)
        self.retention.forget()
        return self.secrets.prepare(draft, deadline_us)

    def open(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Take part in a plan from now on; a repeat changes nothing. Returns the plan's hash.

        Args:
            encryption_keys: for the leader of a plan with encrypted reports: the key holder's signed public keys.

        Raises:
            PlanInvalid, ReportTooLong, SignatureInvalid, PlanTooLarge, NoiseRefused, AfterDeadline, StateBehindLedger;
            ProofsRequired: of a plan without proofs. PeerUnknown, VerificationKeyMissing: of one with proofs.
            EncryptionKeysInvalid, EncryptionKeysMissing: of one with encrypted reports.
            LiveSecretLost: what its live keys were signed of is not here.
            LedgerRefusal: by what was charged until now; the charge itself comes when the plan is closed.
        """
        plan = verify_plan(signed, self.identity.settings.coordinator)
        self.require_terms(plan)
        storage = self.files.storage
        if storage.plan(plan.hash) is None:
            deadline_us = self._open_deadline(plan)
            self.charges.require_never_opened(plan)
            self.charges.require_affordable(plan)
            self.secrets.require_seal_key(plan)
            with storage.transaction():  # the key stays while the plan is open
                if plan.terms.validity is Validity.PRIO3:
                    self.verification_key(plan)
                kept = self.opening_of(plan).accepted_keys(plan, encryption_keys)
                storage.add_plan(plan.hash, plan.plan_id, signed, deadline_us, kept)
            self.retention.forget()
        self._parsed[plan.hash] = plan
        return plan.hash

    def require_terms(self, plan: Plan) -> None:
        """This aggregator is in the plan, with its own keys, and may run it by its settings and its roster."""
        opening, settings = self.opening_of(plan), self.identity.settings
        require_own_key(plan, self.identity.role, self.identity.keys.sign.public)
        if settings.peer is not None:
            require_own_key(plan, self.identity.peer, settings.peer)
        match plan.terms.validity:
            case Validity.PRIO3:
                self.identity.pinned_peer()
            case Validity.NONE:
                if settings.require_proofs:
                    raise ProofsRequired(self.identity.role)
            case other:
                assert_never(other)
        if plan.noise is Noise.NONE and not settings.allow_no_noise:
            raise NoiseRefused(f"the plan says noise off; the {self.identity.role}'s own setting does not allow it")
        if plan.offsets[-1] > MAX_WIRE_COLLECTIONS:
            raise PlanTooLarge(plan.offsets[-1], MAX_WIRE_COLLECTIONS)
        require_sums_fit(plan, len(settings.roster.entries))
        opening.require(plan)

    # plans that were opened here

    def opened(self, plan_hash: bytes) -> tuple[StoredPlan, Plan]:
        """A plan that was opened here, as stored and as parsed. Raises PlanUnknown."""
        stored = self.files.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if (plan := self._parsed.get(plan_hash)) is None:
            plan = self._parsed[plan_hash] = verify_plan(stored.signed, self.identity.settings.coordinator)
        return stored, plan

    def require_open(self, plan_hash: bytes, grace_us: int = 0) -> StoredPlan:
        """The plan, if it still takes reports. Raises AlreadyCollected and AfterDeadline."""
        stored = self.files.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if not stored.takes_reports:
            raise AlreadyCollected(plan_hash)
        if self._clock() >= stored.deadline_us + grace_us:
            raise AfterDeadline(stored.deadline_us)
        return stored

    def verification_key(self, plan: Plan) -> VerificationKey:
        """The key that a plan's proofs are verified with.

        Raises:
            VerificationKeyMissing: the plan commits to another key than the one that is kept here.
            AlreadyCollected, AfterDeadline: it was erased, because the plan takes no more reports.
        """
        key = self.files.storage.key(plan.plan_id)
        if key is None or plan.wire is None or key.hash_for(plan.plan_id) != plan.wire.verify_key_hash:
            if self.files.storage.plan(plan.hash) is not None:
                self.require_open(plan.hash, self.retention.grace_us)
            raise VerificationKeyMissing(plan.plan_id)
        return key

    def charge(self, plan: Plan) -> None:
        """Charge the plan and take its panes, before it is closed; a repeat charges nothing.

        Raises:
            PlanInvalid, NoiseRefused, PlanTooLarge, StateBehindLedger, AfterDeadline, LedgerRefusal: nothing was charged.
        """
        self.require_terms(plan)
        self.charges.charge(plan, self.opened(plan.hash)[0])

    def require_charged(self, plan: Plan) -> None:
        """A plan that was closed was charged before. Raises LedgerBehind; and as `open` of its terms."""
        self.require_terms(plan)
        self.charges.require_charged(plan)

    def asked_by_collector(self, data: bytes) -> tuple[StoredPlan, Plan]:
        """The plan that a request to collect is about, signed by its collector."""
        signed = Signed.from_bytes(data)
        stored, plan = self.opened(plan_of(signed))
        if plan.wire is None:  # not of a plan that was opened here
            raise PlanUnknown(plan.hash)
        signed.verify(COLLECT_DOMAIN, plan.wire.collector.sign)
        return stored, plan

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        hashes = [plan_hash] if plan_hash else [plan.hash for plan in self.files.storage.plans()]
        return [self._status(*self.opened(one)) for one in hashes]

    def _status(self, stored: StoredPlan, plan: Plan) -> PlanStatus:
        storage = self.files.storage
        rejected: tuple[int, ...] = ()
        if plan.terms.validity is Validity.PRIO3:
            sums = np.concatenate(([0], np.cumsum(storage.reports.rejected(stored.number, plan.offsets[-1]))))
            rejected = tuple(int(count) for count in np.diff(sums[list(plan.offsets)]))
        pending = len(storage.pending_jobs(stored.number))
        return PlanStatus(stored.hash, stored.state.value, stored.deadline_us, pending, rejected)

    def _open_deadline(self, plan: Plan) -> int:
        """The plan's deadline, which has not passed. Raises PlanInvalid and AfterDeadline."""
        if plan.wire is None:
            raise PlanInvalid("a plan on the wire names its deadline")
        if self._clock() >= plan.wire.deadline_us:
            raise AfterDeadline(plan.wire.deadline_us)
        return plan.wire.deadline_us


def no_keys(plan: Plan, given: bytes) -> bytes:
    """What an opening of shares keeps: nothing. Raises EncryptionKeysInvalid: keys where nothing is encrypted here."""
    if given:
        raise EncryptionKeysInvalid(f"nothing is encrypted for plan {plan.hash.hex()[:16]}… here")
    return b""
