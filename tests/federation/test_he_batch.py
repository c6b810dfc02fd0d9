"""Batches of encrypted reports: for the leader only, of the sizes that the plan fixes, and for no other plan."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from crypto.bfv import PublicKey, message_bytes
from crypto.bfv_secret import SecretKey
from crypto.errors import SealBroken, SignatureInvalid
from crypto.seal import SEAL_OVERHEAD, SealKey
from federation.batch.batch import BatchHeader, SealedBatch
from federation.batch.encoding import MAX_BATCH_BYTES
from federation.batch.he_batch import open_encrypted, seal_encrypted
from federation.batch.sealing import BATCH_OVERHEAD, max_reports, open_half, seal_batch, seal_contents
from federation.errors import (
    BatchMalformed,
    BatchOfAnotherPlan,
    BatchTooLarge,
    DigestMismatch,
    DuplicateReport,
    PlanInvalid,
    ReportRefused,
    ReportTooLong,
    RosterExceeded,
    UnknownSite,
)
from federation.he.reports import EncryptedReports, encrypt_reports
from federation.plan import Plan
from tests.federation.he_cases import plan as plan_of
from tests.federation.he_cases import random_reports, view
from tests.federation.wire import COLLECTOR, HELPER_SEAL, LEADER_SEAL, PLAN, ROSTER, SITE, TERMS, halves, live

COMMITTED = replace(TERMS, encryption_keys_hash=bytes(32))
THE_PLAN = live(replace(plan_of(view("v", keys=2), view("w", keys=3)), wire=COMMITTED))


@pytest.fixture(scope="module")
def keys() -> tuple[PublicKey, ...]:
    return tuple(SecretKey.generate(THE_PLAN.he_parameters(planned)).public for planned in THE_PLAN.views)


@pytest.fixture(scope="module")
def reports(keys: tuple[PublicKey, ...]) -> EncryptedReports:
    made, _ = random_reports(THE_PLAN, 1, 4, np.random.default_rng(1))
    return encrypt_reports(THE_PLAN, keys, made, np.random.default_rng(2).bytes)


@pytest.fixture(scope="module")
def batch(reports: EncryptedReports) -> SealedBatch:
    return seal_encrypted(THE_PLAN, "a", bytes(16), reports, SITE.sign)


def opened(batch: SealedBatch, plan: Plan = THE_PLAN) -> EncryptedReports:
    return open_encrypted(plan, LEADER_SEAL, ROSTER, batch)


def sealed(content: bytes, reports: EncryptedReports, helper: bytes | None = None, **header: object) -> SealedBatch:
    """Any content under a valid signature."""
    made = BatchHeader(THE_PLAN.hash, "a", bytes(16), reports.collection, reports.report_ids)
    return seal_contents(THE_PLAN, replace(made, **header), (content, helper), SITE.sign)  # type: ignore[arg-type]


def test_the_leader_opens_what_the_site_has_sealed(batch: SealedBatch, reports: EncryptedReports) -> None:
    again = opened(SealedBatch.from_bytes(batch.to_bytes()))
    assert again.messages == reports.messages
    assert again.view == 1
    np.testing.assert_array_equal(again.collection, reports.collection)
    np.testing.assert_array_equal(again.report_ids, reports.report_ids)
    assert batch.helper == b""
    assert batch.signed.helper_digest == hashlib.sha256(b"").digest()


def test_its_size_is_that_of_its_messages_and_as_many_fit_as_are_said_to(
    batch: SealedBatch, keys: tuple[PublicKey, ...]
) -> None:
    size = message_bytes(THE_PLAN.he_parameters(THE_PLAN.views[1]))
    assert len(batch.leader) == 4 * size + SEAL_OVERHEAD
    most = max_reports(THE_PLAN, 1)
    assert most == (MAX_BATCH_BYTES - BATCH_OVERHEAD) // (size + 20) == 68
    made, _ = random_reports(THE_PLAN, 1, 1, np.random.default_rng(1))
    one = encrypt_reports(THE_PLAN, keys, made, np.random.default_rng(2).bytes)

    def repeated(count: int) -> EncryptedReports:
        ids = np.random.default_rng(3).integers(0, 256, (count, 16), dtype=np.uint8)
        return EncryptedReports(1, np.repeat(one.collection, count), ids, one.messages * count)

    assert len(seal_encrypted(THE_PLAN, "a", bytes(16), repeated(most), SITE.sign).to_bytes()) <= MAX_BATCH_BYTES
    with pytest.raises(BatchTooLarge):
        seal_encrypted(THE_PLAN, "a", bytes(16), repeated(most + 1), SITE.sign)


def test_nobody_else_opens_it(batch: SealedBatch) -> None:
    for seal in (HELPER_SEAL, COLLECTOR.seal, SealKey(bytes(32))):
        with pytest.raises(SealBroken):
            open_encrypted(THE_PLAN, seal, ROSTER, batch)


def test_a_part_for_the_helper_is_refused(batch: SealedBatch, reports: EncryptedReports) -> None:
    content = b"".join(reports.messages)
    for helper in (b"", b"something"):  # sealed to the helper, so not empty
        with pytest.raises(BatchMalformed, match="a part for the helper"):
            opened(sealed(content, reports, helper))
    with pytest.raises(DigestMismatch):
        SealedBatch(batch.signed, batch.leader, b"x")
    signed = replace(batch.signed, helper_digest=bytes(32))
    with pytest.raises(DigestMismatch):
        SealedBatch(signed, batch.leader, b"")


def test_content_of_another_length_is_refused(reports: EncryptedReports) -> None:
    content = b"".join(reports.messages)
    for wrong in (b"", content[:-1], content + b"\0", content[: len(content) // 4], content + reports.messages[0]):
        with pytest.raises(BatchMalformed, match="leader's ciphertext"):
            opened(sealed(wrong, reports))
    ids = np.concatenate((reports.report_ids, np.full((1, 16), 7, np.uint8)))
    collection = np.append(reports.collection, reports.collection[:1])
    with pytest.raises(BatchMalformed, match="leader's ciphertext"):  # one report more than messages
        opened(sealed(content, reports, collection=collection, report_ids=ids))


def test_no_bit_of_it_can_be_flipped(batch: SealedBatch) -> None:
    data, rng = batch.to_bytes(), np.random.default_rng(5)
    for at in (0, 1, len(data) - 1, *rng.integers(0, len(data), 100).tolist(), *rng.integers(0, 600, 100).tolist()):
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(0, 8))
        with pytest.raises((BatchMalformed, DigestMismatch, SignatureInvalid, UnknownSite, BatchOfAnotherPlan)):
            opened(SealedBatch.from_bytes(bytes(changed)))
    for cut in (0, 1, 100, len(data) // 2, len(data) - 1):
        with pytest.raises((BatchMalformed, DigestMismatch)):
            opened(SealedBatch.from_bytes(data[:cut]))


def test_headers_that_do_not_fit_are_refused(reports: EncryptedReports) -> None:
    content = b"".join(reports.messages)
    cases: list[tuple[type[Exception], dict[str, object]]] = [
        (BatchOfAnotherPlan, {"plan_hash": bytes(32)}),
        (ReportRefused, {"collection": reports.collection + np.uint32(3)}),
        (ReportRefused, {"collection": reports.collection - np.arange(4, dtype=np.uint32)}),
        (DuplicateReport, {"report_ids": np.zeros((4, 16), np.uint8)}),
        (UnknownSite, {"site": "z"}),
        (SignatureInvalid, {"site": "b"}),
        (BatchMalformed, {"public_hashes": np.zeros((4, 32), np.uint8)}),
    ]
    for error, header in cases:
        with pytest.raises(error):
            opened(sealed(content, reports, **header))  # type: ignore[arg-type]
    five = EncryptedReports(
        1, np.full(5, 3, np.uint32), np.arange(80, dtype=np.uint8).reshape(5, 16), (reports.messages[0],) * 5
    )
    with pytest.raises(RosterExceeded):  # this site has four enrolled clients
        opened(seal_encrypted(THE_PLAN, "a", bytes(16), five, SITE.sign))


def test_protections_are_not_mixed_up(batch: SealedBatch, reports: EncryptedReports) -> None:
    with pytest.raises(ReportRefused, match="hold no shares"):
        open_half("leader", THE_PLAN, LEADER_SEAL, ROSTER, batch.half("leader"))
    shares = seal_batch(PLAN, "a", bytes(16), *halves([3, 3]), SITE.sign)
    with pytest.raises(ReportRefused, match="not encrypted"):
        open_encrypted(PLAN, LEADER_SEAL, ROSTER, shares)
    with pytest.raises(BatchMalformed, match="a part for the helper"):
        opened(shares)
    with pytest.raises(PlanInvalid):
        seal_encrypted(replace(THE_PLAN, wire=None), "a", bytes(16), reports, SITE.sign)


def test_a_view_whose_report_is_larger_than_a_batch_is_refused_before_anything_is_encrypted() -> None:
    wide = replace(plan_of(view("wide", keys=31_000)), wire=COMMITTED)
    with pytest.raises(ReportTooLong):
        max_reports(wide, 0)
