"""The collector's publication of a collection: signed releases and voids, their evidence, and a summary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from crypto.noise import SecretNoise
from crypto.signing import SigningKey
from featurestore.define.release import BUDGET_SPENT, Clock, Release, Void
from federation.plan import Plan
from federation.release_signing import sign_release
from federation.terms import Encrypted, Shares, Terms

from .announcement import Announcement
from .batches import CollectionOutcome
from .collector import releases_of, voids_of

NOISE_SOURCE: Final = f"{SecretNoise.name}, {SecretNoise.name}"


def trust_of(terms: Terms) -> str:
    """The assumption of the privacy claim, as manifests name it."""
    match terms:
        case Shares():
            return "one-honest-noiser"
        case Encrypted():
            return "honest-leader"


def items_of(
    announced: Announcement, collected: CollectionOutcome, collector: SigningKey, *, now: int, clock: Clock
) -> Iterator[Release | Void]:
    """One signed item for each planned pane: opened, void, or void because the budget of its day is spent.

    Args:
        now, clock: see `collector.releases_of`.
    """
    if announced.plan is not None:
        yield from _opened_items(announced.plan, collected, collector, now, clock)
    for left in collected.budget_spent:
        trust = trust_of(left.full_plan.terms)
        voids = voids_of(
            left.full_plan, left.planned, BUDGET_SPENT, now=now, clock=clock, noise_source=NOISE_SOURCE, trust=trust
        )
        yield from (sign_release(void, collector) for void in voids)


def _opened_items(
    plan: Plan, collected: CollectionOutcome, collector: SigningKey, now: int, clock: Clock
) -> Iterator[Release | Void]:
    for opened, statements, values in zip(collected.opened, collected.statements, collected.values, strict=True):
        leader, helper = (hashlib.sha256(statement).hexdigest() for statement in statements)
        items = releases_of(
            plan,
            opened,
            now=now,
            clock=clock,
            noise_source=NOISE_SOURCE,
            trust=trust_of(plan.terms),
            commitments=(leader, helper),
            values=tuple(hashlib.sha256(one).hexdigest() for one in values),
        )
        yield from (sign_release(item, collector) for item in items)


def evidence_of(announced: Announcement, collected: CollectionOutcome) -> list[bytes]:
    """The signed plans, statements and values, each once. Manifests name all of them by their SHA-256."""
    plans = [announced.signed, *(left.signed for left in collected.budget_spent)]
    signed = [one for both in (*collected.statements, *collected.values) for one in both]
    return list(dict.fromkeys(blob for blob in (*plans, *signed) if blob))


def summary_of(collected: CollectionOutcome, items: list[Release | Void]) -> dict[str, Any]:
    """The job's result for programs: counts of panes by view, sites' answers, and panes without budget (µs)."""
    views = {item.manifest.view: {"opened": 0, "void": 0} for item in items}
    for item in items:
        views[item.manifest.view]["opened" if isinstance(item, Release) else "void"] += 1
    spent: dict[str, list[int]] = {}
    for left in collected.budget_spent:
        spent.setdefault(left.planned.view.name, []).extend(left.planned.pane_starts.tolist())
    return {
        "views": views,
        "answers": collected.answers,
        "batches": collected.batches,
        "refused": collected.refused,
        "rejected": collected.rejected,
        "budget_spent": {view: sorted(panes) for view, panes in spent.items()},
    }
