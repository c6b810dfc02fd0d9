"""What a run takes from a views file: a choice of its views, and the feature services that the store can then serve."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from featurestore.define.definitions import FeatureView
from featurestore.define.on_demand import OnDemandView
from featurestore.define.services import FeatureService
from featurestore.errors import ServiceInvalid

from .errors import UsageError


@dataclass(frozen=True)
class RunServices:
    """The feature services of a file after a run.

    Attributes:
        registered: those that the store serves.
        waiting: those with a feature of a view that the run has left out and the store does not have.
    """

    registered: tuple[str, ...]
    waiting: tuple[str, ...]


NO_SERVICES: Final = RunServices((), ())


def choose_views(views: Sequence[FeatureView], names: Collection[str]) -> tuple[FeatureView, ...]:
    """The views of these names in the order of the file; without a name, all of them. Raises UsageError."""
    have = [view.name for view in views]
    missing = [name for name in names if name not in have]
    if missing:
        raise UsageError(
            f"the views file has no view {', '.join(map(repr, missing))}; it has {', '.join(have)}", settings=("view",)
        )
    return tuple(view for view in views if not names or view.name in names)


def register_run_services(
    directory: Path,
    services: Sequence[FeatureService],
    on_demand: Sequence[OnDemandView],
    left_out: Collection[str],
    clock: Callable[[], int],
) -> RunServices:
    """Register the feature services of a file in the store of a run.

    Args:
        left_out: the views of the file that the run did not collect. A service that reads one waits until the store has it.

    Raises:
        ServiceInvalid: a service names a feature that neither the store nor a view that was left out has.
        OnDemandInvalid: an on-demand view has the name of a stored view.
    """
    from featurestore.publish.publish import Publisher

    if not services:
        return NO_SERVICES
    complete = [one for one in services if _views_read(one, on_demand).isdisjoint(left_out)]
    registered, waiting = [one.name for one in complete], []
    with Publisher(directory, clock) as publisher:
        publisher.register_services(complete, on_demand)
        for service in services:
            if service in complete:
                continue
            try:
                publisher.register_services([service], on_demand)
            except ServiceInvalid:
                waiting.append(service.name)
            else:
                registered.append(service.name)
    return RunServices(tuple(registered), tuple(waiting))


def _views_read(service: FeatureService, on_demand: Sequence[OnDemandView]) -> set[str]:
    """The names of the stored views that a service reads, also through on-demand views."""
    sources = {one.name: list(one.features.values()) for one in on_demand}
    direct = [(ref, ref.partition(":")[0]) for ref in service.refs]
    refs = [one for ref, view in direct for one in sources.get(view, [ref])]
    return {ref.partition(":")[0].partition("@")[0] for ref in refs}
