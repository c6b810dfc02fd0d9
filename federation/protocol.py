"""A whole collection in memory: shard → verify → add → close → noise → open. `run_collections` is the specification.

Each party's state is one frozen type, and a transition consumes a state and returns the next. Randomness and noise are
arguments. The wire carries the same states between processes; here they are passed by hand, so one process sees
everything, and a release says so.

    site     Reports ──shard──► LeaderHalf, HelperHalf; with proofs two ProvenHalf, and ──verify──► two VerifiedHalf
    leader   Aggregating ──add*──► Aggregating ──close──► Closed ──noise──► NoisedShares ┐
    helper   Aggregating ──add*──► Aggregating ──close──► Closed ──noise──► NoisedShares ┴─ open_shares ──► OpenedView
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from crypto import sharing
from crypto.noise import Noise, NoiseSource
from crypto.ntt_field import Mask
from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.sharing import Accumulator, HelperSeeds, LeaderShares
from crypto.xof import SEED_BYTES
from featurestore.define.layout import Layout
from federation.batch.reports import (
    REPORT_ID_BYTES,
    Addable,
    Half,
    HelperHalf,
    Indices,
    LeaderHalf,
    ProvenHalf,
    Randomness,
    ReportIds,
    Reports,
    VerifiedHalf,
)
from federation.circuit.validity import VerificationKey, encode, finish, judge, prove, start
from federation.terms import Finish, ReportPer, Shares, Validity

from .basis import to_noise_basis
from .errors import DuplicateReport, FinishRefused, NoiseRefused, PlanInvalid, ReportRefused
from .noise import draw, farthest
from .noise_context import NoiseContext
from .plan import Plan, PlannedView

LISTEN_S: Final = 0.2
"""How often a thread that waits for others looks whether it is interrupted."""
SORTED_IDS: Final = 2**18
"""Report ids that are sorted at a time: 4 MiB."""


class Outcome(IntEnum):
    """What became of a collection."""

    OPENED = 0
    BATCH_TOO_SMALL = 1
    BATCH_MISMATCH = 2


@dataclass(frozen=True)
class Commitment:
    """What an aggregator tells the other one before anything is opened.

    Attributes:
        counts: number of clients of each collection: its reports, or what sites declare of theirs.
        digests: SHA-256 over the sorted report ids of each collection.
    """

    counts: tuple[int, ...]
    digests: tuple[bytes, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 over all counts (u64 BE) and digests."""
        counts = b"".join(count.to_bytes(8, "big") for count in self.counts)
        return hashlib.sha256(counts + b"".join(self.digests)).digest()


Taken = tuple[Indices, ReportIds, Indices | None]
"""Collections, ids and declared clients of the reports of a batch."""


@dataclass(frozen=True, eq=False)
class Aggregating:
    """An aggregator that takes reports. Its accumulators are moved on by `add`: use the returned state only."""

    role: Literal["leader", "helper"]
    plan: Plan = field(repr=False)
    sums: tuple[Accumulator, ...]
    taken: tuple[Taken, ...] = field(default=(), repr=False)

    @classmethod
    def start(cls, role: Literal["leader", "helper"], plan: Plan) -> Aggregating:
        """Nothing taken yet. Raises ReportRefused: the plan's reports are no shares."""
        if not isinstance(plan.terms, Shares):
            raise ReportRefused(
                f"the plan says protection {plan.terms.protection.value!r}; shares are not added under it"
            )
        return cls(role, plan, tuple(Accumulator(len(v.pane_starts), v.layout.length) for v in plan.views))

    def add(self, half: Addable) -> Aggregating:
        """Take one batch, whole or not at all.

        Raises:
            ReportRefused: not of this plan, or not as its `validity` says. CryptoError: a share that is not a vector of
                field elements.
        """
        rows = rows_of(self.plan, half)
        add_half(self.plan, self.sums[half.view], half, rows)
        return replace(self, taken=_with(self.taken, (half.collection, half.report_ids, half.clients)))

    def merge(self, other: Aggregating) -> Aggregating:
        """Take what another shard of the same aggregator took: sums add up, so batches may go to any number of shards.

        Raises:
            ReportRefused: another role's, or another plan's.
        """
        if (other.role, other.plan.hash) != (self.role, self.plan.hash):
            raise ReportRefused(f"shards of one {self.role} and one plan can be merged, no others")
        for mine, its in zip(self.sums, other.sums, strict=True):
            mine.merge(its.values)
        taken = self.taken
        for part in other.taken:
            taken = _with(taken, part)
        return replace(self, taken=taken)

    def close(self) -> Closed:
        """Take no more; commit to the set of reports of each collection.

        Raises:
            DuplicateReport: an id was taken twice; nothing of the plan may be opened.
        """
        return Closed(
            self.role, self.plan, self.sums, commit(self.plan, self.taken), _most_reports(self.plan, self.taken)
        )


@dataclass(frozen=True, eq=False)
class Closed:
    """An aggregator that has all its reports and waits for the other one's commitment.

    Attributes:
        most_reports: the most reports of a collection that were added. Of how many clients each is, a site may misstate.
    """

    role: Literal["leader", "helper"]
    plan: Plan
    sums: tuple[Accumulator, ...]
    commitment: Commitment
    most_reports: int

    def noise(self, other: Commitment, source: NoiseSource | None) -> NoisedShares:
        """Decide, on its own, which collections may be opened, and add noise of the full scale to those shares.

        Args:
            source: None only where the plan says noise off (and the caller's settings allow it).

        Raises:
            NoiseRefused: the plan asks for noise and there is no source, or the other way round.
            ReportRefused: a sum of so many reports could pass half the field.
        """
        if (source is not None) != self.plan.noisy:
            has = "no" if source is None else "a"
            raise NoiseRefused(
                f"the plan says noise {self.plan.noise.value!r}, and the {self.role} has {has} noise source"
            )
        outcomes: list[npt.NDArray[np.uint8]] = []
        shares: list[npt.NDArray[np.uint64]] = []
        for index, planned in enumerate(self.plan.views):
            span = slice(self.plan.offsets[index], self.plan.offsets[index + 1])
            outcome = _decide(planned, _part(self.commitment, span), _part(other, span))
            opened = outcome == Outcome.OPENED
            _require_range(planned.layout, self.most_reports * self.plan.clients_a_report)
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
    """One aggregator's noised shares, for the collector.

    Attributes:
        outcomes: for each view, uint8[C] of `Outcome`.
        shares: for each view, uint64[opened, K·S] in the noise basis.
    """

    role: Literal["leader", "helper"]
    outcomes: tuple[npt.NDArray[np.uint8], ...]
    shares: tuple[npt.NDArray[np.uint64], ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class OpenedView:
    """The noised sums of one view: the first thing in a collection that anybody may see.

    Attributes:
        outcomes: uint8[C] of `Outcome`, for each pane of the planned view.
        sums: int64[opened, K, S], centred, in the noise basis, panes in order.
        rejected: reports whose proof did not hold, as far as `run_collections` has seen; over the wire the leader tells.
        suppressed: after the finish mpc bool[opened, K], the cells that were not opened: their sums are 0. Else None.
    """

    planned: PlannedView
    outcomes: npt.NDArray[np.uint8]
    sums: npt.NDArray[np.int64]
    rejected: int = 0
    suppressed: npt.NDArray[np.bool_] | None = None


Halves = tuple[LeaderHalf, HelperHalf] | tuple[ProvenHalf, ProvenHalf]


class Protect(Protocol):
    """How a site protects a batch of reports: `protect`, unless a simulation puts something else in its place."""

    def __call__(
        self, plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: ReportIds | None = None
    ) -> Halves:
        """Both halves of the batch; `report_ids` are those of an earlier attempt, None: fresh ones."""
        ...


Open = Callable[[Plan, NoisedShares, NoisedShares], tuple[OpenedView, ...]]
"""Leader's and helper's shares → what is opened of each view: `open_shares`, unless the plan asks for another finish."""


def protect(plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: ReportIds | None = None) -> Halves:
    """Run by the site: `shard` or `shard_proven`, as the plan's `validity` says."""
    match plan.terms.validity:
        case Validity.NONE:
            return shard(plan, reports, randomness, report_ids=report_ids)
        case Validity.PRIO3:
            return shard_proven(plan, reports, randomness, report_ids=report_ids)


def run_collections(
    plan: Plan,
    batches: Iterable[Reports],
    randomness: Randomness,
    leader_noise: NoiseSource | None,
    helper_noise: NoiseSource | None,
    verify_key: VerificationKey | None = None,
    protect: Protect = protect,
    finish: Open | None = None,
) -> tuple[OpenedView, ...]:
    """Run every collection of a plan: the protocol from top to bottom.

    Args:
        verify_key: the aggregators' own, of a plan with proofs; None: a fresh one.
        protect: what the site does with its reports.
        finish: how a plan is opened that does not say `open`.
    """
    leader = Aggregating.start("leader", plan)
    helper = Aggregating.start("helper", plan)
    rejected = [0] * len(plan.views)
    if plan.terms.validity is Validity.PRIO3 and verify_key is None:
        verify_key = VerificationKey(randomness(VERIFY_KEY_SIZE))

    for reports in batches:
        match protect(plan, reports, randomness):  # on the site; the reports go no further
            case LeaderHalf() as to_leader, HelperHalf() as to_helper:
                leader, helper = leader.add(to_leader), helper.add(to_helper)
            case ProvenHalf() as to_leader, ProvenHalf() as to_helper if verify_key is not None:
                verified = verify(plan, verify_key, to_leader, to_helper)
                leader, helper = leader.add(verified.leader), helper.add(verified.helper)
                rejected[reports.view] += int(np.count_nonzero(~verified.accepted))
            case _:
                raise ReportRefused(
                    f"the plan says validity {plan.terms.validity.value!r}; these halves are not of that kind"
                )

    opened = finish_collections(leader, helper, leader_noise, helper_noise, finish)
    return tuple(replace(view, rejected=count) for view, count in zip(opened, rejected, strict=True))


def finish_collections(
    leader: Aggregating,
    helper: Aggregating,
    leader_noise: NoiseSource | None,
    helper_noise: NoiseSource | None,
    finish: Open | None = None,
) -> tuple[OpenedView, ...]:
    """The second half: both aggregators have all their reports; close → noise → open. Arguments as `run_collections`."""
    plan, leader_closed, helper_closed = leader.plan, leader.close(), helper.close()
    parties = ThreadPoolExecutor(2)  # each decides and draws on its own, at the same time
    try:
        from_leader = parties.submit(leader_closed.noise, helper_closed.commitment, leader_noise)
        from_helper = parties.submit(helper_closed.noise, leader_closed.commitment, helper_noise)
        while wait((from_leader, from_helper), timeout=LISTEN_S).not_done:
            pass  # an interrupt that another thread has got is raised here
        shares = from_leader.result(), from_helper.result()
    finally:
        parties.shutdown(wait=False)  # an interrupted run does not wait for noise that nobody will use
    return (finish or open_shares)(plan, *shares)  # by the collector, or by leader and helper


@dataclass(frozen=True, eq=False)
class Verified:
    """What a batch with proofs has become: the output shares of the accepted reports, bool[R] of which they are."""

    leader: VerifiedHalf = field(repr=False)
    helper: VerifiedHalf = field(repr=False)
    accepted: Mask


def verify(plan: Plan, key: VerificationKey, leader_half: ProvenHalf, helper_half: ProvenHalf) -> Verified:
    """The round of both aggregators in memory: each starts, the helper judges, the leader finishes.

    Raises:
        ReportRefused: halves that are not of one batch, or another plan's.
    """
    for half in (leader_half, helper_half):
        rows_of(plan, half)
    if (leader_half.role, helper_half.role) != ("leader", "helper"):
        raise ReportRefused("each aggregator verifies its own half, not the other aggregator's")
    require_one_batch(leader_half, helper_half)
    leader, helper = start(plan, key, leader_half), start(plan, key, helper_half)
    same = (leader_half.public_shares.joint_rand_parts == helper_half.public_shares.joint_rand_parts).all(axis=(1, 2))
    # On the wire each aggregator compares its public shares with the hashes that the site signed.
    messages, accepted = judge(plan, helper, leader.shares, leader.offered & same)
    return Verified(finish(plan, leader, messages, accepted), helper.take(accepted), accepted)


def shard(
    plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: npt.NDArray[np.uint8] | None = None
) -> tuple[LeaderHalf, HelperHalf]:
    """Run by the site: split every report into a share for each aggregator, with a fresh seed.

    Args:
        report_ids: uint8[R, 16], of an earlier attempt; a retry keeps the ids. None: fresh ones.

    Raises:
        ReportRefused: a plan with proofs, a collection that is not the view's, or a vector of another length.
    """
    if not isinstance(plan.terms, Shares):
        raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}; it takes no shares")
    if plan.terms.validity is not Validity.NONE:
        raise ReportRefused("the plan asks for proofs; these shares have none")
    ids, count = ids_of(plan, reports, randomness, report_ids), len(reports.collection)
    seeds = HelperSeeds.from_bytes(randomness(count * SEED_BYTES), count)
    shares = sharing.shard(reports.slots, seeds, reports.collection, plan.hash)
    return (
        LeaderHalf(reports.view, reports.collection, ids, shares, clients=reports.clients),
        HelperHalf(reports.view, reports.collection, ids, seeds, clients=reports.clients),
    )


def shard_proven(
    plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: npt.NDArray[np.uint8] | None = None
) -> tuple[ProvenHalf, ProvenHalf]:
    """Run by the site: the same with a proof of each report, for a plan with validity prio3.

    Raises:
        ReportRefused: as `shard`. ValueOutOfRange: a vector that no client of the view, or no site, can have.
    """
    if plan.terms.validity is not Validity.PRIO3:
        raise ReportRefused("the plan does not ask for proofs")
    ids = ids_of(plan, reports, randomness, report_ids)
    measurements = encode(plan.views[reports.view].layout, reports.slots, plan.clients_a_report)
    return prove(plan, reports.view, reports.collection, measurements, ids, randomness, reports.clients)


def ids_of(
    plan: Plan, reports: Reports, randomness: Randomness, report_ids: npt.NDArray[np.uint8] | None
) -> npt.NDArray[np.uint8]:
    """uint8[R, 16]: the ids to report under. Raises ReportRefused: a vector of another length, or of other reporters."""
    count = len(reports.collection)
    _require_reporters(plan, reports.clients)
    if reports.slots.length != plan.views[reports.view].layout.length or len(reports.slots) != count:
        raise ReportRefused(f"{len(reports.slots)} vectors of {reports.slots.length} slots for {count} reports")
    if report_ids is not None:
        return report_ids
    return np.frombuffer(randomness(count * REPORT_ID_BYTES), np.uint8).reshape(count, REPORT_ID_BYTES)


def require_one_batch(leader: Half, helper: Half) -> None:
    """Raise ReportRefused unless two halves are of the same reports, in the same order."""
    same = leader.view == helper.view and np.array_equal(leader.collection, helper.collection)
    same &= np.array_equal(leader.report_ids, helper.report_ids)
    if leader.clients is None or helper.clients is None:
        same &= leader.clients is helper.clients
    else:
        same &= np.array_equal(leader.clients, helper.clients)
    if not same:
        raise ReportRefused("the two halves are not of one batch")


def add_half(plan: Plan, sums: Accumulator, half: Addable, rows: npt.NDArray[np.int64]) -> None:
    """Add shares to sums, report b to row `rows[b]`: output shares of verified reports where the plan asks for proofs.

    Raises:
        ReportRefused: shares without proofs in a plan that asks for them, or the other way round.
    """
    if isinstance(half, VerifiedHalf) != (plan.terms.validity is Validity.PRIO3):
        raise ReportRefused(f"the plan says validity {plan.terms.validity.value!r}; these shares are not of that kind")
    match half:
        case LeaderHalf():
            sums.add_leader(half.shares, rows)
        case HelperHalf():
            sums.add_helper(half.seeds, half.collection, rows, plan.hash)
        case VerifiedHalf():
            sums.add_leader(LeaderShares(half.out_shares), rows)


def open_shares(plan: Plan, leader: NoisedShares, helper: NoisedShares) -> tuple[OpenedView, ...]:
    """Run by the collector: add the two noised shares and read them as centred integers.

    Raises:
        FinishRefused: the plan says that not all of them are to be opened.
    """
    if plan.terms.finish is not Finish.OPEN:
        raise FinishRefused(f"the plan says finish {plan.terms.finish.value!r}: the collector must not add its shares")
    opened = []
    for index, planned in enumerate(plan.views):
        outcome = leader.outcomes[index]
        if not np.array_equal(outcome, helper.outcomes[index]):
            raise ReportRefused(f"view {planned.view.name!r}: leader and helper opened different panes")
        total = field64.add(leader.shares[index], helper.shares[index])
        shape = (len(total), planned.layout.keys, planned.layout.slots_per_key)
        opened.append(OpenedView(planned, outcome, field64.decode_centred(total).reshape(shape)))
    return tuple(opened)


def rows_of(plan: Plan, half: Half) -> npt.NDArray[np.int64]:
    """int64[R]: the accumulator row of each report; ReportRefused if a collection is not the view's."""
    if not 0 <= half.view < len(plan.views):
        raise ReportRefused(f"the plan has {len(plan.views)} view(s), not number {half.view}")
    rows = half.collection.astype(np.int64) - plan.offsets[half.view]
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(plan.views[half.view].pane_starts)):
        raise ReportRefused(f"a collection index is not of view {plan.views[half.view].view.name!r}")
    if half.report_ids.shape != (len(rows), REPORT_ID_BYTES):
        raise ReportRefused(f"{half.report_ids.shape} report ids for {len(rows)} reports")
    _require_reporters(plan, half.clients)
    return rows


def _require_reporters(plan: Plan, clients: Indices | None) -> None:
    """Reports are of those who report by the plan. Raises ReportRefused."""
    if (clients is not None) != (plan.terms.report_per is ReportPer.SITE):
        raise ReportRefused(
            f"the plan says report_per {plan.terms.report_per.value!r}; these reports are not of that kind"
        )


def _with(taken: tuple[Taken, ...], more: Taken) -> tuple[Taken, ...]:
    """Some reports more. Small parts of like size are joined, so that a million batches are a few parts: each report is
    copied once for each doubling.
    """
    while taken and len(taken[-1][0]) <= len(more[0]) < SORTED_IDS:
        more, taken = _joined(taken[-1], more), taken[:-1]
    return (*taken, more)


def _joined(one: Taken, other: Taken) -> Taken:
    mine, its = one[2], other[2]
    clients = (
        None if mine is None or its is None else np.concatenate((mine, its))
    )  # all reports of a plan have it, or none
    return np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1])), clients


def commit(plan: Plan, taken: tuple[Taken, ...]) -> Commitment:
    """Counts and digests of every collection, from the ids in order of arrival.

    Ids are sorted a part of their range at a time, so that what sorting takes does not grow with their number.
    """
    clients = np.zeros(plan.offsets[-1], np.int64)
    for of, _, declared in taken:
        np.add.at(clients, of, 1 if declared is None else declared)
    digests = [hashlib.sha256() for _ in range(plan.offsets[-1])]
    parts = min(256, -(-sum(len(of) for of, _, _ in taken) // SORTED_IDS))
    for part in range(parts):
        collection, ids = _in_part(taken, part, parts)
        words = ids.view(">u8")
        order = np.lexsort((words[:, 1], words[:, 0]))
        if duplicates := _duplicates(words[order]):
            raise DuplicateReport(duplicates)
        order = order[np.argsort(collection[order], kind="stable")]
        data, found = ids[order].reshape(-1).data, np.bincount(collection, minlength=len(digests))
        ends = np.cumsum(found) * REPORT_ID_BYTES
        for index in np.flatnonzero(found).tolist():
            digests[index].update(data[ends[index] - found[index] * REPORT_ID_BYTES : ends[index]])
    return Commitment(tuple(clients.tolist()), tuple(digest.digest() for digest in digests))


def _most_reports(plan: Plan, taken: tuple[Taken, ...]) -> int:
    """The most reports of one collection."""
    counts = np.zeros(plan.offsets[-1], np.int64)
    for of, _, _ in taken:
        np.add.at(counts, of, 1)
    return int(counts.max(initial=0))


def _in_part(taken: tuple[Taken, ...], part: int, parts: int) -> tuple[Indices, ReportIds]:
    """The reports whose ids are in a part of the range: by their first byte."""
    first, last = part * 256 // parts, (part + 1) * 256 // parts - 1
    inside = [(ids[:, 0] >= first) & (ids[:, 0] <= last) for _, ids, _ in taken]
    collection = np.concatenate([of[rows] for (of, _, _), rows in zip(taken, inside, strict=True)])
    return collection, np.concatenate([ids[rows] for (_, ids, _), rows in zip(taken, inside, strict=True)])


def _duplicates(words: npt.NDArray[np.uint64]) -> int:
    """How many of these ids, two words each and sorted, are that of the one before."""
    return int(np.count_nonzero((words[1:] == words[:-1]).all(axis=1)))


def _part(commitment: Commitment, span: slice) -> Commitment:
    return Commitment(commitment.counts[span], commitment.digests[span])


def _decide(planned: PlannedView, mine: Commitment, other: Commitment) -> npt.NDArray[np.uint8]:
    """uint8[C] of `Outcome`: the same set at both aggregators, and at least k clients of it."""
    same = np.array(mine.digests) == np.array(other.digests)
    same &= np.array(mine.counts) == np.array(other.counts)
    outcome = np.where(np.array(mine.counts) < planned.min_clients, Outcome.BATCH_TOO_SMALL, Outcome.OPENED)
    return np.where(same, outcome, Outcome.BATCH_MISMATCH).astype(np.uint8)


def require_sums_fit(plan: Plan, sites: int) -> None:
    """Raise PlanInvalid where so many sites with one report each, as large as a proof allows, could pass half the field."""
    if plan.terms.report_per is ReportPer.CLIENT:
        return  # reports are bounded one by one, and by the roster
    for planned in plan.views:
        if largest_sum(planned.layout, sites * plan.max_clients) >= field64.HALF:
            raise PlanInvalid(
                f"view {planned.view.name!r}: {sites:,} sites with reports of up to {plan.max_clients:,} clients each could "
                "pass half the field, where a sum becomes another number"
            )


def _require_range(layout: Layout, clients: int) -> None:
    """No opened sum may reach p/2, where it would wrap into another integer.

    Args:
        clients: as many as the reports could be of. What sites declare does not bound their sums; proofs do.
    """
    if largest_sum(layout, clients) >= field64.HALF:
        raise ReportRefused(f"view {layout.view.name!r}: a sum over {clients:,} clients could pass half the field")


def largest_sum(layout: Layout, clients: int) -> int:
    """How far from 0 an opened sum may be, with both aggregators' noise, over so many clients."""
    sums = np.array([slot.max_value for slot in layout.slots], dtype=object)
    largest = int(max(np.abs(layout.basis.astype(object)) @ sums)) * clients  # a client has one cell of a key and pane
    return largest + max(farthest(group.mechanism) for group in layout.groups)


def _add_noise(
    layout: Layout, shares: npt.NDArray[np.uint64], source: NoiseSource, context: NoiseContext
) -> npt.NDArray[np.uint64]:
    noise = draw_noise(layout, len(shares), source, context).reshape(shares.shape)
    return field64.add(shares, field64.encode(noise))


def draw_noise(layout: Layout, panes: int, source: NoiseSource, context: NoiseContext) -> Noise:
    """int64[panes, K, S]: noise of each group's own full scale, one stream for all panes and keys of a group."""
    noise = np.empty((panes, layout.keys, layout.slots_per_key), np.int64)
    for number, group in enumerate(layout.groups):
        shape = (panes, layout.keys, len(group.slots))
        stream = source.stream(context.of_group(number, group))
        noise[:, :, list(group.slots)] = draw(group.mechanism, stream, shape[0] * shape[1] * shape[2]).reshape(shape)
    return noise
