"""The rules of the machine. Any of them may come next, as long as there is a plan to apply it to.

A crash ends both aggregators and a site that answers. One aggregator at most runs on older copies of its files: two that are rolled
back together can open anything again (SECURITY.md), and `faults.py` shows that the machine finds it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import AggregatorError, RemoteRefusal
from base.errors import CoveyError
from edge_client.policy import Refuse
from federation.attempt import Attempt
from federation.errors import FederationError
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_ledger
from federation.plan import Plan, PlannedView
from federation.refusal_codes import RefusalCode
from federation.statement import verify_statement
from tests.aggregator.world import COLLECTOR, Clock, make_plan, open_at
from tests.federation.wire import COORDINATOR, DAY, live
from tests.federation.words import with_words
from tests.ledgers import spent_of

from .account import KEYS, Account
from .parties import ROLES, SITES, Crash, Fuse, FusedLedger, Parties
from .plans import HOUR, VIEWS, Drawn, Told, plans, seeds, sites

BUDGETS = {"leader": 100_000, "helper": 80_000, "site-a": 90_000, "site-b": 120_000}
COPIES = 3
"""Of the files of an aggregator: more cost time and say nothing new."""
REFUSALS = (AggregatorError, FederationError, RemoteRefusal)
with_plans = precondition(lambda self: self.plans)


class PrivacyMachine(RuleBasedStateMachine):
    """See the module."""

    budgets: Mapping[str, int] = BUDGETS
    steps: ClassVar[int] = 0
    """Steps of all machines of this process: calls of a party, restarts and restores."""

    @initialize()
    def begin(self) -> None:
        self.plans: list[Plan] = []
        self.account = Account(self.budgets)
        self.sent: dict[tuple[str, bytes], list[bytes]] = {}
        self.copies: list[Path] = []
        self.newest: Path | None = None
        self.restored: str | None = None
        self.parties = Parties(self.budgets, self.open_ledger)
        self.plant(self.parties.patch)

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        """Plant a fault, until the machine ends."""

    def open_ledger(self, path: Path, role: str, clock: Clock) -> Ledger:
        return FusedLedger(path, role, clock)

    def payer(self, role: str) -> str:
        """Who pays for what this role opens."""
        return role

    def teardown(self) -> None:
        if hasattr(self, "parties"):
            try:
                if self.restored is None and sys.exception() is None:  # after a failed step, that one says more
                    self.nothing_is_lost()
            finally:
                self.parties.close()

    # plans

    @rule(drawn=plans)
    def a_coordinator_signs_a_plan(self, drawn: Drawn) -> None:
        views, at, participation = drawn
        panes = np.array([day * DAY + hour * HOUR for day, hour in at], np.int64)
        planned = tuple(PlannedView(VIEWS[name, rho], panes, 2) for name, rho in sorted(views.items()))
        self.plan(planned, participation)

    @with_plans
    @rule(data=st.data(), shown=st.sampled_from(["all", "all", "one", "none"]))
    def its_panes_are_planned_again(self, data: st.DataObject, shown: Told) -> None:
        """Under a new plan that names the earlier ones, with what was signed about them, or with less."""
        before = data.draw(st.sampled_from(self.plans))
        panes = before.views[0].pane_starts[data.draw(st.integers(0, len(before.views[0].pane_starts) - 1)) :]
        planned = tuple(replace(one, pane_starts=panes) for one in before.views)
        named = {before.hash, *(one.plan_hash for one in before.earlier if data.draw(st.booleans()))}
        self.plan(planned, before.terms.participation.value, self.attempts(named, shown))

    def plan(self, views: tuple[PlannedView, ...], participation: Any, earlier: tuple[Attempt, ...] = ()) -> Plan:
        made = replace(make_plan(noise="full", number=len(self.plans)), earlier=earlier)
        self.plans.append(live(with_words(made, views=views, participation=participation)))
        return self.plans[-1]

    def attempts(self, hashes: set[bytes], shown: Told = "all") -> tuple[Attempt, ...]:
        most = {"all": None, "one": 1, "none": 0}[shown]
        signed = self.account.statements
        return tuple(Attempt(one, tuple(sorted(signed.get(one, ()))[:most])) for one in sorted(hashes))

    # the steps of a collection

    @with_plans
    @rule(data=st.data())
    def it_is_announced(self, data: st.DataObject) -> None:
        self.announce(data.draw(st.sampled_from(self.plans)))

    @with_plans
    @rule(data=st.data(), seed=seeds, which=sites)
    def sites_answer(self, data: st.DataObject, seed: int, which: tuple[str, ...]) -> None:
        self.answer(data.draw(st.sampled_from(self.plans)), seed, which)

    @with_plans
    @rule(data=st.data())
    def it_is_collected(self, data: st.DataObject) -> None:
        self.collect(data.draw(st.sampled_from(self.plans)), data.draw(st.permutations(ROLES)))

    @with_plans
    @rule(data=st.data())
    def it_is_freed(self, data: st.DataObject) -> None:
        self.free(data.draw(st.sampled_from(self.plans)))

    @with_plans
    @rule(data=st.data(), other=st.sampled_from(["announce", "collect", "free"]))
    def two_coordinators_ask_at_the_same_time(self, data: st.DataObject, other: str) -> None:
        """One has a plan collected. The other one announces, collects or frees a plan, perhaps the same."""
        Fuse.left = -1
        plan, second = (data.draw(st.sampled_from(self.plans)) for _ in range(2))
        leader = self.parties.leader
        calls = [
            lambda: leader.collect(collect_request(plan, COLLECTOR.sign)),
            {
                "announce": lambda: open_at(leader, second) and None,
                "collect": lambda: leader.collect(collect_request(second, COLLECTOR.sign)),
                "free": lambda: leader.free(free_request(second.hash, COORDINATOR.sign)),
            }[other],
        ]
        with ThreadPoolExecutor(2) as pool:
            shares, found = pool.map(self.attempt, calls)
        if shares is not None:
            self.collected("leader", plan, shares)
        if found is not None and other == "collect":
            self.collected("leader", second, found)
        if found is not None and other == "free":
            self.disowned(second, found)

    def announce(self, plan: Plan) -> None:
        for role in reversed(ROLES):  # by name, because a crash of the first one restarts both
            self.attempt(lambda role=role: open_at(getattr(self.parties, role), plan))

    def answer(self, plan: Plan, seed: int, which: Sequence[str]) -> list[Refuse]:
        """Have sites answer, and submit what they send. Returns the refusals."""
        refused = []
        for site in which:
            answer = self.attempt(lambda site=site: self.parties.answer(site, plan, seed))
            if isinstance(answer, Refuse):
                refused.append(answer)
            elif answer is not None:
                self.account.charged(f"site-{site}", plan)
                for batch in answer:
                    self.attempt(lambda batch=batch: self.parties.leader.submit(batch.to_bytes()))
                ledger = read_ledger(self.parties.sites[site].ledger, f"site-{site}")
                assert max(spent_of(ledger.state).values(), default=0) <= self.budgets[f"site-{site}"]
        return refused

    def collect(self, plan: Plan, roles: Sequence[str] = ROLES) -> bool:
        """Ask both for their shares. Returns whether both have sent them."""
        request, found = collect_request(plan, COLLECTOR.sign), []
        for role in roles:
            shares = self.attempt(lambda role=role: getattr(self.parties, role).collect(request))
            if shares is not None:
                self.collected(role, plan, shares)
                found.append(role)
        return len(found) == len(ROLES)

    def collect_whole(self, plan: Plan, seed: int, which: Sequence[str] = ("a",), *, opened: bool = True) -> None:
        """Announce a plan, have sites answer, and have it opened."""
        self.announce(plan)
        self.answer(plan, seed, which)
        if opened:
            self.collect(plan)

    def free(self, plan: Plan) -> list[bytes] | None:
        statements: list[bytes] | None = self.attempt(
            lambda: self.parties.leader.free(free_request(plan.hash, COORDINATOR.sign))
        )
        if statements is not None:
            self.disowned(plan, statements)
        return statements

    def disowned(self, plan: Plan, statements: Sequence[bytes]) -> None:
        self.account.disowned(plan, statements, [self.payer(role) for role in ROLES])

    def collected(self, role: str, plan: Plan, shares: Sequence[SealedShare]) -> None:
        """Account for what a role has sent: the outcome of each pane, by its statements."""
        assert plan.hash not in self.account.freed, "a plan was opened that both disown"
        signed = [share.statement for share in shares]
        self.account.statements.setdefault(plan.hash, set()).update(signed)
        self.account.charged(self.payer(role), plan, [verify_statement(one, KEYS[role]).outcomes for one in signed])
        sent = [share.sealed for share in shares]
        assert self.sent.setdefault((role, plan.hash), sent) == sent, "other bytes: it was opened twice"

    # crashes and copies

    @rule(writes=st.integers(0, 25))
    def a_crash_is_near(self, writes: int) -> None:
        """After this many writes of either aggregator, or of a site, all end at once and start again."""
        Fuse.left = writes

    @rule()
    def both_start_again(self) -> None:
        PrivacyMachine.steps += 1
        self.parties.stop()
        self.parties.start()

    @precondition(lambda self: len(self.copies) < COPIES)
    @rule(role=st.sampled_from(ROLES))
    def a_copy_is_kept(self, role: str) -> None:
        """All copies are of one aggregator: the one that the first copy is of."""
        role = self.copies[0].name.partition("-")[0] if self.copies else role
        self.copies.append(self.parties.copy_of(role, f"{role}-{len(self.copies)}"))

    @precondition(lambda self: self.copies)
    @rule(data=st.data(), but=st.sampled_from(["", "live", "ledger"]), with_secrets=st.booleans())
    def it_is_put_back(self, data: st.DataObject, but: str, with_secrets: bool) -> None:
        """As a whole; without live secrets, as from a backup; or beside the secrets or the ledger of today."""
        PrivacyMachine.steps += 1
        copy = data.draw(st.sampled_from(self.copies))
        role = copy.name.partition("-")[0]
        if self.restored is None:
            self.restored, self.newest = role, self.parties.copy_of(role, f"{role}-newest")
        if not with_secrets:
            shutil.rmtree(copy / f"{role}.live", ignore_errors=True)
        self.parties.put_back(role, copy, but=but)

    @precondition(lambda self: self.newest is not None)
    @rule()
    def the_newest_copy_is_put_back(self) -> None:
        assert self.newest is not None
        assert self.restored is not None
        self.parties.put_back(self.restored, self.newest)

    def attempt(self, call: Callable[[], Any]) -> Any:
        """Call the function. A refusal counts as an answer. After a crash both aggregators are started again."""
        PrivacyMachine.steps += 1
        try:
            return call()
        except REFUSALS:
            return None
        except Crash:
            self.both_start_again()
            return None

    def _error(self, call: Callable[[], Any]) -> CoveyError | None:
        try:
            call()
        except REFUSALS as error:
            return error
        return None

    # what must hold

    @invariant()
    def no_ledger_has_spent_more_than_its_budget(self) -> None:
        if not hasattr(self, "parties"):
            return
        for role in ROLES:
            spent = spent_of(getattr(self.parties, role).files.ledger.state)
            assert max(spent.values(), default=0) <= self.budgets[role]

    def nothing_is_lost(self) -> None:
        """Each plan that both know is opened or freed, and a pane that was not opened can be planned again."""
        Fuse.left = -1
        for plan in self.plans:
            files = [getattr(self.parties, role).files for role in ROLES]
            known = all(one.storage.plan(plan.hash) is not None for one in files)
            replaced = any(plan.hash in one.ledger.state.retried for one in files)
            if known and not replaced:
                assert self.collect(plan) or self.free(plan), "a plan is neither opened nor freed"
        self.a_pane_is_due()

    def a_pane_is_due(self) -> None:
        for plan in self.plans:
            for planned in plan.views:
                for pane in planned.pane_starts.tolist():
                    if not any((self.payer(role), planned.view.name, pane) in self.account.opened for role in ROLES):
                        self._collect_again(planned, pane)
                        return

    def _collect_again(self, planned: PlannedView, pane: int) -> None:
        """Nobody says of a pane that was never opened that another plan has it."""
        before = {
            plan.hash
            for plan in self.plans
            if any(one.view == planned.view and pane in one.pane_starts for one in plan.views)
        }
        again = self.plan((replace(planned, pane_starts=np.array([pane])),), "all", self.attempts(before))
        errors = [self._error(lambda role=role: open_at(getattr(self.parties, role), again)) for role in ROLES]
        assert not {"PANE_TAKEN", "PLAN_FREED"} & {error.code for error in errors if error is not None}, (
            "a pane is lost"
        )
        refused = self.answer(again, 0, tuple(SITES))
        assert all(one.code is not RefusalCode.PANE_ALREADY_REPORTED for one in refused), "a pane is lost"


class Freed(PrivacyMachine):
    """A machine that comes to a freed plan, and to its panes under another plan, soon."""

    @rule(drawn=plans, seed=seeds, first=st.booleans(), which=sites, writes=st.integers(-1, 80))
    def a_plan_is_freed_and_its_panes_are_collected(
        self, drawn: Drawn, seed: int, first: bool, which: tuple[str, ...], writes: int
    ) -> None:
        """Unless all end after so many writes of the free. A free has about 70."""
        self.a_coordinator_signs_a_plan(drawn)
        plan = self.plans[-1]
        self.collect_whole(plan, seed, which, opened=first)
        Fuse.left = writes
        if self.free(plan) is not None:
            again = self.plan(plan.views, drawn[2], self.attempts({plan.hash}))
            self.collect_whole(again, seed, which)
            self.collect_whole(plan, seed, which)
