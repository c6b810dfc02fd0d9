"""The collector: from opened sums to releases and voids, each under the manifest of its plan."""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.release import Clock, GroupNoise, Manifest, Release, Void
from featurestore.wire import definition_hash
from federation.plan import Plan, PlannedView
from federation.protocol import OpenedView, Outcome


def releases_of(
    plan: Plan, opened: OpenedView, *, now: int, clock: Clock, noise_source: str, trust: str
) -> Iterator[Release | Void]:
    """One release or void for each pane of a planned view, in order.

    Args:
        now: wall clock, µs since the epoch: when they are published.
        clock: `replay` dates a release to its pane's end + `release_delay`, `live` to now.
        noise_source: the name of the sampler.
        trust: what has to hold for the privacy claim.
    """
    planned = opened.planned
    view = planned.view
    manifest = _manifest(plan, planned, noise_source, trust)
    sums = iter(opened.sums)
    for pane_start, outcome in zip(planned.pane_starts.tolist(), opened.outcomes.tolist(), strict=True):
        pane_end = pane_start + view.pane_us
        released_at = now if clock == "live" else pane_end + view.release_delay_us
        if outcome == Outcome.OPENED:
            yield Release(manifest, pane_start, pane_end, released_at, now, clock, next(sums))
        else:
            yield Void(manifest, pane_start, pane_end, released_at, now, clock, Outcome(outcome).name)


def _manifest(plan: Plan, planned: PlannedView, noise_source: str, trust: str) -> Manifest:
    layout = planned.layout
    without_noise = plan.noise == "none"
    return Manifest(
        view=planned.view.name,
        view_version=1,
        definition_hash=definition_hash(planned.view).hex(),
        plan_hash=plan.hash.hex(),
        protection=plan.protection,
        validity=plan.validity,
        noise=plan.noise,
        noise_source="none" if without_noise else noise_source,
        noisers=0 if without_noise else 2,
        groups=tuple(GroupNoise(g.feature, g.kind, g.delta2_sq, g.micro_rho) for g in layout.groups),
        micro_rho=layout.micro_rho,
        delta=planned.view.privacy.delta,
        min_clients=planned.min_clients,
        participation=plan.participation,
        outside_claim=("activity",) if plan.participation == "active" else (),
        trust=trust,
    )
