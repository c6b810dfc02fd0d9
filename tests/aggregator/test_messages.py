from __future__ import annotations

import os
import sqlite3
from collections import Counter
from errno import EIO, ENOSPC
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import errors
from aggregator.collect.collection_job import Stage, Witness, commitment_from_bytes, commitment_to_bytes
from aggregator.errors import MessageMalformed, RemoteRefusal
from aggregator.intake import refusals as of
from aggregator.intake.aggregation_job import AggregationJob, JobAnswer, verdicts_from
from aggregator.intake.refusals import MAX_NAME, MAX_NUMBERS, MAX_TEXT, REASONS, Refusal, refusal_of
from aggregator.services import aggregator_pb2 as pb
from aggregator.signed_message import Signed, plan_of, sign
from federation.commitment import Commitment
from federation.errors import DayBudgetSpent, LedgerRefusal, RosterExceeded
from federation.ledger.entries import Head
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import LEADER, make_plan, view

PLAN = make_plan(view("v", 2), view("w", 1), panes=2)
texts = st.text(max_size=20)
blobs = st.binary(max_size=40)


@settings(deadline=None)
@given(blobs, st.binary(min_size=16, max_size=16), blobs, blobs)
def test_jobs_and_answers_survive_their_bytes(plan: bytes, job_id: bytes, half: bytes, verdicts: bytes) -> None:
    job = AggregationJob(plan, job_id, half, verdicts)
    assert AggregationJob.from_bytes(job.to_bytes()) == job
    answer = JobAnswer(plan, job_id, half, verdicts)
    assert JobAnswer.from_bytes(answer.to_bytes()) == answer


@settings(deadline=None)
@given(texts, texts, st.dictionaries(texts, st.integers(-(2**63), 2**63 - 1), max_size=4), texts)
def test_refusals_survive_their_bytes(reason: str, text: str, numbers: dict[str, int], view: str) -> None:
    refusal = Refusal(reason, text, numbers, view)
    answer = JobAnswer(b"p", bytes(16), b"d", b"", refusal)
    assert JobAnswer.from_bytes(answer.to_bytes()) == answer
    assert Refusal.from_message(refusal.to_message()) == refusal


def test_a_peers_refusal_is_cut_to_its_bounds() -> None:
    endless = "x" * 100_000
    message = pb.Refusal(
        reason=endless, text=endless, view=endless, numbers=[pb.Number(name=f"{i}{endless}") for i in range(99)]
    )
    refusal = Refusal.from_message(message)
    assert (len(refusal.reason), len(refusal.text), len(refusal.view)) == (MAX_NAME, MAX_TEXT, MAX_NAME)
    assert [len(name) for name in refusal.numbers] == [MAX_NAME] * MAX_NUMBERS


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32)), min_size=4, max_size=4))
def test_commitments_survive_their_bytes(parts: list[tuple[int, bytes]]) -> None:
    for sites in ((), ("b",), ("a", "b")):
        commitment = Commitment(tuple(count for count, _ in parts), tuple(digest for _, digest in parts), sites)
        assert commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, commitment)) == commitment


def test_what_is_not_canonical_or_of_a_wrong_length_is_malformed() -> None:
    job = AggregationJob(PLAN.hash, bytes(16), b"half", b"").to_bytes()
    commitment = commitment_to_bytes(PLAN, Commitment((1,) * 4, (bytes(32),) * 4))
    wrong = [
        lambda: AggregationJob.from_bytes(job + b"\x00"),
        lambda: AggregationJob.from_bytes(job + b"\x52\x00"),
        lambda: AggregationJob.from_bytes(AggregationJob(PLAN.hash, bytes(15), b"", b"").to_bytes()),
        lambda: JobAnswer.from_bytes(b"\xff"),
        lambda: Signed.from_bytes(b""),
        lambda: Signed.from_bytes(sign(b"d", b"body", LEADER.sign)[:-1]),
        lambda: plan_of(Signed(b"\xff", bytes(64))),
        lambda: plan_of(Signed(b"", bytes(64))),
        lambda: commitment_from_bytes(make_plan(), commitment),
        lambda: commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, Commitment((1,) * 4, (bytes(31),) * 4))),
        lambda: commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, Commitment((1,) * 3, (bytes(32),) * 4))),
        *(
            partial(
                commitment_from_bytes, PLAN, commitment_to_bytes(PLAN, Commitment((1,) * 4, (bytes(32),) * 4, sites))
            )
            for sites in (("b", "a"), ("a", "a"), ("a", "stranger"), ("",))
        ),
        lambda: verdicts_from(bytes([0, 3]), 2),
        lambda: verdicts_from(bytes(3), 2),
    ]
    for call in wrong:
        with pytest.raises(MessageMalformed):
            call()


heads = st.builds(Head, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))


@settings(deadline=None)
@given(blobs, st.sampled_from(Stage), heads, st.none() | heads, st.none() | heads)
def test_witnesses_survive_their_bytes(
    plan: bytes, stage: Stage, head: Head, remembered: Head | None, confirmed: Head | None
) -> None:
    told = Witness(plan, stage, head, remembered, confirmed)
    assert Witness.from_bytes(told.to_bytes()) == told


def test_a_witness_without_a_head_with_one_of_another_length_or_of_an_unknown_stage_is_malformed() -> None:
    head = pb.LedgerHead(seq=1, digest=bytes(32))
    for wrong in (
        pb.Witness(plan_hash=PLAN.hash),
        pb.Witness(plan_hash=PLAN.hash, head=pb.LedgerHead(seq=1, digest=bytes(31))),
        pb.Witness(plan_hash=PLAN.hash, head=pb.LedgerHead(seq=2**63, digest=bytes(32))),
        pb.Witness(plan_hash=PLAN.hash, head=head, remembered=pb.LedgerHead()),
        pb.Witness(plan_hash=PLAN.hash, head=head, stage=len(Stage)),
    ):
        with pytest.raises(MessageMalformed):
            Witness.from_bytes(wrong.SerializeToString(deterministic=True))


def test_reasons_are_stable_and_those_of_ledgers_are_its_codes() -> None:
    shared = [reason for reason, errors in Counter(REASONS.values()).items() if errors > 1]
    assert set(shared) == {"PANE_ALREADY_REPORTED", "LEDGER_BROKEN", "EXTRA_MISSING"}
    of_ledgers = LedgerRefusal.__subclasses__()
    assert len(of_ledgers) == 9
    for refusal in of_ledgers:
        assert REASONS[refusal] == RefusalCode(refusal.code)  # type: ignore[call-arg]
    known = (
        "PLAN_INVALID REPORT_TOO_LONG NOISE_REFUSED PROOFS_REQUIRED PLAN_UNKNOWN PLAN_DELETED PLAN_TOO_LARGE PANE_ALREADY_REPORTED "
        "VIEW_OVERLAP DAY_BUDGET_SPENT CLOCK_SKEW AGGREGATOR_BEHIND LEDGER_BROKEN BATCH_MALFORMED "
        "BATCH_TOO_LARGE BATCH_OF_ANOTHER_PLAN DIGEST_MISMATCH PARTY_INVALID UNKNOWN_SITE ROSTER_EXCEEDED REPORT_REFUSED "
        "DUPLICATE_REPORT REPORTED_TWICE TOO_MANY_DECLARED SEAL_BROKEN FIELD_ELEMENT_OUT_OF_RANGE AFTER_DEADLINE COLLECTED SIGNATURE_INVALID "
        "PEER_UNKNOWN VERIFICATION_KEY_MISSING VERIFICATION_KEY_CONFLICT "
        "MESSAGE_MALFORMED JOB_CONFLICT COMMITMENT_CONFLICT NOT_COMMITTED HELPER_UNAVAILABLE STOPPING NO_SPACE_LEFT "
        "HE_IMPOSSIBLE ENCRYPTION_KEYS_INVALID ENCRYPTION_KEYS_MISSING KEY_HOLDER_UNKNOWN KEY_HOLDER_UNAVAILABLE "
        "WRONG_LENGTH KEY_MISMATCH COEFFICIENT_OUT_OF_RANGE TOO_MANY_REPORTS SUM_OUT_OF_RANGE KEY_BURNT "
        "STATEMENT_MALFORMED EXTRA_MISSING "
        "PROVIDER_UNKNOWN PROVIDER_UNAVAILABLE CONVERSION_UNSAFE MPC_FAILED FINISH_REFUSED "
        "DRAFT_CONFLICT LIVE_SECRET_LOST SEAL_KEY_ERASED PLAN_FREED ATTEMPTS_SPENT FREE_REFUSED PLAN_BEFORE_REBUILD "
        "SETTINGS_REFUSED CALLER_NOT_ALLOWED CERTIFICATE_EXPIRED CERTIFICATE_NOT_YET_VALID CERTIFICATE_UNTRUSTED "
        "CERTIFICATE_OF_ANOTHER_ROLE TLS_VERSION_REFUSED KEY_NOT_IN_FORCE"
    )
    assert set(REASONS.values()) == set(known.split())


def test_a_refusal_carries_numbers_and_an_unexpected_error_tells_nothing() -> None:
    assert refusal_of(RosterExceeded("a", 3, 12, 10)).numbers == {"collection": 3, "have": 12, "most": 10}
    spent = refusal_of(DayBudgetSpent("dest", 3, 10, 12))
    assert (spent.reason, spent.view, spent.numbers) == ("DAY_BUDGET_SPENT", "dest", {"day": 3, "have": 10, "need": 12})
    unexpected = refusal_of(ValueError(f"secret {os.urandom(4).hex()}"))
    assert (unexpected.reason, unexpected.numbers) == (of.INTERNAL, {})
    assert "secret" not in unexpected.text
    for full in (OSError(ENOSPC, "x"), sqlite3.OperationalError("database or disk is full")):
        assert refusal_of(full).reason == "NO_SPACE_LEFT"
    for other in (OSError(EIO, "x"), sqlite3.OperationalError("locked"), ValueError("the disk is full")):
        assert refusal_of(other).reason == of.INTERNAL
    passed_on = refusal_of(RemoteRefusal("helper", "SEAL_BROKEN", "text", {"size": 3}))
    assert (passed_on.reason, passed_on.numbers) == ("SEAL_BROKEN", {"size": 3})
    assert issubclass(errors.RemoteRefusal, errors.AggregatorError)
