"""Prio3 on batches: a lie, a damaged message or a wrong context costs one report. The vectors are in tests/vdaf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import (
    CryptoError,
    FieldElementOutOfRange,
    IndexOutOfRange,
    JointRandomnessMismatch,
    ParameterOutOfRange,
    QueryPointIsRoot,
    TooFewProofs,
    VerifierCheckFailed,
    WrongArray,
    WrongLength,
)
from crypto.flp import proof
from crypto.flp.variants import SumVecCircuit
from crypto.ntt_field import FIELD64, FIELD128, Elements, Mask, Octets
from crypto.prio3 import (
    Prio3,
    Prio3Count,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    Prio3SumVecWithMultiproof,
)
from crypto.prio3_messages import InputShares, LeaderInputShares, PublicShares

KEY = bytes(range(32))
AnyPrio3 = Prio3[Any, Any]

INSTANCES: list[tuple[AnyPrio3, Sequence[Any]]] = [
    (Prio3Count(2), [0, 1]),
    (Prio3Sum(3, 1000), [0, 1000, 77]),
    (Prio3SumVec(2, 3, 100, 4), [[1, 2, 100], [0, 0, 0]]),
    (Prio3SumVecWithMultiproof(2, 3, 100, 4), [[1, 2, 100], [0, 0, 0]]),
    (Prio3Histogram(2, 5, 2), [0, 4]),
    (Prio3MultihotCountVec(4, 5, 3, 2), [[1, 0, 1, 0, 1], [0, 0, 0, 0, 0]]),
]
each_instance = pytest.mark.parametrize(
    ("vdaf", "measurements"), INSTANCES, ids=[type(vdaf).__name__ for vdaf, _ in INSTANCES]
)


def rows(random: Random, count: int, size: int) -> Octets:
    return np.frombuffer(random.randbytes(count * size), np.uint8).reshape(count, size)


class Batch:
    """R reports and the whole protocol over encoded messages; `count` reports repeat the measurements in turn."""

    def __init__(self, vdaf: AnyPrio3, measurements: Sequence[Any], count: int, seed: int = 0) -> None:
        random = Random(seed)
        self.vdaf, self.measurements = vdaf, [measurements[r % len(measurements)] for r in range(count)]
        self.contexts, self.nonces = rows(random, count, 43), rows(random, count, 16)
        self.rand = rows(random, count, vdaf.rand_size)
        self.shard(vdaf.circuit.encode(self.measurements))

    def shard(self, meas: Elements) -> None:
        public_shares, input_shares = self.vdaf.shard_encoded_batch(self.contexts, meas, self.nonces, self.rand)
        self.public_shares = self.vdaf.encode_public_shares(public_shares).copy()
        self.input_shares = [self.vdaf.encode_input_shares(share) for share in input_shares]

    def verify(self, change: Callable[[str, int, Octets], Octets] = lambda _what, _agg_id, octets: octets) -> Mask:
        """The reports that are aggregated, whose sum is checked. `change` alters encoded messages in transit."""
        vdaf, count = self.vdaf, len(self.measurements)
        marks = np.ones(count, np.bool_)
        states, verifier_shares = [], []
        for agg_id in range(vdaf.shares):
            public = vdaf.decode_public_shares(change("public", agg_id, self.public_shares))
            shares, good = vdaf.decode_input_shares(agg_id, change("input", agg_id, self.input_shares[agg_id]))
            state, verifier_share = vdaf.verify_init_batch(KEY, self.contexts, agg_id, self.nonces, public, shares)
            sent = change("verifier", agg_id, vdaf.encode_verifier_shares(verifier_share))
            received, parsed = vdaf.decode_verifier_shares(sent)
            marks &= good & parsed
            states.append(state)
            verifier_shares.append(received)
        messages, holds = vdaf.verifier_shares_to_message_batch(self.contexts, verifier_shares)
        marks &= holds
        for agg_id, state in enumerate(states):
            octets = change("message", agg_id, vdaf.encode_verifier_messages(messages))
            marks &= vdaf.verify_next_batch(state, vdaf.decode_verifier_messages(octets))
        agg_shares = [vdaf.aggregate_batch(vdaf.agg_init(None), state.out_shares, marks) for state in states]
        kept = [m for m, mark in zip(self.measurements, marks, strict=True) if mark]
        result = vdaf.unshard(None, agg_shares, len(kept))
        encoded = vdaf.circuit.truncate(vdaf.circuit.encode(kept))
        total = vdaf.field.sum_rows(encoded, np.ones(len(kept), np.bool_))
        assert result == vdaf.circuit.decode(total, len(kept))
        return marks


@each_instance
@pytest.mark.parametrize("count", [0, 1, 3, 4, 16, 37])
def test_a_batch_of_any_size_adds_up_and_its_contexts_differ(vdaf: AnyPrio3, measurements: Sequence[Any], count: int):
    assert Batch(vdaf, measurements, count).verify().all()


@each_instance
def test_a_batch_is_the_reports_one_by_one(vdaf: AnyPrio3, measurements: Sequence[Any]):
    batch = Batch(vdaf, measurements, 20)
    for r in (0, 7, 19):
        arguments = [part[r].tobytes() for part in (batch.contexts, batch.nonces, batch.rand)]
        ctx, nonce, rand = arguments
        public_share, input_shares = vdaf.shard(ctx, batch.measurements[r], nonce, rand)
        assert vdaf.encode_public_share(public_share) == batch.public_shares[r].tobytes()
        assert [vdaf.encode_input_share(share) for share in input_shares] == [
            shares[r].tobytes() for shares in batch.input_shares
        ]


@each_instance
@given(seed=st.integers(0, 2**32))
def test_liars_are_rejected_and_the_others_sum_is_exact(vdaf: AnyPrio3, measurements: Sequence[Any], seed: int):
    random = Random(seed)
    batch = Batch(vdaf, measurements, 9, seed)
    meas = vdaf.circuit.encode(batch.measurements)
    liars = [random.random() < 0.4 for _ in range(9)]
    for r, lies in enumerate(liars):
        if lies:
            # An entry far from a bit, and the same taken off another where there is one: their sum may look right.
            delta = vdaf.field.from_ints([random.randrange(2, vdaf.field.modulus - 2)])
            place, other = random.randrange(vdaf.circuit.meas_len), random.randrange(vdaf.circuit.meas_len)
            meas[r, place] = vdaf.field.add(meas[r, place : place + 1], delta)[0]
            if other != place:
                meas[r, other] = vdaf.field.subtract(meas[r, other : other + 1], delta)[0]
    batch.shard(meas)
    assert batch.verify().tolist() == [not lies for lies in liars]


@each_instance
@given(seed=st.integers(0, 2**32))
def test_a_flipped_bit_costs_its_report_and_no_other(vdaf: AnyPrio3, measurements: Sequence[Any], seed: int):
    random = Random(seed)
    batch = Batch(vdaf, measurements, 7, seed)
    report, bit = random.randrange(7), random.randrange(2**30)
    target = random.choice(["public", "input", "verifier", "message"]), random.randrange(vdaf.shares)
    flipped = False

    def change(what: str, agg_id: int, octets: Octets) -> Octets:
        nonlocal flipped
        if (what, agg_id) != target or not octets.shape[1]:
            return octets
        flipped = True
        octets = octets.copy()
        octets[report, bit // 8 % octets.shape[1]] ^= 1 << (bit % 8)
        return octets

    marks = batch.verify(change)
    # An aggregator computes its own part of the public share and does not read it.
    place = bit // 8 % max(1, batch.public_shares.shape[1])
    harmless = not flipped or (target[0] == "public" and place // 32 == target[1])
    assert marks.tolist() == [r != report or harmless for r in range(7)]


def test_an_element_of_the_modulus_or_more_marks_its_report_in_a_batch_and_is_named_alone():
    vdaf = Prio3SumVec(2, 3, 100, 4)
    batch = Batch(vdaf, [[1, 2, 3]], 5)
    octets = batch.input_shares[0].copy()
    octets[3, 16 * 4 : 16 * 5] = 255
    _, good = vdaf.decode_input_shares(0, octets)
    assert good.tolist() == [True, True, True, False, True]
    with pytest.raises(FieldElementOutOfRange) as refused:
        vdaf.decode_input_share(0, octets[3].tobytes())
    assert (refused.value.index, refused.value.field) == (4, "Field128")
    octets = batch.input_shares[0].copy()
    octets[1, -48:-32] = 255  # the proof's last element
    assert vdaf.decode_input_shares(0, octets)[1].tolist() == [True, False, True, True, True]
    # The blind after the elements is any bytes.
    octets = batch.input_shares[0].copy()
    octets[:, -32:] = 255
    assert vdaf.decode_input_shares(0, octets)[1].all()
    with pytest.raises(FieldElementOutOfRange):
        vdaf.decode_verifier_share(bytes([255]) * vdaf.verifier_share_size)
    with pytest.raises(FieldElementOutOfRange):
        vdaf.decode_agg_share(bytes([255]) * vdaf.agg_share_size)


@each_instance
def test_messages_of_another_size_are_refused(vdaf: AnyPrio3, measurements: Sequence[Any]):
    readers: list[tuple[Callable[[bytes], object], int]] = [
        (vdaf.decode_public_share, vdaf.public_share_size),
        (lambda data: vdaf.decode_input_share(0, data), vdaf.leader_share_size),
        (lambda data: vdaf.decode_input_share(1, data), vdaf.helper_share_size),
        (vdaf.decode_verifier_share, vdaf.verifier_share_size),
        (vdaf.decode_verifier_message, vdaf.verifier_message_size),
        (vdaf.decode_agg_share, vdaf.agg_share_size),
    ]
    for reader, size in readers:
        reader(bytes(size))
        for other in {size - 1, size + 1, size + 8, 0} - {size, -1}:
            with pytest.raises(WrongLength) as refused:
                reader(bytes(other))
            assert (refused.value.have, refused.value.need) == (other, size)


def single(vdaf: AnyPrio3, measurement: Any, **changed: Any) -> Elements:
    """One report through the draft's methods, with some arguments of the aggregators changed. Returns the first share."""
    ctx, nonce = b"context", bytes(16)
    public_share, input_shares = vdaf.shard(ctx, measurement, nonce, Random(1).randbytes(vdaf.rand_size))
    public_share = changed.get("public_share", lambda share: share)(public_share)
    key, ctx, nonce = (changed.get(n, d) for n, d in (("verify_key", KEY), ("ctx", ctx), ("nonce", nonce)))
    ids = changed.get("agg_ids", range(vdaf.shares))
    begun = [
        vdaf.verify_init(key, ctx, agg_id, None, nonce, public_share, share)
        for agg_id, share in zip(ids, input_shares, strict=True)
    ]
    shares = changed.get("verifier_shares", lambda shares: shares)([share for _, share in begun])
    message = vdaf.verifier_shares_to_message(ctx, None, shares)
    out_shares = [vdaf.verify_next(ctx, state, message) for state, _ in begun]
    return out_shares[0]


@each_instance
def test_what_the_aggregators_must_agree_on_is_bound(vdaf: AnyPrio3, measurements: Sequence[Any]):
    m = measurements[0]
    single(vdaf, m)
    single(vdaf, m, verify_key=bytes(32))  # any key works if both aggregators use it
    with pytest.raises(VerifierCheckFailed):
        single(vdaf, m, ctx=b"another context")
    if vdaf.blind_size:
        with pytest.raises(VerifierCheckFailed):
            single(vdaf, m, nonce=bytes(15) + b"1")
        # Parts swapped: every aggregator computes other joint randomness than the client did.
        with pytest.raises((VerifierCheckFailed, JointRandomnessMismatch)):
            single(vdaf, m, public_share=lambda share: PublicShares(share.joint_rand_parts[:, ::-1]))
    if vdaf.shares > 2:
        with pytest.raises((VerifierCheckFailed, JointRandomnessMismatch)):
            single(vdaf, m, agg_ids=[0, *range(vdaf.shares - 1, 0, -1)])


@each_instance
def test_arguments_of_no_form_are_named_errors(vdaf: AnyPrio3, measurements: Sequence[Any]):
    m, rand = measurements[0], bytes(vdaf.rand_size)
    public_share, input_shares = vdaf.shard(b"", m, bytes(16), rand)
    leader, helper = input_shares[:2]

    def init(
        agg_id: int, share: InputShares, *, key: bytes = KEY, nonce: bytes = bytes(16), public: Any = public_share
    ) -> Any:
        return vdaf.verify_init(key, b"", agg_id, None, nonce, public, share)

    refused: list[tuple[type[CryptoError], Callable[[], object]]] = [
        (WrongLength, lambda: vdaf.shard(b"", m, bytes(15), rand)),
        (WrongLength, lambda: vdaf.shard(b"", m, bytes(17), rand)),
        (WrongLength, lambda: vdaf.shard(b"", m, bytes(16), rand[:-1])),
        (WrongLength, lambda: vdaf.shard(b"", m, bytes(16), rand + b"0")),
        (
            WrongLength,
            lambda: vdaf.shard_batch(b"", [m], np.zeros((2, 16), np.uint8), np.zeros((1, len(rand)), np.uint8)),
        ),
        (
            WrongArray,
            lambda: vdaf.shard_encoded_batch(b"", vdaf.field.zeros(1, vdaf.circuit.meas_len + 1), *_zeros(vdaf)),
        ),
        (WrongLength, lambda: init(0, leader, key=bytes(31))),
        (WrongLength, lambda: init(0, leader, nonce=bytes(15))),
        (IndexOutOfRange, lambda: init(vdaf.shares, helper)),
        (IndexOutOfRange, lambda: init(-1, helper)),
        (WrongArray, lambda: init(1, leader)),
        (WrongArray, lambda: init(0, helper)),
        (WrongArray, lambda: init(0, leader, public=PublicShares(np.zeros((1, vdaf.shares + 1, 32), np.uint8)))),
        (WrongArray, lambda: init(0, _shorter(leader))),
        (IndexOutOfRange, lambda: vdaf.decode_input_share(vdaf.shares, b"")),
        (WrongLength, lambda: single(vdaf, m, verifier_shares=lambda shares: shares[:-1])),
        (WrongLength, lambda: single(vdaf, m, verifier_shares=lambda shares: [*shares, shares[0]])),
        (WrongLength, lambda: vdaf.unshard(None, [vdaf.agg_init(None)], 1)),
        (WrongArray, lambda: vdaf.agg_update(None, vdaf.agg_init(None), vdaf.field.zeros(vdaf.circuit.output_len + 1))),
    ]
    for error, call in refused:
        with pytest.raises(error):
            call()


def _zeros(vdaf: AnyPrio3) -> tuple[Octets, Octets]:
    return np.zeros((1, 16), np.uint8), np.zeros((1, vdaf.rand_size), np.uint8)


def _shorter(share: InputShares) -> InputShares:
    assert isinstance(share, LeaderInputShares)
    return replace(share, meas_share=share.meas_share[:, :-1])


def test_batches_that_do_not_fit_together_are_refused():
    vdaf = Prio3Count(2)
    batch = Batch(vdaf, [1], 4)
    leader, _ = vdaf.decode_input_shares(0, batch.input_shares[0])
    public = vdaf.decode_public_shares(batch.public_shares)
    states, shares = vdaf.verify_init_batch(KEY, batch.contexts, 0, batch.nonces, public, leader)
    messages = vdaf.decode_verifier_messages(np.zeros((3, 0), np.uint8))
    with pytest.raises(WrongLength):
        vdaf.verify_next_batch(states, messages)
    fewer, _ = vdaf.decode_verifier_shares(vdaf.encode_verifier_shares(shares)[:3])
    with pytest.raises(WrongArray):
        vdaf.decide_batch([shares, fewer])
    with pytest.raises(WrongLength):
        vdaf.aggregate_batch(vdaf.agg_init(None), states.out_shares, np.ones(3, np.bool_))


def test_a_proof_of_another_algorithm_does_not_hold():
    circuit = SumVecCircuit(FIELD128, 2, 3, 2)
    ours, theirs = Prio3(0xFFFF0010, circuit, 2), Prio3(0xFFFF0011, circuit, 2)
    nonce, rand = bytes(16), bytes(ours.rand_size)
    public_share, input_shares = ours.shard(b"", [1, 2], nonce, rand)
    begun = [theirs.verify_init(KEY, b"", j, None, nonce, public_share, share) for j, share in enumerate(input_shares)]
    with pytest.raises(VerifierCheckFailed):
        theirs.verifier_shares_to_message(b"", None, [share for _, share in begun])


def test_a_test_point_among_the_nodes_rejects_its_report_alone(monkeypatch: pytest.MonkeyPatch):
    vdaf = Prio3Count(2)
    batch = Batch(vdaf, [1], 5)
    real = proof.weights_at

    def weights_at(field: Any, points: Elements, n: int) -> tuple[Elements, Mask]:
        points = points.copy()
        points[min(2, len(points) - 1)] = vdaf.field.root(vdaf.circuit.wire_len)
        return real(field, points, n)

    monkeypatch.setattr(proof, "weights_at", weights_at)
    assert batch.verify().tolist() == [True, True, False, True, True]
    with pytest.raises(QueryPointIsRoot):
        single(vdaf, 1)


@pytest.mark.parametrize("shares", [2, 3, 255])
def test_any_number_of_aggregators_the_draft_allows(shares: int):
    assert Batch(Prio3Histogram(shares, 3, 2), [0, 2, 1], 4).verify().all()


def test_instances_that_the_draft_forbids_are_named_errors():
    for shares in (1, 256, 0, -1):
        with pytest.raises(ParameterOutOfRange):
            Prio3Count(shares)
    for proofs in (0, 256):
        with pytest.raises(ParameterOutOfRange):
            Prio3SumVecWithMultiproof(2, 3, 1, 1, proofs=proofs)
    for proofs in (1, 2):
        with pytest.raises(TooFewProofs) as refused:
            Prio3SumVecWithMultiproof(2, 3, 1, 1, proofs=proofs)
        assert (refused.value.have, refused.value.need) == (proofs, 3)
    assert Prio3SumVecWithMultiproof(2, 3, 1, 1, field=FIELD128, proofs=1).proofs == 1
    with pytest.raises(ParameterOutOfRange):
        Prio3(2**32, SumVecCircuit(FIELD64, 1, 1, 1), 2, 3)


def test_a_report_is_aggregated_once_and_agg_shares_merge():
    vdaf = Prio3Count(2)
    assert vdaf.is_valid(None, [])
    assert not vdaf.is_valid(None, [None])
    shares = [vdaf.field.from_ints([i]) for i in (1, 2, 3)]
    assert vdaf.field.to_ints(vdaf.merge(None, shares)) == [6]
    assert vdaf.field.to_ints(vdaf.merge(None, [])) == [0]


def test_sizes_are_those_of_the_draft():
    vdaf = Prio3SumVec(2, 1000, 65535, 126)
    assert vdaf.leader_share_size == (16000 + 507) * 16 + 32
    assert (vdaf.helper_share_size, vdaf.public_share_size, vdaf.verifier_message_size) == (64, 64, 32)
    assert vdaf.verifier_share_size == 254 * 16 + 32
    three = Prio3SumVecWithMultiproof(2, 1000, 65535, 126)
    assert three.leader_share_size == (16000 + 3 * 507) * 8 + 32
    assert three.verifier_share_size == 3 * 254 * 8 + 32
    count = Prio3Count(2)
    assert (count.public_share_size, count.helper_share_size, count.rand_size) == (0, 32, 64)


def test_nothing_that_is_secret_is_printed():
    vdaf = Prio3Count(2)
    public_share, input_shares = vdaf.shard(b"", 1, bytes(16), bytes(64))
    state, verifier_share = vdaf.verify_init(KEY, b"", 0, None, bytes(16), public_share, input_shares[0])
    for secret in (*input_shares, state, verifier_share):
        assert "[[" not in repr(secret)
        assert "uint64" not in repr(secret)
