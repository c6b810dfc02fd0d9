"""Run a coordinator's job, from the announcement to the renamed result. The caller provides the transport to the sites."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from aggregator.services.client import Aggregators
from base.private_files import append_private
from featurestore.publish.publish import Publisher
from federation.keys import RoleKeys, load_keys
from federation.plan import plan_from_bytes

from .announcement import Announcement, announce
from .batches import CollectionOutcome, collect
from .job import Job
from .publication import evidence_of, items_of, summary_of
from .sites import SiteAnswer

Ask = Callable[[bytes, bytes], Iterable[SiteAnswer]]
"""(signed plan, encryption keys or none) → the sites' answers, as they arrive."""


def run_job(job: Job, ask: Ask, clock: Callable[[], int]) -> None:
    """Announce the plan, carry the answers, open the sums, publish, and rename the result into place.

    Args:
        clock: the time of publication, µs since the epoch.

    Raises:
        AggregatorError, FederationError, CryptoError, FeatureStoreError: nothing was published. The same job may be run
            again: accepted reports are kept.
    """
    coordinator, collector = load_keys(job.keys, "coordinator"), load_keys(job.keys, "collector")

    def progress(answer: SiteAnswer) -> None:
        line = {"site": answer.site, "code": answer.code, "batches": len(answer.batches)}
        _append(job.progress, {**line, "bytes": sum(map(len, answer.batches))})

    protection = plan_from_bytes(job.plan).terms.protection
    with Aggregators(job.leader, job.helper, protection=protection) as aggregators:
        announced = _announce(job, coordinator, aggregators)
        collected = collect(announced, collector, ask, aggregators, progress)
    _publish(job, announced, collected, collector, clock)


def _announce(job: Job, coordinator: RoleKeys, aggregators: Aggregators) -> Announcement:
    """Open the job's plan, or the plan of an earlier attempt, at both aggregators, and keep it on disk."""
    earlier = Announcement(plan_from_bytes(job.plan), b"")
    if job.announced.is_file():
        earlier = Announcement.load(job.announced, coordinator.sign.public)
    if earlier.plan is None:
        return earlier
    before = earlier.left_out, earlier.encryption_keys
    announced = announce(earlier.plan, coordinator.sign, aggregators, os.urandom, *before)
    announced.save(job.announced)
    return announced


def _publish(
    job: Job, announced: Announcement, collected: CollectionOutcome, collector: RoleKeys, clock: Callable[[], int]
) -> None:
    items = list(items_of(announced, collected, collector.sign, now=clock(), clock="replay"))
    with Publisher(job.store, clock) as publisher:
        for planned in (*(one.planned for one in collected.opened), *(left.planned for left in collected.budget_spent)):
            publisher.register(planned.view)
        publisher.publish(items, evidence_of(announced, collected))
    job.finish(summary_of(collected, items))


def _append(path: Path, line: dict[str, object]) -> None:
    append_private(path, json.dumps(line) + "\n")
