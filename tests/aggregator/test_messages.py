from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import errors
from aggregator import refusals as of
from aggregator.errors import MessageMalformed, Refused
from aggregator.messages import (
    Answer,
    Job,
    SealedShare,
    Signed,
    commitment_from_bytes,
    commitment_to_bytes,
    plan_of,
    shares_from_parts,
    shares_to_parts,
    sign,
    verdicts_from,
)
from aggregator.refusals import REASONS, Refusal, refusal_of
from crypto.errors import FieldElementOutOfRange, SealBroken, SignatureInvalid
from crypto.seal import seal
from federation.errors import RosterExceeded
from federation.protocol import Commitment, NoisedShares
from tests.aggregator.world import COLLECTOR, HELPER, LEADER, make_plan, view

PLAN = make_plan(view("v", 2), view("w", 1), panes=2)
texts = st.text(max_size=20)
blobs = st.binary(max_size=40)


@settings(deadline=None)
@given(blobs, st.binary(min_size=16, max_size=16), blobs, blobs)
def test_jobs_and_answers_survive_their_bytes(plan: bytes, job_id: bytes, half: bytes, verdicts: bytes) -> None:
    job = Job(plan, job_id, half, verdicts)
    assert Job.from_bytes(job.to_bytes()) == job
    answer = Answer(plan, job_id, half, verdicts)
    assert Answer.from_bytes(answer.to_bytes()) == answer


@settings(deadline=None)
@given(texts, texts, st.dictionaries(texts, st.integers(-(2**63), 2**63 - 1), max_size=4))
def test_refusals_survive_their_bytes(reason: str, text: str, numbers: dict[str, int]) -> None:
    refusal = Refusal(reason, text, numbers)
    answer = Answer(b"p", bytes(16), b"d", b"", refusal)
    assert Answer.from_bytes(answer.to_bytes()) == answer
    assert Refusal.from_message(refusal.to_message()) == refusal


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32)), min_size=4, max_size=4))
def test_commitments_survive_their_bytes(parts: list[tuple[int, bytes]]) -> None:
    commitment = Commitment(tuple(count for count, _ in parts), tuple(digest for _, digest in parts))
    assert commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, commitment)) == commitment


def test_what_is_not_canonical_or_of_a_wrong_length_is_malformed() -> None:
    job = Job(PLAN.hash, bytes(16), b"half", b"").to_bytes()
    commitment = commitment_to_bytes(PLAN, Commitment((1,) * 4, (bytes(32),) * 4))
    wrong = [
        lambda: Job.from_bytes(job + b"\x00"),
        lambda: Job.from_bytes(job + b"\x52\x00"),
        lambda: Job.from_bytes(Job(PLAN.hash, bytes(15), b"", b"").to_bytes()),
        lambda: Answer.from_bytes(b"\xff"),
        lambda: Signed.from_bytes(b""),
        lambda: Signed.from_bytes(sign(b"d", b"body", LEADER.sign)[:-1]),
        lambda: plan_of(Signed(b"\xff", bytes(64))),
        lambda: plan_of(Signed(b"", bytes(64))),
        lambda: commitment_from_bytes(make_plan(), commitment),
        lambda: commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, Commitment((1,) * 4, (bytes(31),) * 4))),
        lambda: commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, Commitment((1,) * 3, (bytes(32),) * 4))),
        lambda: verdicts_from(bytes([0, 2]), 2),
        lambda: verdicts_from(bytes(3), 2),
    ]
    for call in wrong:
        with pytest.raises(MessageMalformed):
            call()


def noised() -> NoisedShares:
    outcomes = (np.array([0, 1], np.uint8), np.array([0, 0], np.uint8))
    lengths = [planned.layout.length for planned in PLAN.views]
    shares = tuple(np.arange(n * d, dtype=np.uint64).reshape(n, d) for n, d in zip((1, 2), lengths, strict=True))
    return NoisedShares("leader", outcomes, shares)


def made(index: int) -> SealedShare:
    return SealedShare.make(PLAN, index, noised(), COLLECTOR.public.seal, LEADER.sign)


def test_a_sealed_share_opens_for_its_plan_view_role_and_collector_only() -> None:
    share = made(0)
    outcomes, elements = share.open(PLAN, 0, "leader", COLLECTOR.seal, LEADER.sign.public)
    np.testing.assert_array_equal(outcomes, noised().outcomes[0])
    np.testing.assert_array_equal(elements, noised().shares[0])
    for plan, index, key in ((make_plan(number=5), 0, LEADER), (PLAN, 1, LEADER), (PLAN, 0, HELPER)):
        with pytest.raises(SignatureInvalid):
            share.open(plan, index, "leader", COLLECTOR.seal, key.sign.public)
    with pytest.raises(SealBroken):
        share.open(PLAN, 0, "helper", COLLECTOR.seal, LEADER.sign.public)
    with pytest.raises(SealBroken):
        share.open(PLAN, 0, "leader", HELPER.seal, LEADER.sign.public)
    with pytest.raises(SignatureInvalid):
        replace(share, sealed=share.sealed[:-1]).open(PLAN, 0, "leader", COLLECTOR.seal, LEADER.sign.public)


@pytest.mark.parametrize(
    "plaintext", [b"", bytes(1), bytes(2), bytes(2 + 8 * 12 - 1), bytes(2 + 8 * 12 + 1), b"\x03\x01"]
)
def test_a_share_that_its_aggregator_signed_but_that_does_not_fit_is_malformed(plaintext: bytes) -> None:
    forged = forge(plaintext)
    with pytest.raises(MessageMalformed):
        forged.open(PLAN, 0, "leader", COLLECTOR.seal, LEADER.sign.public)


def test_a_share_with_an_element_outside_the_field_is_refused() -> None:
    with pytest.raises(FieldElementOutOfRange):
        forge(b"\x00\x01" + b"\xff" * 8 * 6).open(PLAN, 0, "leader", COLLECTOR.seal, LEADER.sign.public)


def forge(plaintext: bytes) -> SealedShare:
    info = b"covey-1 share" + b"leader" + COLLECTOR.public.seal.id + PLAN.hash + bytes(4)
    sealed = seal(COLLECTOR.public.seal, plaintext, info)
    return SealedShare(sealed, LEADER.sign.sign(b"covey-1 share", PLAN.hash + bytes(4) + sealed))


def test_shares_travel_in_pieces() -> None:
    shares = [made(0), made(1)]
    for size in (1, 100, 10**6):
        assert shares_from_parts(PLAN, shares_to_parts(shares, size)) == shares
    parts = list(shares_to_parts(shares, 100))
    endless = [*parts, *([parts[-1]] * 1000)]
    for wrong in (parts[1:], parts[:1], parts[::-1], [*parts, *parts], endless, []):
        with pytest.raises(MessageMalformed):
            shares_from_parts(PLAN, wrong)


def test_reasons_are_stable_and_unique() -> None:
    assert len(set(REASONS.values())) == len(REASONS)
    known = (
        "PLAN_INVALID REPORT_TOO_LONG NOISE_REFUSED PLAN_UNKNOWN PLAN_TOO_LARGE PANE_COLLECTED BUDGET_EXCEEDED BATCH_MALFORMED "
        "BATCH_TOO_LARGE BATCH_OF_ANOTHER_PLAN DIGEST_MISMATCH PARTY_INVALID UNKNOWN_SITE ROSTER_EXCEEDED REPORT_REFUSED "
        "DUPLICATE_REPORT SEAL_BROKEN FIELD_ELEMENT_OUT_OF_RANGE AFTER_DEADLINE COLLECTED SIGNATURE_INVALID "
        "MESSAGE_MALFORMED JOB_CONFLICT COMMITMENT_CONFLICT NOT_COMMITTED HELPER_UNAVAILABLE HELPER_REFUSED STOPPING"
    )
    assert set(REASONS.values()) == set(known.split())


def test_a_refusal_carries_numbers_and_an_unexpected_error_tells_nothing() -> None:
    assert refusal_of(RosterExceeded("a", 3, 12, 10)).numbers == {"collection": 3, "have": 12, "most": 10}
    unexpected = refusal_of(ValueError(f"secret {os.urandom(4).hex()}"))
    assert (unexpected.reason, unexpected.numbers) == (of.INTERNAL, {})
    assert "secret" not in unexpected.text
    passed_on = refusal_of(Refused("helper", "SEAL_BROKEN", "text", {"size": 3}))
    assert (passed_on.reason, passed_on.numbers) == ("SEAL_BROKEN", {"size": 3})
    assert issubclass(errors.Refused, errors.AggregatorError)
