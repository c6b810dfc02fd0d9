"""The versions of one view: their state, what is collected of them when, their lineage, and how fresh the view is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployment.project.evolution import budget_of
from deployment.project.known_releases import registry_of
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT, RegisteredView, Version
from featurestore.errors import StoreNotFound
from featurestore.registry.lineage import Lineage
from featurestore.registry.pane_span import PaneSpan
from featurestore.registry.registry import Registry
from federation.accountant import cost_of_day
from federation.ledger.state import Budget

SERVED: Final = "served"
WAITING: Final = "waits for its first release"
DEPRECATED: Final = "deprecated"
OLDER: Final = "older"


@dataclass(frozen=True)
class VersionDetail:
    """One version of a view.

    Attributes:
        state: whether its name serves it, is going to, or served it once.
        spans: when its collection is collected: (from, until) in µs; None: from the first pane on, or without an end.
        definitions: the hash of each definition that it had, the newest last, in hexadecimal.
        opened, void: the panes that its rows use; due: those between the first and the last without a release or void.
        first, last: the first and the last of these panes, µs.
        plan, release: the hash of the last plan and the id of the last release, in hexadecimal.
    """

    version: int
    state: str
    spans: tuple[tuple[int | None, int | None], ...]
    collection: str
    definitions: tuple[str, ...]
    applied_at: int
    deprecated_at: int | None
    opened: int
    void: int
    due: int
    first: int | None
    last: int | None
    plan: str | None
    release: str | None


@dataclass(frozen=True)
class ViewVersions:
    """All versions of a view, the newest last.

    Attributes:
        view: the definition of the served version.
        micro_rho: what a client-day of its newest definition costs in the budget. quota: of the view, or None.
        newest_end: the end of the newest pane of the served version. due_at: when the next one is due: its end and the release
            delay. None: there is none.
    """

    view: FeatureView
    versions: tuple[VersionDetail, ...]
    micro_rho: int
    budget: Budget
    newest_end: int | None
    due_at: int | None

    @property
    def quota(self) -> int | None:
        """The most that the view may cost on a client-day, or None."""
        return self.budget.quotas.get(self.view.name)

    def age_us(self, now: int) -> int | None:
        """How long ago the newest pane ended, or None."""
        return None if self.newest_end is None else now - self.newest_end


def read_versions(directory: Path, name: str) -> ViewVersions:
    """The versions of a view in the store of a directory. Raises StoreNotFound, UnknownView, ConfigInvalid."""
    budget, _ = budget_of(directory)
    with registry_of(directory) as registry:
        if registry is None:
            raise StoreNotFound(str(directory))
        lineage = registry.lineage(name)
        versions = tuple(_detail(registry, lineage, one) for one in lineage.versions)
        served, newest = lineage.served.registered, lineage.newest.registered.view
    end = next(one.last for one in versions if one.version == served.version)
    newest_end = None if end is None else end + served.view.pane_us
    last = max((one.last for one in versions if one.last is not None), default=None)
    return ViewVersions(
        served.view,
        versions,
        budget.counted(cost_of_day([layout_of(newest)]).price),
        budget,
        newest_end,
        None if last is None else due_after(newest, last),
    )


def definition_of(directory: Path, name: str, version: int) -> FeatureView:
    """The newest definition of a version. Raises StoreNotFound, UnknownView, UnknownVersion."""
    with registry_of(directory) as registry:
        if registry is None:
            raise StoreNotFound(str(directory))
        return registry.view(name, version).view


def due_after(view: FeatureView, last: int) -> int:
    """When the pane after a published one is due, µs: its end and the release delay, which its grace is a part of."""
    return (last // view.pane_us + 2) * view.pane_us + view.release_delay_us


def _detail(registry: Registry, lineage: Lineage, version: Version) -> VersionDetail:
    registered = version.registered
    panes = PaneSpan.read(registry, registered)
    plan, release = _last(registry, registered, panes.last_opened)
    return VersionDetail(
        registered.version,
        _state(lineage, version),
        tuple(
            (None if start == FIRST_MOMENT else start, None if end == NEVER else end)
            for start, end in lineage.spans(registered.collection_id)
        ),
        version.collection.hex(),
        tuple(one.hex() for one in version.definitions),
        version.applied_at,
        version.deprecated_at,
        panes.opened,
        panes.void,
        panes.missing,
        panes.first,
        panes.last,
        plan,
        release,
    )


def _state(lineage: Lineage, version: Version) -> str:
    if version is lineage.served:
        return SERVED
    if version.deprecated_at is not None:
        return DEPRECATED
    return WAITING if version is lineage.newest else OLDER


def _last(registry: Registry, registered: RegisteredView, start: int | None) -> tuple[str | None, str | None]:
    """The plan and the release of a pane."""
    if start is None:
        return None, None
    (record,) = registry.panes(registered, start, start + 1)
    return record.manifest.plan_hash, record.release_id.hex()
