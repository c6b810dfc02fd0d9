"""Pages of the list of releases: the published panes of all views, the newest first, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featurestore.define.records import PaneRecord, RegisteredView
from featurestore.define.release import Manifest

from .pane_index import ManifestTally, PaneFilter, PanePlace
from .registry import Registry
from .tally import PublishedTally


@dataclass(frozen=True)
class ListedPane:
    """A published pane with the version that stores its sums.

    Attributes:
        place: in the list of all panes.
    """

    registered: RegisteredView
    record: PaneRecord
    place: PanePlace

    @property
    def pane_end(self) -> int:
        """The end of the pane, µs."""
        return self.record.pane_start + self.registered.view.pane_us


@dataclass(frozen=True)
class ReleasePage:
    """A part of the list.

    Attributes:
        more: whether panes follow.
    """

    panes: tuple[ListedPane, ...]
    more: bool


@dataclass(frozen=True)
class PlanTally:
    """The panes of one view under one plan.

    Attributes:
        keeper: the version that stores the sums.
        manifest: of its first pane. Those of other panes may name other missing sites.
    """

    keeper: RegisteredView
    manifest: Manifest
    panes: PublishedTally

    @classmethod
    def of(cls, keeper: RegisteredView, parts: Sequence[ManifestTally]) -> PlanTally:
        """The sum over the manifests of a plan, in order of their first pane."""
        return cls(keeper, parts[0].manifest, PublishedTally.sum([one.panes for one in parts]))


def read_page(
    registry: Registry, view: str | None, wanted: PaneFilter, after: PanePlace | None, limit: int
) -> ReleasePage:
    """A page of the panes of all collections of a view, or of all views. Raises UnknownView."""
    with registry.snapshot():
        keepers = _keepers(registry, view)
        places = registry.pane_index.places(keepers, wanted, after, limit + 1)
        panes = tuple(_listed(registry, keepers[place.collection_id], place) for place in places[:limit])
    return ReleasePage(panes, len(places) > limit)


def find_pane(registry: Registry, release_id: bytes) -> ListedPane:
    """The pane of a release id. Its sums are not read. Raises UnknownRelease."""
    keeper, record = registry.find(release_id)
    return ListedPane(keeper, record, PanePlace(record.pane_start, keeper.collection_id))


def plan_tallies(registry: Registry) -> list[PlanTally]:
    """How many panes each plan has of each view, by view, in order of the first pane."""
    with registry.snapshot():
        keepers = _keepers(registry, None)
        tallies = registry.pane_index.tallies()
    parts: dict[tuple[int, str], list[ManifestTally]] = {}
    for one in tallies:
        if one.collection_id in keepers:
            parts.setdefault((one.collection_id, one.manifest.plan_hash), []).append(one)
    found = [PlanTally.of(keepers[number], of_plan) for (number, _), of_plan in parts.items()]
    return sorted(found, key=lambda one: (one.keeper.view.name, one.panes.first))


def _keepers(registry: Registry, view: str | None) -> Mapping[int, RegisteredView]:
    """The version that stores the sums of each collection, by the number of the collection."""
    lineages = registry.lineages() if view is None else [registry.lineage(view)]
    return {
        version.registered.collection_id: lineage.keeper(version.registered.collection_id).registered
        for lineage in lineages
        for version in lineage.versions
    }


def _listed(registry: Registry, keeper: RegisteredView, place: PanePlace) -> ListedPane:
    (record,) = (
        pane for _, pane in registry.publications.panes(registry.own(keeper), place.pane_start, place.pane_start + 1)
    )
    return ListedPane(keeper, record, place)
