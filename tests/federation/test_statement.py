"""Opening statements: their bytes, what they are bound to, and where two of them must agree."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import SignatureInvalid
from featurestore.define.wire import definition_hash
from federation.commitment import Commitment, Outcome
from federation.counted_sites import MOST_BYTES
from federation.errors import StatementMalformed, StatementsDisagree
from federation.statement import (
    DOMAIN,
    FIXED_BYTES,
    Statement,
    digest_of,
    most_statement_bytes,
    require_agreement,
    require_subject,
    sets_of,
    sign_statement,
    verify_statement,
)

from .wire import COLLECTOR, HELPER, LEADER, PLAN, plan

SETS = Commitment((5, 4, 3, 2, 1, 0), tuple(bytes([number]) * 32 for number in range(6)), ("a", "b"))
OUTCOMES = bytes([0, 1, 0])
SIGNED = sign_statement(PLAN, 1, "leader", OUTCOMES, SETS, b"sealed", LEADER.sign)
STATEMENT = verify_statement(SIGNED, LEADER.sign.public)

hashes = st.binary(min_size=32, max_size=32)
statements = st.builds(
    Statement,
    st.sampled_from(["leader", "helper"]),
    hashes,
    st.integers(0, 2**32 - 1),
    hashes,
    st.lists(st.sampled_from(Outcome), min_size=1, max_size=9).map(bytes),
    hashes,
    hashes,
    st.sets(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True), max_size=5).map(
        lambda of: tuple(sorted(of))
    ),
)


@given(statements)
def test_a_statement_comes_back_from_its_bytes(statement: Statement) -> None:
    assert Statement.from_bytes(statement.to_bytes()) == statement
    sites = sum(1 + len(site) for site in statement.sites)
    assert len(statement.to_bytes()) == FIXED_BYTES + sites + len(statement.outcomes)


@given(st.binary(max_size=200))
def test_bytes_that_are_a_statement_are_those_of_one(data: bytes) -> None:
    try:
        statement = Statement.from_bytes(data)
    except StatementMalformed:
        return
    assert statement.to_bytes() == data


def test_a_statement_says_what_was_opened_over_which_reports() -> None:
    assert (STATEMENT.role, STATEMENT.plan_hash, STATEMENT.view) == ("leader", PLAN.hash, 1)
    assert STATEMENT.definition == definition_hash(PLAN.views[1].view)
    assert STATEMENT.outcomes == OUTCOMES
    opened = b"".join(number.to_bytes(4, "big") + bytes([number]) * 32 for number in (3, 5))  # of six collections
    assert STATEMENT.sets == hashlib.sha256(opened).digest() == sets_of(PLAN, 1, SETS, OUTCOMES)
    assert STATEMENT.share == hashlib.sha256(b"sealed").digest()


@given(st.lists(st.integers(1, 2**31), min_size=6, max_size=6))
def test_no_count_of_reports_changes_a_statement(counts: list[int]) -> None:
    others = Commitment(tuple(counts), SETS.digests, SETS.sites)
    assert sign_statement(PLAN, 1, "leader", OUTCOMES, others, b"sealed", LEADER.sign) == SIGNED


def test_only_the_signer_and_exactly_these_bytes_are_taken() -> None:
    for at in range(len(SIGNED)):
        changed = bytearray(SIGNED)
        changed[at] ^= 1
        with pytest.raises(SignatureInvalid):
            verify_statement(bytes(changed), LEADER.sign.public)
    for wrong in (SIGNED[:-1], SIGNED + b"\0", SIGNED[:70]):
        with pytest.raises(SignatureInvalid):
            verify_statement(wrong, LEADER.sign.public)
    with pytest.raises(StatementMalformed):
        verify_statement(b"", LEADER.sign.public)
    with pytest.raises(SignatureInvalid):
        verify_statement(SIGNED, HELPER.sign.public)
    elsewhere = COLLECTOR.sign.sign(b"covey-1 release", STATEMENT.to_bytes())
    with pytest.raises(SignatureInvalid):
        verify_statement(STATEMENT.to_bytes() + elsewhere, COLLECTOR.sign.public)


def test_what_is_signed_and_no_statement_is_malformed() -> None:
    for body in (
        b"",
        bytes(FIXED_BYTES),
        b"leader" + bytes(FIXED_BYTES - 6),
        b"leader" + bytes(FIXED_BYTES - 6) + bytes([len(Outcome)]),
    ):
        with pytest.raises(StatementMalformed):
            verify_statement(body + LEADER.sign.sign(DOMAIN, body), LEADER.sign.public)


def test_a_statement_is_about_one_view_of_one_plan_of_one_role() -> None:
    require_subject(STATEMENT, PLAN, 1, "leader")
    for subject in ((PLAN, 0, "leader"), (plan(9), 1, "leader"), (PLAN, 1, "helper")):
        with pytest.raises(StatementMalformed):
            require_subject(STATEMENT, *subject)  # type: ignore[arg-type]
    for changed in (replace(STATEMENT, definition=bytes(32)), replace(STATEMENT, outcomes=OUTCOMES + b"\0")):
        with pytest.raises(StatementMalformed):
            require_subject(changed, PLAN, 1, "leader")


def test_a_statement_names_the_counted_sites() -> None:
    assert STATEMENT.sites == ("a", "b")
    assert len(SIGNED) == most_statement_bytes(PLAN, 1)  # all sites of the roster


@pytest.mark.parametrize(
    ("sites", "why"),
    [
        (b"\x01b\x01a", "each once and in order"),
        (b"\x01a\x01a", "each once and in order"),
        (b"\x01a\x00", "each once and in order"),
        (b"\x00", "site id"),
        (b"\x02.a", "site id"),
        (b"\x01\xff", "site id"),
        (b"\x41" + b"a" * 65, "site id"),
        (b"\x01a\x7fb", "each once and in order"),
        (bytes(MOST_BYTES + 1), "at most"),
    ],
)
def test_a_hostile_list_of_sites_is_refused(sites: bytes, why: str) -> None:
    head = STATEMENT.to_bytes()[: FIXED_BYTES - 4]
    body = head + len(sites).to_bytes(4, "big") + sites + OUTCOMES
    with pytest.raises(StatementMalformed, match=why):
        verify_statement(body + LEADER.sign.sign(DOMAIN, body), LEADER.sign.public)


@pytest.mark.parametrize("size", [5, 2**31, 2**32 - 1])
def test_sites_that_claim_to_be_longer_than_the_statement_are_refused(size: int) -> None:
    whole = STATEMENT.to_bytes()
    body = whole[: FIXED_BYTES - 4] + (4 + len(OUTCOMES) + size).to_bytes(8, "big")[-4:] + whole[FIXED_BYTES:]
    with pytest.raises(StatementMalformed):
        verify_statement(body + LEADER.sign.sign(DOMAIN, body), LEADER.sign.public)


def test_a_statement_that_counts_a_stranger_is_about_another_plan() -> None:
    with pytest.raises(StatementMalformed, match="'c' is counted, but it is not on the plan's roster"):
        require_subject(replace(STATEMENT, sites=("a", "c")), PLAN, 1, "leader")


def test_two_statements_agree_in_outcomes_sets_and_sites() -> None:
    theirs = replace(STATEMENT, role="helper", share=bytes(32))
    require_agreement("v", STATEMENT, theirs)
    for changed in (
        replace(theirs, outcomes=bytes([0, 2, 0])),
        replace(theirs, sets=bytes(32)),
        replace(theirs, sites=("a",)),
    ):
        with pytest.raises(StatementsDisagree, match="view 'v': leader and helper opened"):
            require_agreement("v", STATEMENT, changed)


def test_a_ledger_keeps_one_digest_of_all_statements_in_order() -> None:
    one, other = b"one", b"other"
    found = {digest_of(each) for each in ([one, other], [other, one], [one + other], [one], [])}
    assert len(found) == 5
    assert {len(each) for each in found} == {32}
    assert [each.name for each in fields(Statement)][-1] == "sites"
