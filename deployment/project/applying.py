"""Apply the views of a file to a store, while collections, servers and readers go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from deployment.collecting import collecting, require_nothing_unfinished
from deployment.errors import RunRefused
from deployment.in_process.progress import Progress
from featurestore.define.definitions import FeatureView
from featurestore.define.on_demand import OnDemandView, on_demand_by_name
from featurestore.define.records import RegisteredView
from featurestore.define.services import FeatureService, require_service
from featurestore.errors import ServiceInvalid, UnknownView
from featurestore.publish.publish import Publisher
from featurestore.registry.hand_over import Timing
from featurestore.registry.registry import Applied
from federation.ledger.operator import LEDGERS, operator_path

from .evolution import Evolution, ViewDiff
from .known_releases import registry_of
from .project import DEFAULT_BUDGET


@dataclass(frozen=True)
class Outcome:
    """What was applied.

    Attributes:
        waiting: the feature services that name features of a version to which its view has not moved yet.
    """

    applied: tuple[Applied, ...]
    waiting: tuple[FeatureService, ...]


def apply_views(
    directory: Path,
    evolution: Evolution,
    timing: Timing,
    clock: Callable[[], int],
    progress: Progress,
    services: tuple[FeatureService, ...] = (),
    on_demand: tuple[OnDemandView, ...] = (),
) -> Outcome:
    """Do what an evolution says, all of it or nothing, and register the feature services of the file. It waits for a publication.

    A service that the present views have all features of is registered before, so that a file may take a feature from a view and
    from the service that names it.

    Args:
        timing: as the evolution was made with. The time of the change is that of the clock.
        progress: called while history is computed again.

    Raises:
        HandOverRefused, FeatureInService, ViewGivenTwice.
        ServiceInvalid: a service names a feature that neither the store nor the file has; nothing is applied.
        CollectionUnderWay, UsageError, RunRefused: a collection runs, or is unfinished, and may have panes that the change gives to
            another definition: of a view that has published nothing, or those that have ended since a new collection's midnight.
    """
    now = clock()
    affected = [one.view for one in evolution.changed if _takes_closed_panes(directory, one, now)]
    with ExitStack() as held:
        if affected:
            held.enter_context(collecting(directory))
            _require_nothing_charged(directory, affected, clock)
        with Publisher(directory, clock, wait=True) as publisher:
            before = _registered(publisher, services, on_demand)
            _require_features(directory, evolution, [one for one in services if one not in before], on_demand)
            applied = publisher.apply(
                [one.view for one in evolution.views],
                overlap_days=timing.overlap_days,
                start=timing.start,
                as_defined=evolution.as_defined,
                progress=lambda version, done, total: progress(version, "recompute", done, total),
            )
            after = _registered(publisher, services, on_demand)
    return Outcome(applied, tuple(one for one in services if one not in after))


def _takes_closed_panes(directory: Path, one: ViewDiff, now: int) -> bool:
    """Whether all panes of a view, or some that have ended, are of another definition from now on."""
    if one.from_us is None:
        return one.collects and one.version == one.before
    with registry_of(directory) as registry:
        collected = [] if registry is None else registry.to_collect()
    return any(one.from_us + of.view.pane_us <= now for of in collected if of.view.name == one.view.name)


def _registered(
    publisher: Publisher, services: Sequence[FeatureService], on_demand: Sequence[OnDemandView]
) -> list[FeatureService]:
    """Register the services that the served views have all features of; returns them."""
    done = []
    for service in services:
        with suppress(ServiceInvalid):
            publisher.register_services([service], on_demand)
            done.append(service)
    return done


def _require_features(
    directory: Path, evolution: Evolution, services: Sequence[FeatureService], on_demand: Sequence[OnDemandView]
) -> None:
    """Return if the views will have all features of these services. Raises ServiceInvalid."""
    coming = {one.view.name: RegisteredView(0, one.version, one.view, 0) for one in evolution.views}
    with registry_of(directory) as registry:

        def find(name: str, version: int | None) -> RegisteredView:
            if version is None and name in coming:
                return coming[name]
            if registry is None:
                raise UnknownView(name, list(coming))
            return registry.view(name, version)

        known = {one.view.name for one in evolution.views} | (set() if registry is None else set(registry.served()))
        transformations = on_demand_by_name(on_demand, known)
        for service in services:
            require_service(service, find, transformations)


def deprecate_version(directory: Path, name: str, version: int, clock: Callable[[], int]) -> None:
    """Mark a version as deprecated. Raises UnknownView, UnknownVersion, VersionInUse."""
    with Publisher(directory, clock, wait=True) as publisher:
        publisher.deprecate(name, version)


def _require_nothing_charged(directory: Path, views: list[FeatureView], clock: Callable[[], int]) -> None:
    """Return if no collection of these views waits to be continued: its panes are of the definition that they lose."""
    from deployment.in_process.ledger import RunLedger  # its libraries of a run take longer than most changes

    require_nothing_unfinished(directory)
    if not operator_path(directory / LEDGERS).is_file():
        return
    with RunLedger(directory, DEFAULT_BUDGET, clock) as ledger:
        for view in views:
            if ledger.unfinished(view.name):
                raise RunRefused(
                    f"view {view.name!r}: a run in one process was interrupted after it had charged panes. Repeat that run first; "
                    "the change then makes the next version"
                )
