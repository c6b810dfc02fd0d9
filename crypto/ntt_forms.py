"""Linear forms of a vector of field elements: a circuit computes them without a gadget.

A form is c_0 + c_1 x_1 + ... + c_n x_n with few non-zero c_i. If x is one of s additive shares, the constant is c_0 / s,
so that the s results add up to the form's value (draft-irtf-cfrg-vdaf, section 7.3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .errors import IndexOutOfRange, WrongLength
from .ntt_field import Elements, NttField, kernels


@dataclass(frozen=True)
class Form:
    """One form: `terms` maps an entry's index to its coefficient; integers of any size and sign, taken mod p."""

    terms: Mapping[int, int]
    constant: int = 0


@dataclass(frozen=True, eq=False)
class LinearForms:
    """m forms of a vector of `length` entries, compiled for a field."""

    field: NttField
    length: int
    indptr: npt.NDArray[np.int64]  # int64[m + 1]: form i has the terms indptr[i] .. indptr[i + 1]
    columns: npt.NDArray[np.int64]
    coefficients: Elements  # multipliers
    constants: Elements  # [m]

    @classmethod
    def compile(cls, field: NttField, length: int, forms: Sequence[Form]) -> LinearForms:
        """Raises IndexOutOfRange if a form names an entry beyond the vector."""
        columns = [column for form in forms for column in form.terms]
        for column in columns:
            if not 0 <= column < length:
                raise IndexOutOfRange("entry of a linear form", column, length)
        return cls(
            field,
            length,
            np.concatenate(([0], np.cumsum([len(form.terms) for form in forms]))).astype(np.int64),
            np.array(columns, np.int64),
            field.multipliers([coefficient for form in forms for coefficient in form.terms.values()]),
            field.from_ints([form.constant % field.modulus for form in forms]),
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def apply(self, vectors: Elements, shares: int) -> Elements:
        """Values `[R, m]` of the forms of `vectors: [R, length]`; each vector is one of `shares` additive shares.

        Raises WrongLength.
        """
        if vectors.shape[1] != self.length:
            raise WrongLength("entries of a vector", vectors.shape[1], self.length)
        out = self.field.empty(len(vectors), len(self))
        kernels().apply_forms(
            np.ascontiguousarray(vectors), self.indptr, self.columns, self.coefficients, _constants(self, shares), out
        )
        return out


@lru_cache(maxsize=256)
def _constants(forms: LinearForms, shares: int) -> Elements:
    """The constants that each of `shares` aggregators adds: `[m]`."""
    return forms.field.scale(forms.constants, forms.field.inverse(shares))
