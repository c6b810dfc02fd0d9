"""Drafts, and the live keys that both aggregators sign for them: their owner, their draft, and their lifetime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crypto.errors import CryptoError, SignatureInvalid, WrongLength
from crypto.seal import SealKey
from federation.draft import DOMAIN, draft_of, require_live, sign_draft, verify_draft, with_live
from federation.errors import FederationError, PlanInvalid
from federation.ledger.entries import Head
from federation.live_keys import MOST_AFTER_DEADLINE_US, LiveKeys, LiveSecret, sign_live_keys
from federation.plan import Plan, plan_from_bytes, plan_to_bytes
from federation.signed_bytes import to_signed
from tests.federation.wire import COORDINATOR, HELPER, LEADER, LIVE, PLAN, TERMS, live, plan
from tests.federation.words import with_words

DRAFT = draft_of(PLAN)
PINNED = COORDINATOR.sign.public
HEAD = Head(2**63 - 1, bytes(range(32)))


def leader_keys(of: Plan = PLAN) -> LiveKeys:
    assert of.wire is not None
    return of.wire.live("leader")


def made(
    secret: LiveSecret,
    *,
    role: Any = "leader",
    draft: bytes = DRAFT.hash,
    after: int = 0,
    key: Any = LEADER,
    head: Head = HEAD,
) -> LiveKeys:
    assert secret.seal is not None
    hashes, not_after_us = (secret.seal.public, secret.secret_hash), TERMS.deadline_us + after
    return sign_live_keys(role, draft, *hashes, not_after_us, head, key.sign)


def with_leader(keys: LiveKeys) -> Plan:
    assert PLAN.wire is not None
    return replace(PLAN, wire=replace(PLAN.wire, leader_live=keys))


def test_a_draft_is_the_plan_without_its_keys_and_is_its_coordinators() -> None:
    assert DRAFT.hash == draft_of(DRAFT).hash != PLAN.hash
    assert verify_draft(sign_draft(PLAN, COORDINATOR.sign), PINNED).hash == DRAFT.hash
    with pytest.raises(SignatureInvalid):
        verify_draft(sign_draft(PLAN, LEADER.sign), PINNED)
    for wrong in (PLAN, replace(PLAN, wire=None)):
        with pytest.raises(PlanInvalid):
            verify_draft(to_signed(plan_to_bytes(wrong), DOMAIN, COORDINATOR.sign), PINNED)
    with pytest.raises(PlanInvalid, match="one process"):
        draft_of(plan(terms=None))


def test_no_byte_of_a_draft_can_be_changed_without_a_named_error() -> None:
    whole, rng = plan_to_bytes(DRAFT), np.random.default_rng(2)
    for _ in range(200):
        changed = bytearray(whole)
        changed[rng.integers(0, len(whole))] ^= 1 << int(rng.integers(0, 8))
        try:
            found = verify_draft(to_signed(bytes(changed), DOMAIN, COORDINATOR.sign), PINNED)
        except (FederationError, CryptoError):
            continue
        assert plan_to_bytes(found) == bytes(changed) != whole


def test_live_keys_are_read_back_from_a_plan_and_from_their_bytes() -> None:
    require_live(PLAN)
    keys = leader_keys()
    assert leader_keys(plan_from_bytes(plan_to_bytes(PLAN))) == keys
    assert LiveKeys.from_bytes(keys.to_bytes()) == keys
    for wrong in (b"", keys.to_bytes()[:-1], keys.to_bytes() + b"\x00", b"\xff"):
        with pytest.raises(PlanInvalid):
            LiveKeys.from_bytes(wrong)


def test_every_term_of_live_keys_is_signed() -> None:
    keys, other = leader_keys(), SealKey(bytes(range(32))).public
    for changed in (
        replace(keys, seal=other),
        replace(keys, secret_hash=bytes(32)),
        replace(keys, not_after_us=keys.not_after_us - 1),
        replace(keys, head=replace(keys.head, seq=keys.head.seq + 1)),
        replace(keys, head=replace(keys.head, digest=bytes(32))),
        made(LIVE["leader"], role="helper"),
        made(LIVE["leader"], draft=bytes(32)),
        made(LIVE["leader"], key=HELPER),
    ):
        with pytest.raises(PlanInvalid, match="did not sign its live keys for this plan"):
            require_live(with_leader(changed))


def test_live_keys_tell_where_the_ledger_of_their_aggregator_stood() -> None:
    told = with_leader(made(LIVE["leader"], head=HEAD))
    require_live(told)
    assert leader_keys(plan_from_bytes(plan_to_bytes(told))).head == HEAD
    whole = leader_keys(told).to_message()
    for wrong in (b"", HEAD.to_bytes()[:-1], HEAD.to_bytes() + b"\x00", b"\x80" + HEAD.to_bytes()[1:]):
        whole.ledger_head = wrong
        with pytest.raises(PlanInvalid, match="ledger"):
            LiveKeys.from_bytes(whole.SerializeToString(deterministic=True))


@pytest.mark.parametrize("after", [0, 1, MOST_AFTER_DEADLINE_US])
def test_live_keys_may_end_up_to_a_day_after_the_deadline(after: int) -> None:
    require_live(with_leader(made(LIVE["leader"], after=after)))


@pytest.mark.parametrize("after", [-1, MOST_AFTER_DEADLINE_US + 1])
def test_live_keys_that_end_before_the_deadline_or_too_late_are_refused(after: int) -> None:
    with pytest.raises(PlanInvalid, match="after the deadline"):
        require_live(with_leader(made(LIVE["leader"], after=after)))


def test_a_plan_that_was_changed_after_its_keys_were_signed_is_refused() -> None:
    (first, *rest) = PLAN.views
    for changed in (
        replace(PLAN, plan_id=bytes(15) + b"x"),
        with_words(PLAN, participation="all"),
        replace(PLAN, views=(replace(first, min_clients=3), *rest)),
    ):
        with pytest.raises(PlanInvalid, match="did not sign its live keys for this plan"):
            require_live(changed)
        require_live(live(changed))
    for missing in (DRAFT, plan(terms=None)):
        with pytest.raises(PlanInvalid):
            require_live(missing)


def test_a_live_secret_is_drawn_fresh_and_shows_nothing() -> None:
    one, other = (LiveSecret.draw(np.random.default_rng(seed).bytes) for seed in (1, 2))
    assert one.secret_hash != other.secret_hash
    assert one.seal != other.seal
    assert one.secret_bytes().hex() not in repr(one)
    assert str(one.secret_bytes()) not in repr(one)
    with pytest.raises(WrongLength):
        LiveSecret(None, bytes(31))
    with pytest.raises(PlanInvalid, match="live secret was erased"):
        with_live(DRAFT, (LEADER.sign, replace(one, seal=None)), (HELPER.sign, other))
