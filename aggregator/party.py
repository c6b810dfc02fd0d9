"""What leader and helper have in common: plans, sums, commitments, budget and noise, over one storage.

No network and no clock of its own. An aggregator believes nothing that it can derive: Δ, σ and the basis follow from the
view in the plan, the number of reports from the ids that it took itself.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto.noise import Noise, NoiseSource
from crypto.sharing import Accumulator, HelperSeeds, LeaderShares
from crypto.signing import VerifyKey
from featurestore.times import DAY_US
from featurestore.wire import definition_hash
from federation.errors import NoiseRefused, PlanInvalid
from federation.keys import RoleKeys
from federation.parties import Aggregator, PublicKeys, Roster
from federation.plan import Plan
from federation.protocol import Closed, Commitment, HelperHalf, LeaderHalf
from federation.signed_plan import require_own_keys, verify_plan

from .errors import (
    AfterDeadline,
    AlreadyCollected,
    BudgetExceeded,
    NotCommitted,
    PaneCollected,
    PlanTooLarge,
    PlanUnknown,
    Stopping,
)
from .messages import COLLECT_DOMAIN, SealedShare, Signed, commitment_from_bytes, plan_of
from .storage import Charge, PlanState, Storage, StoredPlan

Clock: TypeAlias = Callable[[], int]
"""The wall clock: µs since the epoch."""

MAX_WIRE_COLLECTIONS: Final = 2**17
"""Collections of one plan on the wire: a commitment to so many has 5 MiB."""


NOISE_PART: Final = 2**14
"""Samples that are drawn in one go: a third of a second."""


@dataclass(frozen=True)
class Settings:
    """What an aggregator's operator decides; no plan can change it.

    Attributes:
        coordinator: whose plans this aggregator runs.
        roster: its own list of sites, with the most clients of each.
        budget_micro_rho: what all views together may cost a client-day, in millionths of ρ.
        allow_no_noise: for tests and labs only.
        peer: the other aggregator's keys, if they are pinned here too.
    """

    coordinator: VerifyKey
    roster: Roster
    budget_micro_rho: int
    allow_no_noise: bool = False
    peer: PublicKeys | None = None


@dataclass(frozen=True)
class PlanStatus:
    """How far a plan is. No count of reports is told."""

    plan_hash: bytes
    state: PlanState
    deadline_us: int
    pending: int


class Party:
    """An aggregator of either role.

    Args:
        noise: where its noise comes from; it is not asked for plans without noise.
    """

    role: Aggregator

    def __init__(self, keys: RoleKeys, settings: Settings, storage: Storage, clock: Clock, noise: NoiseSource) -> None:
        self.keys, self.settings, self.storage, self.noise = keys, settings, storage, noise
        self._clock = clock
        self._plans: dict[bytes, Plan] = {}
        self._noising = threading.Lock()
        self._stopped = threading.Event()

    def open_plan(self, signed: bytes) -> bytes:
        """Take part in a plan from now on; a repeat changes nothing. Returns the plan's hash.

        Raises:
            PlanInvalid, ReportTooLong, SignatureInvalid, PlanTooLarge, NoiseRefused, AfterDeadline, PaneCollected,
            BudgetExceeded.
        """
        plan = verify_plan(signed, self.settings.coordinator)
        self._require_terms(plan)
        if self.storage.plan(plan.hash) is None:
            deadline_us = _deadline_of(plan)
            if self._clock() >= deadline_us:
                raise AfterDeadline(deadline_us)
            self._require_new_panes(plan)
            self._unpaid(plan)
            self.storage.add_plan(plan.hash, signed, deadline_us)
            self.storage.forget_reports(self._clock())
        self._plans[plan.hash] = plan
        return plan.hash

    def stop(self) -> None:
        """Draw no more noise: what is under way ends with Stopping, with nothing charged."""
        self._stopped.set()

    def status(self, plan_hash: bytes = b"") -> list[PlanStatus]:
        """The state of one plan, or of all. Raises PlanUnknown."""
        plans = [self._opened(plan_hash)[0]] if plan_hash else self.storage.plans()
        return [
            PlanStatus(plan.hash, plan.state, plan.deadline_us, len(self.storage.pending_jobs(plan.number)))
            for plan in plans
        ]

    def _require_terms(self, plan: Plan) -> None:
        """This aggregator is in the plan, with its own keys, and may run it on its settings."""
        require_own_keys(plan, self.role, self.keys.public)
        if self.settings.peer is not None:
            require_own_keys(plan, "helper" if self.role == "leader" else "leader", self.settings.peer)
        if plan.noise == "none" and not self.settings.allow_no_noise:
            raise NoiseRefused(f"the plan says noise off; the {self.role}'s own setting does not allow it")
        if plan.offsets[-1] > MAX_WIRE_COLLECTIONS:
            raise PlanTooLarge(plan.offsets[-1], MAX_WIRE_COLLECTIONS)

    def _opened(self, plan_hash: bytes) -> tuple[StoredPlan, Plan]:
        """A plan that was opened here, as stored and as parsed. Raises PlanUnknown."""
        stored = self.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if (plan := self._plans.get(plan_hash)) is None:
            plan = self._plans[plan_hash] = verify_plan(stored.signed, self.settings.coordinator)
        return stored, plan

    def _require_open(self, plan_hash: bytes, until_us: int | None = None) -> StoredPlan:
        """The plan, if it still takes reports. Raises AlreadyCollected and AfterDeadline."""
        stored = self.storage.plan(plan_hash)
        if stored is None:
            raise PlanUnknown(plan_hash)
        if stored.state != "open":
            raise AlreadyCollected(plan_hash)
        if self._clock() >= (stored.deadline_us if until_us is None else until_us):
            raise AfterDeadline(stored.deadline_us)
        return stored

    def _add(self, number: int, plan: Plan, half: LeaderHalf | HelperHalf) -> None:
        """Add shares to the stored sums. Inside the transaction that takes their ids."""
        touched, rows = np.unique(half.collection, return_inverse=True)
        length = plan.views[half.view].layout.length
        sums = Accumulator.from_values(self.storage.sums(number, touched, length))
        rows = rows.astype(np.int64, copy=False)
        match half:
            case LeaderHalf():
                sums.add_leader(half.shares, rows)
            case HelperHalf():
                sums.add_helper(half.seeds, half.collection, rows, plan.hash)
        self.storage.set_sums(number, touched, sums.values)

    def _commitment(self, number: int, plan: Plan) -> Commitment:
        """Counts and digests of every collection, over ids that come sorted from the storage."""
        collections = plan.offsets[-1]
        counts, digests = [0] * collections, [hashlib.sha256().digest()] * collections
        for collection, reports in groupby(self.storage.reports(number), lambda row: row[0]):
            digest = hashlib.sha256()
            for _, report in reports:
                digest.update(report)
                counts[collection] += 1
            digests[collection] = digest.digest()
        return Commitment(tuple(counts), tuple(digests))

    def _asked_by_collector(self, data: bytes) -> tuple[StoredPlan, Plan]:
        """The plan that a request to collect is about, signed by its collector."""
        signed = Signed.from_bytes(data)
        stored, plan = self._opened(plan_of(signed))
        if plan.wire is None:  # not of a plan that was opened here
            raise PlanUnknown(plan.hash)
        signed.verify(COLLECT_DOMAIN, plan.wire.collector.sign)
        return stored, plan

    def _noised(self, plan: Plan) -> list[SealedShare]:
        """Decide what may be opened, charge it, add noise and store the result: once. A repeat gives the same bytes.

        Raises:
            NotCommitted, NoiseRefused, PaneCollected, BudgetExceeded, Stopping; ReportRefused: a sum could pass half the field.
        """
        with self._noising:
            stored, _ = self._opened(plan.hash)
            if stored.state == "collected":
                return self.storage.noised(stored.number)
            if stored.own is None or stored.other is None or plan.wire is None:
                raise NotCommitted(plan.hash)
            self._require_terms(plan)
            self._require_new_panes(plan)  # here and in the transaction: no noise is drawn in vain
            self._unpaid(plan)
            sums = tuple(
                Accumulator.from_values(self.storage.sums(stored.number, collections, planned.layout.length))
                for planned, collections in zip(plan.views, _collections(plan), strict=True)
            )
            closed = Closed(self.role, plan, sums, commitment_from_bytes(plan, stored.own))
            source = None if plan.noise == "none" else _Stoppable(self.noise, self._stopped)
            shares = closed.noise(commitment_from_bytes(plan, stored.other), source)
            sealed = [
                SealedShare.make(plan, view, shares, plan.wire.collector.seal, self.keys.sign)
                for view in range(len(plan.views))
            ]
            with self.storage.transaction():
                self._require_new_panes(plan)
                self.storage.add_charges(self._unpaid(plan), self._clock())
                self.storage.add_noised(stored.number, sealed, _panes(plan))
            return sealed

    def _require_new_panes(self, plan: Plan) -> None:
        for planned in plan.views:
            pane = self.storage.collected_pane(definition_hash(planned.view), planned.pane_starts)
            if pane is not None:
                raise PaneCollected(planned.view.name, pane)

    def _unpaid(self, plan: Plan) -> list[Charge]:
        """What this plan costs beyond what was charged, if the budget of every day covers it. Raises BudgetExceeded."""
        wanted = _charges(plan)
        before = self.storage.charged(np.unique([charge.day for charge in wanted]))
        paid = {(charge.view, charge.definition, charge.sigma, charge.day) for charge in before}
        left: dict[int, int] = {}
        for charge in before:
            left[charge.day] = left.get(charge.day, self.settings.budget_micro_rho) - charge.micro_rho
        unpaid = []
        for charge in wanted:
            if (charge.view, charge.definition, charge.sigma, charge.day) in paid:
                continue
            have = left.get(charge.day, self.settings.budget_micro_rho)
            if charge.micro_rho > have:
                raise BudgetExceeded(charge.view, charge.day, have, charge.micro_rho)
            left[charge.day] = have - charge.micro_rho
            unpaid.append(charge)
        return unpaid


class _Stoppable:
    """A noise source drawn in parts: a thread cannot be interrupted, and a year of noise takes many seconds."""

    def __init__(self, source: NoiseSource, stopped: threading.Event) -> None:
        self.name, self.seeded = source.name, source.seeded
        self._source, self._stopped = source, stopped

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises Stopping, and as the source."""
        parts = [np.empty(0, np.int64)]
        for at in range(0, size, NOISE_PART):
            if self._stopped.is_set():
                raise Stopping("this aggregator is stopping; nothing was charged: ask again when it is back")
            parts.append(self._source.discrete_gaussian(sigma_sq, min(NOISE_PART, size - at)))
        return np.concatenate(parts)


def take_of(half: LeaderHalf | HelperHalf, taken: npt.NDArray[np.bool_]) -> LeaderHalf | HelperHalf:
    """The same half with only some of its reports (bool[R])."""
    if taken.all():
        return half
    view, collection, ids = half.view, half.collection[taken], half.report_ids[taken]
    match half:
        case LeaderHalf():
            return LeaderHalf(view, collection, ids, LeaderShares(half.shares.elements[taken]))
        case HelperHalf():
            return HelperHalf(view, collection, ids, HelperSeeds(half.seeds.seeds[taken]))


def _deadline_of(plan: Plan) -> int:
    if plan.wire is None:
        raise PlanInvalid("a plan on the wire names its deadline")
    return plan.wire.deadline_us


def _collections(plan: Plan) -> Iterator[npt.NDArray[np.uint32]]:
    """The collection indices of each view."""
    for first, last in zip(plan.offsets, plan.offsets[1:], strict=False):
        yield np.arange(first, last, dtype=np.uint32)


def _panes(plan: Plan) -> Iterator[tuple[bytes, int]]:
    for planned in plan.views:
        definition = definition_hash(planned.view)
        for pane in planned.pane_starts.tolist():
            yield definition, pane


def _charges(plan: Plan) -> list[Charge]:
    """What the plan costs: every view once a day, whether or not there are events (DESIGN §4)."""
    charges: list[Charge] = []
    for planned in plan.views:
        name, layout, definition = planned.view.name, planned.layout, definition_hash(planned.view)
        scales = ";".join(f"{group.delta2_sq}/{group.micro_rho}" for group in layout.groups)
        sigma = "none" if plan.noise == "none" else scales
        days = np.unique(planned.pane_starts // DAY_US).tolist()
        charges += [Charge(name, definition, sigma, day, layout.micro_rho) for day in days]
    return charges
