"""An account kept by hand of what each party opened or reported. It asks no ledger.

No client-day costs more than a party's budget. A pane of a collection is opened under two plans only if it was paid for twice, each
collection of a day is paid for, and a plan that both aggregators disown is never opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from featurestore.define.wire import collection_hash
from federation.commitment import Outcome
from federation.plan import Plan
from federation.statement import verify_statement
from tests.federation.wire import DAY, HELPER, LEADER

KEYS = {"leader": LEADER.sign.public, "helper": HELPER.sign.public}


class Account:
    """What each party opened, and what both have disowned.

    Attributes:
        opened: by role, view and pane: the plans under which the pane was opened (by a site: reported), in order.
        freed: the plans that both aggregators have disowned.
        statements: what the aggregators signed about each plan.
    """

    def __init__(self, budgets: Mapping[str, int]) -> None:
        self._budgets = budgets
        self.opened: dict[tuple[str, str, int], list[Plan]] = {}
        self.freed: set[bytes] = set()
        self.statements: dict[bytes, set[bytes]] = {}

    def disowned(self, plan: Plan, statements: Sequence[bytes], roles: Sequence[str]) -> None:
        """Both have signed that they never opened the plan."""
        self.statements.setdefault(plan.hash, set()).update(statements)
        self.freed.add(plan.hash)
        assert len(statements) == len(KEYS)
        for role in roles:
            assert not any(plan in plans for (who, *_), plans in self.opened.items() if who == role), "freed, opened"

    def charged(self, role: str, plan: Plan, outcomes: Sequence[bytes] | None = None) -> None:
        """A party opened (or reported) these panes under this plan, within its budget. `outcomes`: what it opened of them."""
        for index, planned in enumerate(plan.views):
            for at, pane in enumerate(planned.pane_starts.tolist()):
                if outcomes is None or outcomes[index][at] == Outcome.OPENED:
                    every = self.opened.setdefault((role, planned.view.name, pane), [])
                    plans = [
                        one
                        for one in every
                        if _collection(one, planned.view.name) == _collection(plan, planned.view.name)
                    ]
                    if all(one.hash != plan.hash for one in plans):
                        named = {attempt.plan_hash for attempt in plan.earlier}
                        assert not plans or plans[-1].hash in named, f"{role}: a pane under two plans"
                        assert outcomes is None or not plans or plans[-1].hash not in self.freed, "freed, opened"
                        every.append(plan)
        for day, costs in self._paid(role).items():
            assert sum(costs.values()) <= self._budgets[role], (role, day, costs)
            collections = {(name, collection) for name, collection, _ in costs}
            if role.startswith("site-"):  # their policies allow no overlap
                assert len({name for name, _ in collections}) == len(collections), f"{role}: two collections on one day"

    def _paid(self, role: str) -> dict[int, dict[tuple[str, bytes, bool], int]]:
        """What a party has paid for each day, by view, collection and whether the run was in one process."""
        paid: dict[int, dict[tuple[str, bytes, bool], int]] = {}
        for (who, name, pane), every in self.opened.items():
            for collection in {_collection(one, name) for one in every} if who == role else ():
                plans = [one for one in every if _collection(one, name) == collection]
                times = 1 + sum(not self._carried(one, before, name, pane) for before, one in pairwise(plans))
                for of_plan in plans:
                    (planned,) = (one for one in of_plan.views if one.view.name == name)
                    charge = (name, collection, of_plan.wire is None)
                    of_day = paid.setdefault(pane // DAY, {})
                    of_day[charge] = max(of_day.get(charge, 0), times * planned.layout.micro_rho)
        return paid

    def _carried(self, plan: Plan, before: Plan, view: str, pane: int) -> bool:
        """Whether the plan showed that neither aggregator had opened the pane under the earlier plan: read by hand."""
        (attempt,) = (one for one in plan.earlier if one.plan_hash == before.hash)
        index, planned = next((at, one) for at, one in enumerate(before.views) if one.view.name == view)
        at = planned.pane_starts.tolist().index(pane)
        said = set()
        for role, key in KEYS.items():
            for signed in attempt.statements:
                if signed.startswith(role.encode() + before.hash) and len(signed) == 102:
                    said.add(role)
                elif signed.startswith(role.encode() + before.hash):
                    found = verify_statement(signed, key)
                    if found.view == index and found.outcomes[at] != Outcome.OPENED:
                        said.add(role)
        return said == set(KEYS)


def _collection(plan: Plan, view: str) -> bytes:
    (planned,) = (one for one in plan.views if one.view.name == view)
    return collection_hash(planned.view)
