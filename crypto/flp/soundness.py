"""The chance that an invalid report passes (draft-irtf-cfrg-vdaf, VERSION 18, section 9.7: "Choosing FLP Parameters").

The draft's formula is (circuit_soundness + flp_soundness) ** PROOFS. By the lemma of Schwartz and Zippel the two terms are:

* circuit: an invalid measurement's first output is a polynomial of degree at most `chunk_length` in the joint randomness
  (each call has its own r, at powers up to the chunk length; [BBCGGI19], theorem 5.2), and the random combination of
  several outputs has degree 1: (chunk_length + 1) / |F|. The first summand applies only with joint randomness, the second
  only with more than one output.
* flp: a wrong gadget polynomial agrees with the gadget on the wire polynomials in at most d (p - 1) points, because both
  have at most that degree for a gadget of degree d and p values a wire. t is none of the p nodes:
  d (p - 1) / (|F| - p) ([BBCGGI19], theorem 4.3, with roots of unity for its points).

With joint randomness the client can try measurements offline, and each try has this chance. This is why the draft aims at
2^-128 in total.
"""

from __future__ import annotations

import math
from fractions import Fraction

from .proof import AnyCircuit


def soundness_error(circuit: AnyCircuit, proofs: int) -> Fraction:
    """An upper bound on the chance that an invalid measurement passes all `proofs` proofs."""
    field = circuit.field.modulus
    degree = circuit.gadget.degree * (circuit.wire_len - 1)
    of_reduction = 1 if circuit.eval_output_len > 1 else 0
    one = Fraction(circuit.joint_rand_degree + of_reduction, field) + Fraction(degree, field - circuit.wire_len)
    return one**proofs


def soundness_bits(circuit: AnyCircuit, proofs: int) -> float:
    """The bound in bits: 128 means 2^-128."""
    error = soundness_error(circuit, proofs)
    return math.log2(error.denominator) - math.log2(error.numerator)
