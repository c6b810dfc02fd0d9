"""The validity circuits of the draft's variants (draft-irtf-cfrg-vdaf, VERSION 18, section 7.4).

Measurements come as anything numpy makes an integer array of: R numbers, or R vectors. Encoding is arithmetic on whole
arrays; the only branch is the check that a measurement is in range, whose failure is an error of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crypto.errors import ParameterOutOfRange
from crypto.ntt_field import Elements, NttField
from crypto.ntt_forms import Form, LinearForms

from .circuit import Circuit, PairCircuit
from .encoding import as_integers, range_checked_bits, weights
from .gadgets import ParallelSum, PolyEval


def require_in_field(field: NttField, what: str, value: int) -> None:
    """Raise ParameterOutOfRange unless 0 < value < p: beyond p, a sum of `value` ones, or the bits of `value`, would wrap."""
    if not 0 < value < field.modulus:
        raise ParameterOutOfRange(what, value, f"in [1, {field.modulus})")


class CountCircuit(Circuit[int, int]):
    """A measurement is 0 or 1; the result counts the ones. x x - x = 0."""

    def __init__(self, field: NttField) -> None:
        gadget = ParallelSum(1)
        super().__init__(field, gadget, calls=1, meas_len=1, joint_rand_len=0, eval_output_len=1, output_len=1)

    def encode(self, measurements: Sequence[int]) -> Elements:
        """Raises ValueOutOfRange."""
        return self.field.from_small(as_integers("measurement", measurements, 1)[:, None])

    def fill_wires(self, meas: Elements, joint_rand: Elements, shares: int, wires: Elements) -> None:
        """The measurement on both wires."""
        wires[:, 1, 0] = wires[:, 1, 1] = meas[:, 0]

    def outputs(self, meas: Elements, gadget_outputs: Elements, shares: int) -> Elements:
        """The square less the measurement."""
        return self.field.subtract(gadget_outputs, meas)

    def truncate(self, meas: Elements) -> Elements:
        """The measurement itself."""
        return meas

    def decode(self, output: Elements, num_measurements: int) -> int:
        """The count."""
        return self.field.to_ints(output)[0]


class SumCircuit(Circuit[int, int]):
    """A measurement is in [0, max_measurement]; the result is the sum. Each bit is checked on its own."""

    def __init__(self, field: NttField, max_measurement: int) -> None:
        require_in_field(field, "max_measurement", max_measurement)
        bits = max_measurement.bit_length()
        super().__init__(
            field,
            PolyEval((0, -1, 1)),
            calls=bits,
            meas_len=bits,
            joint_rand_len=0,
            eval_output_len=bits,
            output_len=1,
        )
        self.max_measurement = max_measurement
        self._value = LinearForms.compile(field, bits, [Form(dict(enumerate(weights(max_measurement))))])

    def encode(self, measurements: Sequence[int]) -> Elements:
        """Raises ValueOutOfRange."""
        values = as_integers("measurement", measurements, self.max_measurement)
        return self.field.from_small(range_checked_bits(values, self.max_measurement))

    def fill_wires(self, meas: Elements, joint_rand: Elements, shares: int, wires: Elements) -> None:
        """One bit a call."""
        wires[:, 1 : 1 + self.calls, 0] = meas

    def outputs(self, meas: Elements, gadget_outputs: Elements, shares: int) -> Elements:
        """The output of each call."""
        return gadget_outputs

    def truncate(self, meas: Elements) -> Elements:
        """The integer of the bits."""
        return self._value.apply(meas, 1)

    def decode(self, output: Elements, num_measurements: int) -> int:
        """The sum."""
        return self.field.to_ints(output)[0]


class SumVecCircuit(PairCircuit[Sequence[int], list[int]]):
    """A measurement is a vector of `length` integers in [0, max_measurement]; the result is the vector of sums."""

    def __init__(self, field: NttField, length: int, max_measurement: int, chunk_length: int) -> None:
        require_in_field(field, "length", length)
        require_in_field(field, "max_measurement", max_measurement)
        scale, width = weights(max_measurement), max_measurement.bit_length()
        super().__init__(
            field,
            meas_len=length * width,
            bits=length * width,
            chunk_length=chunk_length,
            output_len=length,
            outputs_of=[Form({i * width + j: weight for j, weight in enumerate(scale)}) for i in range(length)],
        )
        self.length, self.max_measurement = length, max_measurement

    def encode(self, measurements: Sequence[Sequence[int]]) -> Elements:
        """Raises WrongLength and ValueOutOfRange."""
        values = as_integers("measurement", measurements, self.max_measurement, self.length)
        return self.field.from_small(
            range_checked_bits(values, self.max_measurement).reshape(len(values), self.meas_len)
        )

    def decode(self, output: Elements, num_measurements: int) -> list[int]:
        """The sums."""
        return self.field.to_ints(output)


class HistogramCircuit(PairCircuit[int, list[int]]):
    """A measurement is a bucket in [0, length); the result counts each bucket's. The bits of the buckets add up to 1."""

    def __init__(self, field: NttField, length: int, chunk_length: int) -> None:
        require_in_field(field, "length", length)
        super().__init__(
            field,
            meas_len=length,
            bits=length,
            chunk_length=chunk_length,
            output_len=length,
            equalities=[Form(dict.fromkeys(range(length), 1), constant=-1)],
        )
        self.length = length

    def encode(self, measurements: Sequence[int]) -> Elements:
        """Raises ValueOutOfRange."""
        buckets = as_integers("measurement", measurements, self.length - 1)
        # A comparison with every bucket, so that no address depends on the measurement.
        return self.field.from_small(buckets[:, None] == np.arange(self.length))

    def decode(self, output: Elements, num_measurements: int) -> list[int]:
        """The counts."""
        return self.field.to_ints(output)


class MultihotCountVecCircuit(PairCircuit[Sequence[bool], list[int]]):
    """A measurement is `length` bits of which at most `max_weight` are set; the result counts each bit's ones.

    The number of ones is encoded after the bits, so that it cannot exceed `max_weight`; it equals the bits' sum.
    """

    def __init__(self, field: NttField, length: int, max_weight: int, chunk_length: int) -> None:
        require_in_field(field, "length", length)
        if not 0 < max_weight <= length:
            raise ParameterOutOfRange("max_weight", max_weight, f"in [1, {length}]")
        scale = weights(max_weight)
        terms = dict.fromkeys(range(length), 1) | {length + i: -weight for i, weight in enumerate(scale)}
        super().__init__(
            field,
            meas_len=length + len(scale),
            bits=length + len(scale),
            chunk_length=chunk_length,
            output_len=length,
            equalities=[Form(terms)],
        )
        self.length, self.max_weight = length, max_weight

    def encode(self, measurements: Sequence[Sequence[bool]]) -> Elements:
        """Raises WrongLength and ValueOutOfRange (an entry that is no bit, or too many ones)."""
        bits = as_integers("measurement", measurements, 1, self.length)
        ones = as_integers("weight of measurement", bits.sum(axis=1), self.max_weight)
        return self.field.from_small(np.concatenate([bits, range_checked_bits(ones, self.max_weight)], axis=1))

    def decode(self, output: Elements, num_measurements: int) -> list[int]:
        """The counts."""
        return self.field.to_ints(output)
