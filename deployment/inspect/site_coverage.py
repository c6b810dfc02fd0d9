"""Which sites are in the sums of each pane of a view, as both aggregators signed it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from google.protobuf.message import DecodeError

from base.errors import CoveyError
from deployment.project.known_releases import registry_of
from featurestore.define.records import PaneRecord
from featurestore.define.release import PaneState
from featurestore.errors import UnknownView
from featurestore.registry.registry import Registry
from federation import plan_pb2 as pb
from federation.plan import plan_from_bytes

Roster: TypeAlias = frozenset[str]


class SiteInPane(StrEnum):
    """What a pane says of a site."""

    COUNTED = "counted"
    """It is in the sums, with reports or with the answer that it has none."""
    MISSING = "missing"
    """It was on the roster of the plan, and is not in the sums."""
    NOT_ENROLLED = "not enrolled"
    """It was not on the roster of the plan."""
    UNKNOWN = "unknown"
    """No aggregator counted sites: one process played all, the pane is void by a decision, or the plan is not in the store."""


@dataclass(frozen=True)
class PaneOfSites:
    """A published pane.

    Attributes:
        start_us, end_us: µs since the epoch.
        reason: why it is void or retracted.
        counted, enrolled: numbers of sites; None: no aggregator counted them.
        client_share: the share of the enrolled clients whose sites are counted.
        sites: what the pane says of each site of `ViewCoverage.sites`, in their order.
    """

    start_us: int
    end_us: int
    state: PaneState
    reason: str | None
    counted: int | None
    enrolled: int | None
    client_share: float | None
    sites: tuple[SiteInPane, ...]


@dataclass(frozen=True)
class ViewCoverage:
    """The newest panes of a view, the oldest first.

    Attributes:
        sites: in order, those of the present roster and those of the plans of these panes.
        panes: how many panes the view has in all; `shown` are the newest of them.
    """

    view: str
    sites: tuple[str, ...]
    panes: int
    shown: tuple[PaneOfSites, ...]


class SiteCoverage:
    """Reads the coverage of views. The rosters of plans are kept, since a plan never changes.

    Args:
        directory: of the store or project.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rosters: dict[str, Roster | None] = {}

    def read(self, view: str, roster: Roster, most: int) -> ViewCoverage:
        """The newest panes of a view, at most `most`. Raises UnknownView, StoreCorrupt.

        Args:
            roster: the sites of the present roster.
        """
        with registry_of(self._directory) as registry:
            if registry is None:
                raise UnknownView(view, [])
            with registry.snapshot():
                version = registry.named(view)
                starts = registry.publications.pane_starts(registry.selection(version))
                panes = registry.panes(version, int(starts[-most:][0])) if len(starts) else []
                self._read_rosters(
                    registry, {one.manifest.plan_hash for one in panes if one.manifest.sites is not None}
                )
            pane_us = version.view.pane_us
        rosters = {one.plan_hash: self._rosters.get(one.plan_hash) for one in (pane.manifest for pane in panes)}
        sites = tuple(
            sorted(roster.union(*(one for one in rosters.values() if one is not None), *map(_missing, panes)))
        )
        return ViewCoverage(view, sites, len(starts), tuple(_pane(one, pane_us, sites, rosters) for one in panes))

    def _read_rosters(self, registry: Registry, plans: set[str]) -> None:
        """Find the rosters of plans among the evidence of the store."""
        unknown = plans - self._rosters.keys()
        if not unknown:
            return
        for blob in registry.publications.all_evidence():
            try:
                plan = pb.SignedPlan.FromString(blob).plan
            except DecodeError:
                continue
            digest = hashlib.sha256(plan).hexdigest()
            if digest in unknown:
                self._rosters[digest] = _roster_of(plan)
        for digest in unknown:
            self._rosters.setdefault(digest, None)


def _roster_of(plan: bytes) -> Roster | None:
    try:
        return plan_from_bytes(plan).sites
    except CoveyError:
        return None


def _missing(pane: PaneRecord) -> Roster:
    return frozenset(() if pane.manifest.sites is None else pane.manifest.sites.missing)


def _pane(one: PaneRecord, pane_us: int, sites: tuple[str, ...], rosters: Mapping[str, Roster | None]) -> PaneOfSites:
    counted, roster = one.manifest.sites, rosters[one.manifest.plan_hash]
    missing = _missing(one)

    def of(site: str) -> SiteInPane:
        if site in missing:
            return SiteInPane.MISSING
        if counted is None or roster is None:
            return SiteInPane.UNKNOWN
        return SiteInPane.COUNTED if site in roster else SiteInPane.NOT_ENROLLED

    return PaneOfSites(
        one.pane_start,
        one.pane_start + pane_us,
        one.state,
        one.state_reason,
        None if counted is None else counted.counted,
        None if counted is None else counted.enrolled,
        None if counted is None else counted.millionths / 1e6,
        tuple(map(of, sites)),
    )
