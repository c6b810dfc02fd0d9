"""Shared code of the levels with real processes: write the fleet as a project on disk, and write both stores.

The project (keys, rosters, and events, policy and ledger of each site) is in `<directory>/project` during a collection. It is
deleted after a success. After a failure it stays, with its logs.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.private_files import private_folder
from deployment.coordinator.job import Job
from deployment.errors import CollectionFailed
from deployment.local.processes_run import DEADLINE_SECONDS, SITE_SECONDS
from deployment.project.fleet import EventColumns, SiteEvents, make_project
from featurestore.define.release import Release
from featurestore.store import Store
from federation.aggregation import OpenedView
from federation.commitment import Outcome
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from simulations.fleets.block import SiteBlock
from simulations.shards.counted import CountedReports
from simulations.shards.run import FleetRun, plan_of, publish_truth

from .collection import STORE, TRUTH, Collected, Collection, Progress

PROJECT: Final = "project"
_UNLIMITED: Final = Budget(10**12)
"""A budget that stops no experiment. The ledgers are real."""


@dataclass(frozen=True)
class FleetProject:
    """A fleet on disk.

    Attributes:
        plan: views, panes and terms; the plan of the job has its own keys.
        at_s: arrival time of each answer, by site, in order of arrival; without sites that never answer.
        counting: sites whose answers count.
    """

    project: Path
    job: Job
    plan: Plan
    at_s: Mapping[str, float]
    counting: frozenset[str]


def prepare(collection: Collection, directory: Path) -> FleetProject:
    """Write the fleet's project and the coordinator's job. Raises the errors of `plan_of`."""
    terms, source = collection.terms, collection.source
    plan, _ = plan_of(terms, source, noisy=collection.noisy)
    project = private_folder(directory / PROJECT)
    fleet: list[SiteEvents] = []
    at_s: dict[str, float] = {}
    counting: set[str] = set()
    for block in (source.block(index) for index in range(source.blocks)):
        fleet += _sites(block)
        fates = collection.arrivals.of(block.sites)
        at_s |= {name: float(at) for name, at in zip(block.sites, fates.at_s, strict=True) if np.isfinite(at)}
        counting |= {name for name, ok in zip(block.sites, fates.in_time(terms.deadline_s), strict=True) if ok}
    columns = source.block(0).columns
    job = make_project(
        project,
        plan,
        fleet,
        directory / STORE,
        EventColumns(columns.client, columns.time),
        _UNLIMITED,
        deadline_us=time.time_ns() // 1_000 + int(DEADLINE_SECONDS * 1e6),
        site_seconds=SITE_SECONDS,
    )
    in_order = dict(sorted(at_s.items(), key=lambda one: one[1]))
    return FleetProject(project, job, plan, in_order, frozenset(counting))


def finish(
    prepared: FleetProject,
    collection: Collection,
    directory: Path,
    result: Mapping[str, Any],
    wall_s: float,
    peak_bytes: int,
    progress: Progress,
) -> Collected:
    """Write the true values next to the releases, and delete the project.

    Args:
        result: result of the job.

    Raises:
        CollectionFailed: a site refused although its answer should count, or the leader refused a batch.
    """
    _require_whole(prepared, result)
    progress("truth", 0, 1)
    terms = collection.terms
    counted = CountedReports(prepared.plan, collection.source, collection.arrivals, terms.deadline_s)
    for _ in counted:
        pass
    counted.tally.rejected.update(
        dict(enumerate(result["rejected"].get(one.view.name, 0) for one in prepared.plan.views))
    )
    opened = tuple(_opened(directory / STORE, planned) for planned in prepared.plan.views)
    run = FleetRun(prepared.plan, opened, counted.truth, counted.tally, {}, wall_s, peak_bytes)
    publish_truth(run, directory / TRUTH, collection.now)
    progress("truth", 1, 1)
    shutil.rmtree(prepared.project)
    views = result["views"]
    panes = {one.view.name: views[one.view.name] for one in prepared.plan.views}
    return Collected(
        directory,
        {name: count["opened"] for name, count in panes.items()},
        {name: count["void"] for name, count in panes.items()},
        counted.tally,
        {},
        wall_s,
        peak_bytes,
    )


def _sites(block: SiteBlock) -> Iterator[SiteEvents]:
    """Yield the sites of a block, each with its own events."""
    for name, clients in zip(block.sites, block.enrolled.tolist(), strict=True):
        own = block.table
        if block.columns.site is not None:
            own = own.filter(pc.equal(own[block.columns.site].cast(pa.string()), name))
        yield SiteEvents(name, own, clients)


def _require_whole(prepared: FleetProject, result: Mapping[str, Any]) -> None:
    sites = result["sites"]
    codes = {site: sites[site]["code"] if site in sites else "NO_ANSWER" for site in sorted(prepared.counting)}
    refused = {site: code for site, code in codes.items() if code != "OK"}
    if refused:
        site, code = next(iter(refused.items()))
        raise CollectionFailed(f"{len(refused)} of {len(codes)} sites refused; site {site!r}: {code}")
    if batches := {site: one["refused"] for site, one in sites.items() if one["refused"]}:
        raise CollectionFailed(f"the leader has refused batches: {batches}")


def _opened(store_folder: Path, planned: PlannedView) -> OpenedView:
    """Read the releases of a view from the store."""
    with Store.open(store_folder) as store:
        table = store.releases(planned.view.name).sort_by("pane_start")
        items = [store.release(bytes.fromhex(one)) for one in table["release_id"].to_pylist()]
    outcomes = [Outcome.OPENED if isinstance(item, Release) else Outcome[item.reason] for item in items]
    shape = planned.layout.keys, planned.layout.slots_per_key
    sums = [item.slots.reshape(shape) for item in items if isinstance(item, Release)]
    return OpenedView(planned, np.array(outcomes, np.uint8), np.array(sums, np.int64).reshape(-1, *shape))
