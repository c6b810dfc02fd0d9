"""Any schedule of plans, days, views, definitions, restarts and crashes on one ledger, compared with a naive account."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.errors import LedgerBroken, LedgerRefusal, PlanOpenedBefore
from federation.ledger import checkpoint_table
from federation.ledger.checkpoint import checkpoint_of
from federation.ledger.entries import CompletionEntry, IntentEntry
from federation.ledger.ledger import Ledger
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from tests.examples import examples
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of

from .wire import DAY, TERMS

HALF_DAY = DAY // 2
BUDGET = Budget(100_000)
RHOS = (0.03, 0.05, 0.07)


def view_of(name: str, rho: float) -> FeatureView:
    """A view that is named by its price. Its panes are hours, and tests use two of a day."""
    return FeatureView(
        name,
        entity=Entity("k", domain=[0, 1]),
        features=[Count("n")],
        pane="1h",
        bounds=Bounds(1),
        privacy=Privacy(rho=rho, min_clients=2),
    )


VIEWS = {(name, rho): view_of(name, rho) for name in "ab" for rho in RHOS}
planned_views = st.dictionaries(st.sampled_from("ab"), st.tuples(st.sampled_from(RHOS)), min_size=1)
halves = st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(sorted)


class Crash(BaseException):
    """The process ends here."""


class LedgerMachine(RuleBasedStateMachine):
    """`opened` and `paid` are kept by hand from what the ledger allowed. The ledger must always agree with them."""

    @initialize(overlap=st.booleans(), every=st.sampled_from([3, checkpoint_table.EVERY]))
    def begin(self, overlap: bool, every: int) -> None:
        self.budget = replace(BUDGET, overlap=overlap)
        self.every, checkpoint_table.EVERY = checkpoint_table.EVERY, every  # type: ignore[misc]
        self.folder = Path(tempfile.mkdtemp(prefix="covey-ledger-"))
        self.now = 1_000 * DAY
        self.plans: list[Plan] = []
        self.allowed: dict[bytes, Plan] = {}
        self.opened: dict[tuple[FeatureView, int], bytes] = {}
        self.done: dict[bytes, bytes] = {}
        self.ledger = self.open()

    def open(self) -> Ledger:
        return Ledger(self.folder / "one.db", "one", self.clock)

    def clock(self) -> int:
        self.now += 1
        return self.now

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)
            checkpoint_table.EVERY = self.every  # type: ignore[misc]

    @rule(chosen=planned_views, at=halves)
    def a_coordinator_signs_a_plan(self, chosen: dict[str, tuple[float]], at: list[int]) -> None:
        panes = np.array(at, dtype=np.int64) * HALF_DAY
        views = tuple(PlannedView(VIEWS[name, rho], panes, 2) for name, (rho,) in sorted(chosen.items()))
        self.plans.append(plan_in_words(len(self.plans).to_bytes(16, "big"), views, "full", wire=TERMS))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def a_plan_is_charged(self, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        try:
            self.ledger.intend(plan, self.budget)
        except LedgerRefusal:
            assert plan.hash not in self.allowed  # an allowed plan is allowed again
        else:
            self._allow(plan)

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), after=st.booleans())
    def the_process_ends_while_it_charges(self, data: st.DataObject, after: bool) -> None:
        """Before the commit nothing is charged. After it the charge holds, also before the second file is written."""
        plan = data.draw(st.sampled_from(self.plans))

        def crash(*_: object) -> None:
            raise Crash

        if after:
            self.ledger._write_outside = crash  # type: ignore[method-assign]
        else:
            append = self.ledger._append

            def append_and_crash(entry: IntentEntry | CompletionEntry) -> None:
                append(entry)  # type: ignore[arg-type]
                raise Crash

            self.ledger._append = append_and_crash  # type: ignore[method-assign, assignment]
        try:
            self.ledger.intend(plan, self.budget)
        except Crash:
            if after and self.ledger.state.intended.get(plan.hash) is not None:
                self._allow(plan)
        except LedgerRefusal:
            pass
        self.ledger.close()
        self.ledger = self.open()

    @precondition(lambda self: self.allowed)
    @rule(data=st.data(), digest=st.sampled_from([bytes(32), bytes([1]) * 32]))
    def a_plan_is_opened(self, data: st.DataObject, digest: bytes) -> None:
        plan_hash = data.draw(st.sampled_from(sorted(self.allowed)))
        before = self.done.get(plan_hash)
        try:
            self.ledger.complete(plan_hash, digest)
        except PlanOpenedBefore:
            assert before not in (None, digest)
        else:
            assert before in (None, digest)
            self.done[plan_hash] = digest

    @rule()
    def it_is_started_again(self) -> None:
        self.ledger.close()
        self.ledger = self.open()
        with Ledger(self.folder / "one.db", "one", self.clock, whole=True) as replayed:
            assert (replayed.head, checkpoint_of(replayed.state)) == (
                self.ledger.head,
                checkpoint_of(self.ledger.state),
            )

    @rule()
    def an_older_copy_is_put_back(self) -> None:
        """A restore of the database alone is noticed. Then the newest files are put back."""
        before = self.ledger.head
        self.ledger.close()
        kept = self.folder / "kept"
        kept.mkdir()
        for file in self.folder.glob("one.db*"):
            shutil.copy(file, kept)
        if before.seq:
            with Ledger(self.folder / "one.db", "one", self.clock) as shorter, shorter.transaction() as db:
                db.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
            try:
                self.open().close()
            except LedgerBroken:
                pass
            else:
                raise AssertionError("a cut tail was not noticed")
        for file in self.folder.glob("one.db*"):
            file.unlink()
        for file in kept.glob("*"):
            shutil.move(file, self.folder)
        kept.rmdir()
        self.ledger = self.open()
        assert self.ledger.head == before

    @invariant()
    def no_day_costs_more_than_its_budget(self) -> None:
        if not hasattr(self, "ledger"):
            return
        paid: dict[tuple[str, float, int], int] = {}
        for plan in self.allowed.values():
            for planned in plan.views:
                for day in (planned.pane_starts // DAY).tolist():
                    paid[planned.view.name, planned.view.privacy.micro_rho, day] = planned.layout.micro_rho
        by_day: dict[int, int] = {}
        for (_, _, day), cost in paid.items():
            by_day[day] = by_day.get(day, 0) + cost
        assert all(cost <= BUDGET.micro_rho for cost in by_day.values())
        assert spent_of(self.ledger.state) == by_day
        assert self.ledger.state.completed == self.done

    def _allow(self, plan: Plan) -> None:
        """No pane of a collection is opened under two plans. Without overlaps no day of a view is under two definitions."""
        self.allowed[plan.hash] = plan
        for planned in plan.views:
            for pane in planned.pane_starts.tolist():
                assert self.opened.setdefault((planned.view, pane), plan.hash) == plan.hash
        definitions: dict[tuple[str, int], set[int]] = {}
        for one in self.allowed.values():
            for planned in one.views:
                for day in (planned.pane_starts // DAY).tolist():
                    definitions.setdefault((planned.view.name, day), set()).add(planned.view.privacy.micro_rho)
        assert self.budget.overlap or all(len(found) == 1 for found in definitions.values())


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=examples(80), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
