"""One collection, run by the coordinator: carry batches until the deadline, then open the sums, or free the plan.

The coordinator is also the collector. It sees plans, sealed batches with their site and size, and noised sums. It cannot
open a batch. A site that is dead, late or malformed loses its own reports only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aggregator.errors import RemoteRefusal
from aggregator.intake.refusals import LOST, OF_THE_SERVICE
from aggregator.services.client import Aggregators
from base.fields import Fields
from base.traces import span
from federation.aggregation import OpenedView
from federation.commitment import Outcome
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.terms import Validity

from .announcement import Announcement, LeftOut
from .attempts import Ints
from .site_answer import SiteAnswer
from .site_results import SiteResult, SiteResults

FREED = "PLAN_FREED"
FREE_REFUSED = "FREE_REFUSED"


@dataclass(frozen=True)
class CollectionOutcome:
    """The result of a collection.

    Attributes:
        opened: the views of the announced plan; empty if all panes were left out.
        statements: the signed opening statements of leader and helper, for each of these views.
        values: the signed opened values of both aggregators (under `he`, of the key holder), for each of these views.
        sites: the result of each site of the roster (and `node N` where an answer names no site).
        pending: the number of carried batches that wait for the helper.
        rejected: by view of a plan with proofs, the number of reports whose proof does not verify. A client within its
            bounds is rejected at most once in 2^56 reports, so the number counts broken or dishonest clients. Under `active`
            it reveals nothing about honest clients. About a rejected client it reveals that the client sent a report, which
            the batch reveals already.
        left_out: the panes that were left out, because no budget covers them or another plan has taken them.
        freed: what the aggregators signed if the plan was freed instead of opened; empty also if they can sign nothing.
        why_freed: why the plan was not opened; None if it was.
    """

    opened: tuple[OpenedView, ...] = ()
    statements: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    sites: Mapping[str, SiteResult] = field(default_factory=dict)
    pending: int = 0
    left_out: tuple[LeftOut, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    values: tuple[tuple[bytes, ...], ...] = field(default=(), repr=False)
    freed: tuple[bytes, ...] = field(default=(), repr=False)
    why_freed: str | None = None

    def due(self, plan: Plan) -> dict[str, Ints]:
        """int64[P], the panes (µs) of each view of the plan that were not opened, where there are any."""
        opened = {one.planned.view.name: one.outcomes == Outcome.OPENED for one in self.opened}
        found = {
            one.view.name: one.pane_starts[~opened.get(one.view.name, np.zeros(len(one.pane_starts), np.bool_))]
            for one in plan.views
        }
        return {view: panes for view, panes in found.items() if len(panes)}

    @property
    def said(self) -> tuple[bytes, ...]:
        """What the aggregators signed about unopened panes."""
        return self.freed or tuple(one for both in self.statements for one in both)


@dataclass(frozen=True)
class Conditions:
    """When a plan is opened, and whether it is freed otherwise.

    Attributes:
        roster: the ids of the enrolled sites.
        min_sites: the number of sites that must have answered before anything is opened.
        may_free: whether a plan that cannot be opened is freed; otherwise that is an error.
    """

    roster: tuple[str, ...] = ()
    min_sites: int = 0
    may_free: bool = False


def collect(
    announced: Announcement,
    keys: tuple[RoleKeys, RoleKeys],
    ask: Callable[[bytes, bytes], Iterable[SiteAnswer]],
    aggregators: Aggregators,
    sites: SiteResults,
    conditions: Conditions,
) -> CollectionOutcome:
    """Run one plan from its announcement to the opened sums. A plan that cannot be opened is freed.

    Args:
        announced: the plan, open at both aggregators (`announcement.announce`).
        keys: of coordinator and collector.
        ask: the sites' answers to a signed plan (and, under `he`, to its encryption keys), as they arrive.
        sites: the results of an earlier attempt at this plan; it gets the new ones.
    """
    plan, (coordinator, collector) = announced.plan, keys
    if plan is None:
        return CollectionOutcome(left_out=announced.left_out)
    pending = _carry(announced, ask, aggregators, sites)
    before = CollectionOutcome(sites=sites.of(conditions.roster), pending=pending, left_out=announced.left_out)
    if (answered := sites.answered(conditions.roster)) < conditions.min_sites:
        why = f"{answered} site(s) answered, and min_sites is {conditions.min_sites}"
        try:
            return replace(before, freed=free_what_can_be(plan, coordinator, aggregators), why_freed=why)
        except RemoteRefusal as refused:
            if (
                refused.reason != FREE_REFUSED
            ):  # else an earlier attempt at this plan had enough sites, and it is noised
                raise
    try:
        with span("shares", panes=plan.offsets[-1]):
            fetched = aggregators.collect(plan, collector)
    except RemoteRefusal as refused:
        if not conditions.may_free or refused.reason not in (FREED, *LOST):
            raise
        try:
            freed = free_what_can_be(plan, coordinator, aggregators)
        except RemoteRefusal:  # one of the two has noised it
            freed = ()
        return replace(before, freed=freed, why_freed=str(refused))
    return replace(
        before,
        opened=fetched.open(plan),
        statements=fetched.statements,
        rejected=_rejected(plan, aggregators),
        values=fetched.values,
    )


@span("sites")
def _carry(
    announced: Announcement,
    ask: Callable[[bytes, bytes], Iterable[SiteAnswer]],
    aggregators: Aggregators,
    sites: SiteResults,
) -> int:
    """Carry the sites' batches to the leader. Returns the number of batches that wait for the helper."""
    pending, seen = 0, set[str]()
    for answer in ask(announced.signed, announced.encryption_keys):
        refused: Counter[str] = Counter()
        with span("batches", Fields(site=answer.site or None), sender=answer.sender) as carried:
            carried.code(answer.code)
            for batch in answer.batches:
                try:
                    pending += aggregators.submit(batch).pending
                except RemoteRefusal as error:  # a refused batch must not stop the other batches
                    if error.reason in OF_THE_SERVICE:
                        raise  # the site would lose its reports, and the plan can be continued later
                    refused[error.reason] += 1
        sites.add(answer, refused, seen)
    return pending


def free_what_can_be(plan: Plan, coordinator: RoleKeys, aggregators: Aggregators) -> tuple[bytes, ...]:
    """Have a plan freed. Returns no statements if an aggregator can never say that it did not open the plan.

    Raises:
        RemoteRefusal: FREE_REFUSED if one has noised the plan. Unreachable.
    """
    try:
        return aggregators.free(plan.hash, coordinator.sign)
    except RemoteRefusal as refused:
        if refused.reason not in LOST:
            raise
        return ()


def _rejected(plan: Plan, aggregators: Aggregators) -> dict[str, int]:
    """Rejected reports by view, as the leader has counted them; empty without proofs."""
    if plan.terms.validity is Validity.NONE:
        return {}
    (status,) = aggregators.status("leader", plan.hash)
    return {planned.view.name: count for planned, count in zip(plan.views, status.rejected, strict=True)}
