"""The proof system alone: valid measurements pass, invalid ones fail, and shares of a proof add up."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.flp import proof
from crypto.flp.circuit import Circuit, PairCircuit
from crypto.flp.gadgets import PolyEval
from crypto.flp.proof import AnyCircuit, decide, prove, query
from crypto.flp.variants import CountCircuit, HistogramCircuit, MultihotCountVecCircuit, SumCircuit, SumVecCircuit
from crypto.ntt_field import FIELD64, FIELD128, Elements, Mask, NttField
from crypto.ntt_forms import Form
from tests.crypto.fields import FIELDS, draw, each_field, matrix

seeds = st.integers(0, 2**32)


class Flights(PairCircuit[Any, list[int]]):
    """A cell like those of view circuits: a count of 0 to 3 in two bits, and a bit that marks the cell as used.

    count (1 - used) = 0, and the sum of two more bits, a histogram, equals the count.
    """

    def __init__(self, field: NttField, chunk_length: int) -> None:
        count = Form({0: 1, 1: 2})
        unused = Form({2: -1}, constant=1)
        super().__init__(
            field,
            meas_len=6,
            bits=6,
            chunk_length=chunk_length,
            output_len=2,
            products=[(count, unused)],
            equalities=[Form({0: 1, 1: 2, 3: -1, 4: -1, 5: -1})],
            outputs_of=[count, Form({2: 1})],
        )

    def encode(self, measurements: Sequence[Any]) -> Elements:
        return self.field.from_small(np.array(measurements))

    def decode(self, output: Elements, num_measurements: int) -> list[int]:
        return self.field.to_ints(output)


class Cubes(Circuit[int, int]):
    """Each entry is 0, 1 or 2, checked by several calls of a gadget of degree three."""

    def __init__(self, field: NttField, length: int) -> None:
        gadget = PolyEval((0, 2, -3, 1))
        lengths = {"meas_len": length, "eval_output_len": length, "output_len": length}
        super().__init__(field, gadget, calls=length, joint_rand_len=0, **lengths)

    def encode(self, measurements: Sequence[Any]) -> Elements:
        return self.field.from_small(np.array(measurements))

    def fill_wires(self, meas: Elements, joint_rand: Elements, shares: int, wires: Elements) -> None:
        wires[:, 1 : 1 + self.calls, 0] = meas

    def outputs(self, meas: Elements, gadget_outputs: Elements, shares: int) -> Elements:
        return gadget_outputs

    def truncate(self, meas: Elements) -> Elements:
        return meas

    def decode(self, output: Elements, num_measurements: int) -> int:
        return sum(self.field.to_ints(output))


def accepted(circuit: AnyCircuit, meas: Elements, seed: int = 0, shares: int = 2, tamper: Any = None) -> Mask:
    """The whole proof system with random randomness: shares of measurement and proof, separate queries, one decision."""
    field, random, count = circuit.field, Random(seed), len(meas)

    def rand(length: int) -> Elements:
        flat = field.from_ints([random.randrange(field.modulus) for _ in range(count * length)])
        return flat.reshape(field.shape(count, length))

    prove_rand, joint_rand, query_rand = (
        rand(n) for n in (circuit.prove_rand_len, circuit.joint_rand_len, circuit.query_rand_len)
    )
    proofs = prove(circuit, meas, prove_rand, joint_rand)
    if tamper is not None:
        meas, proofs = tamper(meas.copy(), proofs.copy())
    total = field.zeros(count, circuit.verifier_len)
    for j in range(shares):
        last = j == shares - 1
        meas_share, proof_share = (meas, proofs) if last else (rand(circuit.meas_len), rand(circuit.proof_len))
        meas, proofs = field.subtract(meas, meas_share), field.subtract(proofs, proof_share)
        verifier, refused = query(circuit, meas_share, proof_share, query_rand, joint_rand, shares)
        assert not refused.any()
        total = field.add(total, verifier)
    return decide(circuit, total)


def valid_and_invalid(field: NttField) -> list[tuple[AnyCircuit, list[list[int]], list[list[int]]]]:
    """Circuits, each with encoded measurements that it accepts and others that it rejects."""
    p = field.modulus
    bits = [[0, 1, 1, 0, 1, 0], [0] * 6, [1] * 6]
    not_bits = [[2, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, p - 1], [0, 0, p // 2, 0, 0, 0], [1, 1, 1, 3, 1, 1]]
    return [
        (CountCircuit(field), [[0], [1]], [[2], [p - 1], [p // 2]]),
        (SumCircuit(field, 63), bits, not_bits),
        (SumVecCircuit(field, 2, 7, 4), bits, not_bits),
        (SumVecCircuit(field, 1, 63, 1), bits, not_bits),
        (SumVecCircuit(field, 6, 1, 9), bits, not_bits),
        # -1 + 1 + 1 = 1, and two ones, and none
        (HistogramCircuit(field, 3, 2), [[1, 0, 0], [0, 0, 1]], [[p - 1, 1, 1], [0, 1, 1], [0, 0, 0], [2, p - 1, 0]]),
        # two of three; the weight is the last two bits, 1 and 1
        (
            MultihotCountVecCircuit(field, 3, 2, 2),
            [[1, 1, 0, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 1, 0, 1, 0]],
            [[1, 1, 1, 1, 1], [1, 1, 0, 1, 0], [0, 0, 0, 1, 0], [2, 0, 0, 1, 1], [1, 1, 1, 2, 1]],
        ),
        (Cubes(field, 5), [[0, 1, 2, 0, 1], [2] * 5], [[0, 1, 3, 0, 0], [p - 1, 0, 0, 0, 0]]),
    ]


@each_field
@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("shares", [1, 2, 5])
def test_valid_measurements_pass_and_invalid_ones_do_not(field: NttField, at: int, shares: int):
    circuit, valid, invalid = valid_and_invalid(field)[at]
    # All are in one batch, which shows that each report has its own verdict.
    marks = accepted(circuit, matrix(field, [*invalid, *valid, *invalid]), seed=at, shares=shares)
    assert marks.tolist() == [False] * len(invalid) + [True] * len(valid) + [False] * len(invalid)


@each_field
@given(chunk=st.integers(1, 9), seed=seeds)
def test_products_and_equalities_are_checked_as_the_bits_are(field: NttField, chunk: int, seed: int):
    circuit = Flights(field, chunk)
    valid = [[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 1, 1, 1, 0, 1]]
    count_without_use = [[1, 0, 0, 1, 0, 0], [0, 1, 0, 1, 1, 0]]
    histogram_without_count = [[0, 0, 1, 1, 0, 0], [1, 0, 1, 0, 0, 0]]
    no_bit = [[2, 0, 1, 1, 1, 0], [0, 0, 2, 0, 0, 0]]
    meas = matrix(field, [*valid, *count_without_use, *histogram_without_count, *no_bit])
    assert accepted(circuit, meas, seed, shares=3).tolist() == [True] * 4 + [False] * 6
    assert [field.to_ints(row) for row in circuit.truncate(meas[:4])] == [[3, 1], [0, 0], [0, 1], [2, 1]]


@each_field
@pytest.mark.parametrize("at", range(8))
def test_a_proof_or_a_measurement_that_was_altered_anywhere_does_not_hold(field: NttField, at: int):
    circuit, valid, _ = valid_and_invalid(field)[at]
    random, element = Random(at), valid[0]
    places = circuit.proof_len + circuit.meas_len

    def tamper(meas: Elements, proofs: Elements) -> tuple[Elements, Elements]:
        # Report r is altered in its place r; the last one is left as it is.
        for r in range(places):
            delta = field.from_ints([random.randrange(1, field.modulus)])
            part, place = (meas, r) if r < circuit.meas_len else (proofs, r - circuit.meas_len)
            part[r, place] = field.add(part[r, place : place + 1], delta)[0]
        return meas, proofs

    marks = accepted(circuit, matrix(field, [element] * (places + 1)), seed=at, tamper=tamper)
    assert marks.tolist() == [False] * places + [True]


@each_field
def test_wires_are_cut_into_blocks_without_a_seam(field: NttField, monkeypatch: pytest.MonkeyPatch):
    circuit = SumVecCircuit(field, 4, 7, 5)
    random = Random(3)
    meas = matrix(field, [[random.randrange(2) for _ in range(12)] for _ in range(7)])
    rand = [matrix(field, [draw(field, n, random) for _ in range(7)]) for n in (10, 3, 1, circuit.proof_len)]
    prove_rand, joint_rand, query_rand, proofs = rand
    whole = prove(circuit, meas, prove_rand, joint_rand), query(circuit, meas, proofs, query_rand, joint_rand, 2)[0]
    monkeypatch.setattr(proof, "_BLOCK_BYTES", 1)
    assert (prove(circuit, meas, prove_rand, joint_rand) == whole[0]).all()
    assert (query(circuit, meas, proofs, query_rand, joint_rand, 2)[0] == whole[1]).all()


@each_field
def test_a_test_point_among_the_nodes_is_told_report_by_report(field: NttField):
    circuit = SumCircuit(field, 7)  # three calls and the seed: four nodes
    p = field.modulus
    points = [5, 1, field.root(4), pow(field.root(4), 3, p), field.root(8), p - 1]
    query_rand = matrix(field, [[1, 2, 3, point] for point in points])
    zeros = [field.zeros(6, n) for n in (circuit.meas_len, circuit.proof_len, 0)]
    _, refused = query(circuit, zeros[0], zeros[1], query_rand, zeros[2], 2)
    assert refused.tolist() == [False, True, True, True, False, True]


def test_lengths_are_those_of_the_draft():
    circuit = SumVecCircuit(FIELD128, 1000, 65535, 126)
    assert (circuit.calls, circuit.wire_len, circuit.proof_len, circuit.verifier_len) == (127, 128, 252 + 255, 254)
    assert (circuit.prove_rand_len, circuit.query_rand_len, circuit.joint_rand_len) == (252, 1, 127)
    histogram = HistogramCircuit(FIELD128, 1000, 33)
    assert (histogram.calls, histogram.wire_len, histogram.proof_len) == (31, 32, 66 + 63)
    assert histogram.query_rand_len == 3
    total = SumCircuit(FIELD64, 255)
    assert (total.proof_len, total.verifier_len, total.query_rand_len, total.prove_rand_len) == (1 + 31, 3, 9, 1)
    assert [CountCircuit(field).proof_len for field in FIELDS] == [2 + 3] * 2
