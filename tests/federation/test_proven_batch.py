"""Batches with proofs: sizes, hashes of public shares, and the cost of damage."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import federation.batch.sealing
from crypto.errors import SignatureInvalid
from crypto.field import ELEMENT_BYTES
from crypto.prio3_messages import PublicShares
from crypto.seal import seal
from featurestore.define.layout import layout_of
from federation.batch.batch import DOMAIN, BatchHeader, SealedBatch, SealedHalf, SignedHeader
from federation.batch.encoding import MAX_BATCH_BYTES
from federation.batch.reports import ProvenHalf, Reports
from federation.batch.sealing import BATCH_OVERHEAD, max_reports, open_half, seal_batch
from federation.circuit.circuit import prio3_of
from federation.circuit.validity import VerificationKey, public_hashes, report_elements
from federation.errors import (
    BatchMalformed,
    BatchOfAnotherPlan,
    BatchTooLarge,
    DigestMismatch,
    ReportRefused,
    ReportTooLong,
    UnknownSite,
)
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.protocol import verify
from federation.sharding import shard, shard_proven
from federation.terms import Validity
from tests.examples import examples
from tests.federation.test_validity import sparse
from tests.federation.wire import HELPER_SEAL, LEADER_SEAL, PLAN, ROSTER, SITE, TERMS, live, view
from tests.federation.words import with_words

KEY = VerificationKey(b"k" * 32)
PROVEN = live(with_words(PLAN, validity="prio3", wire=replace(TERMS, verify_key_hash=KEY.hash_for(PLAN.plan_id))))


def halves(count: int = 3, of: Plan = PROVEN, seed: int = 0) -> tuple[ProvenHalf, ProvenHalf]:
    dense = np.zeros((count, of.views[1].layout.length), np.int64)
    dense[:, 0] = np.arange(count) % 4
    reports = Reports(1, np.full(count, 4, np.uint32), sparse(dense))
    return shard_proven(of, reports, np.random.default_rng(seed).bytes)


def opened(batch: SealedBatch, of: Plan = PROVEN) -> tuple[ProvenHalf, ProvenHalf]:
    received = SealedBatch.from_bytes(batch.to_bytes())
    leader = open_half("leader", of, LEADER_SEAL, ROSTER, received.half("leader"))
    helper = open_half("helper", of, HELPER_SEAL, ROSTER, received.half("helper"))
    assert isinstance(leader, ProvenHalf)
    assert isinstance(helper, ProvenHalf)
    return leader, helper


def test_halves_with_proofs_survive_their_batch_and_verify() -> None:
    verified = verify(PROVEN, KEY, *opened(seal_batch(PROVEN, "a", bytes(16), *halves(), SITE.sign)))
    assert verified.accepted.all()
    total = (verified.leader.out_shares + verified.helper.out_shares)[:, 0]
    assert len(total) == 3


def test_a_public_share_that_is_not_the_announced_one_marks_its_report_at_the_one_who_got_it() -> None:
    leader, helper = halves()
    parts = helper.public_shares.joint_rand_parts.copy()
    parts[1, 0, 0] ^= 1
    batch = seal_batch(PROVEN, "a", bytes(16), leader, replace(helper, public_shares=PublicShares(parts)), SITE.sign)
    at_leader, at_helper = opened(batch)
    assert at_leader.wellformed.tolist() == [True] * 3
    assert at_helper.wellformed.tolist() == [True, False, True]


def test_hashes_of_public_shares_go_with_proofs_and_with_nothing_else() -> None:
    batch = seal_batch(PROVEN, "a", bytes(16), *halves(), SITE.sign)
    header = batch.signed.header
    assert header.public_hashes is not None
    assert BatchHeader.from_bytes(header.to_bytes()).to_bytes() == batch.signed.header_bytes
    bare = replace(header, public_hashes=None).to_bytes()
    signature = SITE.sign.sign(b"covey-1 batch", bare + batch.signed.leader_digest + batch.signed.helper_digest)
    stripped = replace(batch.signed, header_bytes=bare, signature=signature)
    with pytest.raises(BatchMalformed, match="public shares"):
        open_half("leader", PROVEN, LEADER_SEAL, ROSTER, replace(batch.half("leader"), signed=stripped))
    for wrong in (np.zeros((2, 32), np.uint8), np.zeros((3, 31), np.uint8)):
        with pytest.raises(BatchMalformed, match="hashes of public shares"):
            replace(header, public_hashes=wrong)


def test_every_byte_of_a_sealed_batch_is_refused_by_name() -> None:
    good, rng = seal_batch(PROVEN, "a", bytes(16), *halves(), SITE.sign).to_bytes(), np.random.default_rng(1)
    for place, bit in enumerate(rng.integers(0, 8, len(good)).tolist()):
        wrong = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
        with pytest.raises((BatchMalformed, DigestMismatch, BatchOfAnotherPlan, UnknownSite, SignatureInvalid)):
            open_half("leader", PROVEN, LEADER_SEAL, ROSTER, SealedBatch.from_bytes(wrong).half("leader"))


def sealed_with(hashes: Any, leader: bytes, helper: bytes) -> SealedBatch:
    """The batch of a site that seals and announces any content."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(federation.batch.sealing, "_contents", lambda *_: (hashes, (leader, helper)))
        return seal_batch(PROVEN, "a", bytes(16), *halves(), SITE.sign)


@pytest.mark.parametrize("role", [0, 1], ids=["leader", "helper"])
@pytest.mark.parametrize("size", [-32, -8, -1, 1, 8, 32])
def test_content_of_another_size_is_refused_by_name(role: int, size: int) -> None:
    hashes, contents = federation.batch.sealing._contents(PROVEN, *halves())
    parts = list(contents)
    parts[role] = parts[role][:size] if size < 0 else parts[role] + bytes(size)
    batch = sealed_with(hashes, *parts)
    open_it = (
        lambda: open_half("leader", PROVEN, LEADER_SEAL, ROSTER, batch.half("leader")),
        lambda: open_half("helper", PROVEN, HELPER_SEAL, ROSTER, batch.half("helper")),
    )[role]
    with pytest.raises(BatchMalformed, match="bytes, need"):
        open_it()


def test_content_for_the_other_aggregator_is_refused_by_name() -> None:
    hashes, (to_leader, to_helper) = federation.batch.sealing._contents(PROVEN, *halves())
    batch = sealed_with(hashes, to_helper, to_leader)
    with pytest.raises(BatchMalformed, match="leader's ciphertext"):
        open_half("leader", PROVEN, LEADER_SEAL, ROSTER, batch.half("leader"))
    with pytest.raises(BatchMalformed, match="helper's ciphertext"):
        open_half("helper", PROVEN, HELPER_SEAL, ROSTER, batch.half("helper"))


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32), top=st.sampled_from([0x00, 0x7F, 0xFF]))
def test_random_bytes_for_one_report_reject_it_alone(seed: int, top: int) -> None:
    """Field elements below and above p, under a public share that is announced unchanged."""
    rng, prio3 = np.random.default_rng(seed), prio3_of(PROVEN.views[1].layout)
    hashes, contents = federation.batch.sealing._contents(PROVEN, *halves())
    assert hashes is not None
    public = rng.integers(0, 256, (1, prio3.public_share_size), dtype=np.uint8)
    hashes = hashes.copy()
    hashes[1] = public_hashes(prio3.decode_public_shares(public))[0]
    wrong = []
    for content in contents:
        octets = np.frombuffer(content, np.uint8).copy()
        publics, shares = (part.reshape(3, -1) for part in np.split(octets, [3 * prio3.public_share_size]))
        publics[1], shares[1] = public, rng.integers(0, top + 1, shares.shape[1])
        wrong.append(octets.tobytes())
    verified = verify(PROVEN, KEY, *opened(sealed_with(hashes, *wrong)))
    assert verified.accepted.tolist() == [True, False, True]
    assert len(verified.leader.out_shares) == len(verified.helper.out_shares) == 2


def test_halves_of_the_other_kind_are_not_sealed() -> None:
    plain = Reports(1, np.full(2, 4, np.uint32), sparse(np.zeros((2, PLAN.views[1].layout.length), np.int64)))
    with pytest.raises(ReportRefused, match="says validity 'prio3'"):
        seal_batch(PROVEN, "a", bytes(16), *shard(PLAN, plain, np.random.default_rng(0).bytes), SITE.sign)
    with pytest.raises(ReportRefused, match="says validity 'none'"):
        seal_batch(PLAN, "a", bytes(16), *halves(), SITE.sign)


def test_a_half_of_more_reports_than_fit_with_their_other_half_is_refused() -> None:
    """A leader together with a site: so many seeds would expand to many times the size of a batch at the helper."""
    count, ids = 9_000, np.random.default_rng(0).integers(0, 256, (9_000, 16), dtype=np.uint8)
    columns = np.full(count, 4, np.uint32), ids, np.zeros((count, 32), np.uint8)
    header = BatchHeader(PROVEN.hash, "a", bytes(16), *columns).to_bytes()
    prio3 = prio3_of(PROVEN.views[1].layout)
    content = bytes(count * (prio3.public_share_size + prio3.helper_share_size))
    sealed = seal(HELPER_SEAL.public, content, DOMAIN + b"helper" + HELPER_SEAL.public.id + sha256(header).digest())
    digests = bytes(32), sha256(sealed).digest()
    half = SealedHalf(SignedHeader(header, *digests, SITE.sign.sign(DOMAIN, header + b"".join(digests))), sealed)
    roster = Roster([RosterEntry("a", SITE.public.sign, count)])
    with pytest.raises(BatchTooLarge):
        open_half("helper", PROVEN, HELPER_SEAL, roster, SealedHalf.from_bytes(half.to_bytes()))


def test_a_plan_is_measured_without_a_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short plan can demand a circuit of gigabytes. It is refused for its length before the circuit is built."""

    def built(*_: object) -> None:
        raise AssertionError("a circuit was built")

    monkeypatch.setattr("federation.circuit.circuit.ViewCircuit.__init__", built)
    wide = layout_of(view("wide", 200_000))
    assert report_elements(wide, Validity.PRIO3) * ELEMENT_BYTES > MAX_BATCH_BYTES
    with pytest.raises(ReportTooLong):
        max_reports(replace(PROVEN, views=(replace(PROVEN.views[0], view=view("wide", 200_000)),)), 0)


@pytest.mark.parametrize("keys", [3, 300])
def test_as_many_reports_fit_as_it_says(keys: int) -> None:
    wide = replace(PROVEN, views=(PROVEN.views[0], replace(PROVEN.views[1], view=view("v1", keys))))
    count = max_reports(wide, 1)
    few = len(seal_batch(wide, "a", bytes(16), *halves(2, wide), SITE.sign).to_bytes())
    more = len(seal_batch(wide, "a", bytes(16), *halves(4, wide), SITE.sign).to_bytes())
    a_report = (more - few) // 2
    size = few + (count - 2) * a_report
    assert MAX_BATCH_BYTES - BATCH_OVERHEAD - a_report < size <= MAX_BATCH_BYTES
