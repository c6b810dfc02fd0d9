"""One collection from the coordinator's chair: announce, carry batches as they arrive, let the deadline decide, open.

The coordinator is also the collector. It sees plans, sealed batches with their site and size, and noised sums; it can open
no batch. A site that is dead, late or sends nonsense costs its own reports and nobody else's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aggregator.errors import RemoteRefusal
from aggregator.services.client import Aggregators
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.protocol import OpenedView
from federation.terms import Validity

from .announcement import Announcement, LeftOut
from .sites import SiteAnswer


@dataclass(frozen=True)
class CollectionOutcome:
    """What a collection gave.

    Attributes:
        opened: the views of the announced plan; none if nothing was left of it.
        statements: the signed opening statements of leader and helper, for each of these views.
        values: the signed opened values of both (under `he` the key holder's), likewise.
        answers: the code of each node's answer, by site (or `node N` where it told none).
        batches: how many sealed batches were carried, and how many of them wait for the helper.
        refused: batches that the leader did not take, by reason.
        rejected: by view of a plan with proofs, the reports whose proof did not hold. A client within its bounds is
            rejected once in 2^56 reports at most, so the number is one of broken or lying clients. Under `active` it tells
            nothing of the honest ones; of a rejected one it tells, as the batch has done, that it sent a report.
        budget_spent: panes that were left out, because no budget covered them.
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
        answers[name] = answer.code  # the name is the node's word: it hides no other's answer
        for batch in answer.batches:
            carried += 1
            try:
                pending += aggregators.submit(batch).pending
            except RemoteRefusal as error:  # one batch must not stop the others
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
    """Rejected reports by view, as the leader has counted them; nothing where there are no proofs."""
    if plan.terms.validity is Validity.NONE:
        return {}
    (status,) = aggregators.status("leader", plan.hash)
    return {planned.view.name: count for planned, count in zip(plan.views, status.rejected, strict=True)}
