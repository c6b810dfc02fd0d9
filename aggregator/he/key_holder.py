"""The key holder as a service: makes the keys of a plan, opens the leader's sums once, and gives the collector what it adds
its own noise to.

Prepare     draft ──► live secret and a key pair a view, on disk ──► live keys and public ones, signed; a repeat gives the same
OpenSums    statements and sums, checked whole ──► charge in the ledger ──► {closed, the leader's statements}
            ──► opened, in range, noised ──► {noised sums; keys and sums erased}, `done` in the ledger ──► live secret erased
            ──► a sum out of its range: {keys erased, plan burnt}
Witness     heads of both ledgers, checked ──► {witnessed} where the leader knows of that `done`
Collect     of a plan that is witnessed: the same bytes, always

It may be offline between Prepare and OpenSums. It sees sums, never a report, and cannot count: what the leader has signed
is kept as evidence. Its part in the plan is the helper's, with the helper's pinned keys; its ledger is its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Final, assert_never

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import WITNESS_DOMAIN, Witness
from aggregator.collect.heads import Heads
from aggregator.collect.noising import Noising
from aggregator.errors import EncryptionKeysMissing, MessageMalformed, NotCommitted
from aggregator.he.decryption import Decryption
from aggregator.he.size import require_size
from aggregator.he.sum_stream import SumStream, require_repeat, require_same, statement_bytes, statement_in
from aggregator.identity import Clock, RoleIdentity, Settings
from aggregator.intake.preparation import Preparation
from aggregator.services import aggregator_pb2 as pb
from aggregator.shares.peers import leader_of
from aggregator.shares.plans import Opening, PlanBook
from aggregator.signed_message import Signed, plan_of, sign
from aggregator.storage.files import Files
from aggregator.storage.records import PlanState, PlanStatus
from crypto.bfv import Ciphertexts, message_bytes
from federation.draft import verify_draft
from federation.errors import KeyBurnt, PlanInvalid, StatementMalformed
from federation.he.keys import verify_keys
from federation.he.leader import opened_of
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.terms import Encrypted, Shares


class KeyHolder:
    """The party that holds the secret keys of plans with encrypted reports."""

    role: Final = "helper"  # its place in plans and statements

    def __init__(self, keys: RoleKeys, settings: Settings, files: Files, clock: Clock) -> None:
        self.files = files
        self.identity = RoleIdentity(self.role, keys, settings)
        self.plans = PlanBook(self.identity, files, clock, self._opening_of)
        self.decryption, self.heads, self.noising = Decryption(self.plans), Heads(self.plans), Noising(self.plans)
        self._opening = threading.Lock()  # one plan at a time: a leader that asks again waits for its first question

    def prepare(self, data: bytes) -> Preparation:
        """What a plan needs of the key holder before it is signed; also the keys that its reports are encrypted under.

        Raises:
            As `PlanBook.prepare` and `Decryption.made_keys`.
        """
        live = self.plans.prepare(data)
        keys = self.decryption.made_keys(verify_draft(data, self.identity.settings.coordinator))
        return Preparation(live, encryption_keys=keys)

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        """Take part in a plan from now on. Returns the plan's hash. Raises as `PlanBook.open`."""
        return self.plans.open(signed, encryption_keys)

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        """Open a plan's sums, once; a repeat opens nothing.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid, StatementMalformed, KeyMismatch, CoefficientOutOfRange: not the
            noised sums of this plan's leader; nothing was looked at. CommitmentConflict: it has signed others before.
            LedgerRefusal, StateBehindLedger, LedgerBehind.
            SumOutOfRange: one is none of honest reports. KeyBurnt: that was so before. Nothing is told of any sum.
        """
        first = next(parts, None)
        if first is None:
            raise MessageMalformed("no sums")
        with self._opening:
            self._open(first, parts)

    def witness(self, data: bytes) -> bytes:
        """Check where both ledgers stand by the leader's word, and say the same of here.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. LedgerBehind: one of the two ledgers was rolled back.
            StateBehindLedger: the storage here was. KeyBurnt.
            NotCommitted: the leader says that both have committed, and has sent no sums.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self.plans.opened(plan_of(signed))
        told = Witness.from_bytes(signed.verify(WITNESS_DOMAIN["leader"], leader_of(plan)))
        self.heads.check(plan, told)
        if told.committed:
            if stored.state is PlanState.BURNT:
                raise KeyBurnt(plan.hash)
            if stored.state not in (PlanState.NOISED, PlanState.WITNESSED):
                self.plans.charges.require_never_opened(plan)
                raise NotCommitted(plan.hash)
            self.heads.witnessed(plan, told)
        reply = self.heads.witness(plan, committed=told.committed, confirmed=told.remembered)
        return sign(WITNESS_DOMAIN["helper"], reply.to_bytes(), self.identity.keys.sign)

    def collect(self, data: bytes) -> list[SealedShare]:
        """The noised sums, for the collector.

        Raises:
            NotCommitted: the leader has not opened the plan. LedgerBehind. KeyBurnt.
        """
        stored, plan = self.plans.asked_by_collector(data)
        if stored.state is PlanState.BURNT:
            raise KeyBurnt(plan.hash)
        return self.noising.shares(plan)

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        return self.plans.status(plan_hash)

    def stop(self) -> None:
        """Draw no more noise: what is under way ends with Stopping, nothing opened."""
        self.plans.stopped.set()

    def close(self) -> None:
        """Close the files; what was committed stays."""
        self.files.close()

    def _open(self, first: pb.SumPart, parts: Iterator[pb.SumPart]) -> None:
        stored, plan = self.plans.opened(first.plan_hash)
        if stored.state is PlanState.BURNT:
            raise KeyBurnt(plan.hash)
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
        """Keep the sums of a plan, all of them as the leader's statements say; those statements, one after another."""
        held = self.files.storage.secret_keys(plan.plan_id)
        if held is None:
            raise EncryptionKeysMissing(plan.plan_id)
        pieces, statements = SumStream(first, rest), b""
        for view, key in enumerate(verify_keys(held.public, plan)):
            signed, size = pieces.statement(view, statement_bytes(plan, view)), message_bytes(key.parameters)
            said, digest, statements = statement_in(plan, view, signed), hashlib.sha256(), statements + signed
            for collection in opened_of(plan, view, said.outcomes):
                message = pieces.message(view, size)
                Ciphertexts.from_bytes(key.parameters, key.key_id, message)
                digest.update(message)
                self._keep(plan, statements, collection, message)
            if digest.digest() != said.share:
                raise StatementMalformed("it is of other sums")
        pieces.end()
        return statements

    def _keep(self, plan: Plan, statements: bytes, collection: int, message: bytes) -> None:
        """Keep a sum, until the plan is opened; none in the place of one that the leader has signed before."""
        with self.files.storage.transaction():
            stored, _ = self.plans.opened(plan.hash)
            require_same(stored, statements)
            if stored.unopened:
                self.files.storage.set_message("ciphertexts", stored.number, collection, message)

    def _opening_of(self, plan: Plan) -> Opening:
        """How the key holder opens plans of these terms: the one place that looks at them. Raises PlanInvalid, HeImpossible."""
        match plan.terms:
            case Encrypted():
                require_size(plan)
                return self.decryption
            case Shares():
                raise PlanInvalid("this key holder takes no part in plans with shared reports: a helper opens them")
            case other:
                assert_never(other)
