"""The draft's validity circuits (draft-irtf-cfrg-vdaf, VERSION 18, "Variants"), and the one circuit of a higher degree
that its authors made a vector for.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.vdaf.plain_errors import require, require_size
from tests.vdaf.plain_field import Field
from tests.vdaf.plain_flp import GadgetCall, Valid, mul, parallel_sum, poly_eval


def range_weights(max_measurement: int) -> list[int]:
    """The weight of each bit: powers of two, but the last, with which they add up to `max_measurement` ("Prio3Sum")."""
    powers = [1 << k for k in range(max_measurement.bit_length() - 1)]
    return [*powers, max_measurement - sum(powers)]


def encode_range_checked_int(value: int, max_measurement: int) -> list[int]:
    """Zeros and ones whose weighted sum is `value`; the last one is 1 only where the others cannot do without it."""
    require(0 <= value <= max_measurement, f"a measurement outside [0, {max_measurement}]")
    *powers, last_weight = range_weights(max_measurement)
    last = int(value > sum(powers))
    rest = value - last * last_weight
    return [*(rest >> k & 1 for k in range(len(powers))), last]


def decode_range_checked_int(field: Field, encoded: Sequence[int], max_measurement: int) -> int:
    """The weighted sum, which of shares is a share."""
    return field.dot(range_weights(max_measurement), encoded)


def _require_maximum(field: Field, name: str, value: int) -> None:
    require(0 < value < field.modulus, f"{name} is outside [1, {field.modulus})")


class Count(Valid):
    """One bit ("Prio3Count")."""

    def __init__(self, field: Field) -> None:
        super().__init__(field, [mul()], [1], meas_len=1, joint_rand_len=0, eval_output_len=1, output_len=1)

    def encode(self, measurement: int) -> list[int]:
        require(measurement in (0, 1), "a count's measurement is 0 or 1")
        return [int(measurement)]

    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        return [(call(0, [meas[0], meas[0]]) - meas[0]) % self.field.modulus]

    def truncate(self, meas: Sequence[int]) -> list[int]:
        return list(meas)

    def decode(self, output: Sequence[int], num_measurements: int) -> int:
        return output[0]


class Sum(Valid):
    """An integer in [0, max_measurement] as bits, each checked on its own ("Prio3Sum")."""

    def __init__(self, field: Field, max_measurement: int) -> None:
        _require_maximum(field, "max_measurement", max_measurement)
        bits = max_measurement.bit_length()
        bit_check = poly_eval([0, -1, 1])  # x^2 - x
        super().__init__(
            field, [bit_check], [bits], meas_len=bits, joint_rand_len=0, eval_output_len=bits, output_len=1
        )
        self.max_measurement = max_measurement

    def encode(self, measurement: int) -> list[int]:
        return encode_range_checked_int(measurement, self.max_measurement)

    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        return [call(0, [bit]) for bit in meas]

    def truncate(self, meas: Sequence[int]) -> list[int]:
        return [decode_range_checked_int(self.field, meas, self.max_measurement)]

    def decode(self, output: Sequence[int], num_measurements: int) -> int:
        return output[0]


class _Bits(Valid):
    """What SumVec, Histogram and MultihotCountVec share: every element of the measurement is checked to be a bit, in
    chunks of `chunk_length` by a parallel sum of products, chunk i weighted by the powers of its joint randomness."""

    def __init__(
        self, field: Field, meas_len: int, chunk_length: int, *, eval_output_len: int, output_len: int
    ) -> None:
        require(chunk_length > 0, "chunk_length is positive")
        calls = (meas_len + chunk_length - 1) // chunk_length
        gadget = parallel_sum(mul(), chunk_length)
        super().__init__(
            field,
            [gadget],
            [calls],
            meas_len=meas_len,
            joint_rand_len=calls,
            eval_output_len=eval_output_len,
            output_len=output_len,
        )
        self.chunk_length = chunk_length

    def range_check(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], shares_inv: int) -> int:
        p = self.field.modulus
        padded = [*meas, *[0] * (self.gadget_calls[0] * self.chunk_length - len(meas))]
        check = 0
        for i, r in enumerate(joint_rand):
            inputs = []
            r_power = r
            for element in padded[i * self.chunk_length : (i + 1) * self.chunk_length]:
                inputs += [r_power * element % p, (element - shares_inv) % p]
                r_power = r_power * r % p
            check += call(0, inputs)
        return check % p


class SumVec(_Bits):
    """`length` integers in [0, max_measurement] ("Prio3SumVec")."""

    def __init__(self, field: Field, length: int, max_measurement: int, chunk_length: int) -> None:
        require(length > 0, "length is positive")
        _require_maximum(field, "max_measurement", max_measurement)
        bits = max_measurement.bit_length()
        super().__init__(field, length * bits, chunk_length, eval_output_len=1, output_len=length)
        self.length = length
        self.max_measurement = max_measurement

    def encode(self, measurement: Sequence[int]) -> list[int]:
        require_size("measurement", len(measurement), self.length)
        return [bit for value in measurement for bit in encode_range_checked_int(value, self.max_measurement)]

    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        return [self.range_check(call, meas, joint_rand, self.field.inverse(num_shares))]

    def truncate(self, meas: Sequence[int]) -> list[int]:
        bits = self.max_measurement.bit_length()
        return [
            decode_range_checked_int(self.field, meas[start : start + bits], self.max_measurement)
            for start in range(0, self.meas_len, bits)
        ]

    def decode(self, output: Sequence[int], num_measurements: int) -> list[int]:
        return list(output)


class Histogram(_Bits):
    """One bucket of `length` ("Prio3Histogram")."""

    def __init__(self, field: Field, length: int, chunk_length: int) -> None:
        require(length > 0, "length is positive")
        super().__init__(field, length, chunk_length, eval_output_len=2, output_len=length)
        self.length = length

    def encode(self, measurement: int) -> list[int]:
        require(0 <= measurement < self.length, f"a bucket outside [0, {self.length})")
        return [int(bucket == measurement) for bucket in range(self.length)]

    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        shares_inv = self.field.inverse(num_shares)
        sum_check = (sum(meas) - shares_inv) % self.field.modulus
        return [self.range_check(call, meas, joint_rand, shares_inv), sum_check]

    def truncate(self, meas: Sequence[int]) -> list[int]:
        return list(meas)

    def decode(self, output: Sequence[int], num_measurements: int) -> list[int]:
        return list(output)


class MultihotCountVec(_Bits):
    """`length` bits, of which at most `max_weight` are set ("Prio3MultihotCountVec")."""

    def __init__(self, field: Field, length: int, max_weight: int, chunk_length: int) -> None:
        require(0 < length < field.modulus, f"length is outside [1, {field.modulus})")
        require(0 < max_weight <= length, "max_weight is in [1, length]")
        super().__init__(field, length + max_weight.bit_length(), chunk_length, eval_output_len=2, output_len=length)
        self.length = length
        self.max_weight = max_weight

    def encode(self, measurement: Sequence[bool]) -> list[int]:
        require_size("measurement", len(measurement), self.length)
        require(all(x in (0, 1) for x in measurement), "an entry that is no boolean")
        count_vec = [int(x) for x in measurement]
        return count_vec + encode_range_checked_int(sum(count_vec), self.max_weight)

    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        range_check = self.range_check(call, meas, joint_rand, self.field.inverse(num_shares))
        reported = decode_range_checked_int(self.field, meas[self.length :], self.max_weight)
        return [range_check, (sum(meas[: self.length]) - reported) % self.field.modulus]

    def truncate(self, meas: Sequence[int]) -> list[int]:
        return list(meas[: self.length])

    def decode(self, output: Sequence[int], num_measurements: int) -> list[int]:
        return list(output)


class HigherDegree(Valid):
    """0, 1 or 2 by one gadget of degree three: no variant of the draft, but its repository has a vector of it."""

    def __init__(self, field: Field) -> None:
        cubic = poly_eval([0, 2, -3, 1])  # x (x - 1) (x - 2)
        super().__init__(field, [cubic], [1], meas_len=1, joint_rand_len=0, eval_output_len=1, output_len=1)

    def encode(self, measurement: int) -> list[int]:
        require(measurement in (0, 1, 2), "a measurement is 0, 1 or 2")
        return [measurement]

    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        return [call(0, meas)]

    def truncate(self, meas: Sequence[int]) -> list[int]:
        return list(meas)

    def decode(self, output: Sequence[int], num_measurements: int) -> int:
        return output[0]
