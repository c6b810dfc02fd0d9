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
from dataclasses import replace
from itertools import chain

import numpy as np

from aggregator.collect.opening import Opener
from aggregator.collect.sealed_share import SealedShare
from aggregator.errors import CommitmentConflict, EncryptionKeysMissing, MessageMalformed, NotCommitted, PlanUnknown
from aggregator.intake.key_agreement import Prepared
from aggregator.services import aggregator_pb2 as pb
from aggregator.shares.messages import WITNESS_DOMAIN, Signed, Witness, plan_of, sign
from aggregator.shares.party import Clock, Settings
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.retention import LATEST_CHARGE_US
from aggregator.storage.role_storage import SecretKeys, Storage, StoredPlan
from crypto.bfv import Ciphertexts, message_bytes
from crypto.bfv_parameters import Slots
from crypto.bfv_secret import SecretKey, secret_key_bytes
from crypto.errors import SumOutOfRange
from crypto.signing import SIGNATURE_BYTES, VerifyKey
from federation.draft import draft_of, verify_draft
from federation.errors import EncryptionKeysInvalid, KeyBurnt, StatementMalformed
from federation.he.key_holder import require_sums, sum_range
from federation.he.keys import keys_hash, sign_keys, verify_keys
from federation.he.leader import opened_of, require_source
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.noise_context import NoiseContext
from federation.plan import Plan
from federation.protocol import draw_noise
from federation.statement import FIXED_BYTES, Statement, verify_statement
from federation.terms import Protection

from .opening import require_size


class KeyHolder(Opener):
    """The party that holds the secret keys of plans with encrypted reports."""

    role = "helper"  # its place in plans and statements
    peer = "leader"
    protections = (Protection.HE,)

    def __init__(
        self, keys: RoleKeys, settings: Settings, storage: Storage, ledger: Ledger, live: LiveFolder, clock: Clock
    ) -> None:
        super().__init__(keys, settings, storage, ledger, live, clock)
        self._opening = threading.Lock()  # one plan at a time: a leader that asks again waits for its first question

    def prepare(self, data: bytes) -> Prepared:
        """As `Party.prepare`; and make and keep the key pairs that the plan's reports are encrypted under.

        Raises:
            HeImpossible. EncryptionKeysMissing: keys of this plan id were made for other terms. And as `Party.prepare`.
        """
        prepared = super().prepare(data)
        plan = verify_draft(data, self.settings.coordinator)
        deadline_us = 0 if plan.wire is None else plan.wire.deadline_us
        if (kept := self.storage.secret_keys(plan.plan_id)) is None:
            if self.storage.plans_of_id(plan.plan_id):  # they are erased: a plan id has one set of them
                raise EncryptionKeysMissing(plan.plan_id)
            made = [SecretKey.generate(plan.he_parameters(planned)) for planned in plan.views]
            public = sign_keys(plan.hash, [key.public for key in made], self.keys.sign)
            fresh = SecretKeys(plan.hash, public, b"".join(key.to_bytes() for key in made))
            until_us = min(deadline_us + LATEST_CHARGE_US, 2**63 - 1)  # SQLite's integers end there
            with self.storage.transaction():
                self.storage.keep_secret_keys(plan.plan_id, fresh, until_us)
            kept = self.storage.secret_keys(plan.plan_id)
        if kept is None or kept.draft != plan.hash:
            raise EncryptionKeysMissing(plan.plan_id)
        return replace(prepared, encryption_keys=kept.public)

    def _require_terms(self, plan: Plan) -> None:
        if plan.protection == "he":
            require_size(plan)
        super()._require_terms(plan)

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

    def _open(self, first: pb.SumPart, parts: Iterator[pb.SumPart]) -> None:
        stored, plan = self._opened(first.plan_hash)
        if stored.state == "burnt":
            raise KeyBurnt(plan.hash)
        if stored.state in ("open", "closed"):
            statements = self._received(plan, first, parts)
            self._charge(plan)
            with self.storage.transaction():
                stored, _ = self._opened(plan.hash)
                if stored.other is None:
                    self.storage.close_plan(stored.number, b"", statements)
                else:
                    _require_same(stored, statements)
            self.live.erase_seal(plan.plan_id)
        else:
            _require_repeat(stored, first, parts)
        self._noise(plan)

    def witness(self, data: bytes) -> bytes:
        """Check where both ledgers stand by the leader's word, and say the same of here.

        Raises:
            MessageMalformed, PlanUnknown, SignatureInvalid. LedgerBehind: one of the two ledgers was rolled back.
            StateBehindLedger: the storage here was. KeyBurnt.
            NotCommitted: the leader says that both have committed, and has sent no sums.
        """
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        told = Witness.from_bytes(signed.verify(WITNESS_DOMAIN["leader"], _wire_leader(plan)))
        self._hear(plan, told)
        if told.committed:
            if stored.state == "burnt":
                raise KeyBurnt(plan.hash)
            if stored.state not in ("noised", "witnessed"):
                self._require_never_opened(plan)
                raise NotCommitted(plan.hash)
            self._witnessed_by(plan, told)
        reply = self._witness(plan, committed=told.committed, confirmed=told.remembered)
        return sign(WITNESS_DOMAIN["helper"], reply.to_bytes(), self.keys.sign)

    def collect(self, data: bytes) -> list[SealedShare]:
        """The noised sums, for the collector.

        Raises:
            NotCommitted: the leader has not opened the plan. LedgerBehind. KeyBurnt.
        """
        stored, plan = self._asked_by_collector(data)
        if stored.state == "burnt":
            raise KeyBurnt(plan.hash)
        return self._shares(plan)

    def _accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """None are kept with the plan: the key holder has its own. Raises EncryptionKeysMissing, EncryptionKeysInvalid."""
        held = self.storage.secret_keys(plan.plan_id)
        if held is None or plan.wire is None or held.draft != draft_of(plan).hash:
            raise EncryptionKeysMissing(plan.plan_id)
        if keys_hash(held.public) != plan.wire.encryption_keys_hash:
            raise EncryptionKeysInvalid("the plan commits to other ones than were made here")
        return super()._accepted_keys(plan, given)

    def _received(self, plan: Plan, first: pb.SumPart, rest: Iterator[pb.SumPart]) -> bytes:
        """Keep the sums of a plan, all of them as the leader's statements say; those statements, one after another."""
        held = self.storage.secret_keys(plan.plan_id)
        if held is None:
            raise EncryptionKeysMissing(plan.plan_id)
        pieces, statements = _Pieces(first, rest), b""
        for view, key in enumerate(verify_keys(held.public, plan)):
            signed, size = pieces.statement(view, _statement_bytes(plan, view)), message_bytes(key.parameters)
            said, digest, statements = _statement(plan, view, signed), hashlib.sha256(), statements + signed
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
        with self.storage.transaction():
            stored, _ = self._opened(plan.hash)
            _require_same(stored, statements)
            if stored.state in ("open", "closed"):
                self.storage.set_message("ciphertexts", stored.number, collection, message)

    def _drawn(self, stored: StoredPlan, plan: Plan) -> tuple[list[SealedShare], list[bytes]]:
        """The sums with the key holder's noise, sealed and signed; nothing to swap.

        The first sum that is out of its range is the end of the keys.
        """
        if stored.other is None or plan.wire is None:
            raise NotCommitted(plan.hash)
        self._require_charged(plan)
        source, shares, at = self._noise_source(plan), [], 0
        require_source(plan, "key holder", source)
        try:
            for view, key in enumerate(self._secret_keys(plan)):
                planned, end = plan.views[view], at + _statement_bytes(plan, view)
                said, at = _statement(plan, view, stored.other[at:end]), end
                collections = opened_of(plan, view, said.outcomes)
                self._require_sums(stored.number, said, collections)
                sums = np.zeros((len(collections), planned.layout.length), np.int64)
                for row, collection in enumerate(collections):
                    sums[row] = self._opened_sum(stored.number, plan, view, key, collection)
                if source is not None and len(collections):
                    context = NoiseContext.of_decrypted(plan, view, said.sets, said.outcomes, sums)
                    sums += draw_noise(planned.layout, len(collections), source, context).reshape(sums.shape)
                shares.append(SealedShare.of_sums(plan, said, sums, plan.wire.collector.seal, self.keys.sign))
        except SumOutOfRange:
            with self.storage.transaction():
                self.storage.burn(stored.number, plan.plan_id)
            self.live.erase(plan.plan_id)
            self._forget()
            raise
        return shares, []

    def _require_sums(self, number: int, said: Statement, collections: list[int]) -> None:
        """The kept sums are those that the leader has signed. Raises StatementMalformed; nothing is decrypted then."""
        digest = hashlib.sha256()
        for collection in collections:
            digest.update(self.storage.message("ciphertexts", number, collection) or b"")
        if digest.digest() != said.share:
            raise StatementMalformed("it is of other sums")

    def _opened_sum(self, number: int, plan: Plan, view: int, key: SecretKey, collection: int) -> Slots:
        """int64[slots]. Raises SumOutOfRange."""
        message = self.storage.message("ciphertexts", number, collection) or b""
        sent = Ciphertexts.from_bytes(key.public.parameters, key.public.key_id, message)
        return key.open_sum(sent, sum_range(plan, view))

    def _secret_keys(self, plan: Plan) -> list[SecretKey]:
        """The secret key of each view. Raises EncryptionKeysMissing."""
        held = self.storage.secret_keys(plan.plan_id)
        if held is None:
            raise EncryptionKeysMissing(plan.plan_id)
        keys, left = [], memoryview(held.secret)
        for planned in plan.views:
            size = secret_key_bytes(parameters := plan.he_parameters(planned))
            keys.append(SecretKey.from_bytes(parameters, left[:size]))
            left = left[size:]
        return keys


class _Pieces:
    """The stream of `SumPart`s, read in the order and by the sizes that the plan gives; nothing larger is held."""

    def __init__(self, first: pb.SumPart, rest: Iterator[pb.SumPart]) -> None:
        self._next: pb.SumPart | None = first
        self._rest = rest

    def statement(self, view: int, most: int) -> bytes:
        """The statement that begins a view."""
        part = self._take(view)
        if not part.statement or len(part.statement) > most or part.sums:
            raise MessageMalformed(f"the sums of view {view} do not begin with its statement")
        return bytes(part.statement)

    def message(self, view: int, size: int) -> bytes:
        """The next message of a view, of exactly so many bytes."""
        found = bytearray()
        while len(found) < size:
            part = self._take(view)
            if part.statement or not part.sums:
                raise MessageMalformed(f"the sums of view {view} end early")
            found += part.sums
        if len(found) > size:
            raise MessageMalformed(f"a sum of view {view} is longer than {size:,} bytes")
        return bytes(found)

    def end(self) -> None:
        """Nothing may follow."""
        if self._next is not None or next(self._rest, None) is not None:
            raise MessageMalformed("more sums than the statements say")

    def _take(self, view: int) -> pb.SumPart:
        part = next(self._rest, None) if self._next is None else self._next
        self._next = None
        if part is None or part.view != view:
            raise MessageMalformed(f"the sums of view {view} end early")
        return part


def _statement(plan: Plan, view: int, signed: bytes) -> Statement:
    """The leader's, of this view. Raises SignatureInvalid and StatementMalformed."""
    said = verify_statement(signed, _wire_leader(plan))
    require_sums(plan, said)
    if said.view != view:
        raise StatementMalformed(f"it is of view {said.view}, not of view {view}")
    return said


def _statement_bytes(plan: Plan, view: int) -> int:
    return FIXED_BYTES + len(plan.views[view].pane_starts) + SIGNATURE_BYTES


def _require_same(stored: StoredPlan, statements: bytes) -> None:
    """What the leader has signed of the first views is what it has signed before. Raises CommitmentConflict."""
    if stored.other is not None and not stored.other.startswith(statements):
        raise CommitmentConflict("the leader has signed other sums of this plan before")


def _require_repeat(stored: StoredPlan, first: pb.SumPart, rest: Iterator[pb.SumPart]) -> None:
    """The sums of a plan that was opened come with the statements that they came with then. Raises CommitmentConflict."""
    statements = b""
    for part in chain([first], rest):
        statements += part.statement
        if not statements:  # anybody can send that, without end
            break
        _require_same(stored, statements)
        if statements == stored.other:
            return
    raise CommitmentConflict("the leader has signed other sums of this plan before")


def _wire_leader(plan: Plan) -> VerifyKey:
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    return plan.wire.leader
