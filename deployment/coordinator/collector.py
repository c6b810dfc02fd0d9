"""The collector: makes releases and voids from opened sums, each with its plan's manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from featurestore.define.release import CountedSites, Manifest, Release, Void
from federation.aggregation import OpenedView
from federation.commitment import Outcome
from federation.dating import Dating
from federation.manifest import manifest_of
from federation.plan import Plan, PlannedView

Item = TypeVar("Item", bound=Release | Void)


def releases_of(
    plan: Plan,
    opened: OpenedView,
    *,
    now: int,
    dating: Dating,
    noise_source: str,
    trust: str,
    commitments: tuple[str, str] = ("", ""),
    values: tuple[str, ...] = (),
    sites: CountedSites | None = None,
) -> Iterator[Release | Void]:
    """One release or void for each pane of a planned view, in order.

    Args:
        now: the time of publication, µs since the epoch.
        dating: the time from which a release can be read.
        noise_source: the name of the sampler.
        trust: the assumption of the privacy claim.
        commitments: hex SHA-256 of the signed opening statements of leader and helper; empty in one process.
        values: hex SHA-256 of the signed opened values of both; empty in one process.
        sites: the counted sites, by both statements; None in one process.
    """
    planned = opened.planned
    view = planned.view
    manifest = manifest_of(
        plan, planned, noise_source=noise_source, trust=trust, commitments=commitments, opened=values, sites=sites
    )
    sums = iter(opened.sums)
    released = dating.released_at(planned, now)
    rows = zip(planned.pane_starts.tolist(), released.tolist(), opened.outcomes.tolist(), strict=True)
    for pane_start, released_at, outcome in rows:
        pane_end = pane_start + view.pane_us
        if outcome == Outcome.OPENED:
            yield Release(manifest, pane_start, pane_end, released_at, now, dating.clock, next(sums))
        else:
            yield Void(manifest, pane_start, pane_end, released_at, now, dating.clock, Outcome(outcome).name)


def voids_of(
    plan: Plan, planned: PlannedView, reason: str, *, now: int, dating: Dating, noise_source: str, trust: str
) -> Iterator[Void]:
    """One void for each pane of a planned view, for a reason such as BUDGET_SPENT.

    Args:
        plan: the plan that first contained these panes. For the other arguments see `releases_of`.
    """
    view = planned.view
    manifest = manifest_of(plan, planned, noise_source=noise_source, trust=trust, commitments=("", ""))
    released = dating.released_at(planned, now)
    for pane_start, released_at in zip(planned.pane_starts.tolist(), released.tolist(), strict=True):
        yield Void(manifest, pane_start, pane_start + view.pane_us, released_at, now, dating.clock, reason)


def in_version(items: Iterable[Item], version: int) -> Iterator[Item]:
    """The items of one planned view, under the number that its definition has in the store that takes them."""
    manifest: Manifest | None = None
    for item in items:
        if manifest is None:
            manifest = replace(item.manifest, view_version=version)
        yield replace(item, manifest=manifest)
