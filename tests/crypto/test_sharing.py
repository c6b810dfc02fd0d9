"""Shares add up, each alone reveals nothing, and damage is refused as a whole."""

import sys
import threading

import numpy as np
import pytest
from Crypto.Hash import TurboSHAKE128
from hypothesis import given
from hypothesis import strategies as st

from crypto import field, sharing
from crypto.errors import CryptoError, FieldElementOutOfRange, IndexOutOfRange, ValueOutOfRange, WrongArray, WrongLength
from crypto.field_modulus import P
from crypto.sharing import Accumulator, HelperSeeds, LeaderShares, SparseRows, shard

PLAN = bytes(range(100, 132))


def seeds_of(count: int, seed: int = 0) -> HelperSeeds:
    return HelperSeeds(np.random.default_rng(seed).integers(0, 256, (count, 32), np.uint8))


def sparse(rows: list[dict[int, int]], length: int) -> SparseRows:
    return SparseRows(
        np.cumsum([0, *map(len, rows)], dtype=np.int64),
        np.array([j for row in rows for j in row], np.int32),
        np.array([v for row in rows for v in row.values()], np.int64),
        length,
    )


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[dict[int, int]], int, list[int]]:
    """Reports, their length, and the collection (0..2) of each."""
    length = draw(st.integers(1, 70))
    slots = st.dictionaries(st.integers(0, length - 1), st.integers(0, 2**63 - 1), max_size=5)
    rows = draw(st.lists(slots, max_size=40))
    return rows, length, draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))


@given(batches(), st.integers(0, 2**32))
def test_the_two_totals_add_up_to_the_sum_of_the_vectors(batch: tuple[list[dict[int, int]], int, list[int]], seed: int):
    reports, length, collection = batch
    seeds, rows = seeds_of(len(reports), seed), np.array(collection, np.int64)
    collections = rows.astype(np.uint32) + np.uint32(1000)
    shares = shard(sparse(reports, length), seeds, collections, PLAN)
    leader, helper = Accumulator(3, length), Accumulator(3, length)
    leader.add_leader(LeaderShares.from_bytes(shares.to_bytes(), len(reports), length), rows)
    helper.add_helper(HelperSeeds.from_bytes(seeds.to_bytes(), len(reports)), collections, rows, PLAN)
    exact = [[0] * length for _ in range(3)]
    for report, c in zip(reports, collection, strict=True):
        for j, v in report.items():
            exact[c][j] += v
    assert field.add(leader.values, helper.values).tolist() == [[v % P for v in row] for row in exact]


def test_the_bytes_of_a_share_are_those_of_the_design():
    """DESIGN section 8, written a second time with a hash function only."""
    seed, index = bytes(range(32)), 0x01020304
    dst = bytes.fromhex("1200ffff00010001") + b"covey-1" + PLAN + bytes.fromhex("01020304")
    shake = TurboSHAKE128.new(domain=1, data=bytes([len(dst), 0]) + dst + b"\x20" + seed + b"\x01")
    helper = [int.from_bytes(shake.read(8), "little") for _ in range(25)]
    seeds = HelperSeeds(np.tile(np.frombuffer(seed, np.uint8), (6, 1)))
    shares = shard(sparse([{3: 17}] * 6, 25), seeds, np.full(6, index, np.uint32), PLAN)
    right = [((17 if j == 3 else 0) - h) % P for j, h in enumerate(helper)]
    assert shares.elements.tolist() == [right] * 6
    assert shares.to_bytes() == b"".join(v.to_bytes(8, "little") for v in right) * 6


def test_a_seed_means_nothing_under_another_plan_or_collection():
    seeds = HelperSeeds(np.zeros((5, 32), np.uint8))
    empty = sparse([{}] * 5, 4)
    shares = shard(empty, seeds, np.arange(5, dtype=np.uint32), PLAN).elements
    other = shard(empty, seeds, np.arange(5, dtype=np.uint32), bytes(32)).elements
    assert len({row.tobytes() for row in (*shares, *other)}) == 10


def test_values_at_an_equal_slot_add_up():
    slots = SparseRows(np.array([0, 3]), np.array([1, 1, 0], np.int32), np.array([2, 5, 1]), 2)
    seeds, rows, collections = seeds_of(1), np.zeros(1, np.int64), np.zeros(1, np.uint32)
    leader, helper = Accumulator(1, 2), Accumulator(1, 2)
    leader.add_leader(shard(slots, seeds, collections, PLAN), rows)
    helper.add_helper(seeds, collections, rows, PLAN)
    assert field.add(leader.values, helper.values).tolist() == [[1, 7]]


# --- the leader's accumulator -----------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 9), st.integers(1, 3), st.booleans(), st.randoms(use_true_random=False))
def test_add_leader_is_the_sum_by_row(count: int, length: int, bound: int, in_order: bool, random):  # type: ignore[no-untyped-def]
    corners = [0, 1, 2**32 - 1, 2**32, P - 1, P - 2, P // 2, random.randrange(P)]
    start = [[random.choice(corners) for _ in range(length)] for _ in range(bound)]
    shares = [[random.choice(corners) for _ in range(length)] for _ in range(count)]
    rows = [random.randrange(bound) for _ in range(count)]
    rows = sorted(rows) if in_order else rows
    accumulator = Accumulator.from_values(np.array(start, np.uint64).reshape(bound, length))
    accumulator.add_leader(np.array(shares, np.uint64).tobytes(), np.array(rows, np.int64))
    exact = [[v + sum(s[j] for s, r in zip(shares, rows, strict=True) if r == c) for j, v in enumerate(row)]
             for c, row in enumerate(start)]  # fmt: skip
    assert accumulator.values.tolist() == [[v % P for v in row] for row in exact]


@pytest.mark.parametrize("place", [0, 1, 4095, 4096, 9_999, 50_000, 99_999])
def test_a_batch_with_one_bad_word_leaves_the_accumulator_as_it_was(place: int):
    rng = np.random.default_rng(place)
    shares = rng.integers(
        0, P, (1000, 100), np.uint64
    )  # several groups: the kernel has added some before it sees the word
    rows = np.sort(rng.integers(0, 3, 1000))
    accumulator = Accumulator.from_values(rng.integers(0, P, (3, 100), np.uint64))
    before = accumulator.values
    shares.reshape(-1)[place] = P + place
    with pytest.raises(FieldElementOutOfRange) as refused:
        accumulator.add_leader(shares.tobytes(), rows)
    assert refused.value.index == place
    assert (accumulator.values == before).all()


def test_wrong_lengths_and_rows_are_refused_and_leave_the_accumulator_as_it_was():
    accumulator, seeds = Accumulator(2, 3), seeds_of(2)
    one, collections = np.array([1, 1]), np.zeros(2, np.uint32)
    with pytest.raises(WrongLength) as refused:
        accumulator.add_leader(bytes(47), one)
    assert (refused.value.have, refused.value.need) == (47, 48)
    with pytest.raises(WrongLength):
        accumulator.add_leader(LeaderShares(np.ones((2, 4), np.uint64)), one)
    with pytest.raises(WrongLength):
        accumulator.add_leader(LeaderShares(np.ones((1, 3), np.uint64)), one)
    for wrong in (2, -1):
        rows = np.array([0, wrong])
        with pytest.raises(IndexOutOfRange):
            accumulator.add_leader(np.ones((2, 3), np.uint64).tobytes(), rows)
        with pytest.raises(IndexOutOfRange):
            accumulator.add_helper(seeds, collections, rows, PLAN)
    with pytest.raises(WrongLength):
        accumulator.add_helper(seeds, collections[:1], one, PLAN)
    with pytest.raises(WrongLength):
        accumulator.add_helper(seeds, collections, one, PLAN[1:])
    with pytest.raises(WrongLength):
        accumulator.add_helper(seeds, collections, one[:1], PLAN)
    assert not accumulator.values.any()


def test_stored_totals_must_be_elements_and_what_is_handed_out_is_a_copy():
    with pytest.raises(FieldElementOutOfRange):
        Accumulator.from_values(np.array([[P]], np.uint64))
    stored = np.array([[P - 1]], np.uint64)
    accumulator = Accumulator.from_values(stored)
    accumulator.values[0, 0] = 3
    stored[0, 0] = 4
    assert accumulator.values.tolist() == [[P - 1]]


def test_the_helper_adds_the_same_in_any_order_of_a_long_batch():
    length, count = 100, 64  # long enough to be sorted by row first
    seeds, rows = seeds_of(count), np.random.default_rng(3).integers(0, 2, count)
    collections = rows.astype(np.uint32)
    shuffled, alone = Accumulator(2, length), Accumulator(2, length)
    shuffled.add_helper(seeds, collections, rows, PLAN)
    for b in range(count):
        alone.add_helper(HelperSeeds(seeds.seeds[b : b + 1]), collections[b : b + 1], rows[b : b + 1], PLAN)
    assert (shuffled.values == alone.values).all()


def test_two_threads_with_an_accumulator_each_get_what_one_gets():
    seeds, rows, collections = seeds_of(400), np.zeros(400, np.int64), np.zeros(400, np.uint32)
    accumulators = [Accumulator(1, 500), Accumulator(1, 500), Accumulator(1, 500)]
    threads = [threading.Thread(target=a.add_helper, args=(seeds, collections, rows, PLAN)) for a in accumulators[:2]]
    for thread in threads:
        thread.start()
    accumulators[2].add_helper(seeds, collections, rows, PLAN)
    for thread in threads:
        thread.join()
    assert len({a.values.tobytes() for a in accumulators}) == 1


# --- types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("indptr", "columns", "values", "length", "error"),
    [
        ([0, 1], [0], [-1], 2, ValueOutOfRange),
        ([0, 1], [2], [1], 2, IndexOutOfRange),
        ([0, 1], [-1], [1], 2, IndexOutOfRange),
        ([1, 1], [0], [1], 2, IndexOutOfRange),
        ([], [], [], 2, IndexOutOfRange),
        ([0, 2, 1], [0], [1], 2, IndexOutOfRange),
        ([0, 2], [0], [1], 2, WrongLength),
        ([0, 1], [0], [1, 1], 2, WrongLength),
    ],
)
def test_rows_that_are_no_sparse_matrix_are_refused(
    indptr: list[int], columns: list[int], values: list[int], length: int, error: type[CryptoError]
):
    with pytest.raises(error):
        SparseRows(np.array(indptr, np.int64), np.array(columns, np.int32), np.array(values, np.int64), length)


def test_arrays_of_another_dtype_or_layout_are_refused():
    with pytest.raises(WrongArray):
        SparseRows(np.array([0, 1]), np.array([0]), np.array([1]), 2)  # type: ignore[arg-type]
    with pytest.raises(WrongArray):
        HelperSeeds(np.zeros((2, 32), np.int8))  # type: ignore[arg-type]
    with pytest.raises(WrongLength):
        HelperSeeds(np.zeros((2, 16), np.uint8))
    with pytest.raises(WrongArray):
        LeaderShares(np.zeros((4, 4), np.uint64).T[:2])
    with pytest.raises(WrongLength):
        HelperSeeds.from_bytes(bytes(63), 2)
    with pytest.raises(WrongLength):
        shard(sparse([{0: 1}], 1), seeds_of(2), np.zeros(2, np.uint32), PLAN)


def test_no_secret_is_in_a_repr():
    slots = sparse([{1: 987654321}], 2)
    seeds = HelperSeeds(np.full((1, 32), 77, np.uint8))
    shares = shard(slots, seeds, np.zeros(1, np.uint32), PLAN)
    accumulator = Accumulator(1, 2)
    accumulator.add_leader(shares, np.zeros(1, np.int64))
    assert repr(slots) == "SparseRows(length=2)"
    assert repr(seeds) == "HelperSeeds()"
    assert repr(shares) == "LeaderShares()"
    assert repr(accumulator) == "Accumulator(collections=1, length=2)"


def test_sharing_imports_no_source_of_randomness():
    assert not {"secrets", "random"} & set(vars(sharing))
    assert sys.byteorder == "little", "the tests of zero copies hold on little-endian machines"
