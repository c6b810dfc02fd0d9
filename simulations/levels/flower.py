"""Level flower: the whole of `covey run`. Flower's simulation runtime has a node for each site; the coordinator is ServerApp.

A site whose answer is lost, late or never sent has no node, because its answer would not reach an aggregator in time. It is
still on the rosters, and its clients count as enrolled.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from deployment.errors import RunRefused
from deployment.local.processes_run import collect_project
from deployment.project.fleet import SITES
from simulations.attacks.lies.lying_app import site_app_of

from .collection import Collected, Collection, Progress
from .real import finish, prepare


def collect_by_flower(collection: Collection, directory: Path, progress: Progress) -> Collected:
    """Collect as `collect` does. The tally counts the batches and bytes that were sent.

    Raises:
        RunRefused: no answer counts, but a fleet needs a node.
    """
    prepared = prepare(collection, directory)
    if not prepared.counting:
        raise RunRefused("no site answers in time, but level=flower needs one. Change arrivals, or raise deadline_s")
    for path in (prepared.project / SITES).glob("*.toml"):
        if path.stem not in prepared.counting:
            path.unlink()
    if collection.lying is not None:
        site_app_of(collection.lying).save(prepared.project)
    job = replace(prepared.job, sites=len(prepared.counting))
    start = time.perf_counter()
    result = collect_project(prepared.project, job, lambda _view, step, done, total: progress(step, done, total))
    wall_s = time.perf_counter() - start
    answers = [json.loads(line) for line in job.progress.read_text(encoding="utf-8").splitlines()]
    collected = finish(prepared, collection, directory, result, wall_s, 0, progress)
    collected.tally.batches = sum(answer["batches"] for answer in answers)
    collected.tally.bytes_sent = sum(answer["bytes"] for answer in answers)
    return collected
