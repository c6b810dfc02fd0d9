"""The live secrets of one aggregator's plans: drawn and signed before a plan is announced, then used for batches and noise.

storage/live_folder.py stores them. storage/retention.py and collect/noising.py erase them.
"""

from __future__ import annotations

import threading

from aggregator.errors import DraftConflict, LiveSecretLost, SealKeyErased
from aggregator.identity import RoleIdentity
from aggregator.shares.stoppable_noise import StoppableNoise
from aggregator.storage.files import Files
from aggregator.storage.live_folder import LiveFile
from crypto.noise import NoiseSource
from crypto.seal import SealKey
from federation.live_keys import LARGEST_US, MOST_AFTER_DEADLINE_US, LiveKeys, sign_live_keys
from federation.plan import Plan
from federation.terms import Noise


class LiveSecrets:
    """The live secrets of one aggregator. Threads may share it.

    Args:
        stopped: set when the aggregator stops; then no more noise is drawn.
    """

    def __init__(self, identity: RoleIdentity, files: Files, stopped: threading.Event) -> None:
        self._identity, self._stopped = identity, stopped
        self._live, self._storage, self._ledger = files.live, files.storage, files.ledger
        self._preparing = threading.Lock()

    def prepare(self, draft: Plan, deadline_us: int) -> LiveKeys:
        """Draw the live secret of a draft once, and sign its live keys. The secret is on disk before the keys are sent.

        Raises:
            DraftConflict: another draft had this plan id. LiveSecretLost.
        """
        with self._preparing:
            if (known := self._storage.prepared(draft.plan_id)) is not None and known[0] != draft.hash:
                raise DraftConflict(draft.plan_id)
            if known is not None:
                if self._live.load(draft.plan_id) is None and not self._storage.plans_of_id(draft.plan_id):
                    raise self.lost(draft.plan_id)
                return LiveKeys.from_bytes(known[1])
            not_after_us = min(deadline_us + MOST_AFTER_DEADLINE_US, LARGEST_US)
            file = self._live.draw(draft.plan_id, draft.hash, not_after_us)
            if file.draft != draft.hash:
                raise DraftConflict(draft.plan_id)
            if file.secret.seal is None:
                raise self.lost(draft.plan_id)
            keys = sign_live_keys(
                self._identity.role,
                draft.hash,
                file.secret.seal.public,
                file.secret.secret_hash,
                not_after_us,
                self._ledger.head,
                self._identity.sign_key(draft),
            )
            with self._storage.transaction():
                self._storage.set_prepared(draft.plan_id, draft.hash, keys.to_bytes(), not_after_us)
            return keys

    def file(self, plan: Plan) -> LiveFile:
        """The live secret that belongs to the plan's live keys. Raises LiveSecretLost."""
        file = self._live.load(plan.plan_id)
        if file is None or plan.wire is None:
            raise self.lost(plan.plan_id)
        mine, secret = plan.wire.live(self._identity.role), file.secret
        if secret.secret_hash != mine.secret_hash or (secret.seal is not None and secret.seal.public != mine.seal):
            raise self.lost(plan.plan_id)
        return file

    def seal_key(self, plan: Plan) -> SealKey:
        """The key that opens the plan's batches here. Raises LiveSecretLost. SealKeyErased: it was erased on time."""
        seal = self.file(plan).secret.seal
        if seal is None:
            raise SealKeyErased(plan.plan_id)
        return seal

    def require_seal_key(self, plan: Plan) -> None:
        """Raise LiveSecretLost unless the plan's batches can be opened here."""
        if self.file(plan).secret.seal is None:
            raise self.lost(plan.plan_id)

    def noise(self, plan: Plan) -> NoiseSource:
        """Noise from the plan's live secret. It also hides the errors of encrypted sums, even with noise off.

        Raises:
            LiveSecretLost.
        """
        return StoppableNoise(self.file(plan).secret.noise, self._stopped)

    def noise_source(self, plan: Plan) -> NoiseSource | None:
        """The source of the plan's noise; None for a plan with noise off, which the settings allowed.

        Raises:
            LiveSecretLost: without the secret no plan is opened, not even with noise off.
        """
        source = self.noise(plan)
        return None if plan.noise is Noise.NONE else source

    def lost(self, plan_id: bytes) -> LiveSecretLost:
        """The error of a plan id whose live secret is not in the folder."""
        return LiveSecretLost(self._identity.role, str(self._live.path), plan_id)
