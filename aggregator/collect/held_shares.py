"""An aggregator's own noised shares: drawn once, held until leader and helper have stored the opened values, then erased."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from aggregator.collect.collection_job import commitment_from_bytes
from aggregator.errors import NotCommitted
from aggregator.shares.plans import PlanBook
from aggregator.storage.records import PlanState, StoredPlan
from crypto.sharing import Accumulator
from federation.aggregation import ClosedAggregation, NoisedShares
from federation.commitment import Commitment
from federation.errors import FinishRefused
from federation.plan import Plan

_T = TypeVar("_T")


class HeldShares:
    """The noised shares of one aggregator's plans."""

    def __init__(self, plans: PlanBook) -> None:
        self._plans, self._storage = plans, plans.files.storage

    def draw(self, stored: StoredPlan, plan: Plan) -> tuple[NoisedShares, Commitment]:
        """Add fresh noise to this aggregator's sums; also its commitment. Raises NotCommitted; and as `Noising.noise`."""
        if stored.own is None or stored.other is None:
            raise NotCommitted(plan.hash)
        self._plans.require_charged(plan)
        own, other = (commitment_from_bytes(plan, data) for data in (stored.own, stored.other))
        reports = self._storage.reports
        sums = tuple(
            Accumulator.from_values(reports.sums(stored.number, collections, planned.layout.length))
            for planned, collections in zip(plan.views, _collections(plan), strict=True)
        )
        closed = ClosedAggregation(self._plans.identity.role, plan, sums, own, reports.most_reports(stored.number))
        return closed.noise(other, self._plans.secrets.noise_source(plan)), own

    def require(self, stored: StoredPlan, held: list[_T]) -> list[_T]:
        """The same shares, of a plan that may be opened.

        Raises:
            NotCommitted: the plan is not witnessed. FinishRefused: its noised shares are erased.
        """
        if stored.state is not PlanState.WITNESSED:
            raise NotCommitted(stored.hash)
        if not held:
            raise FinishRefused(
                f"plan {stored.hash.hex()[:16]}… was finished before, and its noised shares are erased. Put the newest copy "
                f"of the {self._plans.identity.peer}'s file back"
            )
        return held

    def erase(self, stored: StoredPlan) -> None:
        """Erase the noised shares of a plan whose opened values are stored. A repeat changes nothing.

        Raises:
            NotCommitted. FinishRefused: the opened values are not stored, so this file is an older copy.
        """
        shares = self._storage.noised(stored.number)
        if not shares:
            raise NotCommitted(stored.hash)
        if not all(share.opened for share in shares):
            raise FinishRefused(
                f"plan {stored.hash.hex()[:16]}… was finished before, but {self._storage.path} does not hold its opened values. "
                f"Put the newest copy of the {self._plans.identity.role}'s file back"
            )
        with self._storage.transaction():
            self._storage.settle(stored.number)
        self._plans.retention.forget()


def _collections(plan: Plan) -> Iterator[npt.NDArray[np.uint32]]:
    """The collection indices of each view."""
    for first, last in zip(plan.offsets, plan.offsets[1:], strict=False):
        yield np.arange(first, last, dtype=np.uint32)
