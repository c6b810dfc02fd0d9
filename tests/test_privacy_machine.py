"""Any schedule of plans, days, views, answers, collects, frees, retries, restarts and crashes, against real parties on disk.

A leader, a helper and a site, each with a ledger and a budget of its own. Beside them an account is kept by hand of what each
one opened or reported: no client-day ever costs more than any one of the budgets, a pane is opened under two plans only if it was
paid for twice, a plan that both aggregators disown is never opened, and a repeated request gets the same bytes. Leader and helper
of one operator: test_operator_machine.py.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import AggregatorError, RemoteRefusal
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.role_storage import Storage
from edge_client.ledger import SiteLedger
from edge_client.policy import Refuse
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.wire import definition_hash
from federation.attempt import Attempt
from federation.commitment import Outcome
from federation.errors import FederationError
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from federation.statement import verify_statement
from tests.aggregator.world import (
    COLLECTOR,
    NOW,
    SETTINGS,
    Clock,
    LocalLink,
    make_helper,
    make_leader,
    make_plan,
    open_at,
)
from tests.edge_client.making import POLICY, ask, events, settings_in
from tests.federation.wire import COORDINATOR, DAY, HELPER, LEADER, live
from tests.federation.words import with_words

HOUR = DAY // 24
BUDGETS = {"leader": 100_000, "helper": 80_000, "site-a": 90_000}
KEYS = {"leader": LEADER.sign.public, "helper": HELPER.sign.public}
REFUSALS = (AggregatorError, FederationError, RemoteRefusal)
EVENTS = events(*((f"client-{i}", day + hour / 24, "x") for i in range(3) for day in range(3) for hour in range(4)))


def view_of(name: str, rho: float) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=["x", "y"]),
        features=[Count("n")],
        pane="1h",
        bounds=Bounds(3),
        privacy=Privacy(rho=rho, min_clients=2),
    )


VIEWS = {(name, rho): view_of(name, rho) for name in "vw" for rho in (0.03, 0.05, 0.07)}
plans = st.tuples(
    st.dictionaries(st.sampled_from("vw"), st.sampled_from([0.03, 0.05, 0.07]), min_size=1),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=3, unique=True).map(sorted),
    st.sampled_from(["active", "all"]),
)


class Crash(BaseException):
    """The processes end here."""


class Fuse:
    """Ends all processes at the n-th write from now on, whichever makes it."""

    left = -1

    @classmethod
    def burn(cls) -> None:
        if cls.left >= 0:
            cls.left -= 1
            if cls.left < 0:
                raise Crash


class FusedStorage(Storage):
    synchronous = "OFF"

    def run(self, sql: str, *values: Any) -> int:
        Fuse.burn()
        changed = super().run(sql, *values)
        if sql == "COMMIT":
            Fuse.burn()
        return changed


class FusedLedger(Ledger):
    synchronous = "OFF"

    def _append(self, entry: Any) -> None:
        super()._append(entry)
        Fuse.burn()  # the transaction is undone

    def _write_outside(self) -> None:
        Fuse.burn()  # committed, but the second file is behind
        super()._write_outside()


class FusedLive(LiveFolder):
    def draw(self, *what: Any) -> LiveFile:
        Fuse.burn()
        made = super().draw(*what)
        Fuse.burn()
        return made

    def erase_seal(self, plan_id: bytes) -> None:
        Fuse.burn()
        super().erase_seal(plan_id)

    def erase(self, plan_id: bytes) -> None:
        Fuse.burn()
        super().erase(plan_id)


class PrivacyMachine(RuleBasedStateMachine):
    """See the module."""

    budgets: Mapping[str, int] = BUDGETS

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="covey-machine-"))
        self.plans: list[Plan] = []
        self.opened: dict[tuple[str, str, int], list[Plan]] = {}  # role, view, pane
        self.statements: dict[bytes, set[bytes]] = {}
        self.freed: set[bytes] = set()
        self.sent: dict[tuple[str, bytes], list[bytes]] = {}
        self.site = settings_in(self.folder, replace(POLICY, max_micro_rho=self.budgets["site-a"]), clients=3)
        Fuse.left = -1
        self.start()

    def start(self) -> None:
        given = {role: replace(SETTINGS, budget=Budget(self.budgets[role])) for role in ("leader", "helper")}
        self.helper = make_helper(self.folder, given["helper"], Clock(), FusedStorage, self.open_ledger, FusedLive)
        link = LocalLink(self.helper)
        self.leader = make_leader(
            self.folder, link, given["leader"], Clock(), FusedStorage, self.open_ledger, FusedLive
        )

    def open_ledger(self, path: Path, role: str, clock: Clock) -> Ledger:
        return FusedLedger(path, role, clock)

    def stop(self) -> None:
        self.leader.close()
        self.helper.close()

    def teardown(self) -> None:
        if hasattr(self, "leader"):
            Fuse.left = -1
            self.stop()
            shutil.rmtree(self.folder)

    @rule(drawn=plans)
    def a_coordinator_signs_a_plan(self, drawn: tuple[dict[str, float], list[tuple[int, int]], Any]) -> None:
        views, at, participation = drawn
        panes = np.array([day * DAY + hour * HOUR for day, hour in at], np.int64)
        planned = tuple(PlannedView(VIEWS[name, rho], panes, 2) for name, rho in sorted(views.items()))
        plan = make_plan(noise="full", number=len(self.plans))
        self.plans.append(live(with_words(plan, views=planned, participation=participation)))

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), shown=st.sampled_from(["all", "all", "one", "none"]))
    def its_panes_are_planned_again(self, data: st.DataObject, shown: str) -> None:
        """Under a new plan that names the first one, with what was signed about it, or with less."""
        before = data.draw(st.sampled_from(self.plans))
        signed = sorted(self.statements.get(before.hash, ()))[: {"all": None, "one": 1, "none": 0}[shown]]
        panes = before.views[0].pane_starts[data.draw(st.integers(0, len(before.views[0].pane_starts) - 1)) :]
        planned = tuple(replace(one, pane_starts=panes) for one in before.views)
        plan = replace(make_plan(noise="full", number=len(self.plans)), earlier=(Attempt(before.hash, tuple(signed)),))
        self.plans.append(live(with_words(plan, views=planned, participation=before.terms.participation.value)))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def it_is_freed(self, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        found = self.attempt(lambda: self.leader.free(free_request(plan.hash, COORDINATOR.sign)))
        if found is not None:
            self.statements.setdefault(plan.hash, set()).update(found)
            self.freed.add(plan.hash)
            for role in ("leader", "helper"):
                assert not any(plan in plans for (who, *_), plans in self.opened.items() if who == role), (
                    "freed, opened"
                )

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def it_is_announced(self, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        for role in ("helper", "leader"):  # by name, because a crash of the first one restarts both
            self.attempt(lambda role=role: open_at(getattr(self, role), plan))

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), seed=st.integers(0, 2**32))
    def the_site_answers(self, data: st.DataObject, seed: int) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        answer = ask(plan, EVENTS, self.site, seed)
        if isinstance(answer, Refuse):
            return
        self.account("site-a", plan)
        for batch in answer:
            self.attempt(lambda batch=batch: self.leader.submit(batch.to_bytes()))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def it_is_collected(self, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        request = collect_request(plan, COLLECTOR.sign)
        for role in data.draw(st.permutations(["leader", "helper"])):
            shares = self.attempt(lambda role=role: getattr(self, role).collect(request))
            if shares is not None:
                self.collected(role, plan, shares)

    def collected(self, role: str, plan: Plan, shares: Sequence[SealedShare]) -> None:
        """Account for what a role has sent: the outcome of each pane, by its statements."""
        assert plan.hash not in self.freed, "a plan was opened that both disown"
        self.statements.setdefault(plan.hash, set()).update(share.statement for share in shares)
        self.account(role, plan, [verify_statement(one.statement, KEYS[role]).outcomes for one in shares])
        sent = [share.sealed for share in shares]
        assert self.sent.setdefault((role, plan.hash), sent) == sent, "other bytes: it was opened twice"

    def collect_whole(self, plan: Plan, seed: int, *, opened: bool = True) -> None:
        """Announce a plan, have the site answer, and have the leader open it."""
        for role in ("helper", "leader"):  # by name: a crash of the first one starts both again
            self.attempt(lambda role=role: open_at(getattr(self, role), plan))
        answer = ask(plan, EVENTS, self.site, seed)
        if not isinstance(answer, Refuse):
            self.account("site-a", plan)
            for batch in answer:
                self.attempt(lambda batch=batch: self.leader.submit(batch.to_bytes()))
        if opened:
            shares = self.attempt(lambda: self.leader.collect(collect_request(plan, COLLECTOR.sign)))
            if shares is not None:
                self.collected("leader", plan, shares)

    @rule(writes=st.integers(0, 25))
    def a_crash_is_near(self, writes: int) -> None:
        """After this many writes of either aggregator both end at once and start again."""
        Fuse.left = writes

    @rule()
    def both_start_again(self) -> None:
        Fuse.left = -1
        self.stop()
        self.start()

    def attempt(self, call: Callable[[], Any]) -> Any:
        """Call the function. A refusal counts as an answer. After a crash both are started again."""
        try:
            return call()
        except REFUSALS:
            return None
        except Crash:
            self.both_start_again()
            return None

    def account(self, role: str, plan: Plan, outcomes: Sequence[bytes] | None = None) -> None:
        """This role opened (or reported) these panes under this plan, within its budget. `outcomes`: what it opened of them."""
        for index, planned in enumerate(plan.views):
            for at, pane in enumerate(planned.pane_starts.tolist()):
                if outcomes is None or outcomes[index][at] == Outcome.OPENED:
                    plans = self.opened.setdefault((role, planned.view.name, pane), [])
                    if all(one.hash != plan.hash for one in plans):
                        named = {attempt.plan_hash for attempt in plan.earlier}
                        assert not plans or plans[-1].hash in named, f"{role}: a pane under two plans"
                        assert outcomes is None or not plans or plans[-1].hash not in self.freed, "freed, opened"
                        plans.append(plan)
        paid: dict[int, dict[tuple[str, bytes, bool], int]] = {}
        for (who, name, pane), plans in self.opened.items():
            if who == role:
                times = 1 + sum(not self.carried(one, before, name, pane) for before, one in pairwise(plans))
                for of_plan in plans:
                    (planned,) = (one for one in of_plan.views if one.view.name == name)
                    charge = (name, definition_hash(planned.view), of_plan.wire is None)
                    of_day = paid.setdefault(pane // DAY, {})
                    of_day[charge] = max(of_day.get(charge, 0), times * planned.layout.micro_rho)
        for day, costs in paid.items():
            assert sum(costs.values()) <= self.budgets[role], (role, day, costs)
            definitions = {(name, definition) for name, definition, _ in costs}
            assert len({name for name, _ in definitions}) == len(definitions), f"{role}: two definitions on one day"

    def carried(self, plan: Plan, before: Plan, view: str, pane: int) -> bool:
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

    @invariant()
    def no_ledger_has_spent_more_than_its_budget(self) -> None:
        if not hasattr(self, "leader"):
            return
        for role in ("leader", "helper"):
            assert max(getattr(self, role).files.ledger.state.spent.values(), default=0) <= self.budgets[role]
        if self.site.ledger.exists():
            assert (
                max(read_ledger(self.site.ledger, "site-a").state.spent.values(), default=0) <= self.budgets["site-a"]
            )


def test_the_machine_frees_and_opens_again(tmp_path: Path) -> None:
    machine = PrivacyMachine()
    machine.begin()
    try:
        machine.a_coordinator_signs_a_plan(({"v": 0.03}, [(0, 0), (0, 1)], "active"))
        (plan,) = machine.plans
        for party in (machine.helper, machine.leader):
            open_at(party, plan)
        assert not isinstance(ask(plan, EVENTS, machine.site), Refuse)
        statements = machine.leader.free(free_request(plan.hash, COORDINATOR.sign))
        second = live(
            replace(
                with_words(make_plan(noise="full", number=1), views=plan.views),
                earlier=(Attempt(plan.hash, tuple(statements)),),
            )
        )
        for party in (machine.helper, machine.leader):
            open_at(party, second)
        for batch in ask(second, EVENTS, machine.site):
            machine.leader.submit(batch.to_bytes())
        request = collect_request(second, COLLECTOR.sign)
        assert len(machine.leader.collect(request)) == len(machine.helper.collect(request)) == 1
        for party in (machine.helper, machine.leader):
            assert party.files.ledger.state.spent == {0: 30_000}
    finally:
        machine.teardown()


def test_the_machine_does_open_something(tmp_path: Path) -> None:
    """Otherwise its assertions would hold for nothing."""
    machine = PrivacyMachine()
    machine.begin()
    try:
        machine.a_coordinator_signs_a_plan(({"v": 0.03, "w": 0.05}, [(0, 0), (0, 1), (1, 2)], "active"))
        (plan,) = machine.plans
        for party in (machine.helper, machine.leader):
            open_at(party, plan)
        answer = ask(plan, EVENTS, machine.site)
        assert not isinstance(answer, Refuse)
        for batch in answer:
            machine.leader.submit(batch.to_bytes())
        request = collect_request(plan, COLLECTOR.sign)
        assert len(machine.leader.collect(request)) == len(machine.helper.collect(request)) == 2
        with SiteLedger(machine.site.ledger, "a", lambda: NOW) as ledger:
            assert ledger.state.spent == {0: 80_000, 1: 80_000}
    finally:
        machine.teardown()


TestPrivacyMachine = PrivacyMachine.TestCase
TestPrivacyMachine.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
