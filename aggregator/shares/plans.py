"""The plans of an aggregator: it prepares and opens them, finds them again, and checks what their terms demand.

No network, and the clock is an argument. An aggregator derives what it can: Δ, σ and the basis follow from the view in the plan,
the number of clients from the reports that it accepted itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, assert_never

import numpy as np

from aggregator.collect.collection_job import COLLECT_DOMAIN
from aggregator.errors import (
    AfterDeadline,
    AlreadyCollected,
    PeerUnknown,
    PlanDeleted,
    PlanTooLarge,
    PlanUnknown,
    ProofsRequired,
    SettingsRefused,
    VerificationKeyMissing,
)
from aggregator.identity import Clock, RoleIdentity, Settings
from aggregator.intake.readiness import Readiness
from aggregator.intake.refusals import Expected, refusal_of
from aggregator.shares.charges import Charges
from aggregator.shares.live_secrets import LiveSecrets
from aggregator.shares.settings_edits import SettingsEdits
from aggregator.signed_message import Signed, plan_of
from aggregator.storage.files import Files
from aggregator.storage.records import PlanStatus, StoredPlan
from aggregator.storage.retention import LATEST_COLLECT_US, Retention
from base.metrics import Meters
from base.version import PROTOCOL, VERSION
from federation.circuit.validity import VerificationKey
from federation.errors import EncryptionKeysInvalid, NoiseRefused, PlanInvalid
from federation.largest_sum import require_sums_fit
from federation.live_keys import LiveKeys
from federation.plan import Plan
from federation.signed_plan import require_own_key
from federation.terms import Noise, Validity

MAX_WIRE_COLLECTIONS: Final = 2**17
"""Most collections of one plan on the wire: a commitment to this number has 5 MiB."""
PARSED_PLANS: Final = 64
"""How many parsed plans are kept in memory. A plan in use that is not among them is parsed again."""


class Opening(Protocol):
    """Opens plans of some terms at one aggregator. Each role chooses one for a plan by its terms."""

    def require(self, plan: Plan) -> None:
        """Check that this aggregator has what the opening needs. Raises a named error for what it lacks."""

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """The signed public keys to store with a plan. Raises EncryptionKeysInvalid, EncryptionKeysMissing."""
        ...

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """Add noise to the sums of a closed plan, and store the result with its statements."""


class PlanBook:
    """The plans of one aggregator, and the parts that all openings share. Threads may share it.

    Args:
        opening_of: this role's opening for a plan. Raises PlanInvalid, HeImpossible: the role takes no part in such plans.
        grace_us: how long after a plan's deadline this aggregator still accepts reports.

    Attributes:
        meters: the counters of this aggregator, in which its parts count.
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
        self.meters = Meters()
        self.stopped = threading.Event()
        self.charges = Charges(identity, files, clock)
        self.retention = Retention(files, clock, grace_us)
        self.secrets = LiveSecrets(identity, files, self.stopped)
        self.edits = SettingsEdits(identity, files, clock, self._require_terms_under, self.opened)
        self._clock = clock
        self._parsed: OrderedDict[bytes, Plan] = OrderedDict()
        self.retention.forget()

    # before a plan is announced

    def readiness(self, data: bytes) -> Readiness:
        """What this aggregator would answer to the plan of a draft, as of now. Nothing is drawn, charged or written.

        Raises:
            PlanInvalid, SignatureInvalid: not a draft of this aggregator's coordinator.
        """
        refusal = None
        try:
            self.edits.take_up()
        except SettingsRefused as error:
            refusal = refusal_of(error)
        draft = self.identity.draft(data)
        try:
            self.require_terms(draft)
            self._open_deadline(draft)
            self.files.ledger.check(draft, self.identity.settings.budget)
        except Expected as error:
            refusal = refusal or refusal_of(error)
        return Readiness(VERSION, PROTOCOL, self._clock(), refusal)

    def prepare(self, data: bytes) -> LiveKeys:
        """Prepare a draft: draw its live secret and sign the live keys. A repeat gives the same keys.

        Raises:
            PlanInvalid, SignatureInvalid, PlanTooLarge, NoiseRefused, ProofsRequired, PeerUnknown: as `open`.
            AfterDeadline. DraftConflict: another draft had this plan id. LiveSecretLost. SettingsRefused.
        """
        self.edits.take_up()
        draft = self.identity.draft(data)
        self.require_terms(draft)
        deadline_us = self._open_deadline(draft)
        self.retention.forget()
        return self.secrets.prepare(draft, deadline_us)

    def open(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Open a plan: take part in it from now on. A repeat changes nothing. Returns the plan's hash.

        Args:
            encryption_keys: at the leader of a plan with encrypted reports, the key holder's signed public keys.

        Raises:
            PlanInvalid, ReportTooLong, SignatureInvalid, PlanTooLarge, NoiseRefused, AfterDeadline, StateBehindLedger;
            ProofsRequired: a plan without proofs. PeerUnknown, VerificationKeyMissing: a plan with proofs.
            EncryptionKeysInvalid, EncryptionKeysMissing: a plan with encrypted reports.
            LiveSecretLost: the live secret of its live keys is not here. PlanDeleted.
            LedgerRefusal: the charges until now do not allow the plan. It is charged when it is closed.
        """
        plan = self.identity.plan(signed)
        self.require_terms(plan)
        storage = self.files.storage
        if storage.plan(plan.hash) is None:
            self._require_not_deleted(plan.hash, plan.deadline_us)
            deadline_us = self._open_deadline(plan)
            self.charges.require_never_opened(plan)
            self.charges.require_affordable(plan)
            self.secrets.require_seal_key(plan)
            with storage.transaction():  # the verification key is kept while the plan is open
                if plan.terms.validity is Validity.PRIO3:
                    self.verification_key(plan)
                kept = self.opening_of(plan).accepted_keys(plan, encryption_keys)
                storage.add_plan(plan.hash, plan.plan_id, signed, deadline_us, kept)
            self.retention.forget()
        self._keep(plan)
        return plan.hash

    def require_terms(self, plan: Plan) -> None:
        """Check that the plan names this aggregator's keys, and that its settings and roster allow the plan."""
        self._require_terms_under(plan, self.identity.settings)

    def _require_terms_under(self, plan: Plan, settings: Settings) -> None:
        opening = self.opening_of(plan)
        require_own_key(plan, self.identity.role, self.identity.keys.pinned)
        if (peer := settings.peer_keys(self.identity.peer)) is not None:
            require_own_key(plan, self.identity.peer, peer)
        match plan.terms.validity:
            case Validity.PRIO3:
                if settings.peer is None:
                    raise PeerUnknown(self.identity.peer)
            case Validity.NONE:
                if settings.require_proofs:
                    raise ProofsRequired(self.identity.role)
            case other:
                assert_never(other)
        if plan.noise is Noise.NONE and not settings.allow_no_noise:
            raise NoiseRefused(f"the plan has noise off, but the {self.identity.role}'s setting does not allow it")
        if plan.offsets[-1] > MAX_WIRE_COLLECTIONS:
            raise PlanTooLarge(plan.offsets[-1], MAX_WIRE_COLLECTIONS)
        require_sums_fit(plan, len(settings.roster.entries))
        opening.require(plan)

    # plans that were opened here

    def opened(self, plan_hash: bytes) -> tuple[StoredPlan, Plan]:
        """A plan that was opened here, as stored and as parsed. Raises PlanUnknown, PlanDeleted."""
        stored = self.files.storage.plan(plan_hash)
        if stored is None:
            self._require_not_deleted(plan_hash, self.files.ledger.state.intended.get(plan_hash))
            raise PlanUnknown(plan_hash)
        if (plan := self._parsed.get(plan_hash)) is None:
            self._keep(plan := self.identity.plan(stored.signed))
        return stored, plan

    def _require_not_deleted(self, plan_hash: bytes, ended_us: int | None) -> None:
        """Check that a plan that is not stored was not opened and deleted. Raises PlanDeleted.

        Args:
            ended_us: its deadline; or, if only its hash is known, the time of its charge. Before the end of that time, the
                storage is an older copy (`Charges.require_never_opened`).
        """
        opened = plan_hash in self.files.ledger.state.completed
        if opened and ended_us is not None and self._clock() > ended_us + LATEST_COLLECT_US:
            raise PlanDeleted(plan_hash)

    def _keep(self, plan: Plan) -> None:
        """Keep a parsed plan among the last ones."""
        self._parsed[plan.hash] = plan
        while len(self._parsed) > PARSED_PLANS:
            with suppress(KeyError):  # another thread was faster
                self._parsed.popitem(last=False)

    def require_open(self, plan_hash: bytes, grace_us: int = 0) -> StoredPlan:
        """The plan, if it still accepts reports. Raises AlreadyCollected and AfterDeadline."""
        stored = self.files.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if not stored.accepts_reports:
            raise AlreadyCollected(plan_hash)
        if self._clock() >= stored.deadline_us + grace_us:
            raise AfterDeadline(stored.deadline_us)
        return stored

    def verification_key(self, plan: Plan) -> VerificationKey:
        """The verification key of a plan's proofs.

        Raises:
            VerificationKeyMissing: the plan commits to another key than the stored one.
            AlreadyCollected, AfterDeadline: the key was erased, because the plan accepts no more reports.
        """
        key = self.files.storage.key(plan.plan_id)
        if key is None or plan.wire is None or key.hash_for(plan.plan_id) != plan.wire.verify_key_hash:
            if self.files.storage.plan(plan.hash) is not None:
                self.require_open(plan.hash, self.retention.grace_us)
            raise VerificationKeyMissing(plan.plan_id)
        return key

    def charge(self, plan: Plan) -> None:
        """Charge the plan and reserve its panes, before it is closed. A repeat charges nothing.

        Raises:
            PlanInvalid, NoiseRefused, PlanTooLarge, StateBehindLedger, AfterDeadline, LedgerRefusal: nothing was charged.
        """
        self.require_terms(plan)
        self.charges.charge(plan, self.opened(plan.hash)[0])

    def require_charged(self, plan: Plan) -> None:
        """Check that a closed plan is charged. Raises LedgerBehind; and as `require_terms`."""
        self.require_terms(plan)
        self.charges.require_charged(plan)

    def verify_collect_request(self, data: bytes) -> tuple[StoredPlan, Plan]:
        """The plan of a collect request, whose collector's signature is verified."""
        signed = Signed.from_bytes(data)
        stored, plan = self.opened(plan_of(signed))
        if plan.wire is None:  # cannot happen: opened plans have a wire part
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
        """The plan's deadline, if it has not passed. Raises PlanInvalid and AfterDeadline."""
        if plan.wire is None:
            raise PlanInvalid("the plan has no deadline; a plan on the wire must name one")
        if self._clock() >= plan.wire.deadline_us:
            raise AfterDeadline(plan.wire.deadline_us)
        return plan.wire.deadline_us


def no_keys(plan: Plan, given: bytes) -> bytes:
    """No keys: an opening of shares stores none. Raises EncryptionKeysInvalid if keys are given."""
    if given:
        raise EncryptionKeysInvalid(f"they came with plan {plan.hash.hex()[:16]}…, for which nothing is encrypted here")
    return b""
