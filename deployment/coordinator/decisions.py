"""Voids by decision: an operator gives a pane up, or the project has waited long enough. Such a pane is never collected."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from deployment.collecting import collecting, require_no_plan
from deployment.errors import UsageError
from deployment.project.folders import KEYS
from deployment.project.known_releases import registry_of
from deployment.project.project import Project
from featurestore.define.definitions import FeatureView
from featurestore.define.panes import NEVER
from featurestore.define.records import ToCollect
from featurestore.define.release import DECIDED, Void
from featurestore.define.wire import collection_hash
from featurestore.errors import StoreNotFound
from featurestore.publish.live import publish_live
from featurestore.publish.publish import Publisher
from featurestore.registry.registry import Registry
from federation.dating import Dating
from federation.keys import load_keys
from federation.manifest import trust_of
from federation.plan import PLAN_ID_BYTES, PlannedView, new_plan
from federation.release_signing import sign_release
from federation.signed_plan import sign_refused_plan
from federation.terms import RequestedTerms

from .attempts import Attempts
from .collector import in_version, voids_of
from .publication import NOISE_SOURCE

MAX_REASON: Final = 300


def decide_void(directory: Path, view: str, panes: Sequence[int], why: str, clock: Callable[[], int]) -> list[Void]:
    """Publish panes of a view as void, by an operator's decision. Each belongs to the collection that is scheduled for it.

    Args:
        view: a name; or `view@v<n>`, which names one of two collections that overlap.
        panes: pane starts, µs since the epoch.
        why: published with the voids.

    Raises:
        CollectionUnderWay: a collection runs. UsageError: a plan is unfinished; no reason; a pane is published already, is not
            one of the view, has not ended, or is due in two collections. StoreNotFound, UnknownView, UnknownVersion.
        KeyFileMissing: the coordinator's or the collector's key.
    """
    reason = published_reason(why)
    with registry_of(directory) as registry:
        if registry is None:
            raise StoreNotFound(str(directory))
        registry.named(view)
        with collecting(directory):
            require_no_plan(directory)  # the plan would publish other content of the same panes
            chosen: dict[FeatureView, list[int]] = {}
            for pane in panes:
                chosen.setdefault(_scheduled(registry, view, pane, clock()), []).append(pane)
            return [
                void
                for of, starts in chosen.items()
                for void in publish_voids(directory, of, starts, f"{DECIDED}: {reason}", clock)
            ]


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

        made = publish_live(publisher, make, [sign_refused_plan(plan, coordinator.at(now).sign)], clock)
        with registry_of(directory) as registry:  # if its collection has ended, no plan forgets its attempts
            known = () if registry is None else registry.to_collect()
            Attempts(directory).forget([one.view for one in known], publisher.opened)
        return made


def _scheduled(registry: Registry, name: str, pane: int, now: int) -> FeatureView:
    """The newest definition of the collection in which a pane is due. Raises UsageError."""
    named = registry.named(name)
    collected = [one for one in registry.lineage(named.view.name).to_collect() if _takes(one, pane)]
    if "@" in name:
        mine = [collection_hash(named.view) == collection_hash(one.view) for one in collected]
        collected = [one for one, is_mine in zip(collected, mine, strict=True) if is_mine]
    when = np.datetime64(pane, "us")
    if not collected:
        raise UsageError(
            f"view {name!r}: the pane of {when} is not collected; `covey views {named.view.name}` says when it is"
        )
    if not (whole := [one for one in collected if pane % one.view.pane_us == 0]):
        raise UsageError(f"view {name!r}: no pane of {collected[-1].view.pane} begins at {when}")
    if not (due := [one for one in whole if pane not in registry.taken_panes(one.view, (pane, pane + 1))]):
        raise UsageError(f"view {name!r}: the pane of {when} is published already")
    if not (ended := [one for one in due if pane + one.view.pane_us <= now]):
        raise UsageError(f"view {name!r}: the pane of {when} has not ended")
    if len(ended) > 1:
        names = " or ".join(f"{one.view.name}@v{one.version}" for one in ended)
        raise UsageError(
            f"view {name!r}: the pane of {when} is due in two collections that overlap; name one of them: {names}"
        )
    return ended[0].view


def _takes(one: ToCollect, pane: int) -> bool:
    return one.from_us <= pane < (NEVER if one.until_us is None else one.until_us)
