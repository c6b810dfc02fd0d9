"""An aggregator's states: it adds shares, closes, adds noise, and its noised shares are opened.

    Aggregation ──add*──► Aggregation ──close──► ClosedAggregation ──noise──► NoisedShares ──open_shares──► OpenedView

Leader and helper have the same states. Each state is a frozen type, and a transition returns the next state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from crypto.noise import Noise, NoiseSource
from crypto.sharing import Accumulator, LeaderShares
from featurestore.define.layout import Layout
from federation.batch.reports import Addable, HelperHalf, LeaderHalf, VerifiedHalf
from federation.terms import Finish, Shares, Validity

from .basis import to_noise_basis
from .commitment import Commitment, Outcome, ReceivedReports, commit, decide, most_reports, with_batch
from .errors import FinishRefused, NoiseRefused, ReportRefused
from .largest_sum import require_range
from .noise import draw
from .noise_context import NoiseContext
from .plan import Plan, PlannedView
from .report_checks import rows_of


@dataclass(frozen=True, eq=False)
class Aggregation:
    """An aggregator that accepts reports. `add` changes its accumulators: use only the returned state."""

    role: Literal["leader", "helper"]
    plan: Plan = field(repr=False)
    sums: tuple[Accumulator, ...]
    received: tuple[ReceivedReports, ...] = field(default=(), repr=False)

    @classmethod
    def start(cls, role: Literal["leader", "helper"], plan: Plan) -> Aggregation:
        """An aggregator without reports. Raises ReportRefused: the plan's reports are not shares."""
        if not isinstance(plan.terms, Shares):
            raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: it has no shares to add")
        return cls(role, plan, tuple(Accumulator(len(v.pane_starts), v.layout.length) for v in plan.views))

    def add(self, half: Addable) -> Aggregation:
        """Add one batch: all of it, or nothing.

        Raises:
            ReportRefused: the batch does not fit the plan, or its `validity`. CryptoError: a share is not a vector of field
                elements.
        """
        rows = rows_of(self.plan, half)
        add_half(self.plan, self.sums[half.view], half, rows)
        batch = ReceivedReports(half.collection, half.report_ids, half.clients)
        return replace(self, received=with_batch(self.received, batch))

    def merge(self, other: Aggregation) -> Aggregation:
        """Add the reports of another shard of this aggregator. Sums add up, so batches may go to any number of shards.

        Raises:
            ReportRefused: the shard has another role or plan.
        """
        if (other.role, other.plan.hash) != (self.role, self.plan.hash):
            raise ReportRefused(
                f"a shard has another role or plan; only shards of one {self.role} and one plan can be merged"
            )
        for mine, its in zip(self.sums, other.sums, strict=True):
            mine.merge(its.values)
        received = self.received
        for batch in other.received:
            received = with_batch(received, batch)
        return replace(self, received=received)

    def close(self) -> ClosedAggregation:
        """Accept no more reports, and commit to the set of reports of each collection.

        Raises:
            DuplicateReport: an id was received twice; nothing of the plan may be opened.
        """
        commitment, most = commit(self.plan, self.received), most_reports(self.plan, self.received)
        return ClosedAggregation(self.role, self.plan, self.sums, commitment, most)


@dataclass(frozen=True, eq=False)
class ClosedAggregation:
    """An aggregator that has all its reports, and waits for the other aggregator's commitment.

    Attributes:
        most_reports: the number of reports of the largest collection. It bounds sums, because a site may misstate the number
            of clients of a report.
    """

    role: Literal["leader", "helper"]
    plan: Plan
    sums: tuple[Accumulator, ...]
    commitment: Commitment
    most_reports: int

    def noise(self, other: Commitment, source: NoiseSource | None) -> NoisedShares:
        """Decide which collections may be opened, and add the noise of each group's mechanism to their shares.

        Each aggregator decides and adds noise itself; it trusts no decision and no noise of the other one.

        Args:
            source: None only if the plan has no noise (and the caller's settings allow it).

        Raises:
            NoiseRefused: the plan has noise but there is no source, or the reverse.
            ReportRefused: a sum over so many reports could pass half the field.
        """
        if (source is not None) != self.plan.noisy:
            has = "no" if source is None else "a"
            raise NoiseRefused(
                f"the plan says noise {self.plan.noise.value!r}, but the {self.role} has {has} noise source"
            )
        outcomes: list[npt.NDArray[np.uint8]] = []
        shares: list[npt.NDArray[np.uint64]] = []
        for index, planned in enumerate(self.plan.views):
            span = slice(self.plan.offsets[index], self.plan.offsets[index + 1])
            outcome = decide(planned, self.commitment.part(span), other.part(span))
            opened = outcome == Outcome.OPENED
            require_range(planned.layout, self.most_reports * self.plan.clients_a_report)
            mapped = to_noise_basis(planned.layout, self.sums[index].values[opened])
            outcomes.append(outcome)
            if source is not None:
                context = NoiseContext.of_shares(
                    self.plan, self.role, index, (self.commitment.digest, other.digest), outcome.tobytes(), mapped
                )
                mapped = _add_noise(planned.layout, mapped, source, context)
            shares.append(mapped)
        return NoisedShares(self.role, tuple(outcomes), tuple(shares))


@dataclass(frozen=True, eq=False)
class NoisedShares:
    """One aggregator's noised shares of the opened collections, for the collector.

    Attributes:
        outcomes: for each view, uint8[C] of `Outcome`.
        shares: for each view, uint64[opened, K·S] in the noise basis.
    """

    role: Literal["leader", "helper"]
    outcomes: tuple[npt.NDArray[np.uint8], ...]
    shares: tuple[npt.NDArray[np.uint64], ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class OpenedView:
    """The noised sums of one view: the first values of a collection that leave the protocol.

    Attributes:
        outcomes: uint8[C] of `Outcome`, for each pane of the planned view.
        sums: int64[opened, K, S], centred, in the noise basis, panes in order.
        rejected: the number of reports with a wrong proof, set by `run_collections`; over the wire the leader reports it.
        suppressed: after the finish mpc, bool[opened, K]: the cells that were not opened, whose sums are 0. Otherwise None.
    """

    planned: PlannedView
    outcomes: npt.NDArray[np.uint8]
    sums: npt.NDArray[np.int64]
    rejected: int = 0
    suppressed: npt.NDArray[np.bool_] | None = None


def add_half(plan: Plan, sums: Accumulator, half: Addable, rows: npt.NDArray[np.int64]) -> None:
    """Add shares to sums, report b to row `rows[b]`. If the plan has proofs, these are output shares of verified reports.

    Raises:
        ReportRefused: the plan has proofs but the shares were not verified, or the reverse.
    """
    if isinstance(half, VerifiedHalf) != (plan.terms.validity is Validity.PRIO3):
        raise ReportRefused(
            f"the plan says validity {plan.terms.validity.value!r}, but these shares have another validity"
        )
    match half:
        case LeaderHalf():
            sums.add_leader(half.shares, rows)
        case HelperHalf():
            sums.add_helper(half.seeds, half.collection, rows, plan.hash)
        case VerifiedHalf():
            sums.add_leader(LeaderShares(half.out_shares), rows)


def open_shares(plan: Plan, leader: NoisedShares, helper: NoisedShares) -> tuple[OpenedView, ...]:
    """Run by the collector: add the two noised shares, and decode the sums as centred integers.

    Raises:
        FinishRefused: the plan has another finish, which does not open all sums.
        ReportRefused: leader and helper opened different panes.
    """
    if plan.terms.finish is not Finish.OPEN:
        raise FinishRefused(f"the plan says finish {plan.terms.finish.value!r}: the collector must not add the shares")
    opened = []
    for index, planned in enumerate(plan.views):
        outcome = leader.outcomes[index]
        if not np.array_equal(outcome, helper.outcomes[index]):
            raise ReportRefused(f"view {planned.view.name!r}: leader and helper opened different panes")
        total = field64.add(leader.shares[index], helper.shares[index])
        shape = (len(total), planned.layout.keys, planned.layout.slots_per_key)
        opened.append(OpenedView(planned, outcome, field64.decode_centred(total).reshape(shape)))
    return tuple(opened)


def _add_noise(
    layout: Layout, shares: npt.NDArray[np.uint64], source: NoiseSource, context: NoiseContext
) -> npt.NDArray[np.uint64]:
    noise = draw_noise(layout, len(shares), source, context).reshape(shares.shape)
    return field64.add(shares, field64.encode(noise))


def draw_noise(layout: Layout, panes: int, source: NoiseSource, context: NoiseContext) -> Noise:
    """int64[panes, K, S]: noise of each group's mechanism. A group has one stream for all its panes and keys."""
    noise = np.empty((panes, layout.keys, layout.slots_per_key), np.int64)
    for number, group in enumerate(layout.groups):
        shape = (panes, layout.keys, len(group.slots))
        stream = source.stream(context.of_group(number, group))
        noise[:, :, list(group.slots)] = draw(group.mechanism, stream, shape[0] * shape[1] * shape[2]).reshape(shape)
    return noise
