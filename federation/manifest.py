"""The manifest that follows from a plan: the terms under which a view's panes are published, or checked."""

from __future__ import annotations

import math
from typing import Literal, assert_never

from featurestore.define.mechanism import NOISERS
from featurestore.define.release import CountedSites, GroupNoise, Manifest
from featurestore.define.wire import definition_hash
from federation.terms import Encrypted, Participation, Shares, Terms

from .accountant import charge_of
from .plan import Plan, PlannedView


def manifest_of(
    plan: Plan,
    planned: PlannedView,
    *,
    noise_source: str,
    trust: str,
    commitments: tuple[str, str],
    opened: tuple[str, ...] = (),
    sites: CountedSites | None = None,
) -> Manifest:
    """The manifest of one view of a plan. Everything except the arguments below follows from view and plan.

    Args:
        noise_source: the names of the samplers of leader and helper (or key holder).
        trust: the assumptions of the privacy claim.
        commitments: hex SHA-256 of the opening statements; empty if nothing was opened, or in one process.
        opened: hex SHA-256 of the signed opened values; empty in the same cases.
    """
    layout, noisy = planned.layout, plan.noisy
    noisers = NOISERS if noisy else 0
    return Manifest(
        view=planned.view.name,
        view_version=1,  # a plan does not know it; the collector puts in that of its store
        definition_hash=definition_hash(planned.view).hex(),
        plan_hash=plan.hash.hex(),
        protection=plan.terms.protection.value,
        validity=plan.terms.validity.value,
        noise=f"discrete-{planned.view.privacy.mechanism}" if noisy else "none",
        noise_source=noise_source if noisy else "none",
        noisers=noisers,
        noise_factor=math.sqrt(noisers),
        noise_split=planned.view.privacy.chosen_noisers,
        groups=tuple(GroupNoise.of(group, noisy=noisy) for group in layout.groups),
        micro_rho=charge_of(plan, planned).aggregator.micro_rho,
        micro_epsilon=layout.micro_epsilon,
        delta=planned.view.privacy.delta,
        min_clients=planned.min_clients,
        participation=plan.terms.participation.value,
        outside_claim=_outside_claim(plan),
        trust=trust,
        commitments=commitments,
        leak_micro_rho=plan.leak_micro_rho(planned),
        k_checked_by=_k_checked_by(plan.terms),
        finish=plan.terms.finish.value,
        report_per=plan.terms.report_per.value,
        opened=opened,
        sites=sites,
    )


def trust_of(plan: Plan, planned: PlannedView) -> str:
    """The assumption of the privacy claim of a view that separate parties opened, as manifests name it."""
    shared = planned.view.privacy.chosen_noisers == "shared"
    match plan.terms:
        case Shares():
            return "two-honest-noisers" if shared else "one-honest-noiser"
        case Encrypted():
            return "honest-leader-and-key-holder" if shared else "honest-leader"
        case unknown:
            assert_never(unknown)


def _outside_claim(plan: Plan) -> tuple[str, ...]:
    """What follows from events beyond the sums: who was active, who was counted, how often a pane was tried, what was planned."""
    active = plan.terms.participation is Participation.ACTIVE
    activity = (*(("activity",) if active else ()), *(("counted_sites",) if active and plan.roster else ()))
    attempts = ("attempts",) if plan.earlier else ()
    return (*activity, *attempts, *plan.from_events)


def _k_checked_by(terms: Terms) -> Literal["leader", "both"]:
    match terms:
        case Shares():
            return "both"
        case Encrypted():
            return "leader"
