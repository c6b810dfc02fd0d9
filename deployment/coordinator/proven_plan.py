"""When a plan needs no preflight: moments ago every site answered a plan about the same.

A preflight spares a pane an attempt, of which it has few, and finds aggregators that would refuse. It costs a running deployment as
much as the plan itself. It is left out if the session's last plan had the same views, terms, roster and days, began less than
`PROVEN_SECONDS` ago, and ended with the answer of every site and no pane due. Nothing is charged by an announcement that an
aggregator refuses. If a site refuses after all, and too few sites are left, the attempt counts. Then nothing is proven any more,
and the panes' next plan has a preflight: of a pane's attempts, one at most is spent in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from base.times import DAY_US
from featurestore.define.wire import definition_hash
from federation.plan import Plan
from federation.terms import Noise, Terms

from .site_results import SiteOutcome

PROVEN_SECONDS: Final = 120.0
_CLEAN: Final = ("due", "why_due", "budget_spent", "taken", "too_few_sites")
"""Entries of a result that are empty if each pane of the plan was opened, or is void."""


@dataclass(frozen=True)
class PlanSubject:
    """What sites and aggregators decide by, besides their own settings and the panes within a day.

    Attributes:
        seconds: the time that the sites have.
        days: the UTC days of the panes.
    """

    views: frozenset[bytes]
    terms: Terms
    noise: Noise
    roster: tuple[str, ...]
    seconds: float
    days: frozenset[int]

    @classmethod
    def of(cls, plan: Plan, roster: tuple[str, ...], seconds: float) -> PlanSubject:
        """The subject of a plan to the sites of a roster."""
        views = frozenset(definition_hash(one.view) for one in plan.views)
        days = frozenset(day for one in plan.views for day in np.unique(one.pane_starts // DAY_US).tolist())
        return cls(views, plan.terms, plan.noise, roster, seconds, days)


class ProvenPlan:
    """The last plan of a session, if it went well.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[PlanSubject, float] | None = None

    def covers(self, subject: PlanSubject) -> bool:
        """Whether a plan about this needs no preflight."""
        if self._last is None:
            return False
        last, since = self._last
        same = replace(last, days=subject.days) == subject and subject.days <= last.days
        return same and self._clock() - since < PROVEN_SECONDS

    @contextmanager
    def trying(self, subject: PlanSubject) -> Iterator[Trial]:
        """Carry out a plan in this block. If the block fails, or the plan does not go well, nothing is proven."""
        since, self._last = self._clock(), None
        trial = Trial(subject.roster)
        yield trial
        if trial.went_well:
            self._last = subject, since


class Trial:
    """A plan that is being carried out."""

    def __init__(self, roster: tuple[str, ...]) -> None:
        self._roster = roster
        self.went_well = False

    def ended(self, result: Mapping[str, Any]) -> None:
        """The plan has this result (`publication.summary_of`)."""
        states = [result["sites"].get(site, {}).get("state") for site in self._roster]
        self.went_well = all(state == SiteOutcome.ANSWERED for state in states) and not any(
            result[one] for one in _CLEAN
        )
