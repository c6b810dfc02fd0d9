"""The coordinator behind Flower: a ServerApp that reads one job, runs it, publishes, and renames its result into place.

`flwr run` exits 0 when a run has failed, so success is the result file and nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from crypto.errors import CryptoError
from featurestore.errors import FeatureStoreError
from featurestore.publish import Publisher
from federation.errors import FederationError
from federation.keys import RoleKeys, load_keys
from federation.plan import plan_from_bytes

from .announcement import Announcement, announce
from .client import Aggregators
from .coordinator import Collected, collect
from .errors import AggregatorError, Refused
from .job import Job
from .publication import evidence_of, items_of, summary_of
from .refusals import LOST
from .sites import SiteAnswer, ask_sites

app = ServerApp()
_log = logging.getLogger("covey.coordinator")


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job that the run's configuration names."""
    job = Job.load(Path(str(context.run_config["job"])))
    with job.alone():
        if not job.result.is_file():  # an attempt whose `flwr run` has died may have gone on, and be done by now
            _run(job, grid)


def _run(job: Job, grid: Grid) -> None:
    coordinator, collector = load_keys(job.keys, "coordinator"), load_keys(job.keys, "collector")

    def ask(*told: bytes) -> Iterable[SiteAnswer]:
        return ask_sites(grid, *told, sites=job.sites, seconds=job.seconds, clock=time.monotonic, sleep=time.sleep)

    def progress(answer: SiteAnswer) -> None:
        _append(job.progress, {"site": answer.site, "code": answer.code, "batches": len(answer.batches)})

    try:
        protection = plan_from_bytes(job.plan).protection
        with Aggregators(job.leader, job.helper, protection=protection) as aggregators:
            announced = _announce(job, coordinator, aggregators)
            collected = collect(announced, collector, ask, aggregators, progress)
        _publish(job, announced, collected, collector)
    except (AggregatorError, FederationError, CryptoError, FeatureStoreError) as error:
        _log.exception("the collection failed")
        job.fail(str(error), lost=isinstance(error, Refused) and error.reason in LOST)


def _announce(job: Job, coordinator: RoleKeys, aggregators: Aggregators) -> Announcement:
    """The job's plan, or what an earlier attempt has left of it, open at both aggregators and kept on disk."""
    earlier = Announcement(plan_from_bytes(job.plan), b"")
    if job.announced.is_file():
        earlier = Announcement.load(job.announced, coordinator.sign.public)
    if earlier.plan is None:
        return earlier
    announced = announce(earlier.plan, coordinator.sign, aggregators, os.urandom, earlier.left_out)
    announced.save(job.announced)
    return announced


def _publish(job: Job, announced: Announcement, collected: Collected, collector: RoleKeys) -> None:
    items = list(items_of(announced, collected, collector.sign, now=_now(), clock="replay"))
    with Publisher(job.store, _now) as publisher:
        for planned in (*(one.planned for one in collected.opened), *(left.planned for left in collected.budget_spent)):
            publisher.register(planned.view)
        publisher.publish(items, evidence_of(announced, collected))
    job.finish(summary_of(collected, items))


def _now() -> int:
    return time.time_ns() // 1_000


def _append(path: Path, line: dict[str, object]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
