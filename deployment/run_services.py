"""What a run takes from a views file: a choice of its views, and the feature services that the store can then serve."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from featurestore.define.definitions import FeatureView
from featurestore.define.on_demand import OnDemandView, on_demand_by_name
from featurestore.define.records import RegisteredView, first_version
from featurestore.define.services import FeatureService, require_service
from featurestore.define.views_file import Declared
from featurestore.errors import ServiceInvalid, UnknownView
from featurestore.online.settings import directory_of

from .errors import UsageError
from .project.known_releases import registry_of
from .project.project import as_collected_in


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


@dataclass(frozen=True)
class FileServices:
    """The feature services of a views file, of whose views a run collects some.

    Attributes:
        views: those that the run collects.
        left_out: the names of the other views. A service that reads one waits until the store has it.
    """

    services: tuple[FeatureService, ...]
    on_demand: tuple[OnDemandView, ...]
    views: tuple[FeatureView, ...]
    left_out: frozenset[str]

    @classmethod
    def of(cls, declared: Declared, views: Sequence[FeatureView]) -> Self:
        """The services of a file of which a run collects these views."""
        left_out = {one.name for one in declared.views} - {one.name for one in views}
        return cls(declared.services, declared.on_demand, tuple(views), frozenset(left_out))

    def require(self, directory: Path) -> None:
        """Return if `register` would take the services after the run. Nothing is written.

        Raises:
            ServiceInvalid, OnDemandInvalid: as `register`. ViewChanged: the store has another definition of a view.
        """
        if not self.services:
            return
        directory = directory_of(directory)
        views = as_collected_in(directory, self.views)
        with registry_of(directory) as registry:
            known = () if registry is None else registry.views()
            served = {one.name: first_version(one) if registry is None else registry.served_after(one) for one in views}
            transformations = on_demand_by_name(self.on_demand, {*served, *(one.view.name for one in known)})

            def find(name: str, version: int | None) -> RegisteredView:
                after = served.get(name)
                if after is not None and version in (None, after.version):
                    return after
                if registry is None:
                    raise UnknownView(name, sorted(served))
                return registry.view(name, version)

            for service in self._complete():
                require_service(service, find, transformations)

    def register(self, directory: Path, clock: Callable[[], int]) -> RunServices:
        """Register the services in the store of the run.

        Raises:
            ServiceInvalid: a service names a feature that neither the store nor a view that was left out has.
            OnDemandInvalid: an on-demand view has the name of a stored view, or of another one.
        """
        from featurestore.publish.publish import Publisher

        if not self.services:
            return NO_SERVICES
        complete = self._complete()
        registered, waiting = [one.name for one in complete], []
        with Publisher(directory, clock) as publisher:
            publisher.register_services(complete, self.on_demand)
            for service in self.services:
                if service in complete:
                    continue
                try:
                    publisher.register_services([service], self.on_demand)
                except ServiceInvalid:
                    waiting.append(service.name)
                else:
                    registered.append(service.name)
        return RunServices(tuple(registered), tuple(waiting))

    def _complete(self) -> list[FeatureService]:
        """The services that read no view that is left out."""
        return [one for one in self.services if self._views_read(one).isdisjoint(self.left_out)]

    def _views_read(self, service: FeatureService) -> set[str]:
        """The names of the stored views that a service reads, also through on-demand views."""
        sources = {one.name: list(one.features.values()) for one in self.on_demand}
        direct = [(ref, ref.partition(":")[0]) for ref in service.refs]
        refs = [one for ref, view in direct for one in sources.get(view, [ref])]
        return {ref.partition(":")[0].partition("@")[0] for ref in refs}
