"""Encoding, truncation and decoding of the draft's circuits, and parameters that fit no circuit."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import CryptoError, ParameterOutOfRange, ValueOutOfRange, WrongArray, WrongLength
from crypto.flp.circuit import PairCircuit, best_chunk_length
from crypto.flp.encoding import as_integers, range_checked_bits, weights
from crypto.flp.gadgets import ParallelSum, PolyEval
from crypto.flp.variants import CountCircuit, HistogramCircuit, MultihotCountVecCircuit, SumCircuit, SumVecCircuit
from crypto.ntt_field import FIELD64, FIELD128, NttField
from crypto.ntt_forms import Form
from crypto.ntt_polynomial import next_power_of_two
from tests.crypto.fields import draw, each_field, integers, matrix

largest_values = st.one_of(st.integers(1, 300), st.integers(1, 2**64), st.sampled_from([2**62 - 1, 2**62, 2**127]))


@given(largest=largest_values, data=st.data())
def test_bits_times_weights_are_the_integer_and_the_weights_add_up_to_the_largest(largest: int, data: st.DataObject):
    values = [*data.draw(st.lists(st.integers(0, largest), min_size=1, max_size=5)), 0, largest, largest // 2]
    bits = range_checked_bits(as_integers("value", values, largest), largest)
    assert bits.shape == (len(values), largest.bit_length())
    assert set(bits.flat) <= {0, 1}
    assert [sum(int(b) * w for b, w in zip(row, weights(largest), strict=True)) for row in bits] == values
    assert sum(weights(largest)) == largest


@pytest.mark.parametrize(
    "values", [[0, 3], (1, 2), np.array([1, 0], np.uint8), np.array([True, False]), [np.int64(2), 1]]
)
def test_integers_come_in_any_form(values: Any):
    assert as_integers("value", values, 3).tolist() == [int(v) for v in values]


@pytest.mark.parametrize(
    ("values", "columns", "error"),
    [
        ([4], None, ValueOutOfRange),
        ([-1], None, ValueOutOfRange),
        (np.array([2**64 - 1], np.uint64), None, ValueOutOfRange),
        ([2**200], None, ValueOutOfRange),
        ([1.0], None, WrongArray),
        (np.array([1.0]), None, WrongArray),
        (["1"], None, WrongArray),
        ([None], None, WrongArray),
        ([[1]], None, WrongArray),
        (3, None, WrongArray),
        ([1, 2], 2, WrongArray),
        ([[1, 2, 3]], 2, WrongLength),
        ([[]], 2, WrongLength),
        ([[1, 2], [3]], 2, WrongArray),
    ],
)
def test_what_is_no_measurement_is_a_named_error(values: Any, columns: int | None, error: type[CryptoError]):
    with pytest.raises(error):
        as_integers("value", values, 3, columns)


def test_the_error_tells_where_and_not_what():
    with pytest.raises(ValueOutOfRange) as refused:
        as_integers("value", [1, 2, 12345, 1], 3)
    assert (refused.value.index, refused.value.high) == (2, 3)
    assert "12345" not in str(refused.value)


@each_field
@given(seed=st.integers(0, 2**32), largest=st.integers(1, 2**40), length=st.integers(1, 6), reports=st.integers(0, 4))
def test_truncating_an_encoded_vector_gives_it_back(
    field: NttField, seed: int, largest: int, length: int, reports: int
):
    random = Random(seed)
    vectors = [[random.randint(0, largest) for _ in range(length)] for _ in range(reports)]
    circuit = SumVecCircuit(field, length, largest, 3)
    encoded = circuit.encode(vectors)
    assert encoded.shape == field.shape(reports, circuit.meas_len)
    assert integers(field, circuit.truncate(encoded)) == vectors
    if reports:
        assert circuit.decode(field.sum_rows(encoded, np.ones(reports, np.bool_))[: circuit.output_len], reports)
    numbers = SumCircuit(field, largest)
    assert integers(field, numbers.truncate(numbers.encode([row[0] for row in vectors]))) == [
        [row[0]] for row in vectors
    ]


@each_field
def test_encodings_of_buckets_and_of_sets_of_bits(field: NttField):
    histogram = HistogramCircuit(field, 4, 2)
    assert integers(field, histogram.encode([2, 0])) == [[0, 0, 1, 0], [1, 0, 0, 0]]
    multihot = MultihotCountVecCircuit(field, 4, 3, 2)
    encoded = multihot.encode([[True, False, True, True], [0, 0, 0, 1]])
    # max_weight 3: the weights are 1 and 2, so three ones are 1 + 1
    assert integers(field, encoded) == [[1, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 0]]
    assert integers(field, multihot.truncate(encoded)) == [[1, 0, 1, 1], [0, 0, 0, 1]]
    assert integers(field, CountCircuit(field).encode([1, 0, 1])) == [[1], [0], [1]]
    for refused in ([[True] * 4], [[0, 0, 2, 0]]):
        with pytest.raises(ValueOutOfRange):
            multihot.encode(refused)
    with pytest.raises(ValueOutOfRange):
        histogram.encode([4])


def test_parameters_that_make_no_circuit_are_named_errors():
    for make in (
        lambda: SumCircuit(FIELD64, 0),
        lambda: SumCircuit(FIELD64, FIELD64.modulus),
        lambda: SumCircuit(FIELD64, -1),
        lambda: SumVecCircuit(FIELD128, 0, 1, 1),
        lambda: SumVecCircuit(FIELD128, 1, FIELD128.modulus, 1),
        lambda: SumVecCircuit(FIELD128, 1, 1, 0),
        lambda: HistogramCircuit(FIELD128, 0, 1),
        lambda: MultihotCountVecCircuit(FIELD128, 4, 5, 1),
        lambda: MultihotCountVecCircuit(FIELD128, 4, 0, 1),
        lambda: ParallelSum(0),
        lambda: PolyEval((1,)),
        lambda: PolyEval((1, 0)),
        lambda: best_chunk_length(0),
        lambda: _Pairs(meas_len=2, bits=3),
        lambda: _Pairs(meas_len=2, bits=0),
        lambda: _Pairs(meas_len=2, bits=2, outputs_of=[Form({0: 1}, constant=1)]),
    ):
        with pytest.raises(ParameterOutOfRange):
            make()


class _Pairs(PairCircuit[Any, Any]):
    def __init__(self, **parts: Any) -> None:
        super().__init__(FIELD64, chunk_length=1, output_len=1, **parts)

    def encode(self, measurements: Any) -> Any: ...

    def decode(self, output: Any, num_measurements: int) -> Any: ...


@pytest.mark.parametrize("pairs", [*range(1, 40), 127, 128, 129, 1000, 8000, 16000, 16003])
def test_no_chunk_length_makes_a_shorter_proof_than_the_best(pairs: int):
    def length(chunk: int) -> int:
        return 2 * chunk + 2 * next_power_of_two(1 + -(-pairs // chunk)) - 1

    assert length(best_chunk_length(pairs)) == min(length(chunk) for chunk in range(1, pairs + 1))


@each_field
def test_gadgets_on_values_and_on_polynomials_agree(field: NttField):
    random, p = Random(8), field.modulus
    wires = [draw(field, 6, random) for _ in range(4)]
    outputs = ParallelSum(3).outputs(field, matrix(field, wires))
    assert field.to_ints(outputs) == [(a * b + c * d + e * f) % p for a, b, c, d, e, f in wires]
    cubic = PolyEval((7, 2, -3, 1))
    xs = draw(field, 4, random)
    assert field.to_ints(cubic.outputs(field, field.from_ints(xs)[:, None])) == [
        (7 + 2 * x - 3 * x * x + x**3) % p for x in xs
    ]
    # On a constant polynomial a gadget is constant, whatever the number of nodes.
    constant = matrix(field, [[xs[0]]] * 4).reshape(field.shape(1, 4, 1))
    assert set(field.to_ints(cubic.polynomial(field, constant)[0])) == {
        (7 + 2 * xs[0] - 3 * xs[0] ** 2 + xs[0] ** 3) % p
    }
    assert cubic.polynomial(field, constant).shape[1] == 3 * 3 + 1
