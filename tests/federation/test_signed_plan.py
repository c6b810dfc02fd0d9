from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from crypto.errors import SignatureInvalid
from crypto.signing import SigningKey
from featurestore.define.kinds import Rate
from featurestore.errors import ExpressionRefused, ViewMalformed
from federation import plan_pb2 as pb
from federation.errors import PlanInvalid, ReportTooLong
from federation.parties import CollectorKeys
from federation.plan import PlannedView, plan_from_bytes, plan_to_bytes
from federation.signed_bytes import MAX_PLAN_BYTES
from federation.signed_plan import DOMAIN, require_own_key, sign_plan, verify_plan
from tests.federation.words import plan_in_words

from .wire import COLLECTOR, COORDINATOR, DAY, HELPER, LEADER, PLAN, TERMS, live, plan, view

PINNED = COORDINATOR.sign.public
SIGNED = sign_plan(PLAN, COORDINATOR.sign)


def test_a_signed_plan_is_read_by_who_pinned_the_coordinator() -> None:
    again = verify_plan(SIGNED, PINNED)
    assert again.hash == PLAN.hash
    assert again.wire == PLAN.wire
    for role, keys in (("leader", LEADER), ("helper", HELPER)):
        require_own_key(again, role, keys.pinned)  # type: ignore[arg-type]
    with pytest.raises(PlanInvalid, match="the plan's leader has the signing key"):
        require_own_key(again, "leader", HELPER.pinned)


def test_another_coordinator_and_an_edited_plan_are_refused() -> None:
    with pytest.raises(SignatureInvalid):
        verify_plan(SIGNED, HELPER.sign.public)
    looser = dataclasses.replace(PLAN, views=(dataclasses.replace(PLAN.views[0], min_clients=3), PLAN.views[1]))
    later = dataclasses.replace(PLAN, wire=dataclasses.replace(TERMS, deadline_us=TERMS.deadline_us + 1))
    signature = pb.SignedPlan.FromString(SIGNED).signature
    for edited in (looser, later):
        message = pb.SignedPlan(plan=plan_to_bytes(edited), signature=signature)
        with pytest.raises(SignatureInvalid):
            verify_plan(message.SerializeToString(), PINNED)


def test_keys_and_deadline_are_in_the_hash_that_binds_every_share() -> None:
    hashes = {
        plan(terms=None).hash,
        PLAN.hash,
        plan(terms=dataclasses.replace(TERMS, deadline_us=0)).hash,
        plan(terms=dataclasses.replace(TERMS, leader=HELPER.sign.public, helper=LEADER.sign.public)).hash,
        plan(terms=dataclasses.replace(TERMS, collector=CollectorKeys(LEADER.sign.public, COLLECTOR.seal.public))).hash,
    }
    assert len(hashes) == 5
    for the_plan in (PLAN, plan(terms=None), plan(terms=dataclasses.replace(TERMS, deadline_us=0))):
        assert plan_from_bytes(plan_to_bytes(the_plan)).wire == the_plan.wire


def test_a_view_with_a_refused_expression_is_told_from_other_plans_that_are_not_valid() -> None:
    rate = Rate("r", where="x > 1")
    odd = dataclasses.replace(PLAN.views[0], view=dataclasses.replace(PLAN.views[0].view, features=[rate]))
    message = pb.Plan.FromString(plan_to_bytes(dataclasses.replace(PLAN, views=(odd,))))
    message.views[0].view = message.views[0].view.replace(b"x > 1", b"f(x)>")
    with pytest.raises(PlanInvalid) as caught:
        verify_plan(signed(message.SerializeToString(deterministic=True)), PINNED)
    malformed = caught.value.__cause__
    assert isinstance(malformed, ViewMalformed)
    assert isinstance(malformed.__cause__, ExpressionRefused)


def signed(data: bytes, key: SigningKey = COORDINATOR.sign) -> bytes:
    return pb.SignedPlan(plan=data, signature=key.sign(DOMAIN, data)).SerializeToString(deterministic=True)


def test_bytes_that_are_no_canonical_signed_plan_are_refused() -> None:
    for wrong in (b"", b"\xff", SIGNED[:-1], SIGNED + b"\x1a\x00", bytes(MAX_PLAN_BYTES + 1)):
        with pytest.raises(PlanInvalid):
            verify_plan(wrong, PINNED)


def test_what_the_coordinator_signed_is_still_checked() -> None:
    for wrong in (b"", b"\xff", plan_to_bytes(PLAN) + b"\x52\x00", plan_to_bytes(plan(terms=None))):
        with pytest.raises(PlanInvalid):
            verify_plan(signed(wrong), PINNED)
    message = pb.Plan.FromString(plan_to_bytes(PLAN))
    message.wire.leader.sign = bytes(31)
    with pytest.raises(PlanInvalid, match="have 31, need 32"):
        verify_plan(signed(message.SerializeToString(deterministic=True)), PINNED)
    message = pb.Plan.FromString(plan_to_bytes(PLAN))
    message.views[0].view = b"\x0a\x01v"
    with pytest.raises(PlanInvalid, match="a view of the plan is not valid"):
        verify_plan(signed(message.SerializeToString(deterministic=True)), PINNED)


def test_one_operator_is_not_both_aggregators() -> None:
    assert PLAN.wire is not None
    for same in ({"helper": LEADER.sign.public}, {"helper_live": PLAN.wire.leader_live}):
        with pytest.raises(PlanInvalid, match="one operator"):
            dataclasses.replace(PLAN.wire, **same)
    with pytest.raises(PlanInvalid, match="64 bits"):
        dataclasses.replace(TERMS, deadline_us=2**63)


def test_a_plan_that_cannot_travel_is_not_signed() -> None:
    with pytest.raises(PlanInvalid, match="no keys of parties and no deadline"):
        sign_plan(plan(terms=None), COORDINATOR.sign)
    long = live(dataclasses.replace(PLAN, views=(PlannedView(view("v", 2), np.arange(700_000) * DAY, 2),)))
    with pytest.raises(PlanInvalid, match="Make several plans"):
        sign_plan(long, COORDINATOR.sign)
    wide = live(
        plan_in_words(bytes(16), (PlannedView(view("w", 523_770), np.zeros(1, np.int64), 2),), "none", wire=TERMS)
    )
    with pytest.raises(ReportTooLong):
        sign_plan(wide, COORDINATOR.sign)
