"""The chance that an invalid report passes (draft-irtf-cfrg-vdaf, VERSION 18, section 9.7: "Choosing FLP Parameters").

The draft's formula is (circuit_soundness + flp_soundness) ** PROOFS; the two terms, by the lemma of Schwartz and Zippel:

* circuit: an invalid measurement's first output is a polynomial of degree at most `chunk_length` in the joint randomness
  (each call has its own r, at powers up to the chunk length; [BBCGGI19], theorem 5.2), and the random combination of
  several outputs has degree 1: (chunk_length + 1) / |F|, each part only where there is joint randomness, or more than
  one output.
* flp: a wrong gadget polynomial agrees with the gadget on the wire polynomials, both of degree at most
  d (p - 1) for a gadget of degree d and p values a wire, in at most so many points; t is none of the p nodes:
  d (p - 1) / (|F| - p) ([BBCGGI19], theorem 4.3, with roots of unity for its points).

With joint randomness the client may try measurements offline until the randomness suits it, which is why the draft aims
at 2^-128 for all of it: each try has this chance.
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
    """The bound as bits: 128 stands for 2^-128."""
    error = soundness_error(circuit, proofs)
    return math.log2(error.denominator) - math.log2(error.numerator)
