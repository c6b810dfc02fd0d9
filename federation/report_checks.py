"""Checks that reports fit their plan, and that the two halves of a batch fit each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from federation.batch.reports import REPORT_ID_BYTES, Half, Indices
from federation.terms import ReportPer

from .errors import ReportRefused
from .plan import Plan


def rows_of(plan: Plan, half: Half) -> npt.NDArray[np.int64]:
    """int64[R]: the accumulator row of each report. Raises ReportRefused: the reports do not fit the plan."""
    if not 0 <= half.view < len(plan.views):
        raise ReportRefused(f"view number {half.view} does not exist: the plan has {len(plan.views)} view(s)")
    rows = half.collection.astype(np.int64) - plan.offsets[half.view]
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(plan.views[half.view].pane_starts)):
        raise ReportRefused(f"a report's collection index is not of view {plan.views[half.view].view.name!r}")
    if half.report_ids.shape != (len(rows), REPORT_ID_BYTES):
        raise ReportRefused(f"there are report ids of shape {half.report_ids.shape} for {len(rows)} reports")
    require_report_per(plan, half.clients)
    return rows


def require_report_per(plan: Plan, clients: Indices | None) -> None:
    """Return if reports declare numbers of clients exactly if the plan asks for sites' reports. Raises ReportRefused."""
    if (clients is not None) != (plan.terms.report_per is ReportPer.SITE):
        declare = "do not declare" if clients is None else "declare"
        raise ReportRefused(
            f"the plan says report_per {plan.terms.report_per.value!r}, but the reports {declare} numbers of clients"
        )


def require_one_batch(leader: Half, helper: Half) -> None:
    """Return if two halves are of the same reports, in the same order. Raises ReportRefused."""
    same = leader.view == helper.view and np.array_equal(leader.collection, helper.collection)
    same &= np.array_equal(leader.report_ids, helper.report_ids)
    if leader.clients is None or helper.clients is None:
        same &= leader.clients is helper.clients
    else:
        same &= np.array_equal(leader.clients, helper.clients)
    if not same:
        raise ReportRefused("the two halves are not of one batch")
