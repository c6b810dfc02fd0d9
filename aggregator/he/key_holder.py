"""The key holder: it makes the keys of a plan, opens the leader's sums once, adds its own noise and answers the collector.

Prepare     draft ──► live secret and one key pair per view, on disk ──► live keys and public keys, signed; a repeat gives the same
OpenSums    statements and sums, all checked ──► charge in the ledger ──► {closed, the leader's statements}
            ──► opened, in range, noised ──► {noised sums; keys and sums erased}, `done` in the ledger ──► live secret erased
            ──► if a sum is out of its range: {keys erased, plan burnt}
Witness     heads of both ledgers, checked ──► {witnessed} if the leader knows that `done`
Free        the coordinator's request ──► everything of the plan erased ──► "never opened", once the leader knows
Collect     for a witnessed plan: always the same bytes

It may be offline between Prepare and OpenSums. It sees sums, never a report, and cannot count reports; it keeps the leader's
signed statements as evidence. In the plan it has the helper's role, with the helper's pinned keys. It has its own ledger.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Final, assert_never

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import WITNESS_DOMAIN, Stage, Witness
from aggregator.collect.freeing import Freeing
from aggregator.collect.heads import Heads
from aggregator.collect.noising import Noising
from aggregator.errors import EncryptionKeysMissing, MessageMalformed, NotCommitted
from aggregator.he.decryption import Decryption
from aggregator.he.size import require_size
from aggregator.he.sum_stream import SumStream, require_repeat, require_same, statement_in
from aggregator.identity import Clock, RoleIdentity, Settings
from aggregator.intake.preparation import Preparation
from aggregator.intake.readiness import Readiness
from aggregator.services import aggregator_pb2 as pb
from aggregator.shares.peers import leader_of
from aggregator.shares.plans import Opening, PlanBook
from aggregator.signed_message import Signed, plan_of, sign
from aggregator.storage.files import Files
from aggregator.storage.records import PlanState, PlanStatus
from base.metrics import Meters
from crypto.bfv import Ciphertexts, message_bytes
from federation.errors import KeyBurnt, PlanFreed, PlanInvalid, StatementMalformed
from federation.he.keys import verify_keys
from federation.he.leader import opened_of
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.statement import most_statement_bytes
from federation.terms import Encrypted, Shares


class KeyHolder:
    """The party that holds the secret keys of plans with encrypted reports."""

    role: Final = "helper"  # its role in plans and statements

    def __init__(self, keys: RoleKeys, settings: Settings, files: Files, clock: Clock) -> None:
        self.files = files
        self.identity = RoleIdentity(self.role, keys, settings)
        self.plans = PlanBook(self.identity, files, clock, self._opening_of)
        self.decryption, self.heads, self.noising = Decryption(self.plans), Heads(self.plans), Noising(self.plans)
        self.freeing = Freeing(self.plans, self.noising)
        self._opening = threading.Lock()  # one plan at a time: a repeated request waits for the first one

    @property
    def meters(self) -> Meters:
        """The counters of this role."""
        return self.plans.meters

    def check(self, data: bytes) -> Readiness:
        """What this aggregator would answer to the plan of a draft. Raises as `PlanBook.readiness`."""
        return self.plans.readiness(data)

    def prepare(self, data: bytes) -> Preparation:
        """Prepare a draft: draw its live secret, and make the keys under which its reports are encrypted.

        Raises:
            As `PlanBook.prepare` and `Decryption.made_keys`.
        """
        live = self.plans.prepare(data)
        keys = self.decryption.made_keys(self.identity.draft(data))
        return Preparation(live, encryption_keys=keys)

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Open a plan: take part in it from now on. Returns its hash. Raises as `PlanBook.open`."""
        return self.plans.open(signed, encryption_keys)

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        """Open a plan's sums once. A repeat opens nothing.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid, StatementMalformed, KeyMismatch, CoefficientOutOfRange: not the
            noised sums of this plan's leader; nothing was decrypted. CommitmentConflict: it signed other sums before.
            LedgerRefusal, StateBehindLedger, LedgerBehind.
            SumOutOfRange: honest reports cannot give one of the sums. KeyBurnt: this happened before. No sum is revealed.
        """
        first = next(parts, None)
        if first is None:
            raise MessageMalformed("no sums")
        with self._opening:
            self._open(first, parts)

    def witness(self, data: bytes) -> bytes:
        """Check the leader's message about both ledgers, and answer with the own one.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. LedgerBehind: one of the two ledgers was rolled back.
            StateBehindLedger: the storage here was rolled back. KeyBurnt. PlanFreed: it is freed here, and not at the leader.
            NotCommitted: by its message both have committed, but the leader has sent no sums.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self.plans.opened(plan_of(signed))
        theirs = Witness.from_bytes(signed.verify(WITNESS_DOMAIN["leader"], leader_of(plan)))
        self.heads.check(plan, theirs)
        if stored.freed and theirs.stage is not Stage.FREED:
            raise PlanFreed(plan.hash)
        match theirs.stage:
            case Stage.UNOPENED:
                pass
            case Stage.COMMITTED:
                if stored.state is PlanState.BURNT:
                    raise KeyBurnt(plan.hash)
                if stored.state not in (PlanState.NOISED, PlanState.WITNESSED):
                    self.plans.charges.require_never_opened(plan)
                    raise NotCommitted(plan.hash)
                self.heads.witnessed(plan, theirs)
            case Stage.FREED:
                self.heads.witnessed(plan, theirs)
            case other:
                assert_never(other)
        reply = self.heads.witness(plan, theirs.stage, theirs.remembered)
        return sign(WITNESS_DOMAIN["helper"], reply.to_bytes(), self.identity.sign_key(plan))

    def free(self, data: bytes) -> list[bytes]:
        """Free a plan for the coordinator. Returns the statement once the leader knows. Raises as `Freeing.answer`."""
        with self._opening:
            return self.freeing.answer(data)

    def collect(self, data: bytes) -> list[SealedShare]:
        """The noised sums, for the collector.

        Raises:
            NotCommitted: the leader has not opened the plan. LedgerBehind. KeyBurnt.
        """
        stored, plan = self.plans.verify_collect_request(data)
        if stored.state is PlanState.BURNT:
            raise KeyBurnt(plan.hash)
        return self.noising.shares(plan)

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        return self.plans.status(plan_hash)

    def stop(self) -> None:
        """Draw no more noise: calls in progress raise Stopping and open nothing."""
        self.plans.stopped.set()

    def close(self) -> None:
        """Close the files; committed data stays."""
        self.files.close()

    def _open(self, first: pb.SumPart, parts: Iterator[pb.SumPart]) -> None:
        stored, plan = self.plans.opened(first.plan_hash)
        if stored.state is PlanState.BURNT:
            raise KeyBurnt(plan.hash)
        if stored.freed:
            raise PlanFreed(plan.hash)
        if stored.unopened:
            statements = self._received(plan, first, parts)
            self.plans.charge(plan)
            with self.files.storage.transaction():
                stored, _ = self.plans.opened(plan.hash)
                if stored.other is None:
                    self.files.storage.close_plan(stored.number, b"", statements)
                else:
                    require_same(stored, statements)
            self.files.live.erase_seal(plan.plan_id)
        else:
            require_repeat(stored, first, parts)
        self.noising.noise(plan)

    def _received(self, plan: Plan, first: pb.SumPart, rest: Iterator[pb.SumPart]) -> bytes:
        """Store the sums of a plan, checked against the leader's statements. Returns the statements, one after another."""
        held = self.files.storage.secret_keys(plan.plan_id)
        if held is None:
            raise EncryptionKeysMissing(plan.plan_id)
        pieces, statements = SumStream(first, rest), b""
        for view, key in enumerate(verify_keys(held.public, plan)):
            signed, size = pieces.statement(view, most_statement_bytes(plan, view)), message_bytes(key.parameters)
            statement, digest, statements = statement_in(plan, view, signed), hashlib.sha256(), statements + signed
            for collection in opened_of(plan, view, statement.outcomes):
                message = pieces.message(view, size)
                Ciphertexts.from_bytes(key.parameters, key.key_id, message)
                digest.update(message)
                self._keep(plan, statements, collection, message)
            if digest.digest() != statement.share:
                raise StatementMalformed("it is about other sums")
        pieces.end()
        return statements

    def _keep(self, plan: Plan, statements: bytes, collection: int, message: bytes) -> None:
        """Store a sum until the plan is opened. A sum that the leader signed before is never replaced."""
        with self.files.storage.transaction():
            stored, _ = self.plans.opened(plan.hash)
            require_same(stored, statements)
            if stored.unopened:
                self.files.storage.set_message("ciphertexts", stored.number, collection, message)

    def _opening_of(self, plan: Plan) -> Opening:
        """The key holder's opening for these terms; the only place that matches them. Raises PlanInvalid, HeImpossible."""
        match plan.terms:
            case Encrypted():
                require_size(plan)
                return self.decryption
            case Shares():
                raise PlanInvalid(
                    "a key holder takes no part in plans with shared reports; a helper opens them. Start a helper"
                )
            case other:
                assert_never(other)
