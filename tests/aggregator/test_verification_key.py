"""The verification key of a plan with proofs: leader and helper agree on one, keep it, and refuse a plan with another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.errors import (
    HelperUnavailable,
    LiveSecretLost,
    PeerRefused,
    PeerUnknown,
    VerificationKeyConflict,
    VerificationKeyMissing,
)
from aggregator.intake.key_agreement import confirm_key, key_offer
from crypto.errors import SealBroken, SignatureInvalid
from federation.circuit.validity import VerificationKey
from federation.draft import draft_of, sign_draft
from federation.errors import PlanInvalid
from federation.plan import Plan
from federation.signed_plan import sign_plan
from tests.aggregator.proven_pair import LeaderAndHelper
from tests.aggregator.world import (
    SETTINGS,
    Site,
    draft,
    make_plan,
    open_at,
    prepared,
)
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, HELPER_SEAL, LEADER, live
from tests.federation.words import with_words


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndHelper]:
    made = LeaderAndHelper(tmp_path)
    yield made
    made.close()


def test_the_key_is_agreed_once_and_survives_both(two: LeaderAndHelper) -> None:
    request = draft(make_plan(validity="prio3"))
    first = two.leader.prepare(request).verify_key_hash
    key = two.leader.files.storage.key(bytes(16))
    assert key is not None
    assert key.hash_for(bytes(16)) == first
    assert len(set(key.secret_bytes())) > 8
    two.restart()
    assert two.leader.prepare(request).verify_key_hash == first
    kept = two.helper.files.storage.key(bytes(16))
    assert kept is not None
    assert kept.secret_bytes() == key.secret_bytes()
    assert two.leader.prepare(draft(make_plan(validity="prio3", number=1))).verify_key_hash != first


def test_a_leader_that_died_before_the_helper_had_the_key_offers_the_same_one(two: LeaderAndHelper) -> None:
    request = draft(make_plan(validity="prio3"))
    two.link.down = True
    with pytest.raises(HelperUnavailable):
        two.leader.prepare(request)
    kept = two.leader.files.storage.key(bytes(16))
    assert kept is not None
    two.link.down = False
    two.restart()
    assert two.leader.prepare(request).verify_key_hash == kept.hash_for(bytes(16))


def test_only_the_coordinator_asks_for_a_key_and_only_the_leader_offers_one(two: LeaderAndHelper) -> None:
    plan = make_plan(validity="prio3")
    request, key = draft(plan), VerificationKey(bytes(32))

    def offer(what: VerificationKey = key, leader: Any = LEADER, helper: Any = HELPER_SEAL, of: Plan = plan) -> bytes:
        return key_offer(of.plan_id, draft_of(of).hash, what, leader.sign, helper.public)

    with pytest.raises(SignatureInvalid):
        two.leader.prepare(sign_draft(plan, COLLECTOR.sign))
    with pytest.raises(LiveSecretLost):  # no live secret exists to which it can be sealed
        two.helper.take_key(offer())
    two.helper.prepare(request)
    with pytest.raises(SignatureInvalid):
        two.helper.take_key(offer(leader=COORDINATOR))
    for wrong in (offer(helper=COLLECTOR.seal), offer(of=live(with_words(plan, participation="all")))):
        with pytest.raises(SealBroken):  # sealed to another key, or for another draft
            two.helper.take_key(wrong)
    two.helper.take_key(offer())
    with pytest.raises(VerificationKeyConflict):
        two.helper.take_key(offer(VerificationKey(b"1" * 32)))
    with pytest.raises(PeerRefused, match="VERIFICATION_KEY_CONFLICT"):
        two.leader.prepare(request)
    for party in (two.leader, two.helper):
        party.identity.settings = SETTINGS  # no pinned peer
    with pytest.raises(PeerUnknown):
        two.leader.prepare(request)
    with pytest.raises(PeerUnknown):
        two.helper.take_key(offer())


@pytest.mark.parametrize(
    "wrong",
    [
        confirm_key(bytes(16), VerificationKey(bytes(32)), HELPER.sign),
        confirm_key(b"x" * 16, VerificationKey(bytes(32)), HELPER.sign),
        b"",
    ],
    ids=["another key", "another plan", "nothing"],
)
def test_a_helper_that_does_not_keep_this_very_key_gets_no_plan(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, wrong: bytes
) -> None:
    monkeypatch.setattr(two.link, "take_key", lambda _: wrong)
    with pytest.raises(PeerRefused, match="ANSWER_INVALID"):
        two.leader.prepare(draft(make_plan(validity="prio3")))


def test_a_plan_with_another_key_than_the_one_that_was_prepared_is_refused(two: LeaderAndHelper) -> None:
    plan = make_plan(validity="prio3")
    with pytest.raises(PlanInvalid, match="verification key"):
        sign_plan(plan, COORDINATOR.sign)
    hashed = replace(plan, wire=replace(plan.wire, verify_key_hash=bytes(32)))  # type: ignore[type-var]
    with pytest.raises(PlanInvalid, match="must not have a hash of a verification key"):
        replace(make_plan(), wire=hashed.wire)
    for party in (two.leader, two.helper):
        with pytest.raises(VerificationKeyMissing):  # no key was prepared
            open_at(party, hashed)
    prepared(plan, two.leader.prepare)
    for party in (two.leader, two.helper):
        with pytest.raises(VerificationKeyMissing):  # a different key
            open_at(party, hashed)
    other = prepared(make_plan(validity="prio3", number=1), two.leader.prepare)
    for party in (two.leader, two.helper):
        with pytest.raises(VerificationKeyMissing):  # the key of another plan
            open_at(party, live(replace(plan, wire=other.wire)))


def test_a_site_cannot_send_plain_shares_into_a_plan_with_proofs(two: LeaderAndHelper) -> None:
    plan = two.plan()
    plain = make_plan()
    batch = Site(plain).batch([0, 0])
    with pytest.raises(Exception, match="not opened here"):
        two.submit(batch)
    assert plan.terms.validity == "prio3"
