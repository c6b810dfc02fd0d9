"""Gadgets: the non-affine parts of validity circuits (draft-irtf-cfrg-vdaf, VERSION 18, appendix A).

Shapes count elements, as in `crypto.ntt_field`; R counts reports, p values of a wire polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crypto.errors import ParameterOutOfRange
from crypto.ntt_field import Elements, NttField
from crypto.ntt_polynomial import double_values, sum_pair_products, weighted_sums


class Gadget(Protocol):
    """A circuit over `arity` wires whose polynomial has degree `degree`."""

    @property
    def arity(self) -> int:
        """Wires of one call."""
        ...

    @property
    def degree(self) -> int:
        """Degree as a polynomial in its wires."""
        ...

    def outputs(self, field: NttField, wires: Elements) -> Elements:
        """Its value `[R]` on `wires: [R, arity]` ("eval")."""
        ...

    def polynomial(self, field: NttField, wires: Elements) -> Elements:
        """Its values on wire polynomials `[R, p, arity]`: at the first degree (p - 1) + 1 nodes ("eval_poly")."""
        ...


def polynomial_length(degree: int, p: int) -> int:
    """How many values determine a gadget polynomial over wire polynomials of p values ("gadget_poly_len")."""
    return degree * (p - 1) + 1


@dataclass(frozen=True)
class ParallelSum:
    """`chunk_length` products, added up: w_0 w_1 + w_2 w_3 + ... A chunk of one is the draft's `Mul`."""

    chunk_length: int

    def __post_init__(self) -> None:
        if self.chunk_length < 1:
            raise ParameterOutOfRange("chunk_length", self.chunk_length, "positive")

    @property
    def arity(self) -> int:
        """Wires of one call."""
        return 2 * self.chunk_length

    @property
    def degree(self) -> int:
        """Two: it multiplies pairs."""
        return 2

    def outputs(self, field: NttField, wires: Elements) -> Elements:
        """Its value `[R]` on `wires: [R, arity]`."""
        return weighted_sums(field, wires[:, 0::2], field.prepare(wires[:, 1::2]))

    def polynomial(self, field: NttField, wires: Elements) -> Elements:
        """Its values on wire polynomials `[R, p, arity]`: `[R, 2 p - 1]`."""
        return sum_pair_products(field, wires)[:, : polynomial_length(2, wires.shape[1])]


@dataclass(frozen=True)
class PolyEval:
    """A polynomial in one wire, given by its coefficients from the constant on; the last one is not zero."""

    coefficients: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.coefficients) < 2 or not self.coefficients[-1]:
            raise ParameterOutOfRange(
                "coefficients of a polynomial", len(self.coefficients), "2 or more, the last not 0"
            )

    @property
    def arity(self) -> int:
        """One wire."""
        return 1

    @property
    def degree(self) -> int:
        """The polynomial's."""
        return len(self.coefficients) - 1

    def outputs(self, field: NttField, wires: Elements) -> Elements:
        """Its value `[R]` on `wires: [R, 1]`."""
        return self._horner(field, wires)[:, 0]

    def polynomial(self, field: NttField, wires: Elements) -> Elements:
        """Its values on the wire polynomials `[R, p, 1]`."""
        length = polynomial_length(self.degree, wires.shape[1])
        while wires.shape[1] < length:
            wires = double_values(field, wires)
        return self._horner(field, wires[:, :length, 0])

    def _horner(self, field: NttField, x: Elements) -> Elements:
        value = self._constant(field, self.coefficients[-1], x)
        for coefficient in self.coefficients[-2::-1]:
            value = field.add(field.multiply(value, x), self._constant(field, coefficient, x))
        return value

    @staticmethod
    def _constant(field: NttField, value: int, like: Elements) -> Elements:
        return np.broadcast_to(field.from_ints([value % field.modulus])[0], like.shape)
