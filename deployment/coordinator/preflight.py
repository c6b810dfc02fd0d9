"""Ask the sites what they would answer, before a plan is announced: nothing is charged, and no attempt is used up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from .batches import Conditions
from .site_results import SiteResults, SiteState
from .sites import SiteAnswer

LATE_SECONDS: Final = 10.0
"""How long the answers of further sites are waited for if enough sites would take part."""


def preflight(
    ask: Callable[[bytes, float], Iterable[SiteAnswer]], signed_draft: bytes, conditions: Conditions, seconds: float
) -> SiteResults:
    """The sites' answers to a draft.

    Args:
        ask: sends the draft to every site, which have so many seconds; the answers, as they arrive.
        seconds: the time that the sites have if too few answer soon.
    """
    results = SiteResults()
    _add(results, ask(signed_draft, min(seconds, LATE_SECONDS)))
    if seconds > LATE_SECONDS and why_not(results, conditions) is not None and not _is_complete(results, conditions):
        _add(results, ask(signed_draft, seconds - LATE_SECONDS))
    return results


def _add(results: SiteResults, answers: Iterable[SiteAnswer]) -> None:
    seen = set[str]()
    for answer in answers:
        results.add(answer, {}, seen)


def _is_complete(results: SiteResults, conditions: Conditions) -> bool:
    """Whether every site of the roster has answered."""
    return all(one.state is not SiteState.ABSENT for one in results.of(conditions.roster).values())


def why_not(results: SiteResults, conditions: Conditions) -> str | None:
    """Why a plan should not be announced; None if enough sites would take part."""
    ready = results.answered(conditions.roster)
    if ready >= conditions.min_sites:
        return None
    refused = sum(one.state is SiteState.REFUSED for one in results.of(conditions.roster).values())
    return f"{ready} site(s) would take part, {refused} would refuse, and min_sites is {conditions.min_sites}"
