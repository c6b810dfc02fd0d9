"""Batches: what a site seals opens at its aggregators, and nothing else opens."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import field
from crypto.errors import FieldElementOutOfRange, SealBroken, SignatureInvalid
from crypto.seal import SEAL_OVERHEAD, seal
from crypto.sharing import HelperSeeds, LeaderShares
from crypto.signing import SigningKey
from featurestore.define.definitions import FeatureView
from federation.aggregation import Aggregation
from federation.batch import batch_pb2 as pb
from federation.batch.batch import DOMAIN, BatchHeader, Heads, SealedBatch, SealedHalf, SignedHeader
from federation.batch.encoding import MAX_BATCH_BYTES
from federation.batch.reports import HelperHalf, LeaderHalf
from federation.batch.sealing import BATCH_OVERHEAD, max_reports, open_half, seal_batch
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
from federation.ledger.entries import Head
from federation.parties import Aggregator, Roster, RosterEntry
from federation.plan import Plan, PlannedView
from tests.examples import examples
from tests.federation.words import plan_in_words

from .wire import HELPER_SEAL, LEADER_SEAL, OTHER_SITE, PLAN, ROSTER, SITE, TERMS, halves, plan, view

BATCH_ID = bytes(range(16))
HEAD = Head(2**63 - 1, bytes(range(32)))
KEYS = {"leader": LEADER_SEAL, "helper": HELPER_SEAL}


def sealed(collections: list[int] | None = None, seed: int = 0, batch_id: bytes = BATCH_ID) -> SealedBatch:
    return seal_batch(PLAN, "a", batch_id, *halves(collections or [3, 5, 5], seed=seed), SITE.sign)


def forged(
    leader: bytes | None = None,
    helper: bytes | None = None,
    key: SigningKey = SITE.sign,
    parts: tuple[LeaderHalf, HelperHalf] | None = None,
    **changes: object,
) -> SealedBatch:
    """A batch of a site that seals and signs chosen plaintexts or header fields."""
    to_leader, to_helper = parts or halves([3, 5, 5])
    header = dataclasses.replace(
        BatchHeader(PLAN.hash, "a", BATCH_ID, to_leader.collection, to_leader.report_ids), **changes
    ).to_bytes()
    plaintexts: dict[Aggregator, bytes] = {
        "leader": to_leader.shares.to_bytes() if leader is None else leader,
        "helper": to_helper.seeds.to_bytes() if helper is None else helper,
    }
    digest = hashlib.sha256(header).digest()
    messages = [
        seal(KEYS[role].public, plaintext, b"covey-1 batch" + role.encode() + KEYS[role].public.id + digest)
        for role, plaintext in plaintexts.items()
    ]
    digests = [hashlib.sha256(message).digest() for message in messages]
    signed = SignedHeader(header, *digests, key.sign(DOMAIN, header + b"".join(digests)))
    return SealedBatch(signed, *messages)


def open_both(batch: SealedBatch, roster: Roster = ROSTER) -> tuple[LeaderHalf, HelperHalf]:
    return (
        open_half("leader", PLAN, LEADER_SEAL, roster, batch.half("leader")),
        open_half("helper", PLAN, HELPER_SEAL, roster, batch.half("helper")),
    )


def assert_refused(batch: SealedBatch, error: type[Exception], match: str | None = None) -> None:
    """Both aggregators refuse the batch, each on its own."""
    with pytest.raises(error, match=match):
        open_half("leader", PLAN, LEADER_SEAL, ROSTER, batch.half("leader"))
    with pytest.raises(error, match=match):
        open_half("helper", PLAN, HELPER_SEAL, ROSTER, batch.half("helper"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(3, 5), min_size=1, max_size=4), st.integers(0, 2**32))
def test_what_a_site_seals_is_what_the_aggregators_open(collections: list[int], seed: int) -> None:
    to_leader, to_helper = halves(collections, seed=seed)
    batch = seal_batch(PLAN, "a", BATCH_ID, to_leader, to_helper, SITE.sign)
    received = SealedBatch.from_bytes(batch.to_bytes())
    forwarded = SealedHalf.from_bytes(received.half("helper").to_bytes())  # the half lacks the leader's ciphertext
    leader = open_half("leader", PLAN, LEADER_SEAL, ROSTER, received.half("leader"))
    helper = open_half("helper", PLAN, HELPER_SEAL, ROSTER, forwarded)
    for half, sent in ((leader, to_leader), (helper, to_helper)):
        assert half.view == 1
        assert half.collection.tolist() == collections
        assert (half.report_ids == sent.report_ids).all()
    assert (leader.shares.elements == to_leader.shares.elements).all()
    assert (helper.seeds.seeds == to_helper.seeds.seeds).all()
    sums = Aggregation.start("leader", PLAN).add(leader).sums[1], Aggregation.start("helper", PLAN).add(helper).sums[1]
    total = field.decode_centred(field.add(*(part.values for part in sums)))
    assert total[:, 0].sum() == sum(range(1, len(collections) + 1))
    assert not total[:, 1:].any()


@given(
    st.integers(1, 20).flatmap(
        lambda n: st.tuples(st.lists(st.integers(0, 2**32 - 1), min_size=n, max_size=n), st.binary(min_size=16 * n, max_size=16 * n))
    ),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
)  # fmt: skip
def test_a_header_survives_its_bytes(columns: tuple[list[int], bytes], site: str) -> None:
    ids = np.frombuffer(columns[1], np.uint8).reshape(-1, 16)
    header = BatchHeader(bytes(32), site, BATCH_ID, np.array(columns[0], np.uint32), ids)
    again = BatchHeader.from_bytes(header.to_bytes())
    assert (again.plan_hash, again.site, again.batch_id) == (bytes(32), site, BATCH_ID)
    assert again.collection.tolist() == columns[0]
    assert (again.report_ids == ids).all()
    assert again.to_bytes() == header.to_bytes()


@pytest.mark.parametrize("heads", [(None, None), (HEAD, None), (None, HEAD), (HEAD, Head(0, bytes(32)))])
def test_a_header_holds_what_the_site_remembers_of_both_ledgers(heads: Heads) -> None:
    header = BatchHeader.from_bytes(forged(heads=heads).signed.header_bytes)
    assert header.heads == heads == (header.head_of("leader"), header.head_of("helper"))
    message = pb.BatchHeader.FromString(header.to_bytes())
    for field_name in ("leader_head", "helper_head"):
        for wrong in (HEAD.to_bytes()[:-1], HEAD.to_bytes() + b"\x00", b"\x80" + bytes(39)):
            bad = pb.BatchHeader()
            bad.CopyFrom(message)
            setattr(bad, field_name, wrong)
            with pytest.raises(BatchMalformed, match="ledger"):
                BatchHeader.from_bytes(bad.SerializeToString(deterministic=True))


def test_the_heads_of_a_batch_are_signed() -> None:
    honest, other = (forged(heads=(head, None)) for head in (HEAD, Head(1, bytes(32))))
    signed = SignedHeader(
        other.signed.header_bytes, *(honest.signed.digest_of(role) for role in KEYS), honest.signed.signature
    )
    assert_refused(SealedBatch(signed, honest.leader, honest.helper), SignatureInvalid)


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=80) | st.tuples(st.integers(0, 2**32), st.integers(0, 7)), st.data())
def test_foreign_bytes_are_refused_by_name_and_never_crash(
    change: bytes | tuple[int, int], data: st.DataObject
) -> None:
    """Random bytes, and a valid batch with one flipped bit anywhere."""
    good = WHOLE.to_bytes()
    if isinstance(change, tuple):
        place = change[0] % len(good)
        wrong = good[:place] + bytes([good[place] ^ 1 << change[1]]) + good[place + 1 :]
    else:
        wrong = change
    with pytest.raises(
        (BatchMalformed, BatchTooLarge, DigestMismatch, BatchOfAnotherPlan, UnknownSite, SignatureInvalid)
    ):
        open_half("leader", PLAN, LEADER_SEAL, ROSTER, SealedBatch.from_bytes(wrong).half("leader"))


WHOLE = sealed()


@pytest.mark.parametrize("kind", [BatchHeader, SealedBatch, SealedHalf])
def test_only_canonical_bytes_of_a_bounded_size_are_read(
    kind: type[BatchHeader] | type[SealedBatch] | type[SealedHalf],
) -> None:
    good = {
        BatchHeader: WHOLE.signed.header_bytes,
        SealedBatch: WHOLE.to_bytes(),
        SealedHalf: WHOLE.half("leader").to_bytes(),
    }[kind]
    assert kind.from_bytes(good).to_bytes() == good
    for wrong in (b"", b"\xff", good[:-1], good + b"\0", good + b"\x78\x01", good + good):
        with pytest.raises(BatchMalformed):
            kind.from_bytes(wrong)
    with pytest.raises(BatchTooLarge) as raised:
        kind.from_bytes(bytes(MAX_BATCH_BYTES + 1))
    assert (raised.value.have, raised.value.most) == (MAX_BATCH_BYTES + 1, MAX_BATCH_BYTES)


@pytest.mark.parametrize(
    "sizes", [(1, 1), (127, 128), (16_383, 16_384), (2_097_151, 1), (1, 2_097_152), (3_000_000, 0)]
)
def test_a_sealed_batch_is_encoded_as_protobuf_encodes_it(sizes: tuple[int, int]) -> None:
    leader, helper = (bytes(size) for size in sizes)
    digests = hashlib.sha256(leader).digest(), hashlib.sha256(helper).digest()
    batch = SealedBatch(SignedHeader(WHOLE.signed.header_bytes, *digests, bytes(64)), leader, helper)
    signed = pb.SignedHeader(
        header=WHOLE.signed.header_bytes, leader_digest=digests[0], helper_digest=digests[1], signature=bytes(64)
    )
    by_library = pb.SealedBatch(signed=signed, leader=leader, helper=helper).SerializeToString(deterministic=True)
    assert batch.to_bytes() == by_library
    assert batch.size == len(by_library)
    assert SealedBatch.from_bytes(by_library) == batch
    half = pb.SealedHalf(signed=signed, ciphertext=leader).SerializeToString(deterministic=True)
    assert batch.half("leader").to_bytes() == half


def test_another_spelling_of_the_same_fields_is_refused() -> None:
    good, leader, helper = WHOLE.to_bytes(), WHOLE.leader, WHOLE.helper
    end = len(good) - len(helper) - 3
    assert good[end : end + 1] == b"\x1a"
    to_leader, to_helper, start = good[end - len(leader) - 3 : end], good[end:], good[: end - len(leader) - 3]
    assert start + to_leader + to_helper == good
    for wrong in (
        start + to_helper + to_leader,
        to_leader + start + to_helper,
        good + to_helper,
        start + to_leader + b"\x1a\x00",
        start + b"\x12\x00" + to_helper,
        good[:end] + b"\x1a" + bytes([good[end + 1], good[end + 2] | 0x80, 0]) + helper,  # the length in three bytes
        good[:end] + b"\x1a\xff\xff\xff\xff\x7f" + helper,
        good[: end + 1],
        good[: end + 2],
    ):
        with pytest.raises(BatchMalformed):
            SealedBatch.from_bytes(wrong)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pb: pb.ClearField("collections"),
        lambda pb: setattr(pb, "collections", pb.collections[:-1]),
        lambda pb: setattr(pb, "collections", pb.collections[:-4]),
        lambda pb: setattr(pb, "report_ids", pb.report_ids + b"\0"),
        lambda pb: setattr(pb, "plan_hash", bytes(31)),
        lambda pb: setattr(pb, "batch_id", bytes(17)),
        lambda pb: setattr(pb, "site", "../a"),
        lambda pb: setattr(pb, "site", "a" * 65),
        lambda pb: setattr(pb, "site", ""),
    ],
)
def test_a_header_has_exact_columns_and_a_site(spoil: Callable[[object], object]) -> None:
    from federation.batch import batch_pb2

    message = batch_pb2.BatchHeader.FromString(WHOLE.signed.header_bytes)
    spoil(message)
    with pytest.raises(BatchMalformed):
        BatchHeader.from_bytes(message.SerializeToString(deterministic=True))


class TestRefused:
    """Bad input that one batch alone shows."""

    def test_a_share_of_a_wrong_length(self) -> None:
        good_leader, good_helper = (half for half in halves([3, 5, 5]))
        for wrong in (b"", good_leader.shares.to_bytes()[:-8], good_leader.shares.to_bytes() + bytes(8)):
            with pytest.raises(BatchMalformed, match=r"leader's ciphertext: [\d,]+ bytes, need"):
                open_both(forged(leader=wrong))
        for wrong in (b"", good_helper.seeds.to_bytes() + b"\0"):
            batch = forged(helper=wrong)
            open_half("leader", PLAN, LEADER_SEAL, ROSTER, batch.half("leader"))
            with pytest.raises(BatchMalformed, match=r"helper's ciphertext: [\d,]+ bytes, need"):
                open_half("helper", PLAN, HELPER_SEAL, ROSTER, batch.half("helper"))

    def test_an_element_of_p_or_more(self) -> None:
        shares = halves([3, 5, 5])[0].shares.elements.copy()
        shares[1, 2] = field.P
        with pytest.raises(FieldElementOutOfRange) as raised:
            open_both(forged(leader=LeaderShares(shares).to_bytes()))
        assert raised.value.index == shares.shape[1] + 2

    def test_a_ciphertext_that_was_changed_on_the_way(self) -> None:
        batch = sealed()
        changed = bytes([batch.leader[0] ^ 1]) + batch.leader[1:]
        with pytest.raises(DigestMismatch, match="the leader's ciphertext differs"):
            dataclasses.replace(batch, leader=changed)
        with pytest.raises(DigestMismatch):
            open_half("leader", PLAN, LEADER_SEAL, ROSTER, SealedHalf(batch.signed, changed))
        with pytest.raises(DigestMismatch, match="the helper's ciphertext differs"):
            open_half("helper", PLAN, HELPER_SEAL, ROSTER, SealedHalf(batch.signed, batch.helper + b"\0"))

    def test_a_half_that_was_compared_and_then_given_another_ciphertext(self) -> None:
        """Anybody can seal to an aggregator, so a ciphertext that opens is not necessarily the one that the site signed."""
        ours, theirs = sealed().half("leader"), forged(parts=halves([3, 5, 5], seed=1)).leader
        assert open_half("leader", PLAN, LEADER_SEAL, ROSTER, ours)
        with pytest.raises(DigestMismatch, match="the leader's ciphertext differs"):
            open_half("leader", PLAN, LEADER_SEAL, ROSTER, dataclasses.replace(ours, ciphertext=theirs))

    def test_a_ciphertext_that_its_site_broke(self) -> None:
        batch = forged()
        wrong = batch.leader[:-1] + bytes([batch.leader[-1] ^ 1])
        header = batch.signed.header_bytes
        digests = hashlib.sha256(wrong).digest(), batch.signed.helper_digest
        signed = SignedHeader(header, *digests, SITE.sign.sign(DOMAIN, header + b"".join(digests)))
        with pytest.raises(SealBroken):
            open_half("leader", PLAN, LEADER_SEAL, ROSTER, SealedHalf(signed, wrong))

    def test_a_batch_for_another_plan(self) -> None:
        batch = sealed()
        other = plan(1)
        with pytest.raises(BatchOfAnotherPlan) as raised:
            open_half("leader", other, LEADER_SEAL, ROSTER, batch.half("leader"))
        assert (raised.value.have, raised.value.need) == (PLAN.hash, other.hash)

    def test_a_report_moved_to_another_pane(self) -> None:
        """A move by anybody except the site breaks the signature. Under a re-signed header the ciphertext does not open."""
        batch = sealed()
        header = BatchHeader.from_bytes(batch.signed.header_bytes)
        moved = dataclasses.replace(header, collection=np.array([4, 5, 5], np.uint32)).to_bytes()
        stolen = dataclasses.replace(batch.signed, header_bytes=moved)
        assert_refused(dataclasses.replace(batch, signed=stolen), SignatureInvalid)
        digests = batch.signed.leader_digest + batch.signed.helper_digest
        resigned = dataclasses.replace(stolen, signature=SITE.sign.sign(DOMAIN, moved + digests))
        assert_refused(dataclasses.replace(batch, signed=resigned), SealBroken)

    @pytest.mark.parametrize("batch_id", [BATCH_ID, bytes(16)])
    def test_halves_of_two_batches_spliced(self, batch_id: bytes) -> None:
        """Also if both have the same header: a retry of the same reports with fresh shares."""
        one, other = sealed(), sealed(batch_id=batch_id)
        with pytest.raises(DigestMismatch, match="the helper's ciphertext differs"):
            SealedBatch(one.signed, one.leader, other.helper)
        with pytest.raises(DigestMismatch, match="the helper's ciphertext differs"):
            open_half("helper", PLAN, HELPER_SEAL, ROSTER, SealedHalf(one.signed, other.helper))
        mixed = dataclasses.replace(one.signed, helper_digest=other.signed.helper_digest)
        assert_refused(SealedBatch(mixed, one.leader, other.helper), SignatureInvalid)

    def test_a_header_that_is_not_signed_or_by_another_site(self) -> None:
        batch = sealed()
        unsigned = dataclasses.replace(batch.signed, signature=bytes(64))
        assert_refused(dataclasses.replace(batch, signed=unsigned), SignatureInvalid)
        assert_refused(forged(key=OTHER_SITE.sign), SignatureInvalid)
        assert_refused(forged(site="b"), SignatureInvalid)

    def test_an_unknown_site(self) -> None:
        assert_refused(forged(site="nobody"), UnknownSite, "nobody")
        with pytest.raises(UnknownSite):
            open_both(sealed(), Roster([RosterEntry("b", SITE.public.sign, 4)]))

    def test_more_clients_than_the_roster_says(self) -> None:
        open_both(sealed([5, 5, 5, 5, 3]))
        with pytest.raises(RosterExceeded) as raised:
            open_both(sealed([3, 5, 5, 5, 5, 5]))
        found = raised.value
        assert (found.site, found.collection, found.have, found.most) == ("a", 5, 5, 4)

    def test_duplicate_ids_also_in_different_collections(self) -> None:
        ids = halves([3, 4, 5])[0].report_ids.copy()
        ids[2] = ids[0]
        with pytest.raises(DuplicateReport) as raised:
            open_both(forged(report_ids=ids, collection=np.array([3, 4, 5], np.uint32)))
        assert raised.value.duplicates == 1

    @pytest.mark.parametrize("collections", [[2, 3, 4], [3, 5, 6], [6, 6, 6], [2**32 - 1] * 3])
    def test_collections_out_of_range_or_of_two_views(self, collections: list[int]) -> None:
        assert_refused(forged(collection=np.array(collections, np.uint32)), ReportRefused)

    def test_a_half_for_the_other_role_or_for_another_key(self) -> None:
        batch = sealed()
        with pytest.raises(DigestMismatch):
            open_half("leader", PLAN, LEADER_SEAL, ROSTER, batch.half("helper"))
        with pytest.raises(SealBroken):
            open_half("leader", PLAN, HELPER_SEAL, ROSTER, batch.half("leader"))

    def test_a_message_that_was_sealed_for_the_other_role(self) -> None:
        """Length, key and signature are right. Only `info` shows that the message is not the leader's."""
        header = sealed().signed.header_bytes
        length = PLAN.views[1].layout.length
        info = b"covey-1 batch" + b"helper" + LEADER_SEAL.public.id + hashlib.sha256(header).digest()
        message = seal(LEADER_SEAL.public, bytes(3 * length * 8), info)
        digests = hashlib.sha256(message).digest() * 2
        signed = SignedHeader(header, digests[:32], digests[32:], SITE.sign.sign(DOMAIN, header + digests))
        with pytest.raises(SealBroken):
            open_half("leader", PLAN, LEADER_SEAL, ROSTER, SealedHalf(signed, message))


def test_the_site_cannot_seal_what_does_not_belong_together() -> None:
    leader, helper = halves([3, 5, 5])
    for other in (halves([3, 5, 4])[1], halves([3, 5, 5], seed=1)[1]):
        with pytest.raises(ReportRefused):
            seal_batch(PLAN, "a", BATCH_ID, leader, other, SITE.sign)
    with pytest.raises(PlanInvalid, match="one process"):
        seal_batch(plan(terms=None), "a", BATCH_ID, leader, helper, SITE.sign)


def of_one(the_view: FeatureView) -> Plan:
    return plan_in_words(bytes(16), (PlannedView(the_view, np.zeros(1, np.int64), 2),), "full", wire=TERMS)


@pytest.mark.parametrize("keys", [1, 900])
def test_as_many_reports_fit_as_it_says(keys: int) -> None:
    count = max_reports(of_one(view("v", keys)), 0)
    ids = np.random.default_rng(0).integers(0, 256, (count, 16), np.uint8)
    columns = np.zeros(count, np.uint32), ids
    header = BatchHeader(bytes(32), "s" * 64, bytes(16), *columns, heads=(HEAD, HEAD)).to_bytes()
    leader, helper = bytes(8 * keys * count + SEAL_OVERHEAD), bytes(32 * count + SEAL_OVERHEAD)
    digests = hashlib.sha256(leader).digest(), hashlib.sha256(helper).digest()
    size = len(SealedBatch(SignedHeader(header, *digests, bytes(64)), leader, helper).to_bytes())
    assert size - count * (8 * keys + 52) <= 2_665 < BATCH_OVERHEAD
    assert size + 8 * keys + 52 > MAX_BATCH_BYTES - BATCH_OVERHEAD
    assert size <= MAX_BATCH_BYTES


def test_a_batch_that_is_too_large_is_not_made() -> None:
    the_plan = plan()
    leader, helper = halves([3])
    count = 200_000
    many = LeaderHalf(
        1, np.full(count, 3, np.uint32), np.zeros((count, 16), np.uint8), LeaderShares(np.zeros((count, 3), np.uint64))
    )
    seeds = HelperHalf(1, many.collection, many.report_ids, HelperSeeds(np.zeros((count, 32), np.uint8)))
    with pytest.raises(BatchTooLarge):
        seal_batch(the_plan, "a", BATCH_ID, many, seeds, SITE.sign)
    assert seal_batch(the_plan, "a", BATCH_ID, leader, helper, SITE.sign).to_bytes()


def test_a_view_whose_report_fits_no_batch_is_named() -> None:
    assert max_reports(of_one(view("v", 523_769)), 0) == 1
    with pytest.raises(ReportTooLong) as raised:
        max_reports(of_one(view("wide", 523_770)), 0)
    assert (raised.value.view, raised.value.slots, raised.value.most) == ("wide", 523_770, 523_769)


def test_nothing_secret_is_shown() -> None:
    text = repr(sealed()) + repr(sealed().half("leader")) + repr(SITE) + repr(open_both(sealed()))
    assert "<secret of" in text
    assert "\\x" not in text
    assert len(text) < 3_000
