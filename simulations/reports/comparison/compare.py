"""`covey lab compare`: what each protection of one view costs, measured on the same reports.

    events ─► compute ─► the reports of one pane ─┬─ plaintext       in a process of its own ─┐
                                                  ├─ shares                                   ├─► bytes, time, memory, error
                                                  └─ …                                        ┘

Each protection carries the same reports, as many of them as the lab's patience allows (`cost.WORK`).
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

from crypto.errors import ExtraMissing
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
class Compared:
    """A protection and its cost, or why it has none."""

    protection: ComparedProtection
    cost: ProtectionCost | None
    skipped: str | None = None


@dataclass(frozen=True)
class Comparison:
    """One pane of a view under every protection.

    Attributes:
        reports: of the pane.
        slots: of a report.
        clients: how many there are; parameters are chosen for so many.
        compute_s: CPU time of a report's vector, from the events; the same under each protection.
    """

    view: str
    pane_start: int
    reports: int
    slots: int
    clients: int
    compute_s: float
    protections: tuple[Compared, ...]


def choose_view(views: Sequence[FeatureView], name: str | None) -> FeatureView:
    """The view of this name; without one, the first. Raises UsageError."""
    if name is None:
        return views[0]
    for view in views:
        if view.name == name:
            return view
    raise UsageError(f"no view {name!r} among these: {', '.join(view.name for view in views)}")


def compare(
    view: FeatureView,
    events: Events,
    *,
    names: Sequence[str] | None = None,
    most_reports: int | None = None,
    progress: Progress = lambda *_: None,
) -> Comparison:
    """Carry the reports of the pane that has most of them under every protection.

    Args:
        names: of the protections; default: all.
        most_reports: so many of them at most; default: as `WORK` allows.

    Raises:
        UsageError: no event counts. EventsError, EventColumnError: the events do not fit the view.
    """
    check_schema(view, events)
    made, compute_s = timed(lambda: compute(view, events))
    if not len(made.client):
        raise UsageError(f"view {view.name!r}: no event of any client counts; there is nothing to compare")
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
) -> tuple[Compared, ...]:
    """Measure protections, by default every one, each in a fresh process of its own."""
    name, done = plan_from_bytes(work.plan).views[0].view.name, []
    chosen = [PROTECTIONS[one] for one in (PROTECTIONS if names is None else names)]
    progress(name, STEP, 0, len(chosen))
    for protection in chosen:
        done.append(_in_a_process(protection, work, most_reports))
        progress(name, STEP, len(done), len(chosen))
    return tuple(done)


def _in_a_process(protection: ComparedProtection, work: Work, most_reports: int | None) -> Compared:
    for library in protection.libraries:
        if find_spec(library) is None:
            return Compared(protection, None, str(ExtraMissing(library, "he")))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        try:
            answer = process.submit(try_measure, protection.name, work, most_reports).result()
        except BrokenProcessPool:
            return Compared(protection, None, "its process was killed: too little memory?")
    return Compared(protection, None, answer) if isinstance(answer, str) else Compared(protection, answer)
