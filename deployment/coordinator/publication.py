"""The collector's publication of a collection: signed releases and voids, their evidence, and a summary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from aggregator.errors import PlanUnknown
from crypto.noise import SecretNoise
from crypto.signing import SigningKey
from featurestore.define.definitions import FeatureView
from featurestore.define.release import BUDGET_SPENT, Release, Void
from federation.commitment import Outcome
from federation.counted_sites import coverage_of
from federation.dating import Dating
from federation.manifest import trust_of
from federation.plan import Plan, PlannedView
from federation.release_signing import sign_release
from federation.statement import verify_statement

from .announcement import Announcement, LeftOut, Reason
from .batches import CollectionOutcome
from .collector import in_version, releases_of, voids_of

NOISE_SOURCE: Final = f"{SecretNoise.name}, {SecretNoise.name}"


def items_of(
    announced: Announcement,
    collected: CollectionOutcome,
    collector: SigningKey,
    *,
    now: int,
    dating: Dating,
    keeps_due: bool,
    version_of: Callable[[FeatureView], int] = lambda _: 1,
) -> Iterator[Release | Void]:
    """One signed item for each pane that this collection decides: opened, or void because the budget of its day is spent.

    Args:
        now, dating: see `collector.releases_of`.
        keeps_due: whether a pane that was not opened stays due. Otherwise it is void.
        version_of: the version of a planned definition, in the store that takes the items.
    """
    if announced.plan is not None:
        items = _opened_items(announced.plan, collected, collector, now, dating, version_of)
        yield from (item for item in items if isinstance(item, Release) or not keeps_due)
    for left in without_budget(collected):
        trust = trust_of(left.full_plan, left.planned)
        voids = voids_of(
            left.full_plan,
            left.planned,
            BUDGET_SPENT,
            now=now,
            dating=dating,
            noise_source=NOISE_SOURCE,
            trust=trust,
        )
        numbered = in_version(voids, version_of(left.planned.view))
        yield from (sign_release(void, collector) for void in numbered)


def _opened_items(
    plan: Plan,
    collected: CollectionOutcome,
    collector: SigningKey,
    now: int,
    dating: Dating,
    version_of: Callable[[FeatureView], int],
) -> Iterator[Release | Void]:
    for opened, statements, values in zip(collected.opened, collected.statements, collected.values, strict=True):
        leader, helper = (hashlib.sha256(statement).hexdigest() for statement in statements)
        items = releases_of(
            plan,
            opened,
            now=now,
            dating=dating,
            noise_source=NOISE_SOURCE,
            trust=trust_of(plan, opened.planned),
            commitments=(leader, helper),
            values=tuple(hashlib.sha256(one).hexdigest() for one in values),
            sites=coverage_of(plan.roster, _counted(plan, statements)),
        )
        numbered = in_version(items, version_of(opened.planned.view))
        yield from (sign_release(item, collector) for item in numbered)


def too_few_sites(plan: Plan, collected: CollectionOutcome) -> dict[str, str]:
    """By view, why its panes stay due: fewer sites are counted than it needs."""
    return {
        one.planned.view.name: few_sites_text(len(_counted(plan, statements)), one.planned)
        for one, statements in zip(collected.opened, collected.statements, strict=True)
        if (one.outcomes == Outcome.TOO_FEW_SITES).any()
    }


def few_sites_text(sites: int, planned: PlannedView) -> str:
    """The reason why a view's panes stay due with this number of sites."""
    return f"{sites} site(s), and its min_sites is {planned.min_sites}"


def _counted(plan: Plan, statements: tuple[bytes, bytes]) -> tuple[str, ...]:
    """The counted sites of a plan, by the leader's statement."""
    if plan.wire is None:
        raise PlanUnknown(plan.hash)
    return verify_statement(statements[0], plan.wire.leader).sites


def without_budget(collected: CollectionOutcome) -> list[LeftOut]:
    """The left-out panes whose days have no budget: they are published void."""
    return [left for left in collected.left_out if left.reason == "budget"]


def evidence_of(announced: Announcement, collected: CollectionOutcome) -> list[bytes]:
    """The signed plans, statements and values, each once. Manifests name all of them by their SHA-256."""
    plans = [announced.signed, *(left.signed for left in without_budget(collected))]
    signed = [one for both in (*collected.statements, *collected.values) for one in both]
    return list(dict.fromkeys(blob for blob in (*plans, *signed) if blob))


def summary_of(
    announced: Announcement, collected: CollectionOutcome, items: list[Release | Void], *, keeps_due: bool
) -> dict[str, Any]:
    """The job's result for programs: panes by view, and what became of each site. Panes are pane starts in µs."""
    due = collected.due(announced.plan) if keeps_due and announced.plan is not None else {}
    names = [item.manifest.view for item in items] + list(due) + [one.planned.view.name for one in collected.left_out]
    views = {name: {"opened": 0, "void": 0, "due": len(due.get(name, ()))} for name in names}
    for item in items:
        views[item.manifest.view]["opened" if isinstance(item, Release) else "void"] += 1
    return {
        "views": views,
        "sites": {name: one.to_json() for name, one in collected.sites.items()},
        "due": {view: panes.tolist() for view, panes in due.items()},
        "why_due": collected.why_freed,
        "too_few_sites": {} if announced.plan is None else too_few_sites(announced.plan, collected),
        "rejected": collected.rejected,
        "budget_spent": _panes_of(collected, "budget"),
        "taken": _panes_of(collected, "taken"),
        "announced": bool(announced.signed),
    }


def _panes_of(collected: CollectionOutcome, reason: Reason) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for left in collected.left_out:
        if left.reason == reason:
            found.setdefault(left.planned.view.name, []).extend(left.planned.pane_starts.tolist())
    return {view: sorted(panes) for view, panes in found.items()}
