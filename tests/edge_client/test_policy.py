"""The plans that a site answers: every refusal code, the order of the checks, and no dependence on events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.policy import FUTURE_SLACK_US, Accept, Policy, Refuse, all_refusals, decide
from featurestore.define import view_pb2 as view_pb
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean, Rate
from featurestore.define.privacy import Privacy
from featurestore.define.wire import definition_hash
from federation import plan_pb2 as pb
from federation.draft import draft_of, sign_draft
from federation.former_keys import FormerKey, FormerKeys
from federation.ledger.entries import CompletionEntry, IntentEntry
from federation.ledger.state import LedgerState
from federation.plan import Plan, PlannedView, plan_to_bytes
from federation.price import Observer
from federation.refusal_codes import RefusalCode
from federation.signed_plan import DOMAIN
from federation.terms import Participation, Validity
from tests.aggregator.world import DEADLINE, NOW, make_plan
from tests.federation.wire import COORDINATOR, DAY, HELPER, LEADER, OTHER_SITE, SITE
from tests.federation.words import with_words

from .making import (
    HOUR,
    HOURLY,
    POLICY,
    VIEW,
    answered,
    ask,
    events,
    hours,
    ids_of,
    plan_with,
    proven,
    settings_in,
    sign,
)

EMPTY = LedgerState()


def charged(*plans: Plan, at: int = NOW) -> LedgerState:
    state = LedgerState()
    for plan in plans:
        entry = state.intent(plan, POLICY.budget, at)
        assert entry is not None
        state.apply(entry)
    return state


def code_of(plan: Plan | bytes, policy: Policy = POLICY, state: LedgerState = EMPTY, now: int = NOW) -> str:
    found = decide(plan, policy, state, now)
    return "ACCEPT" if isinstance(found, Accept) else str(found.code)


def signed_bytes_of(data: bytes) -> bytes:
    message = pb.SignedPlan(plan=data, signature=COORDINATOR.sign.sign(DOMAIN, data))
    return message.SerializeToString(deterministic=True)


def with_expression(where: str) -> bytes:
    """A signed plan with a different `where` in its view, as a coordinator with other code could make it."""
    assert len(where) == 8  # equal lengths keep the encoding valid
    view = replace(VIEW, features=[Rate("late", where="x > 1234")])
    data = plan_to_bytes(make_plan(view, noise="full"))
    message = pb.Plan.FromString(data)
    message.views[0].view = message.views[0].view.replace(b"x > 1234", where.encode())
    return signed_bytes_of(message.SerializeToString(deterministic=True))


def k_of(plan: Plan, k: int) -> Plan:
    return replace(plan, views=tuple(replace(planned, min_clients=k) for planned in plan.views))


def with_live_keys_of(other: Plan) -> bytes:
    """A signed plan with the live keys of another plan."""
    assert OPEN.wire is not None
    assert other.wire is not None
    taken = replace(OPEN.wire, leader_live=other.wire.leader_live, helper_live=other.wire.helper_live)
    return signed_bytes_of(plan_to_bytes(replace(OPEN, wire=taken)))


OPEN = plan_with()
ALL = plan_with(participation="all")
PINNED = f"v@{definition_hash(VIEW).hex()}"
READS = sign(
    make_plan(replace(VIEW, features=[Mean("spent", clip=(0, 9)), Rate("old", where="age > 9")]), noise="full")
)
KEYED = sign(make_plan(replace(VIEW, entity=Entity("k", domain=["x", "y"], column="diagnosis")), noise="full"))
CONSTANT = sign(make_plan(replace(VIEW, entity=Entity("k", value="x")), noise="full"))
SHARED = make_plan(replace(VIEW, privacy=replace(VIEW.privacy, noisers="shared")), noise="full")


def with_too_little_noise() -> bytes:
    """A signed plan whose view shares noise of σ² = 7.5 from each aggregator, as a coordinator with other code could make it."""
    message = pb.Plan.FromString(plan_to_bytes(SHARED))
    view = view_pb.FeatureView.FromString(message.views[0].view)
    view.micro_rho = 600_000
    message.views[0].view = view.SerializeToString(deterministic=True)
    return signed_bytes_of(message.SerializeToString(deterministic=True))


CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a good plan": (sign(OPEN), {}, "ACCEPT"),
    "everybody reports": (sign(ALL), {"allow_activity_visible": False}, "ACCEPT"),
    "no signature": (plan_to_bytes(OPEN), {}, "PLAN_UNSIGNED"),
    "another coordinator": (sign(OPEN, LEADER), {}, "PLAN_UNSIGNED"),
    "no parties": (signed_bytes_of(plan_to_bytes(replace(OPEN, wire=None))), {}, "PLAN_INVALID"),
    "signed nonsense": (signed_bytes_of(b"nonsense"), {}, "PLAN_INVALID"),
    "an expression with a function": (with_expression("pi() > 3"), {}, "EXPRESSION_NOT_ALLOWED"),
    "an expression with a table": (with_expression("x IN y.z"), {}, "EXPRESSION_NOT_ALLOWED"),
    "other aggregators": (sign(plan_with(leader=OTHER_SITE.sign.public)), {}, "KEY_NOT_PINNED"),
    "an old plan": (sign(plan_with(deadline_us=NOW)), {}, "PLAN_EXPIRED"),
    "live secrets for two days": (sign(OPEN), {"max_plan_hours": 48}, "ACCEPT"),
    "live secrets for too long": (sign(OPEN), {"max_plan_hours": 47}, "PLAN_LIVES_TOO_LONG"),
    "live keys of another draft": (with_live_keys_of(make_plan(VIEW, number=1)), {}, "PLAN_INVALID"),
    "live keys that others have signed": (with_live_keys_of(plan_with(leader=SITE.sign.public)), {}, "PLAN_INVALID"),
    "a draft": (signed_bytes_of(plan_to_bytes(draft_of(OPEN))), {}, "PLAN_INVALID"),
    "a signed draft": (sign_draft(OPEN, COORDINATOR.sign), {}, "PLAN_UNSIGNED"),
    "a pane to come": (sign(make_plan(VIEW, noise="full", first=99)), {}, "CLOCK_SKEW"),
    "exact sums": (sign(plan_with("none")), {}, "NOISE_OFF"),
    "exact sums in a lab": (sign(plan_with("none")), {"allow_noise_off": True, "min_k": 90}, "ACCEPT"),
    "no proofs": (sign(OPEN), {"validity": "prio3"}, "PROOFS_REQUIRED"),
    "proofs": (sign(proven(OPEN)), {"validity": "prio3"}, "ACCEPT"),
    "proofs that nobody demands": (sign(proven(OPEN)), {}, "ACCEPT"),
    "only all": (sign(OPEN), {"participation": "all"}, "PARTICIPATION_NOT_ALLOWED"),
    "only active": (sign(ALL), {"participation": "active"}, "PARTICIPATION_NOT_ALLOWED"),
    "activity": (sign(OPEN), {"allow_activity_visible": False}, "ACTIVITY_VISIBLE"),
    "another view": (sign(OPEN), {"views": ("w", "V", "v_*")}, "VIEW_NOT_ALLOWED"),
    "a pattern": (sign(OPEN), {"views": ("w", "[uv]*")}, "ACCEPT"),
    "the pinned definition": (sign(OPEN), {"views": (PINNED, "w")}, "ACCEPT"),
    "one of two pinned definitions": (sign(OPEN), {"views": (f"v@{'0' * 64}", PINNED)}, "ACCEPT"),
    "another definition of a pinned name": (READS, {"views": (PINNED,)}, "DEFINITION_NOT_ALLOWED"),
    "a pattern beside a pin": (READS, {"views": ("*", PINNED)}, "DEFINITION_NOT_ALLOWED"),
    "a name beside a pinned one": (sign(OPEN), {"views": (f"w@{'0' * 64}",)}, "VIEW_NOT_ALLOWED"),
    "another column of a feature": (READS, {"columns": ("age",)}, "COLUMN_NOT_ALLOWED"),
    "another column of a where": (READS, {"columns": ("spent",)}, "COLUMN_NOT_ALLOWED"),
    "no column": (sign(OPEN), {"columns": ()}, "ACCEPT"),
    "another join key": (READS, {"join_keys": ("age", "spent")}, "JOIN_KEY_NOT_ALLOWED"),
    "a join key of another column": (KEYED, {"join_keys": ("k",)}, "JOIN_KEY_NOT_ALLOWED"),
    "a constant entity": (CONSTANT, {"join_keys": ()}, "ACCEPT"),
    "few clients": (sign(OPEN), {"min_k": 3}, "K_TOO_LOW"),
    "enough clients": (sign(k_of(OPEN, 3)), {"min_k": 3}, "ACCEPT"),
    "too dear": (sign(OPEN), {"max_micro_rho": 499_999}, "RHO_TOO_HIGH"),
    "just so": (sign(OPEN), {"max_micro_rho": 500_000}, "ACCEPT"),
    "too dear against outsiders": (
        sign(OPEN),
        {"max_micro_rho": 249_999, "budget_counts": Observer.OUTSIDERS},
        "RHO_TOO_HIGH",
    ),
    "just so against outsiders": (
        sign(OPEN),
        {"max_micro_rho": 250_000, "budget_counts": Observer.OUTSIDERS},
        "ACCEPT",
    ),
    "shared noise": (sign(SHARED), {}, "ACCEPT"),
    "shared noise where one honest aggregator has to be enough": (
        sign(SHARED),
        {"noisers": "each"},
        "NOISERS_NOT_ALLOWED",
    ),
    "noise of each where that is demanded": (sign(OPEN), {"noisers": "each"}, "ACCEPT"),
    "shared noise costs the price against an aggregator": (sign(SHARED), {"max_micro_rho": 999_999}, "RHO_TOO_HIGH"),
    "too little shared noise": (with_too_little_noise(), {}, "PLAN_INVALID"),
    "a view of each kind under one budget": (
        sign(make_plan(replace(VIEW, name="w"), SHARED.views[0].view, noise="full")),
        {"max_micro_rho": 1_499_999},
        "DAY_BUDGET_SPENT",
    ),
    "a view of each kind within the budget": (
        sign(make_plan(replace(VIEW, name="w"), SHARED.views[0].view, noise="full")),
        {"max_micro_rho": 1_500_000},
        "ACCEPT",
    ),
    "two views of a day": (
        sign(make_plan(VIEW, replace(VIEW, name="w"), noise="full")),
        {"max_micro_rho": 999_999},
        "DAY_BUDGET_SPENT",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_each_plan_has_its_answer(what: str) -> None:
    signed, changes, expected = CASES[what]
    assert code_of(signed, replace(POLICY, **changes)) == expected


def test_an_expression_outside_the_grammar_is_told_from_other_nonsense() -> None:
    good = make_plan(replace(VIEW, features=[Rate("late", where="x > 9999")]), noise="full")
    assert code_of(sign(good)) == "ACCEPT"
    assert code_of(with_expression("x > > 12")) == "EXPRESSION_NOT_ALLOWED"


def test_a_refusal_says_which_view_and_day_and_names_the_plan_only_if_it_is_the_coordinators() -> None:
    two = make_plan(VIEW, replace(VIEW, name="w"), noise="full")
    tight = replace(POLICY, max_micro_rho=999_999)
    assert decide(two, tight, EMPTY, NOW) == Refuse(RefusalCode.DAY_BUDGET_SPENT, two.hash, "w", 0)
    dear = replace(VIEW, name="w", privacy=Privacy(rho=1.5, min_clients=2))
    plan = make_plan(VIEW, dear, noise="full")
    assert decide(sign(plan), POLICY, EMPTY, NOW) == Refuse(RefusalCode.RHO_TOO_HIGH, plan.hash, "w")
    assert decide(sign(plan, LEADER), POLICY, EMPTY, NOW) == Refuse(RefusalCode.PLAN_UNSIGNED)
    wrong = with_expression("pi() > 3")
    refused = decide(wrong, POLICY, EMPTY, NOW)
    assert isinstance(refused, Refuse)
    assert refused.plan is not None


def test_a_second_collection_of_a_view_on_a_day_needs_the_policy_and_the_budget() -> None:
    state = charged(with_words(make_plan(VIEW, noise="full", number=9), participation="all"))
    changed = sign(make_plan(replace(VIEW, entity=Entity("k", domain=["x", "z"])), noise="full"))
    answers = [
        code_of(changed, replace(POLICY, max_micro_rho=limit, overlap=overlap), state)
        for overlap, limit in ((False, 1_000_000), (True, 999_999), (True, 1_000_000))
    ]
    assert answers == ["VIEW_OVERLAP", "DAY_BUDGET_SPENT", "ACCEPT"]


def test_the_reasons_come_in_the_order_that_the_module_says() -> None:
    """A plan with every fault. The fault that the answer names is mended, one after the other."""
    dear = replace(VIEW, privacy=Privacy(rho=1.5, min_clients=2))
    before = with_words(make_plan(VIEW, noise="full", number=9), participation="all")
    state = charged(before)
    plan = make_plan(dear, noise="none", first=99)
    assert plan.wire is not None
    plan = replace(plan, wire=replace(plan.wire, deadline_us=NOW, helper=OTHER_SITE.sign.public))
    policy = replace(
        POLICY,
        allow_activity_visible=False,
        participation=Participation.ALL,
        validity=Validity.PRIO3,
        views=(f"v@{'0' * 64}",),
        min_k=5,
    )
    policy = replace(policy, join_keys=())
    order = []

    def answer() -> str:
        order.append(code_of(sign(plan), policy, state))
        return order[-1]

    assert answer() == "KEY_NOT_PINNED"
    assert plan.wire is not None
    plan = replace(plan, wire=replace(plan.wire, helper=HELPER.sign.public))
    assert answer() == "PLAN_EXPIRED"
    assert plan.wire is not None
    plan = replace(plan, wire=replace(plan.wire, deadline_us=DEADLINE))
    assert answer() == "CLOCK_SKEW"
    plan = replace(plan, views=(replace(plan.views[0], pane_starts=np.array([0, DAY])),))
    assert answer() == "NOISE_OFF"
    plan = with_words(plan, noise="full")
    assert answer() == "PROOFS_REQUIRED"
    policy = replace(policy, validity=None)
    assert answer() == "PARTICIPATION_NOT_ALLOWED"
    policy = replace(policy, participation=None)
    assert answer() == "ACTIVITY_VISIBLE"
    policy = replace(policy, allow_activity_visible=True)
    assert answer() == "DEFINITION_NOT_ALLOWED"
    policy = replace(policy, views=("w",))
    assert answer() == "VIEW_NOT_ALLOWED"
    policy = replace(policy, views=("*",))
    assert answer() == "JOIN_KEY_NOT_ALLOWED"
    policy = replace(policy, join_keys=("k",))
    assert answer() == "K_TOO_LOW"
    policy = replace(policy, min_k=2)
    assert answer() == "RHO_TOO_HIGH"
    policy = replace(policy, max_micro_rho=1_500_000)
    assert answer() == "VIEW_OVERLAP"
    plan = replace(plan, views=(PlannedView(VIEW, np.array([0, DAY]), 2),))
    assert answer() == "PANE_ALREADY_REPORTED"
    plan = replace(plan, views=(PlannedView(replace(VIEW, name="w"), np.array([0, DAY]), 2),))
    policy = replace(policy, max_micro_rho=999_999)
    assert answer() == "DAY_BUDGET_SPENT"
    policy = replace(policy, max_micro_rho=1_000_000)
    assert answer() == "ACCEPT"
    assert len(set(order)) == len(order)


def test_all_refusals_of_a_plan_begin_with_the_answer_and_name_each_view_and_the_ledger() -> None:
    policy = replace(POLICY, views=("none",), min_k=10**6)
    plan = plan_with()
    state = charged(proven(plan))
    found = all_refusals(sign(plan), policy, state, NOW)
    assert found[0] == decide(sign(plan), policy, state, NOW)
    assert all(one.plan == plan.hash for one in found)
    assert [one.view for one in found] == ["v"] * len(found)
    codes = [RefusalCode.VIEW_NOT_ALLOWED, RefusalCode.K_TOO_LOW, RefusalCode.PANE_ALREADY_REPORTED]
    assert [one.code for one in found] == codes
    assert all_refusals(plan_with(), POLICY, EMPTY, NOW) == ()
    assert [one.code for one in all_refusals(b"nonsense", POLICY, EMPTY, NOW)] == [RefusalCode.PLAN_UNSIGNED]


def test_a_retry_is_taken_when_nothing_is_left_and_still_asks_the_policy() -> None:
    state = charged(OPEN)
    nothing = replace(POLICY, max_micro_rho=500_000)
    assert code_of(sign(OPEN), nothing, state) == "ACCEPT"
    assert code_of(sign(OPEN), replace(nothing, min_k=9), state) == "K_TOO_LOW"
    assert code_of(sign(OPEN), nothing, state, DEADLINE) == "PLAN_EXPIRED"


def test_a_pane_may_end_five_minutes_ahead_of_this_clock_and_no_further() -> None:
    plan = hours(0, 5)
    end = 6 * HOUR
    patient = replace(POLICY, max_plan_hours=10**4)
    assert code_of(plan, patient, now=end - FUTURE_SLACK_US) == "ACCEPT"
    assert code_of(plan, patient, now=end - FUTURE_SLACK_US - 1) == "CLOCK_SKEW"


def test_a_view_that_tells_days_by_another_column_is_refused_unless_the_policy_names_it() -> None:
    """Otherwise one event on three days would be charged to three budgets."""
    plan = make_plan(replace(VIEW, time="booked_at"), noise="full")
    assert code_of(plan) == "TIME_NOT_ALLOWED"
    assert code_of(plan, replace(POLICY, time_columns=("booked_at",))) == "ACCEPT"


def test_a_view_that_reads_columns_of_the_policy_s_lists_is_taken() -> None:
    assert code_of(READS, replace(POLICY, columns=("age", "spent", "sex"), join_keys=("k",))) == "ACCEPT"


def test_an_answer_of_all_clients_and_panes_is_bounded_before_anything_is_charged() -> None:
    plan = with_words(make_plan(VIEW, noise="full"), participation="all")  # 2 panes of 2 slots: 32 bytes a client
    small = replace(POLICY, max_answer_mib=1)
    codes = [decide(plan, small, EMPTY, NOW, clients=clients) for clients in (2**15, 2**15 + 1)]
    assert isinstance(codes[0], Accept)
    assert codes[1] == Refuse(RefusalCode.ANSWER_TOO_LARGE, plan.hash)
    assert (
        code_of(with_words(plan, participation="active"), small) == "ACCEPT"
    )  # under `active` the size depends on events, and a code may not


def test_a_clock_far_behind_the_ledger_is_refused_before_days_are_spent_twice() -> None:
    state = LedgerState()
    state.apply(IntentEntry(NOW, bytes(32), 100_000, ()))
    state.apply(CompletionEntry(NOW + 60 * 10**6, bytes(32), bytes(32)))
    behind = NOW + 60 * 10**6 - FUTURE_SLACK_US
    assert code_of(OPEN, state=state, now=behind) == "ACCEPT"
    assert code_of(OPEN, state=state, now=behind - 1) == "CLOCK_SKEW"


def test_deciding_changes_nothing() -> None:
    state = charged(hours(0, 50 * 24))
    before = repr(state)
    for what in CASES:
        signed, changes, expected = CASES[what]
        for _ in range(2):
            assert code_of(signed, replace(POLICY, **changes), state) == expected
    assert repr(state) == before


MANY = [(f"c{i}", i % 2 + i / 100, "xy"[i % 3 % 2]) for i in range(60)]
EVENTS = {
    "none": [],
    "one": [("p", 0.5, "x")],
    "many": MANY,
    "of other days": [("p", 40.0, "x"), ("q", -3.0, "y")],
    "of unknown keys": [("p", 0.1, "elsewhere"), ("q", 1.1, "")],
}


@pytest.mark.parametrize("what", CASES)
def test_no_code_depends_on_events(tmp_path: Path, what: str) -> None:
    """The same plans in the same order, on sites that differ in their events only."""
    signed, changes, expected = CASES[what]
    told = {}
    for name, rows in EVENTS.items():
        folder = tmp_path / name
        folder.mkdir()
        settings = settings_in(folder, replace(POLICY, **changes))
        plans = [signed, hours(5, 0, 1), hours(6, 1, 2), replace(OPEN, plan_id=bytes([9] * 16))]
        answers = [ask(plan, events(*rows), settings) for plan in plans]
        told[name] = [answer.code if isinstance(answer, Refuse) else "OK" for answer in answers]
    assert len({tuple(codes) for codes in told.values()}) == 1
    assert told["none"][0] == expected.replace("ACCEPT", "OK")


def test_under_all_the_number_and_sizes_of_batches_depend_on_nothing_but_plan_and_roster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_client.site.max_reports", lambda *_: 7)
    plan = make_plan(VIEW, HOURLY, noise="full")
    plan = with_words(plan, participation="all", views=(plan.views[0], replace(hours(0, 1, 5, 30).views[0])))
    shapes = {}
    for name, rows in EVENTS.items():
        folder = tmp_path / name
        folder.mkdir()
        batches = answered(plan, events(*rows), settings_in(folder, clients=10))
        assert [of for of, _ in ids_of(batches)] == [number for number in range(5) for _ in range(10)]
        shapes[name] = [(len(batch.signed.header), len(batch.to_bytes())) for batch in batches]
    assert len({tuple(shape) for shape in shapes.values()}) == 1
    assert [count for count, _ in shapes["none"]] == [7, 7, 6, 7, 7, 7, 7, 2]
    (tmp_path / "active").mkdir()
    active = answered(with_words(plan, participation="active"), events(*MANY), settings_in(tmp_path / "active"))
    assert len(ids_of(active)) != 50


def test_keys_that_were_replaced_are_those_of_plans_before_their_change_over() -> None:
    new = {role: keys.sign.public for role, keys in (("leader", OTHER_SITE), ("coordinator", SITE))}
    assert OPEN.wire is not None
    until = OPEN.wire.deadline_us
    for role, code in (("leader", "KEY_NOT_PINNED"), ("coordinator", "PLAN_UNSIGNED")):
        old = getattr(POLICY, role)
        for change_over, expected in ((until, "ACCEPT"), (until - 1, code)):
            former = FormerKeys((FormerKey(role, old, change_over),))
            policy = replace(POLICY, **{role: new[role]}, former=former)
            assert code_of(sign(OPEN), policy, EMPTY) == expected
