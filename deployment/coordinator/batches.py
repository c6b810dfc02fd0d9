"""One collection, run by the coordinator: announce the plan, carry batches until the deadline, open the sums.

The coordinator is also the collector. It sees plans, sealed batches with their site and size, and noised sums. It cannot
open a batch. A site that is dead, late or malformed loses its own reports only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aggregator.errors import RemoteRefusal
from aggregator.services.client import Aggregators
from federation.aggregation import OpenedView
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.terms import Validity

from .announcement import Announcement, LeftOut
from .sites import SiteAnswer


@dataclass(frozen=True)
class CollectionOutcome:
    """The result of a collection.

    Attributes:
        opened: the views of the announced plan; empty if all panes were left out.
        statements: the signed opening statements of leader and helper, for each of these views.
        values: the signed opened values of both aggregators (under `he`, of the key holder), for each of these views.
        answers: the code of each node's answer, by site (or `node N` where the answer has no site).
        batches: the number of sealed batches carried, and of those that wait for the helper.
        refused: the number of batches that the leader refused, by reason.
        rejected: by view of a plan with proofs, the number of reports whose proof does not verify. A client within its
            bounds is rejected at most once in 2^56 reports, so the number counts broken or dishonest clients. Under `active`
            it reveals nothing about honest clients. About a rejected client it reveals that the client sent a report, which
            the batch reveals already.
        budget_spent: the panes that were left out because no budget covered them.
    """

    opened: tuple[OpenedView, ...] = ()
    statements: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    answers: dict[str, str] = field(default_factory=dict)
    batches: int = 0
    pending: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    budget_spent: tuple[LeftOut, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    values: tuple[tuple[bytes, ...], ...] = field(default=(), repr=False)


def collect(
    announced: Announcement,
    collector: RoleKeys,
    ask: Callable[[bytes, bytes], Iterable[SiteAnswer]],
    aggregators: Aggregators,
    progress: Callable[[SiteAnswer], None] = lambda _: None,
) -> CollectionOutcome:
    """Run one plan from its announcement to the opened sums.

    Args:
        announced: the plan, open at both aggregators (`announcement.announce`).
        ask: the sites' answers to a signed plan (and, under `he`, to its encryption keys), as they arrive.
    """
    plan = announced.plan
    if plan is None:
        return CollectionOutcome(budget_spent=announced.left_out)
    answers: dict[str, str] = {}
    refused: Counter[str] = Counter()
    carried = pending = 0
    for answer in ask(announced.signed, announced.encryption_keys):
        name = answer.site if answer.site and answer.site not in answers else f"node {answer.node}"
        answers[name] = answer.code  # the node chose this name, so it must not replace another node's answer
        for batch in answer.batches:
            carried += 1
            try:
                pending += aggregators.submit(batch).pending
            except RemoteRefusal as error:  # a refused batch must not stop the other batches
                refused[error.reason] += 1
        progress(answer)
    fetched = aggregators.collect(plan, collector)
    return CollectionOutcome(
        fetched.open(plan),
        fetched.statements,
        answers,
        carried,
        pending,
        dict(refused),
        announced.left_out,
        _rejected(plan, aggregators),
        fetched.values,
    )


def _rejected(plan: Plan, aggregators: Aggregators) -> dict[str, int]:
    """Rejected reports by view, as the leader has counted them; empty without proofs."""
    if plan.terms.validity is Validity.NONE:
        return {}
    (status,) = aggregators.status("leader", plan.hash)
    return {planned.view.name: count for planned, count in zip(plan.views, status.rejected, strict=True)}
