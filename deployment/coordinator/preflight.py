"""Ask the parties what they would answer, before a plan is announced: nothing is charged, and no attempt is used up.

The aggregators answer first: a plan that they refuse, another version or a wrong clock costs the sites nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from aggregator.errors import RemoteRefusal
from aggregator.intake.readiness import Readiness
from aggregator.services.rpc import UNKNOWN_CALL
from base.metrics import CLOCK_OFFSET, Meters
from base.version import PROTOCOL, VERSION
from deployment.errors import ClocksApart, VersionsApart
from federation.ledger.ledger import CLOCK_SLACK_US
from federation.parties import Aggregator
from federation.plan import AGGREGATORS
from federation.refusal_codes import RefusalCode

from .batches import Conditions
from .site_answer import SiteAnswer
from .site_results import SiteOutcome, SiteResults

LATE_SECONDS: Final = 10.0
"""How long the answers of further sites are waited for if enough sites would take part."""

MAX_SKEW_US: Final = CLOCK_SLACK_US
"""How far an aggregator's clock may be from the coordinator's: its ledger and the sites allow the same."""
_ANNOUNCED_WITHOUT: Final = (
    RefusalCode.DAY_BUDGET_SPENT,
    RefusalCode.PANE_ALREADY_REPORTED,
    RefusalCode.ATTEMPTS_SPENT,
)
"""Refusals of single days or panes: the plan is announced without these (announcement.py)."""


def require_ready(
    check: Callable[[Aggregator], Readiness],
    name: Callable[[Aggregator], str],
    clock: Callable[[], int],
    meters: Meters,
) -> None:
    """Return if both aggregators would open a plan, without the days and panes that their ledgers do not allow.

    Args:
        check: asks one aggregator. name: its name in errors.
        clock: the coordinator's clock, µs since the epoch.
        meters: the coordinator's counters, which get the offsets of the clocks.

    Raises:
        VersionsApart, ClocksApart. RemoteRefusal: an aggregator would refuse the plan. Unreachable.
    """
    mine = _version(VERSION, PROTOCOL)
    for role in AGGREGATORS:
        before = clock()
        try:
            found = check(role)
        except RemoteRefusal as refused:
            if refused.reason == UNKNOWN_CALL:
                raise VersionsApart(name(role), "an earlier version", mine) from None
            raise
        half = (clock() - before) // 2
        if found.protocol != PROTOCOL:
            raise VersionsApart(name(role), _version(found.version, found.protocol), mine)
        skew = found.now_us - (before + half)
        meters.set(CLOCK_OFFSET, role, to=skew / 1e6)
        if abs(skew) > MAX_SKEW_US + half:
            raise ClocksApart(name(role), skew / 1e6, MAX_SKEW_US / 1e6)
        if (refusal := found.refusal) is not None and refusal.reason not in _ANNOUNCED_WITHOUT:
            raise RemoteRefusal(name(role), refusal.reason, refusal.text, refusal.numbers, refusal.view)


def _version(version: str, protocol: int) -> str:
    return f"Covey {version} (protocol {protocol})"


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
    return all(one.state is not SiteOutcome.ABSENT for one in results.of(conditions.roster).values())


def why_not(results: SiteResults, conditions: Conditions) -> str | None:
    """Why a plan should not be announced; None if enough sites would take part."""
    ready = results.answered(conditions.roster)
    if ready >= conditions.min_sites:
        return None
    refused = sum(one.state is SiteOutcome.REFUSED for one in results.of(conditions.roster).values())
    return f"{ready} site(s) would take part, {refused} would refuse, and min_sites is {conditions.min_sites}"
