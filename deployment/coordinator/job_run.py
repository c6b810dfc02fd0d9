"""Run a coordinator's job, from the announcement to the renamed result. The caller provides the transport to the sites.

    announce ──► {plan} ──► carry ──► open, or free ──► {attempt, if panes stay due} ──► publish ──► {result}

Each {…} is on disk before the next step, and a restarted job continues there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from aggregator.errors import RemoteRefusal
from aggregator.intake.refusals import LOST
from aggregator.services.client import Aggregators
from base.fields import Fields, about
from base.metrics import STEP, Meters
from base.tls.links import links_of
from base.tls.roles import TlsRole
from base.traces import span
from deployment.project.project import Project
from featurestore.define.release import Release, Void
from featurestore.publish.live import publish_live
from featurestore.publish.publish import Publisher
from federation.dating import Dating
from federation.keys import RoleKeys
from federation.plan import plan_from_bytes

from .announcement import Announcement, announce
from .attempts import Attempts
from .batches import CollectionOutcome, Conditions, collect, free_what_can_be
from .job import Job
from .publication import evidence_of, items_of, summary_of
from .site_answer import SiteAnswer
from .site_results import SiteResults

Ask = Callable[[bytes, bytes], Iterable[SiteAnswer]]
"""(signed plan, encryption keys or none) → the sites' answers, as they arrive."""


def aggregators_of(job: Job) -> Aggregators:
    """Connections to the aggregators of a job's plan. The caller closes them.

    Raises:
        ClearTextRefused, TlsError: see `PeerConnection`.
    """
    protection = plan_from_bytes(job.plan).terms.protection
    return Aggregators(job.leader, job.helper, links_of(job.keys, TlsRole.COORDINATOR), protection=protection)


def run_job(job: Job, aggregators: Aggregators, ask: Ask, clock: Callable[[], int], meters: Meters) -> None:
    """Announce the plan, carry the answers, open the sums, publish, and rename the result into place.

    Args:
        aggregators: connections as `aggregators_of` makes them.
        clock: the time of publication, µs since the epoch.
        meters: the coordinator's counters, which get the seconds of the publication.

    Raises:
        AggregatorError, FederationError, CryptoError, FeatureStoreError: nothing was published. The same job may be run
            again: accepted reports are kept.
    """
    coordinator, collector = (job.keys_of(role) for role in ("coordinator", "collector"))
    roster = tuple(one.site for one in Project.load(job.store).roster.entries) if job.keeps_due else ()
    conditions = Conditions(roster, job.min_sites, job.keeps_due)
    announced = _announce(job, coordinator, aggregators)
    sites = SiteResults(job.progress)
    subject = Fields(plan=None if announced.plan is None else announced.plan.hash)
    with about(subject):
        collected = collect(announced, (coordinator, collector), ask, aggregators, sites, conditions)
    if job.keeps_due and announced.plan is not None and (due := collected.due(announced.plan)):
        Attempts(job.store).record(announced.plan, due, collected.said, reported=sites.reported)
    with about(subject), meters.timed(STEP, "publish"):
        _publish(job, announced, collected, collector, clock)


def free_job(job: Job, aggregators: Aggregators) -> dict[str, Any]:
    """Give a job's plan up: have it freed, and record its panes as due. Returns the result.

    Raises:
        RemoteRefusal: FREE_REFUSED: the plan is noised; run the job instead. Unreachable.
    """
    coordinator = job.keys_of("coordinator")
    announced = Announcement(None, b"")
    if job.announced.is_file():
        announced = Announcement.load(job.announced, coordinator.sign.public)
    outcome = CollectionOutcome(why_freed="the plan was given up")
    if announced.plan is not None:
        outcome = replace(outcome, freed=free_what_can_be(announced.plan, coordinator, aggregators))
        reported = SiteResults(job.progress).reported
        Attempts(job.store).record(announced.plan, outcome.due(announced.plan), outcome.said, reported=reported)
    return summary_of(announced, outcome, [], keeps_due=True)


@span("announcement")
def _announce(job: Job, coordinator: RoleKeys, aggregators: Aggregators) -> Announcement:
    """Open the job's plan, or the plan of an earlier attempt, at both aggregators, and keep it on disk.

    A plan of an earlier attempt that gives no release any more is returned as it is: `collect` ends it.
    """
    earlier = Announcement(plan_from_bytes(job.plan), b"")
    if job.announced.is_file():
        earlier = Announcement.load(job.announced, coordinator.sign.public)
    if earlier.plan is None:
        return earlier
    before = earlier.left_out, earlier.encryption_keys
    try:
        announced = announce(earlier.plan, coordinator.sign, aggregators, os.urandom, *before)
    except RemoteRefusal as refused:
        if job.announced.is_file() and refused.reason in LOST:
            return earlier
        raise
    announced.save(job.announced)
    return announced


@span("publication")
def _publish(
    job: Job, announced: Announcement, collected: CollectionOutcome, collector: RoleKeys, clock: Callable[[], int]
) -> None:
    keeps_due, evidence = job.keeps_due, evidence_of(announced, collected)
    with Publisher(job.store, clock, wait=True) as publisher:

        def make(now: int) -> Iterator[Release | Void]:
            return items_of(
                announced,
                collected,
                collector.sign,
                now=now,
                dating=Dating.of(job.clock),
                keeps_due=keeps_due,
                version_of=lambda view: publisher.recognise(view).version,
            )

        match job.clock:
            case "live":
                items = publish_live(publisher, make, evidence, clock)
            case "replay":
                items = list(make(clock()))
                if items:
                    publisher.publish(items, evidence)
        if keeps_due and announced.plan is not None:
            Attempts(job.store).forget([planned.view for planned in announced.plan.views], publisher.opened)
    job.finish(summary_of(announced, collected, items, keeps_due=keeps_due))
