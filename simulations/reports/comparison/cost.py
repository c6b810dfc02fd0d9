"""Measure the cost of one protection. `covey lab compare` does this in a new process for each protection.

Times are CPU time. One process plays every party, one after the other, without network, disk or waiting. This module
imports only what it needs, because each process has to load it.
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
"""The most 64-bit numbers into which a protection encodes its reports: 128 MiB. At least one report is measured."""


@dataclass(frozen=True)
class ProtectionCost:
    """The cost of one protection.

    Attributes:
        reports: how many were processed; times are averages of one report.
        upload_bytes: of a report, to all aggregators together; without the header and seal of the batch.
        set_up_s: once a plan, for keys and tables. The other times are measured after a first report has loaded kernels.
        client_s: of a report, from its vector to the bytes.
        server_s: of a report, from the bytes to the sum, at all servers together.
        open_s: of the pane, at all parties that open it, without noise.
        peak_bytes: the most memory that the process used beyond its memory at the start; None if the system does not
            report it.
        max_error: the largest difference between an opened sum and the sum of the plain vectors, in units of a slot.
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
    """The input of every protection. **Secret.**

    Attributes:
        plan: canonical bytes of a plan of one pane of one view, without noise.
    """

    plan: bytes
    clients: int
    reports: Reports = field(repr=False)


def work_of(view: FeatureView, pane: Ints, reports: Reports, clients: int) -> Work:
    """Put the reports of one pane (int64[1], its start) into a plan of their own."""
    plan = new_plan([PlannedView(view, pane, 1)], Shares(), Noise.NONE, plan_id=os.urandom(PLAN_ID_BYTES), sites=())
    return Work(plan_to_bytes(plan), clients, reports)


def try_measure(name: str, work: Work, most_reports: int | None) -> ProtectionCost | str:
    """Return the cost, or the reason why this protection cannot process the view."""
    try:
        return measure(name, work, most_reports)
    except (CryptoError, FederationError) as error:
        return str(error)


def measure(name: str, work: Work, most_reports: int | None = None) -> ProtectionCost:
    """Process as many reports as `WORK` or `most_reports` allows, and open their sums.

    Raises:
        CryptoError, FederationError: the protection cannot process this view.
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
    del unmeasured  # kernels are loaded and tables are made
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
