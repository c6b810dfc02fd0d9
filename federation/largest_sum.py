"""The largest opened sum, noise included: it must stay below p/2, because above that it wraps into another integer."""

from __future__ import annotations

import numpy as np

from crypto import field as field64
from featurestore.define.layout import Layout
from federation.terms import ReportPer

from .errors import PlanInvalid, ReportRefused
from .noise import largest_noise
from .plan import Plan


def largest_sum(layout: Layout, clients: int) -> int:
    """The largest distance from 0 of an opened sum over so many clients, with the noise of both aggregators."""
    sums = np.array([slot.max_value for slot in layout.slots], dtype=object)
    largest = int(max(np.abs(layout.basis.astype(object)) @ sums)) * clients  # a client has one cell of a key and pane
    return largest + max(largest_noise(group.mechanism) for group in layout.groups)


def require_sums_fit(plan: Plan, sites: int) -> None:
    """Return if the sums stay below half the field, even if each site sends the largest report that has a proof.

    Raises:
        PlanInvalid: a sum could be larger.
    """
    match plan.terms.report_per:
        case ReportPer.CLIENT:
            return  # the roster bounds the number of reports, and each report is bounded
        case ReportPer.SITE:
            for planned in plan.views:
                if largest_sum(planned.layout, sites * plan.max_clients) >= field64.HALF:
                    raise PlanInvalid(
                        f"view {planned.view.name!r}: {sites:,} sites with reports of up to {plan.max_clients:,} clients each "
                        "could pass half the field, where a sum becomes another number. Lower the max_clients of the sites"
                    )


def require_range(layout: Layout, clients: int) -> None:
    """Return if a sum over so many clients stays below half the field. Raises ReportRefused.

    Args:
        clients: the most clients that the reports can be of. A site's declaration does not bound its sum; a proof does.
    """
    if largest_sum(layout, clients) >= field64.HALF:
        raise ReportRefused(f"view {layout.view.name!r}: a sum over {clients:,} clients could pass half the field")
