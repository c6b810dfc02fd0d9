"""The results of several plans as one: what became of their panes, and of each site at last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployment.coordinator.session import NOTHING_TO_DO

_PANES = ("due", "budget_spent", "taken")


def merged(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One result for programs; see `deployment.coordinator.publication.summary_of`. Sites are those of the last plan."""
    if not results:
        return NOTHING_TO_DO
    last = dict(results[-1])
    if len(results) == 1:
        return last
    views: dict[str, dict[str, int]] = {}
    for result in results:
        for name, counts in result["views"].items():
            before = views.setdefault(name, dict.fromkeys(counts, 0))
            views[name] = {kind: before[kind] + count for kind, count in counts.items()}
    panes: dict[str, dict[str, list[int]]] = {kind: {} for kind in _PANES}
    for kind in _PANES:
        for result in results:
            for name, found in result[kind].items():
                panes[kind][name] = sorted({*panes[kind].get(name, ()), *found})
    rejected: dict[str, int] = {}
    for result in results:
        for name, reports in result["rejected"].items():
            rejected[name] = rejected.get(name, 0) + reports
    why = [result["why_due"] for result in results if result["why_due"] is not None]
    few: dict[str, str] = {}
    for result in results:
        few |= result["too_few_sites"]
    return {
        **last,
        **panes,
        "views": views,
        "rejected": rejected,
        "why_due": why[-1] if why else None,
        "too_few_sites": few,
        "announced": any(result.get("announced", True) for result in results),
    }
