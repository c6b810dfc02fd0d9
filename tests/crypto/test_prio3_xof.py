"""The lanes against pycryptodome: messages of any length, skipped elements, and contexts that differ by report."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from Crypto.Hash import TurboSHAKE128
from hypothesis import given
from hypothesis import strategies as st

from crypto import xof_lanes
from crypto.errors import TooLong, WrongLength
from crypto.ntt_field import FIELD64, FIELD128, NttField, Octets
from crypto.prio3_xof import Prio3Xof, Usage, as_rows
from tests.crypto.fields import each_field

RATE = 168
seeds = st.integers(0, 2**32)
XOF = Prio3Xof(0xFFFF1234)


def stream(usage: Usage, ctx: bytes, seed: bytes, binder: bytes, length: int) -> bytes:
    """The draft's message, assembled by hand."""
    dst = bytes([18, 0]) + bytes.fromhex("ffff1234") + bytes([0, usage]) + ctx
    message = len(dst).to_bytes(2, "little") + dst + bytes([len(seed)]) + seed + binder
    return bytes(TurboSHAKE128.new(domain=1, data=message).read(length)) if length else b""


def rows(random: Random, count: int, size: int) -> Octets:
    return np.frombuffer(random.randbytes(count * size), np.uint8).reshape(count, size)


@pytest.mark.parametrize("head", [0, 1, 7, 8, 9, 15, 16, RATE - 8, RATE - 1, RATE, RATE + 1, 2 * RATE, 3 * RATE + 5])
@pytest.mark.parametrize("words", [0, 1, 2, 19, 20, 21, 22, 41, 42, 43, 64, 100])
def test_heads_and_bodies_of_any_length_are_absorbed(head: int, words: int):
    random = Random(head * 1000 + words)
    for count, length in ((1, 4), (16, 50), (19, 21)):
        octets = np.zeros((count, head // 8 * 8 + 8), np.uint8)
        octets[:, :head] = rows(random, count, head)
        bodies = rows(random, count, 8 * words).view(np.uint64)
        out, suspect = np.empty((count, length), np.uint64), np.ones(count, np.uint8)
        most = np.full(2, 2**64 - 1, np.uint64)
        xof_lanes.absorb(octets.view(np.uint64), head, bodies, most, out, suspect)
        assert not suspect.any()
        for r in range(count):
            message = octets[r, :head].tobytes() + bodies[r].tobytes()
            assert out[r].tobytes() == TurboSHAKE128.new(domain=1, data=message).read(8 * length)


@each_field
@given(
    count=st.integers(0, 20), ctx=st.integers(0, 200), binder=st.integers(0, 40), length=st.integers(0, 60), seed=seeds
)
def test_elements_are_the_words_of_the_stream(
    field: NttField, count: int, ctx: int, binder: int, length: int, seed: int
):
    random = Random(seed)
    contexts, keys, binders = rows(random, count, ctx), rows(random, count, 32), rows(random, count, binder)
    elements = XOF.elements(field, Usage.PROOF_SHARE, contexts, keys, binders, length)
    for r in range(count):
        parts = (part[r].tobytes() for part in (contexts, keys, binders))
        assert field.encode(elements[r : r + 1]).tobytes() == stream(
            Usage.PROOF_SHARE, *parts, length * field.encoded_size
        )


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("words", [1, 2])
def test_elements_of_the_modulus_or_more_are_skipped(count: int, words: int):
    # A modulus so far below its power of two that every fourth candidate is rejected; the real ones reject one in 2^32.
    field = NttField("Sparse", 3 << (64 * words - 2), words, 1, 0)
    keys = rows(Random(words), count, 32)
    elements = XOF.elements(field, Usage.QUERY_RANDOMNESS, b"c", keys, b"b", 30)
    for r in range(count):
        data = stream(Usage.QUERY_RANDOMNESS, b"c", keys[r].tobytes(), b"b", 100 * 8 * words)
        candidates = [int.from_bytes(data[i : i + 8 * words], "little") for i in range(0, len(data), 8 * words)]
        assert field.to_ints(elements[r]) == [c for c in candidates if c < field.modulus][:30]


@pytest.mark.parametrize(("field", "word", "suspicious"), [(FIELD64, 0, 2**64 - 2**32 + 1), (FIELD128, 1, 2**64 - 28)])
def test_a_word_that_may_make_an_element_too_large_marks_its_report(
    field: NttField, word: int, suspicious: int, monkeypatch: pytest.MonkeyPatch
):
    seen: list[list[int]] = []
    real = xof_lanes.absorb

    def absorb(*args: object) -> None:
        most = args[3]
        assert isinstance(most, np.ndarray)
        seen.append([int(x) for x in most])
        real(*args)

    monkeypatch.setattr(xof_lanes, "absorb", absorb)
    XOF.elements(field, Usage.PROOF_SHARE, b"", np.zeros((5, 32), np.uint8), b"", 4)
    assert seen[0][word] == suspicious - 1
    # The low word of an element of Field128 can have any value.
    assert seen[0][1 - word] == (suspicious - 1 if field is FIELD64 else 2**64 - 1)


@given(count=st.integers(0, 20), ctx=st.integers(0, 100), elements=st.integers(0, 80), seed=seeds)
def test_seeds_are_bound_to_every_byte_that_is_absorbed(count: int, ctx: int, elements: int, seed: int):
    random = Random(seed)
    contexts, keys, binders = rows(random, count, ctx), rows(random, count, 32), rows(random, count, 17)
    for field in (FIELD64, FIELD128):
        body, _ = field.decode(rows(random, count, elements * field.encoded_size))
        derived = XOF.seeds(Usage.JOINT_RAND_PART, contexts, keys, binders, body)
        assert derived.shape == (count, 32)
        for r in range(count):
            binder = binders[r].tobytes() + field.encode(body[r : r + 1]).tobytes()
            assert derived[r].tobytes() == stream(
                Usage.JOINT_RAND_PART, contexts[r].tobytes(), keys[r].tobytes(), binder, 32
            )


@pytest.mark.parametrize("count", [1, 9])
def test_a_context_that_its_length_field_cannot_hold_is_refused(count: int):
    keys = np.zeros((count, 32), np.uint8)
    XOF.seeds(Usage.JOINT_RAND_SEED, bytes(0xFFFF - 8), keys, b"")
    with pytest.raises(TooLong) as refused:
        XOF.seeds(Usage.JOINT_RAND_SEED, bytes(0xFFFF - 7), keys, b"")
    assert (refused.value.have, refused.value.most) == (0x10000, 0xFFFF)


def test_rows_of_another_number_or_length_are_refused():
    with pytest.raises(WrongLength):
        as_rows("seeds", np.zeros((3, 32), np.uint8), 4)
    with pytest.raises(WrongLength):
        as_rows("seeds", bytes(31), 4, 32)
    with pytest.raises(WrongLength):
        XOF.elements(FIELD64, Usage.MEAS_SHARE, np.zeros((2, 1), np.uint8), np.zeros((5, 32), np.uint8), b"", 1)
