"""Voids by decision: an operator gives a pane up, or the project has waited long enough. Such a pane is never collected."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from deployment.collecting import collecting, require_no_plan
from deployment.errors import ItemMissing, UsageError
from deployment.project.folders import KEYS
from deployment.project.project import Project
from featurestore.define.definitions import FeatureView
from featurestore.define.release import DECIDED, Void
from featurestore.publish.live import publish_live
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.dating import Dating
from federation.keys import load_keys
from federation.manifest import trust_of
from federation.plan import PLAN_ID_BYTES, PlannedView, new_plan
from federation.release_signing import sign_release
from federation.signed_plan import sign_refused_plan
from federation.terms import RequestedTerms

from .collector import in_version, voids_of
from .publication import NOISE_SOURCE

MAX_REASON: Final = 300


def decide_void(directory: Path, view: str, panes: Sequence[int], why: str, clock: Callable[[], int]) -> list[Void]:
    """Publish panes of a registered view as void, by an operator's decision.

    Args:
        panes: pane starts, µs since the epoch.
        why: published with the voids.

    Raises:
        CollectionUnderWay: a collection runs. UsageError: a plan is unfinished; no reason; a pane is published already, is not
            one of the view, or has not ended. ItemMissing: no such view.
        KeyFileMissing: the coordinator's or the collector's key.
    """
    reason = published_reason(why)
    with Store.open(directory) as store, collecting(directory):
        found = next((one for one in store.views() if one.name == view), None)
        if found is None:
            raise ItemMissing(f"no view {view!r} in this store")
        require_no_plan(directory)  # the plan would publish other content of the same panes
        published = set(store.releases(view)["pane_start"].cast("int64").to_pylist())
        for pane in panes:
            _require_due(found, pane, published, clock())
        return publish_voids(directory, found, panes, f"{DECIDED}: {reason}", clock)


def published_reason(why: str) -> str:
    """An operator's reason as it is published: one line. Raises UsageError: empty, too long, or not printable."""
    reason = " ".join(why.split())
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise UsageError(f"the reason must have 1 to {MAX_REASON} printable characters", settings=("reason",))
    return reason


def publish_voids(
    directory: Path, view: FeatureView, panes: Sequence[int], reason: str, clock: Callable[[], int]
) -> list[Void]:
    """Sign and publish voids of due panes. Their plan is never announced; it says which view and terms they are about."""
    project, now = Project.load(directory), clock()
    coordinator, collector = load_keys(directory / KEYS, "coordinator"), load_keys(directory / KEYS, "collector")
    clients = [one.max_clients for one in project.roster.entries]
    requested = RequestedTerms()
    planned = PlannedView(view, np.array(sorted(panes), np.int64), view.privacy.min_clients)
    plan = new_plan(
        [planned],
        requested.of_sites(clients),
        requested.noise,
        plan_id=os.urandom(PLAN_ID_BYTES),
        sites=clients,
        wire=project.wire_terms(now),
    )
    trust = trust_of(plan, planned)

    with Publisher(directory, clock, wait=True) as publisher:
        version = publisher.recognise(view).version

        def make(moment: int) -> Iterator[Void]:
            voids = voids_of(
                plan,
                planned,
                reason,
                now=moment,
                dating=Dating.LIVE,
                noise_source=NOISE_SOURCE,
                trust=trust,
            )
            return (sign_release(void, collector.at(now).sign) for void in in_version(voids, version))

        return publish_live(publisher, make, [sign_refused_plan(plan, coordinator.at(now).sign)], clock)


def _require_due(view: FeatureView, pane: int, published: set[int], now: int) -> None:
    when = np.datetime64(pane, "us")
    if pane % view.pane_us:
        raise UsageError(f"view {view.name!r}: no pane of {view.pane} begins at {when}")
    if pane in published:
        raise UsageError(f"view {view.name!r}: the pane of {when} is published already")
    if pane + view.pane_us > now:
        raise UsageError(f"view {view.name!r}: the pane of {when} has not ended")
