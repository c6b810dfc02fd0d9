"""The bound on a liar's chance: the draft's formula by hand, and its advice on fields and proofs."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from crypto.flp.soundness import soundness_bits, soundness_error
from crypto.flp.variants import CountCircuit, HistogramCircuit, SumCircuit, SumVecCircuit
from crypto.ntt_field import FIELD64, FIELD128, NttField


def test_the_bound_by_hand():
    p = FIELD128.modulus
    # 33 powers of each r and one reduction of two outputs; two polynomials of degree 31 multiplied, 32 nodes.
    assert soundness_error(HistogramCircuit(FIELD128, 1000, 33), 1) == Fraction(34, p) + Fraction(62, p - 32)
    assert soundness_error(SumVecCircuit(FIELD64, 1000, 65535, 126), 3) == (
        (Fraction(126, FIELD64.modulus) + Fraction(254, FIELD64.modulus - 128)) ** 3
    )
    assert soundness_error(CountCircuit(FIELD64), 1) == Fraction(2, FIELD64.modulus - 2)
    # No joint randomness, eight outputs to reduce, a gadget of degree two over 16 values.
    assert soundness_error(SumCircuit(FIELD64, 255), 1) == Fraction(1, FIELD64.modulus) + Fraction(
        30, FIELD64.modulus - 16
    )


@pytest.mark.parametrize(("field", "proofs", "at_least"), [(FIELD128, 1, 118), (FIELD64, 3, 160), (FIELD64, 2, 105)])
def test_bits_are_the_logarithm(field: NttField, proofs: int, at_least: int):
    circuit = SumVecCircuit(field, 1000, 65535, 126)
    bits = soundness_bits(circuit, proofs)
    assert math.isclose(2.0**-bits, float(soundness_error(circuit, proofs)), rel_tol=1e-9)
    assert at_least < bits < at_least + 10
