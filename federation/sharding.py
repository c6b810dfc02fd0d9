"""Run by the site: every report is split into two shares, one for each aggregator, with a proof if the plan asks for it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from crypto import sharing
from crypto.sharing import HelperSeeds
from crypto.xof import SEED_BYTES
from federation.batch.reports import (
    REPORT_ID_BYTES,
    HelperHalf,
    LeaderHalf,
    ProvenHalf,
    Randomness,
    ReportIds,
    Reports,
)
from federation.circuit.validity import encode, prove
from federation.terms import Shares, Validity

from .errors import ReportRefused
from .plan import Plan
from .report_checks import require_report_per

Halves = tuple[LeaderHalf, HelperHalf] | tuple[ProvenHalf, ProvenHalf]


class Protect(Protocol):
    """How a site protects a batch of reports: the function `protect`, or another one in a simulation of dishonest sites."""

    def __call__(
        self, plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: ReportIds | None = None
    ) -> Halves:
        """Both halves of the batch. `report_ids`: the ids of an earlier attempt; None: fresh ids."""
        ...


def protect(plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: ReportIds | None = None) -> Halves:
    """Run by the site: `shard` or `shard_proven`, by the plan's `validity`."""
    match plan.terms.validity:
        case Validity.NONE:
            return shard(plan, reports, randomness, report_ids=report_ids)
        case Validity.PRIO3:
            return shard_proven(plan, reports, randomness, report_ids=report_ids)


def shard(
    plan: Plan, reports: Reports, randomness: Randomness, *, report_ids: npt.NDArray[np.uint8] | None = None
) -> tuple[LeaderHalf, HelperHalf]:
    """Run by the site: split every report into a share for each aggregator, with a fresh seed.

    Args:
        report_ids: uint8[R, 16], the ids of an earlier attempt, which a retry keeps. None: fresh ids.

    Raises:
        ReportRefused: the plan has proofs or no shares, the reports are not per client or site as in the plan, or a vector
            has another length.
    """
    if not isinstance(plan.terms, Shares):
        raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: it takes no shares")
    if plan.terms.validity is not Validity.NONE:
        raise ReportRefused(f"the plan says validity {plan.terms.validity.value!r}, but these shares have no proofs")
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
    """Run by the site: as `shard`, with a proof of each report, for a plan with validity prio3.

    Raises:
        ReportRefused: as `shard`; or a vector is outside the view's bounds.
    """
    if plan.terms.validity is not Validity.PRIO3:
        raise ReportRefused(f"the plan says validity {plan.terms.validity.value!r}: its reports have no proofs")
    ids = ids_of(plan, reports, randomness, report_ids)
    measurements = encode(plan.views[reports.view].layout, reports.slots, plan.clients_a_report)
    return prove(plan, reports.view, reports.collection, measurements, ids, randomness, reports.clients)


def ids_of(
    plan: Plan, reports: Reports, randomness: Randomness, report_ids: npt.NDArray[np.uint8] | None
) -> npt.NDArray[np.uint8]:
    """uint8[R, 16]: the ids of the reports, fresh ones if there are none. Raises ReportRefused: as `shard`."""
    count = len(reports.collection)
    require_report_per(plan, reports.clients)
    if reports.slots.length != plan.views[reports.view].layout.length or len(reports.slots) != count:
        raise ReportRefused(
            f"there are {len(reports.slots)} vectors of {reports.slots.length} slots for {count} reports; the view needs "
            f"{plan.views[reports.view].layout.length} slots"
        )
    if report_ids is not None:
        return report_ids
    return np.frombuffer(randomness(count * REPORT_ID_BYTES), np.uint8).reshape(count, REPORT_ID_BYTES)
