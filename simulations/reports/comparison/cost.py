"""What one protection costs, measured where it is called: `covey lab compare` calls it in a process of its own.

Times are CPU time, and every party is played in one process, one after the other: no network, no disk, no waiting. This
module imports no more than it needs: the process has to load it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from crypto.errors import CryptoError
from featurestore.define.definitions import FeatureView
from federation.batch.reports import Reports
from federation.errors import FederationError
from federation.plan import PLAN_ID_BYTES, PlannedView, new_plan, plan_from_bytes, plan_to_bytes
from federation.terms import Noise, Shares
from simulations.measuring import peak_since, start_of_peak, timed

from .protections import PROTECTIONS, Ints, in_noise_basis

WORK: Final = 2**24
"""64-bit numbers that the reports of one protection become, at most (but one report at least): 128 MiB."""


@dataclass(frozen=True)
class ProtectionCost:
    """What one protection took.

    Attributes:
        reports: how many were carried; the times are of one of them, on average.
        upload_bytes: of a report, to both aggregators where there are two; without the batch's header and seal.
        set_up_s: once a plan: keys, tables. The rest is measured when a first report has warmed everything up.
        client_s: of a report, from its vector to the bytes.
        server_s: of a report, from the bytes to the sum, at all servers together.
        open_s: of the pane, at all who open it, noise off.
        peak_bytes: the most memory of a process that plays every party, beyond what it had when it began; None where
            the system does not tell.
        max_error: the furthest that an opened sum is from that of the plain vectors, in units of a slot.
    """

    reports: int
    upload_bytes: int
    set_up_s: float
    client_s: float
    server_s: float
    open_s: float
    peak_bytes: int | None
    max_error: float


@dataclass(frozen=True, eq=False)
class Work:
    """What every protection carries. **Secret.**

    Attributes:
        plan: canonical bytes, of one pane of one view, noise off.
    """

    plan: bytes
    clients: int
    reports: Reports = field(repr=False)


def work_of(view: FeatureView, pane: Ints, reports: Reports, clients: int) -> Work:
    """These reports of one pane (int64[1], its start) in a plan of their own."""
    plan = new_plan([PlannedView(view, pane, 1)], Shares(), Noise.NONE, plan_id=os.urandom(PLAN_ID_BYTES), sites=())
    return Work(plan_to_bytes(plan), clients, reports)


def try_measure(name: str, work: Work, most_reports: int | None) -> ProtectionCost | str:
    """The cost, or why this view cannot be carried so."""
    try:
        return measure(name, work, most_reports)
    except (CryptoError, FederationError) as error:
        return str(error)


def measure(name: str, work: Work, most_reports: int | None = None) -> ProtectionCost:
    """Carry the reports, as many of them as `WORK` or `most_reports` allow, and open their sums.

    Raises:
        CryptoError, FederationError: this view cannot be carried so.
    """
    protection, plan = PROTECTIONS[name], plan_from_bytes(work.plan)
    layout = plan.views[0].layout
    elements = protection.elements(layout, work.clients)
    most = most_reports or max(1, WORK // elements)
    reports = Reports(0, work.reports.collection[:most], work.reports.slots[:most])
    expected = np.zeros(layout.length, np.int64)
    np.add.at(expected, reports.slots.columns, reports.slots.values)
    before = start_of_peak()
    unmeasured, set_up_s = timed(lambda: protection.make(plan, work.clients))
    unmeasured.add(unmeasured.protect(Reports(0, reports.collection[:1], reports.slots[:1])))
    unmeasured.open()
    del unmeasured  # kernels are loaded and tables made
    way = protection.make(plan, work.clients)
    size, client_s, server_s = 0, 0.0, 0.0
    for batch in reports.batches(elements):
        sent, seconds = timed(partial(way.protect, batch))
        client_s += seconds
        size += sent.size
        server_s += timed(partial(way.add, sent))[1]
        del sent
    opened, open_s = timed(way.open)
    count = len(reports.collection)
    return ProtectionCost(
        reports=count,
        upload_bytes=round(size / count),
        set_up_s=set_up_s,
        client_s=client_s / count,
        server_s=server_s / count,
        open_s=open_s,
        peak_bytes=peak_since(before),
        max_error=float(np.abs(opened - in_noise_basis(layout, expected)).max()),
    )
