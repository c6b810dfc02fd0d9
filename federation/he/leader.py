"""The leader under homomorphic encryption: it counts and adds ciphertexts, adds its noise, and hides their origin.

It holds only public keys. It alone sees the reports of a sum, so no other party can check that there are at least k.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crypto.bfv import Ciphertexts, CiphertextSum, PublicKey, finish
from crypto.errors import TooManyReports
from crypto.noise import NoiseSource
from federation.aggregation import draw_noise
from federation.commitment import Commitment, Outcome, ReceivedReports, commit, decide_alone
from federation.errors import NoiseRefused, ReportRefused
from federation.noise_context import NoiseContext
from federation.plan import Plan
from federation.report_checks import rows_of
from federation.statement import Statement, statement_of

from .reports import EncryptedReports, require_keys


@dataclass(frozen=True, eq=False)
class EncryptedSums:
    """The encrypted sums of one view, for the key holder.

    Attributes:
        statement: the leader's statement: the outcome of each pane, the set of reports, and the hash of the messages.
        messages: the ciphertexts of each opened pane, in order, with the leader's noise.
    """

    statement: Statement
    messages: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class HeAggregation:
    """A leader that accepts encrypted reports. `add` changes its sums: use only the returned state.

    Attributes:
        keys: the public key of each view.
        sums: the sum of each collection that has a report; each has the size of one report.
    """

    plan: Plan = field(repr=False)
    keys: tuple[PublicKey, ...]
    sums: dict[int, CiphertextSum] = field(default_factory=dict, repr=False)
    received: tuple[ReceivedReports, ...] = field(default=(), repr=False)

    @classmethod
    def start(cls, plan: Plan, keys: Sequence[PublicKey]) -> HeAggregation:
        """A leader without reports. Raises ReportRefused: keys that do not fit the plan."""
        require_keys(plan, keys)
        return cls(plan, tuple(keys))

    def add(self, batch: EncryptedReports) -> HeAggregation:
        """Add one batch: all of it, or nothing.

        Raises:
            ReportRefused: it is not of this plan. TooManyReports: a collection would have more than the plan allows.
            WrongLength, KeyMismatch, CoefficientOutOfRange: a message is malformed, or under another key.
        """
        rows_of(self.plan, batch)
        if len(batch.messages) != len(batch.collection):
            raise ReportRefused(f"{len(batch.messages)} messages for {len(batch.collection)} reports")
        key = self.keys[batch.view]
        parsed = [Ciphertexts.from_bytes(key.parameters, key.key_id, message) for message in batch.messages]
        touched, more = np.unique(batch.collection, return_counts=True)
        for collection, count in zip(touched.tolist(), more.tolist(), strict=True):
            before = self.sums[collection].count if collection in self.sums else 0
            if before + count > self.plan.max_clients:
                raise TooManyReports(self.plan.max_clients)
        for collection, report in zip(batch.collection.tolist(), parsed, strict=True):
            self.sums.setdefault(collection, CiphertextSum(key.parameters, key.key_id)).add(report)
        return replace(self, received=(*self.received, ReceivedReports(batch.collection, batch.report_ids, None)))

    def close(self) -> ClosedHeAggregation:
        """Accept no more reports.

        Raises:
            DuplicateReport: an id was received twice; nothing of the plan may be opened.
        """
        return ClosedHeAggregation(self.plan, self.keys, self.sums, commit(self.plan, self.received))


@dataclass(frozen=True, eq=False)
class ClosedHeAggregation:
    """A leader that has all its reports."""

    plan: Plan = field(repr=False)
    keys: tuple[PublicKey, ...]
    sums: dict[int, CiphertextSum] = field(repr=False)
    commitment: Commitment

    def noise(self, source: NoiseSource | None, flood: NoiseSource) -> Iterator[EncryptedSums]:
        """Add the noise of each group's mechanism to each pane with k reports, in a fresh encryption, and flood it; view by view.

        Args:
            source: None only if the plan has no noise (and the caller's settings allow it).
            flood: the source of the flooding that hides the decryption noise, also in plans without noise.

        Raises:
            NoiseRefused: the plan has noise but there is no source, or the reverse.
        """
        require_source(self.plan, "leader", source)
        for view in range(len(self.plan.views)):
            yield self._noise_view(view, source, flood)

    def _noise_view(self, view: int, source: NoiseSource | None, flood: NoiseSource) -> EncryptedSums:
        outcomes, committed = outcomes_of(self.plan, view, self.commitment), self.commitment.digest
        messages = tuple(
            noised_sum(self.plan, collection, self.keys[view], self.sums[collection], committed, source, flood)
            for collection in opened_of(self.plan, view, outcomes)
        )
        digest = hashlib.sha256(b"".join(messages)).digest()
        return EncryptedSums(statement_of(self.plan, view, "leader", outcomes, self.commitment, digest), messages)


def require_source(plan: Plan, who: str, source: NoiseSource | None) -> None:
    """Return if there is a source exactly if the plan has noise. Raises NoiseRefused."""
    if (source is not None) != plan.noisy:
        has = "no" if source is None else "a"
        raise NoiseRefused(f"the plan says noise {plan.noise.value!r}, but the {who} has {has} noise source")


def outcomes_of(plan: Plan, view: int, commitment: Commitment) -> bytes:
    """One byte of `Outcome` a pane of the view: whether enough sites and clients reported it, by the leader's own count."""
    span = slice(plan.offsets[view], plan.offsets[view + 1])
    return decide_alone(plan.views[view], commitment.part(span)).tobytes()


def opened_of(plan: Plan, view: int, outcomes: bytes) -> list[int]:
    """The collections of a view that are opened."""
    opened = np.frombuffer(outcomes, np.uint8) == Outcome.OPENED
    return (plan.offsets[view] + np.flatnonzero(opened)).tolist()


def noised_sum(
    plan: Plan,
    collection: int,
    key: PublicKey,
    total: CiphertextSum,
    committed: bytes,
    source: NoiseSource | None,
    flood: NoiseSource,
) -> bytes:
    """The message of one collection for the key holder: its sum with the leader's noise, freshly encrypted and flooded.

    Args:
        committed: digest of the leader's commitment.
    """
    view = bisect_right(plan.offsets, collection) - 1
    layout = plan.views[view].layout
    context = NoiseContext.of_ciphertext(plan, view, collection, committed, total.ciphertexts.to_bytes())
    noise = np.zeros(layout.length, np.int64)
    if source is not None:
        noise = draw_noise(layout, 1, source, context).reshape(layout.length)
    flooding = flood.stream(context.of_flood(key.parameters.flood_sigma_sq))
    return finish(key, total, noise, flooding).to_bytes()
