"""The key holder's secret keys: made for a draft, used once to open the noised sums of its plan, then erased.

BFV does not withstand chosen ciphertexts (crypto/bfv_secret.py). So a plan is opened once. The first sum that honest reports
cannot give ends the use of its keys: {keys erased, plan burnt}.
"""

from __future__ import annotations

import hashlib

import numpy as np

from aggregator.collect.aggregate_share import SealedShare
from aggregator.errors import EncryptionKeysMissing, NotCommitted
from aggregator.he.sum_stream import first_statement, statement_in
from aggregator.shares.plans import PlanBook, no_keys
from aggregator.storage.records import SecretKeys, StoredPlan
from aggregator.storage.retention import LATEST_CHARGE_US
from crypto.bfv import Ciphertexts
from crypto.bfv_parameters import Slots
from crypto.bfv_secret import SecretKey, secret_key_bytes
from crypto.errors import SumOutOfRange
from federation.aggregation import draw_noise
from federation.draft import draft_of
from federation.errors import EncryptionKeysInvalid, StatementMalformed
from federation.he.key_holder import sum_range
from federation.he.keys import keys_hash, sign_keys
from federation.he.leader import opened_of, require_source
from federation.noise_context import NoiseContext
from federation.plan import Plan
from federation.statement import Statement


class Decryption:
    """The key holder's opening of encrypted sums: an `Opening`."""

    def __init__(self, plans: PlanBook) -> None:
        self._plans, self._storage, self._live = plans, plans.files.storage, plans.files.live
        self._identity = plans.identity

    def require(self, plan: Plan) -> None:
        """The key holder needs nothing from others: it makes its own keys."""

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """No keys: the key holder stores its own. Raises EncryptionKeysMissing, EncryptionKeysInvalid."""
        held = self._storage.secret_keys(plan.plan_id)
        if held is None or plan.wire is None or held.draft != draft_of(plan).hash:
            raise EncryptionKeysMissing(plan.plan_id)
        if keys_hash(held.public) != plan.wire.encryption_keys_hash:
            raise EncryptionKeysInvalid("the plan commits to other keys than this key holder made")
        return no_keys(plan, given)

    def made_keys(self, plan: Plan) -> bytes:
        """Make and store the key pairs for a draft's reports, once. Returns the signed public keys.

        Raises:
            HeImpossible. EncryptionKeysMissing: keys of this plan id were made for other terms.
        """
        deadline_us = 0 if plan.wire is None else plan.wire.deadline_us
        if (kept := self._storage.secret_keys(plan.plan_id)) is None:
            if self._storage.plans_of_id(plan.plan_id):  # erased: a plan id has one set of keys
                raise EncryptionKeysMissing(plan.plan_id)
            made = [SecretKey.generate(plan.he_parameters(planned)) for planned in plan.views]
            public = sign_keys(plan.hash, [key.public for key in made], self._identity.sign_key(plan))
            fresh = SecretKeys(plan.hash, public, b"".join(key.to_bytes() for key in made))
            until_us = min(deadline_us + LATEST_CHARGE_US, 2**63 - 1)  # the end of SQLite's integers
            with self._storage.transaction():
                self._storage.keep_secret_keys(plan.plan_id, fresh, until_us)
            kept = self._storage.secret_keys(plan.plan_id)
        if kept is None or kept.draft != plan.hash:
            raise EncryptionKeysMissing(plan.plan_id)
        return kept.public

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """Store the sums with the key holder's noise, sealed and signed. Nothing is swapped.

        The first sum that is out of its range burns the keys.
        """
        if stored.other is None or plan.wire is None:
            raise NotCommitted(plan.hash)
        self._plans.require_charged(plan)
        source, shares, left = self._plans.secrets.noise_source(plan), [], stored.other
        own = self._identity.sign_key(plan)
        require_source(plan, "key holder", source)
        try:
            for view, key in enumerate(self.secret_keys(plan)):
                planned, signed = plan.views[view], first_statement(plan, view, left)
                statement, left = statement_in(plan, view, signed), left[len(signed) :]
                collections = opened_of(plan, view, statement.outcomes)
                self._require_sums(stored.number, statement, collections)
                sums = np.zeros((len(collections), planned.layout.length), np.int64)
                for row, collection in enumerate(collections):
                    sums[row] = self._opened_sum(stored.number, plan, view, key, collection)
                if source is not None and len(collections):
                    context = NoiseContext.of_decrypted(plan, view, statement.sets, statement.outcomes, sums)
                    sums += draw_noise(planned.layout, len(collections), source, context).reshape(sums.shape)
                shares.append(SealedShare.of_sums(plan, statement, sums, plan.wire.collector.seal, own))
        except SumOutOfRange:
            with self._storage.transaction():
                self._storage.burn(stored.number, plan.plan_id)
            self._live.erase(plan.plan_id)
            self._plans.retention.forget()
            raise
        with self._storage.transaction():
            self._storage.add_noised(stored.number, shares)

    def _require_sums(self, number: int, statement: Statement, collections: list[int]) -> None:
        """Check that the stored sums are those that the leader signed. Raises StatementMalformed before anything is decrypted."""
        digest = hashlib.sha256()
        for collection in collections:
            digest.update(self._storage.message("ciphertexts", number, collection) or b"")
        if digest.digest() != statement.share:
            raise StatementMalformed("it is about other sums")

    def _opened_sum(self, number: int, plan: Plan, view: int, key: SecretKey, collection: int) -> Slots:
        """Decrypt one sum to int64[slots]. Raises SumOutOfRange."""
        message = self._storage.message("ciphertexts", number, collection) or b""
        sent = Ciphertexts.from_bytes(key.public.parameters, key.public.key_id, message)
        return key.open_sum(sent, sum_range(plan, view))

    def secret_keys(self, plan: Plan) -> list[SecretKey]:
        """The secret key of each view. Raises EncryptionKeysMissing."""
        held = self._storage.secret_keys(plan.plan_id)
        if held is None:
            raise EncryptionKeysMissing(plan.plan_id)
        keys, left = [], memoryview(held.secret)
        for planned in plan.views:
            size = secret_key_bytes(parameters := plan.he_parameters(planned))
            keys.append(SecretKey.from_bytes(parameters, left[:size]))
            left = left[size:]
        return keys
