"""The lanes against the reference path: every length, every batch size, and rejected elements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import field, xof_batch, xof_lanes
from crypto.errors import IndexOutOfRange, TooLong, WrongArray, WrongLength
from crypto.field_modulus import P
from crypto.sharing import share_xof
from crypto.xof import XofTurboShake128
from crypto.xof_batch import BatchXof

PLAN = bytes(range(32))

# Found by search: word 229 of this seed's stream, for collection 7 of PLAN, is 0xFFFFFFFFE9C04346, no element.
REJECTED_SEED, REJECTED_COLLECTION, REJECTED_WORD = (3111737).to_bytes(32, "little"), 7, 229


def batch(count: int, seed: int = 1) -> tuple[xof_batch.Seeds, xof_batch.Indices]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 32), np.uint8), rng.integers(0, 2**32, count, np.uint32)


def reference(xof: BatchXof, seeds: xof_batch.Seeds, indices: xof_batch.Indices, length: int) -> field.Elements:
    rows = [xof.one(s.tobytes(), int(i)).next_vec(length) for s, i in zip(seeds, indices, strict=True)]
    return np.array(rows, np.uint64).reshape(len(seeds), length)


def sums_by_row(streams: field.Elements, rows: list[int], start: field.Elements) -> list[list[int]]:
    totals = start.astype(object)
    for stream, row in zip(streams.astype(object), rows, strict=True):
        totals[row] += stream
    return (totals % P).tolist()  # type: ignore[no-any-return]


@given(st.integers(0, 40), st.integers(0, 90), st.booleans(), st.integers(0, 2**32))
def test_expand_equals_the_reference_for_any_batch_and_any_length(count: int, length: int, negated: bool, seed: int):
    seeds, indices = batch(count, seed)
    xof = share_xof(PLAN)
    right = reference(xof, seeds, indices, length)
    assert (xof.expand(seeds, indices, length, negated=negated) == (field.negate(right) if negated else right)).all()


@given(st.integers(0, 70), st.integers(0, 50), st.integers(1, 4), st.booleans(), st.integers(0, 2**32))
def test_add_to_equals_the_sums_of_the_reference(count: int, length: int, bound: int, in_order: bool, seed: int):
    seeds, indices = batch(count, seed)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, bound, count)
    if in_order:
        rows.sort()  # whole groups of lanes then go to one row
    totals = rng.choice(np.array([0, 1, P - 1], np.uint64), (bound, length))
    right = sums_by_row(reference(share_xof(PLAN), seeds, indices, length), rows.tolist(), totals)
    share_xof(PLAN).add_to(totals, seeds, indices, rows)
    assert totals.tolist() == right


@given(st.integers(0, 117), st.integers(0, 60), st.integers(0, 14), st.integers(0, 2**32 - 1))
def test_seed_and_index_may_stand_at_any_byte_of_the_block(before: int, after: int, binder: int, index: int):
    if 35 + before + 4 + after + binder >= xof_batch.RATE_BYTES:
        before = after = 0
    seeds, _ = batch(5)
    head, tail, bound = b"\xa5" * before, b"\x5a" * after, b"\xc3" * binder
    xof = BatchXof(head + bytes(4) + tail, before, bound)
    streams = xof.expand(seeds, np.full(5, index, np.uint32), 3)
    for seed, stream in zip(seeds, streams, strict=True):
        alone = XofTurboShake128(seed.tobytes(), head + index.to_bytes(4, "big") + tail, bound)
        assert stream.tolist() == alone.next_vec(3).tolist()


def test_a_message_of_a_whole_block_is_refused_and_one_byte_less_is_not():
    BatchXof(bytes(132), 0, b"")
    with pytest.raises(TooLong) as refused:
        BatchXof(bytes(133), 0, b"")
    assert (refused.value.have, refused.value.most) == (168, 167)


@pytest.mark.parametrize("where", [0, 4, 15, 16, 20])
def test_a_real_rejected_word_is_skipped_as_the_reference_skips_it(where: int):
    seeds, indices = batch(21)
    seeds[where], indices[where] = np.frombuffer(REJECTED_SEED, np.uint8), REJECTED_COLLECTION
    xof = share_xof(PLAN)
    raw = field.view_words(xof.one(REJECTED_SEED, REJECTED_COLLECTION).next(8 * (REJECTED_WORD + 1)))
    assert int(raw[REJECTED_WORD]) >= P

    length = REJECTED_WORD + 5
    right = reference(xof, seeds, indices, length)
    assert (xof.expand(seeds, indices, length) == right).all()
    assert (xof.expand(seeds, indices, length, negated=True) == field.negate(right)).all()
    for rows in (np.zeros(21, np.int64), np.arange(21) % 3):  # summed across the lanes, and one by one
        totals = np.zeros((3, length), np.uint64)
        xof.add_to(totals, seeds, indices, rows)
        assert totals.tolist() == sums_by_row(right, rows.tolist(), np.zeros((3, length), np.uint64))


@pytest.mark.parametrize("suspect_from", [0, P // 2, P - P // 64])
def test_reports_that_are_done_again_give_the_same_elements(monkeypatch: pytest.MonkeyPatch, suspect_from: int):
    xof = share_xof(PLAN)
    seeds, indices = batch(37)
    rows = np.arange(37) // 20
    right = reference(xof, seeds, indices, 30)
    again: list[int] = []
    alone = BatchXof.one

    def counted(self: BatchXof, seed: bytes, index: int) -> XofTurboShake128:
        again.append(index)
        return alone(self, seed, index)

    monkeypatch.setattr(xof_batch, "SUSPECT_FROM", suspect_from)
    monkeypatch.setattr(BatchXof, "one", counted)
    assert (xof.expand(seeds, indices, 30) == right).all()
    marked = [int(i) for i, row in zip(indices, right, strict=True) if int(row.max()) >= suspect_from]
    assert again == marked
    assert marked, "the hook sent nothing through the reference path"

    totals = np.zeros((2, 30), np.uint64)
    xof.add_to(totals, seeds, indices, rows)
    assert totals.tolist() == sums_by_row(right, rows.tolist(), np.zeros((2, 30), np.uint64))
    assert len(again) == 3 * len(marked)


def test_the_kernels_hold_the_same_modulus():
    assert int(xof_lanes._P) == P
    assert (xof_batch.RATE_BYTES, xof_batch._STATE_BYTES) == (8 * xof_lanes.RATE_WORDS, 8 * xof_lanes.STATE_WORDS)


def test_shapes_that_the_kernels_would_not_notice_are_refused():
    xof = share_xof(PLAN)
    seeds, indices = batch(4)
    totals = np.zeros((2, 3), np.uint64)
    with pytest.raises(WrongLength):
        xof.expand(seeds[:, :31], indices, 3)
    with pytest.raises(WrongLength):
        xof.expand(seeds, indices[:3], 3)
    with pytest.raises(WrongArray):
        xof.expand(seeds, indices.astype(np.int64), 3)  # type: ignore[arg-type]
    with pytest.raises(WrongArray):
        xof.expand(seeds.astype(np.int64), indices, 3)  # type: ignore[arg-type]
    for rows in ([0, 1, 2, 0], [0, 1, -1, 0]):
        with pytest.raises(IndexOutOfRange) as refused:
            xof.add_to(totals, seeds, indices, np.array(rows))
        assert (refused.value.index, refused.value.bound) == (rows[2], 2)
    with pytest.raises(WrongLength):
        xof.add_to(totals, seeds, indices, np.zeros(3, np.int64))
    assert not totals.any()
    for place in (-1, 2):
        with pytest.raises(IndexOutOfRange):
            BatchXof(bytes(5), place, b"")


def test_strided_seeds_and_read_only_inputs_are_taken():
    xof = share_xof(PLAN)
    seeds, indices = batch(12)
    right = reference(xof, seeds[::2], indices[::2], 4)
    assert (xof.expand(seeds[::2], indices[::2], 4) == right).all()
    frozen = np.frombuffer(b"x" + seeds.tobytes(), np.uint8)[1:].reshape(12, 32)  # neither aligned nor writable
    assert (xof.expand(frozen, indices, 4)[::2] == right).all()
