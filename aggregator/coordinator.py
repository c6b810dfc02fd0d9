"""One collection from the coordinator's chair: announce, carry batches as they arrive, let the deadline decide, open.

The coordinator is also the collector. It sees plans, sealed batches with their site and size, and noised sums; it can open
no batch. A site that is dead, late or sends nonsense costs its own reports and nobody else's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from crypto.signing import SigningKey
from federation.keys import RoleKeys
from federation.plan import Plan
from federation.protocol import OpenedView, open_shares
from federation.signed_plan import sign_plan

from .client import Aggregators
from .errors import Refused
from .sites import SiteAnswer


@dataclass(frozen=True)
class Collected:
    """What a collection gave.

    Attributes:
        answers: the code of each node's answer, by site (or `node N` where it told none).
        batches: how many sealed batches were carried, and how many of them wait for the helper.
        refused: batches that the leader did not take, by reason.
    """

    opened: tuple[OpenedView, ...]
    answers: dict[str, str]
    batches: int
    pending: int
    refused: dict[str, int]


def collect(
    plan: Plan,
    coordinator: SigningKey,
    collector: RoleKeys,
    ask: Callable[[bytes], Iterable[SiteAnswer]],
    aggregators: Aggregators,
    progress: Callable[[SiteAnswer], None] = lambda _: None,
) -> Collected:
    """Run one plan from its announcement to the opened sums.

    Args:
        ask: the sites' answers to a signed plan, as they arrive.
    """
    signed = sign_plan(plan, coordinator)
    aggregators.open_plan(signed)
    answers: dict[str, str] = {}
    refused: Counter[str] = Counter()
    carried = pending = 0
    for answer in ask(signed):
        name = answer.site if answer.site and answer.site not in answers else f"node {answer.node}"
        answers[name] = answer.code  # the name is the node's word: it hides no other's answer
        for batch in answer.batches:
            carried += 1
            try:
                pending += aggregators.submit(batch).pending
            except Refused as error:  # one batch must not stop the others
                refused[error.reason] += 1
        progress(answer)
    shares = aggregators.collect(plan, collector)
    return Collected(open_shares(plan, *shares), answers, carried, pending, dict(refused))
