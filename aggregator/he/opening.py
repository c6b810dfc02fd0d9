"""How the leader opens a plan of encrypted reports: by the key holder, who gets noised sums only and opens them once.

    heads of both ledgers ──► charge ──► {closed} ──► noise in a fresh encryption, flooding: each sum once, kept as it is made
    ──► {noised: signed statements}, `done` in the ledger ──► sums to the key holder ──► heads, twice ──► {witnessed}

The leader alone counts the reports, so what it signs is its word: the key holder keeps that, and cannot check it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from aggregator.collect.sealed_share import SealedShare
from aggregator.errors import KeyHolderUnknown, NotCommitted
from aggregator.intake.intake import Intake
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.peer_links import KeyHolderLink
from aggregator.services.rpc import MAX_MESSAGE_BYTES, PART_BYTES
from aggregator.shares.messages import commitment_from_bytes
from aggregator.storage.role_storage import StoredPlan
from crypto.bfv import message_bytes, public_key_bytes
from federation.errors import HeImpossible
from federation.he.leader import noised_sum, opened_of, outcomes_of, require_source
from federation.plan import Plan
from federation.protocol import Commitment
from federation.signed_bytes import MAX_PLAN_BYTES
from federation.statement import sets_of, statement_of, verify_statement

MAX_SUMS_BYTES = 8 * 2**30
"""Of all sums of a plan together: they lie on the disks of leader and key holder, and travel once."""
MAX_KEYS_BYTES = MAX_MESSAGE_BYTES - MAX_PLAN_BYTES - 2**16
"""Of all public keys of a plan together: they reach the leader in one message with it."""


class EncryptedOpening(Intake):
    """The leader, as far as sums of encrypted reports are concerned."""

    def _require_terms(self, plan: Plan) -> None:
        super()._require_terms(plan)
        if plan.protection == "he":
            self._holder()
            require_size(plan)

    def _holder(self) -> KeyHolderLink:
        if self._key_holder is None:
            raise KeyHolderUnknown
        return self._key_holder

    def _drawn(self, stored: StoredPlan, plan: Plan) -> tuple[list[SealedShare], list[bytes]]:
        """Under `he`: every sum with its noise, kept in `finished`, and the statements of that. There is nothing to swap."""
        if plan.protection == "shares":
            return super()._drawn(stored, plan)
        if stored.own is None:
            raise NotCommitted(plan.hash)
        self._require_charged(plan)
        self._live_file(plan)  # without it nothing is signed, not even what is finished already
        commitment, shares = commitment_from_bytes(plan, stored.own), []
        for view in range(len(plan.views)):
            outcomes, digest = outcomes_of(plan, view, commitment), hashlib.sha256()
            for collection in opened_of(plan, view, outcomes):
                digest.update(self._finished(stored, plan, view, collection, commitment))
            sets = sets_of(plan, view, commitment, outcomes)
            statement = statement_of(plan, view, "leader", outcomes, sets, digest.digest())
            shares.append(SealedShare(b"", statement.sign(self.keys.sign)))
        self._encryption_keys.pop(plan.hash, None)  # TenSEAL keeps megabytes for each key that was used
        return shares, []

    def _finished(self, stored: StoredPlan, plan: Plan, view: int, collection: int, commitment: Commitment) -> bytes:
        """The sum of a collection for the key holder: made once, and then the same bytes."""
        if (kept := self.storage.message("finished", stored.number, collection)) is not None:
            return kept
        key, source = self._public_keys(stored, plan)[view], self._noise_source(plan)
        require_source(plan, "leader", source)
        total = self._sum(stored.number, collection, key, commitment.counts[collection])
        flood = self._live_noise(plan)
        message = noised_sum(plan, collection, key, total, commitment.digest, source, flood)
        self.storage.set_message("finished", stored.number, collection, message)
        return message

    def _send_sums(self, plan: Plan) -> None:
        """Have the key holder open what is finished; a repeat opens nothing again.

        Raises:
            KeyHolderUnavailable, PeerRefused.
        """
        stored, _ = self._opened(plan.hash)
        if stored.state == "noised":
            holder = self._holder()
            self._call(stored, holder, lambda _: holder.open_sums(self._parts(stored, plan)), b"")

    def _parts(self, stored: StoredPlan, plan: Plan) -> Iterator[pb.SumPart]:
        plan_hash = plan.hash
        for view, share in enumerate(self.storage.noised(stored.number)):
            yield pb.SumPart(plan_hash=plan_hash, view=view, statement=share.statement)
            plan_hash = b""
            outcomes = verify_statement(share.statement, self.keys.sign.public).outcomes
            for collection in opened_of(plan, view, outcomes):
                message = self.storage.message("finished", stored.number, collection) or b""
                for at in range(0, len(message), PART_BYTES):
                    yield pb.SumPart(view=view, sums=message[at : at + PART_BYTES])


def require_size(plan: Plan) -> None:
    """Raise HeImpossible where the sums of a plan are larger than leader and key holder keep, or its keys than travel."""
    parameters = [plan.he_parameters(one) for one in plan.views]
    sums = [len(one.pane_starts) * message_bytes(each) for one, each in zip(plan.views, parameters, strict=True)]
    keys = [public_key_bytes(each) for each in parameters]
    for what, sizes, most in (("sums", sums, MAX_SUMS_BYTES), ("public keys", keys, MAX_KEYS_BYTES)):
        if (size := sum(sizes)) > most:
            largest = plan.views[sizes.index(max(sizes))].view.name
            raise HeImpossible(
                largest, f"the {what} of this plan have {size:,} bytes, at most {most:,}: make several plans"
            )
