"""Noised shares on their way to the collector, and the statements that go with them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.errors import MessageMalformed
from aggregator.services.share_parts import shares_from_parts, shares_to_parts
from crypto.errors import FieldElementOutOfRange, SealBroken, SignatureInvalid
from crypto.seal import seal
from federation.aggregation import NoisedShares, open_shares
from federation.commitment import Commitment
from federation.errors import StatementMalformed, StatementsDisagree
from federation.keys import RoleKeys
from federation.opened_values import sign_values
from federation.plan import Plan
from federation.statement import DOMAIN, sign_statement, verify_statement
from tests.aggregator.world import COLLECTOR, HELPER, LEADER, make_plan, view
from tests.federation.wire import HELPER_SEAL

PLAN = make_plan(view("v", 2), view("w", 1), panes=2)
SETS = Commitment((5, 1, 3, 2), tuple(bytes([number]) * 32 for number in range(4)))
OUTCOMES = (np.array([0, 1], np.uint8), np.array([0, 0], np.uint8))


def noised(role: Any = "leader") -> NoisedShares:
    lengths = [planned.layout.length for planned in PLAN.views]
    shares = tuple(np.arange(n * d, dtype=np.uint64).reshape(n, d) for n, d in zip((1, 2), lengths, strict=True))
    return NoisedShares(role, OUTCOMES, shares)


def made(index: int, keys: RoleKeys = LEADER, sets: Commitment = SETS) -> SealedShare:
    return SealedShare.make(PLAN, index, noised(keys.role), sets, COLLECTOR.public.seal, keys.sign)


def both(keys: RoleKeys, sets: Commitment = SETS, more: int = 0) -> list[SealedShare]:
    """Noised shares of both views, with signed values that they add up to, plus `more`."""
    sums = [one.sums + more for one in open_shares(PLAN, noised("leader"), noised("helper"))]
    role: Any = keys.role
    return [
        replace(made(view, keys, sets), opened=sign_values(PLAN, view, role, sums[view], keys.sign))
        for view in range(2)
    ]


def with_leader(keys: RoleKeys) -> Plan:
    """The same plan with a different leader key."""
    assert PLAN.wire is not None
    return replace(PLAN, wire=replace(PLAN.wire, leader=keys.sign.public))


def test_a_sealed_share_opens_for_its_plan_view_role_and_collector_only() -> None:
    share = made(0)
    statement, elements = share.open(PLAN, 0, "leader", COLLECTOR.seal)
    assert statement.outcomes == bytes([0, 1])
    np.testing.assert_array_equal(elements, noised().shares[0])
    for plan, index in ((make_plan(number=5), 0), (PLAN, 1)):
        with pytest.raises(StatementMalformed):
            share.open(plan, index, "leader", COLLECTOR.seal)
    for plan, role in ((PLAN, "helper"), (with_leader(COLLECTOR), "leader")):
        with pytest.raises(SignatureInvalid):
            share.open(plan, 0, role, COLLECTOR.seal)  # type: ignore[arg-type]
    with pytest.raises(SealBroken):
        share.open(PLAN, 0, "leader", HELPER_SEAL)
    for sealed in (share.sealed[:-1], made(0).sealed):  # the second has the same plaintext, sealed again
        with pytest.raises(MessageMalformed, match="not the one that the leader signed"):
            replace(share, sealed=sealed).open(PLAN, 0, "leader", COLLECTOR.seal)


@pytest.mark.parametrize("plaintext", [b"", bytes(8), bytes(8 * 6 - 1), bytes(8 * 6 + 1), bytes(8 * 12)])
def test_a_share_that_its_aggregator_signed_but_that_does_not_fit_is_malformed(plaintext: bytes) -> None:
    assert PLAN.views[0].layout.length == 6
    with pytest.raises(MessageMalformed):
        forge(plaintext).open(PLAN, 0, "leader", COLLECTOR.seal)


def test_a_share_with_an_element_outside_the_field_is_refused() -> None:
    with pytest.raises(FieldElementOutOfRange):
        forge(b"\xff" * 8 * 6).open(PLAN, 0, "leader", COLLECTOR.seal)


def forge(plaintext: bytes) -> SealedShare:
    info = b"covey-1 share" + b"leader" + COLLECTOR.public.seal.id + PLAN.hash + bytes(4)
    sealed = seal(COLLECTOR.public.seal, plaintext, info)
    return SealedShare(sealed, sign_statement(PLAN, 0, "leader", OUTCOMES[0].tobytes(), SETS, sealed, LEADER.sign))


def test_the_collector_opens_what_both_state_alike() -> None:
    fetched = CollectedShares.of(PLAN, both(LEADER), both(HELPER), COLLECTOR.seal)
    assert [one.outcomes.tolist() for one in fetched.open(PLAN)] == [[0, 1], [0, 0]]
    for index, (leader, helper) in enumerate(fetched.statements):
        mine, theirs = verify_statement(leader, LEADER.sign.public), verify_statement(helper, HELPER.sign.public)
        assert (mine.sets, mine.outcomes, mine.view) == (theirs.sets, theirs.outcomes, index)
        assert mine.share != theirs.share


def test_the_collector_takes_no_values_but_those_that_the_shares_add_up_to() -> None:
    for leader, helper in ((both(LEADER, more=1), both(HELPER)), (both(LEADER), both(HELPER, more=1))):
        with pytest.raises(StatementMalformed, match="differ from the sum of the shares"):
            CollectedShares.of(PLAN, leader, helper, COLLECTOR.seal)
    unsigned = [replace(one, opened=b"") for one in both(HELPER)]
    with pytest.raises(StatementMalformed, match="too short for a signature"):
        CollectedShares.of(PLAN, both(LEADER), unsigned, COLLECTOR.seal)


def test_statements_that_do_not_fit_each_other_open_nothing() -> None:
    of_others = Commitment(SETS.counts, (bytes([9]) * 32, *SETS.digests[1:]))
    with pytest.raises(StatementsDisagree, match="sums over different reports"):
        CollectedShares.of(PLAN, both(LEADER), both(HELPER, of_others), COLLECTOR.seal)
    more = both(HELPER)
    outcomes = bytes([0, 2])
    more[0] = replace(more[0], statement=sign_statement(PLAN, 0, "helper", outcomes, SETS, more[0].sealed, HELPER.sign))
    with pytest.raises(StatementsDisagree, match="different panes"):
        CollectedShares.of(PLAN, both(LEADER), more, COLLECTOR.seal)
    swapped = both(LEADER)
    with pytest.raises(SignatureInvalid):
        CollectedShares.of(PLAN, swapped, swapped, COLLECTOR.seal)


def test_a_void_panes_reports_are_in_no_statement() -> None:
    """Pane 1 of view 0 was not opened. Its reports change nothing except the share."""
    others = Commitment((5, 7, 3, 2), (SETS.digests[0], bytes([8]) * 32, *SETS.digests[2:]))
    one, other = (verify_statement(made(0, sets=sets).statement, LEADER.sign.public) for sets in (SETS, others))
    assert replace(one, share=b"") == replace(other, share=b"")


def test_shares_travel_in_pieces() -> None:
    shares = both(LEADER)
    for size in (1, 100, 10**6):
        assert shares_from_parts(PLAN, shares_to_parts(shares, size)) == shares
    parts = list(shares_to_parts(shares, 100))
    endless = [*parts, *([parts[-1]] * 1000)]
    long = list(shares_to_parts([replace(shares[0], statement=shares[0].statement + bytes(9)), shares[1]], 100))
    loud = list(shares_to_parts([replace(shares[0], opened=shares[0].opened + b"\0"), shares[1]], 100))
    loud[0].opened += bytes(64)
    for wrong in (parts[1:], parts[:1], parts[::-1], [*parts, *parts], endless, [], long, loud):
        with pytest.raises(MessageMalformed):
            shares_from_parts(PLAN, wrong)


def test_a_statement_is_signed_in_its_own_domain() -> None:
    share = made(0)
    body, signature = share.statement[:-64], share.statement[-64:]
    LEADER.sign.public.verify(DOMAIN, body, signature)
    with pytest.raises(SignatureInvalid):
        LEADER.sign.public.verify(b"covey-1 share", body, signature)
    assert hashlib.sha256(share.sealed).digest() in body
