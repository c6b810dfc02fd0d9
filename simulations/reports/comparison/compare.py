"""`covey lab compare`: what each protection of one view costs, measured on the same reports.

    events ─► compute ─► the reports of one pane ─┬─ plaintext       in a process of its own ─┐
                                                  ├─ shares                                   ├─► bytes, time, memory, error
                                                  └─ …                                        ┘

Each protection processes the same reports. `cost.WORK` limits how many, so that a comparison ends in reasonable time.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np

from base.errors import ExtraMissing
from deployment.errors import UsageError
from deployment.in_process.progress import Progress
from edge_client.compute import compute
from edge_client.events import Events, check_schema
from edge_client.participation import of_active_clients
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.batch.reports import Reports
from federation.plan import plan_from_bytes
from simulations.measuring import timed

from .cost import ProtectionCost, Work, try_measure, work_of
from .protections import PROTECTIONS, ComparedProtection

STEP: Final = "protections measured"


@dataclass(frozen=True)
class ProtectionResult:
    """A protection and its cost, or the reason why it has no cost."""

    protection: ComparedProtection
    cost: ProtectionCost | None
    skipped: str | None = None


@dataclass(frozen=True)
class Comparison:
    """One pane of a view under every protection.

    Attributes:
        reports: number of reports of the pane.
        slots: number of slots of a report.
        clients: number of clients for which parameters are chosen.
        compute_s: CPU time to compute a report's vector from events. It is the same under each protection.
    """

    view: str
    pane_start: int
    reports: int
    slots: int
    clients: int
    compute_s: float
    protections: tuple[ProtectionResult, ...]


def choose_view(views: Sequence[FeatureView], name: str | None) -> FeatureView:
    """Return the view of this name; without a name, the first view. Raises UsageError."""
    if name is None:
        return views[0]
    for view in views:
        if view.name == name:
            return view
    raise UsageError(f"no view {name!r}; choose one of {', '.join(view.name for view in views)}")


def compare(
    view: FeatureView,
    events: Events,
    *,
    names: Sequence[str] | None = None,
    most_reports: int | None = None,
    progress: Progress = lambda *_: None,
) -> Comparison:
    """Measure every protection with the reports of the pane that has the most reports.

    Args:
        names: of the protections; default: all.
        most_reports: the largest number of reports; default: as `WORK` allows.

    Raises:
        UsageError: no event counts. EventsError, EventColumnError: the events do not fit the view.
    """
    check_schema(view, events)
    made, compute_s = timed(lambda: compute(view, events))
    if not len(made.client):
        raise UsageError(
            f"view {view.name!r}: no event counts, so there is nothing to compare. Check the columns and values of the events"
        )
    panes, counts = np.unique(made.pane_start, return_counts=True)
    pane = panes[[np.argmax(counts)]]
    chosen = of_active_clients(pane, made)
    work = work_of(view, pane, Reports(0, chosen.pane.astype(np.uint32), chosen.slots), events.clients)
    return Comparison(
        view=view.name,
        pane_start=int(pane[0]),
        reports=len(chosen.pane),
        slots=layout_of(view).length,
        clients=events.clients,
        compute_s=compute_s / len(made.client),
        protections=measure_all(work, names=names, most_reports=most_reports, progress=progress),
    )


def measure_all(
    work: Work,
    *,
    names: Sequence[str] | None = None,
    most_reports: int | None = None,
    progress: Progress = lambda *_: None,
) -> tuple[ProtectionResult, ...]:
    """Measure protections, by default all, each in a new process."""
    name, done = plan_from_bytes(work.plan).views[0].view.name, []
    chosen = [PROTECTIONS[one] for one in (PROTECTIONS if names is None else names)]
    progress(name, STEP, 0, len(chosen))
    for protection in chosen:
        done.append(_in_a_process(protection, work, most_reports))
        progress(name, STEP, len(done), len(chosen))
    return tuple(done)


def _in_a_process(protection: ComparedProtection, work: Work, most_reports: int | None) -> ProtectionResult:
    for library in protection.libraries:
        if find_spec(library) is None:
            return ProtectionResult(protection, None, str(ExtraMissing("encryption", library, "he")))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        try:
            answer = process.submit(try_measure, protection.name, work, most_reports).result()
        except BrokenProcessPool:
            return ProtectionResult(protection, None, "its process was killed, probably because memory ran out")
    return (
        ProtectionResult(protection, None, answer) if isinstance(answer, str) else ProtectionResult(protection, answer)
    )
