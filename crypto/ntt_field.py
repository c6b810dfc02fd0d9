"""Field64 and Field128 behind one interface (draft-irtf-cfrg-vdaf, VERSION 18, section 6.1): proofs are written once.

Elements are canonical, and have the same form in memory and on the wire: `[n]` below means uint64[n] in Field64 and
uint64[n, 2] (low word first) in Field128; `[R, n]` has one more axis, for R reports. So a batch of encoded vectors is a view
of its bytes.

A *multiplier* is a factor in the kernels' prepared form (see `crypto.ntt_kernels`): tables, weights and constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import ParameterOutOfRange, ValueOutOfRange, WrongArray, WrongLength
from .field_modulus import P128, P

Elements: TypeAlias = npt.NDArray[np.uint64]
Octets: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]

_WORD = 2**64


@cache
def kernels() -> ModuleType:
    """`ntt_kernels`. It imports numba, which takes half a second, and most processes check no proof."""
    from . import ntt_kernels

    return ntt_kernels


@dataclass(frozen=True, eq=False)
class NttField:
    """A prime field with a subgroup of order 2^log_order, whose generator is `generator`."""

    name: str
    modulus: int
    words: int  # uint64s an element
    generator: int
    log_order: int

    @property
    def encoded_size(self) -> int:
        """Bytes of an element."""
        return 8 * self.words

    @cached_property
    def preparing(self) -> int:
        """The factor that turns an element into a multiplier: 2^128 in Field128, 1 in Field64."""
        return pow(2, 64 * self.words, self.modulus) if self.words > 1 else 1

    def zeros(self, *shape: int) -> Elements:
        """Zeros, `shape` counted in elements."""
        return np.zeros(self.shape(*shape), np.uint64)

    def empty(self, *shape: int) -> Elements:
        """An uninitialised array, `shape` counted in elements."""
        return np.empty(self.shape(*shape), np.uint64)

    def shape(self, *shape: int) -> tuple[int, ...]:
        """The numpy shape of an array of elements."""
        return shape if self.words == 1 else (*shape, self.words)

    def from_ints(self, values: Sequence[int]) -> Elements:
        """The elements `[n]` of integers in [0, p). Raises ValueOutOfRange."""
        for index, value in enumerate(values):
            if not 0 <= value < self.modulus:
                raise ValueOutOfRange("element", index, 0, self.modulus - 1)
        flat = [value >> (64 * word) & (_WORD - 1) for value in values for word in range(self.words)]
        return np.array(flat, np.uint64).reshape(self.shape(len(values)))

    def from_small(self, values: npt.NDArray[np.generic]) -> Elements:
        """The elements of an array of integers (or booleans) in [0, 2^64 - 2^32]: one more axis in Field128."""
        elements = self.zeros(*values.shape)
        self._low_words(elements)[...] = values
        return elements

    def _low_words(self, elements: Elements) -> Elements:
        return elements if self.words == 1 else elements[..., 0]

    def to_ints(self, elements: Elements) -> list[int]:
        """The integers of `[n]`."""
        words = elements.reshape(-1, self.words).tolist()
        return [sum(word << (64 * i) for i, word in enumerate(element)) for element in words]

    def multipliers(self, values: Sequence[int]) -> Elements:
        """Integers (any, taken mod p) as multipliers: `[n]`."""
        return self.from_ints([value * self.preparing % self.modulus for value in values])

    @cached_property
    def to_multiplier(self) -> Elements:
        """`[1]`: the multiplier by which an element becomes a multiplier."""
        return self.multipliers([self.preparing])

    def prepare(self, elements: Elements) -> Elements:
        """Elements as multipliers, of the same shape."""
        return self._scaled(elements, self.to_multiplier)

    def add(self, a: Elements, b: Elements) -> Elements:
        """Sum of two arrays of one shape."""
        return self._binary(kernels().add_elements, a, b)

    def subtract(self, a: Elements, b: Elements) -> Elements:
        """Difference of two arrays of one shape."""
        return self._binary(kernels().subtract_elements, a, b)

    def multiply(self, a: Elements, b: Elements) -> Elements:
        """Products of two arrays of one shape."""
        return self._binary(kernels().multiply_elements, a, b)

    def scale(self, a: Elements, factor: int) -> Elements:
        """The array times an integer (any, taken mod p)."""
        return self._scaled(a, self.multipliers([factor]))

    def _binary(self, kernel: Callable[[Elements, Elements, Elements], None], a: Elements, b: Elements) -> Elements:
        if a.shape != b.shape:
            raise WrongArray("second operand", str(b.shape), str(a.shape))
        out = np.empty(a.shape, np.uint64)
        kernel(self._flat(a), self._flat(b), self._flat(out))
        return out

    def _scaled(self, a: Elements, multiplier: Elements) -> Elements:
        out = np.empty(a.shape, np.uint64)
        kernels().scale_elements(self._flat(a), multiplier, self._flat(out))
        return out

    def _flat(self, elements: Elements) -> Elements:
        count = elements.size // self.words
        return np.ascontiguousarray(elements).reshape(self.shape(count))

    def sum_rows(self, matrix: Elements, selected: Mask) -> Elements:
        """Sum `[n]` over the rows r of `[R, n]` with `selected[r]`."""
        if selected.shape != (len(matrix),):
            raise WrongLength("marks of rows", len(selected), len(matrix))
        totals = self.zeros(matrix.shape[1])
        kernels().add_rows(np.ascontiguousarray(matrix), np.ascontiguousarray(selected), totals)
        return totals

    def sum_columns(self, matrix: Elements) -> Elements:
        """Sum `[R]` over the columns of `[R, n]`."""
        rows = np.ascontiguousarray(matrix.swapaxes(0, 1))
        return self.sum_rows(rows, np.ones(len(rows), np.bool_))

    def encode(self, matrix: Elements) -> Octets:
        """Rows `[R, n]` as bytes: uint8[R, n encoded_size], little-endian."""
        words = np.ascontiguousarray(matrix).astype("<u8", copy=False)
        return words.reshape(len(matrix), self.words * matrix.shape[1]).view(np.uint8)

    def decode(self, octets: Octets) -> tuple[Elements, Mask]:
        """Rows of bytes as elements `[R, n]`, and which rows have only elements below p. Raises WrongLength.

        A row that is not canonical is all zeros afterwards: no kernel ever sees such an element.
        """
        if octets.shape[1] % self.encoded_size:
            raise WrongLength(
                "bytes of a row", octets.shape[1], octets.shape[1] // self.encoded_size * self.encoded_size
            )
        words = np.require(octets, requirements=["C", "A", "O"]).view("<u8").astype(np.uint64, copy=False)
        elements = words.reshape(self.shape(len(octets), octets.shape[1] // self.encoded_size))
        canonical = np.empty(len(elements), np.bool_)
        kernels().check_rows(elements, self.from_ints([self.modulus - 1]), canonical)
        if not canonical.all():
            elements = np.where(canonical.reshape(-1, *[1] * (elements.ndim - 1)), elements, np.uint64(0))
        return elements, canonical

    def canonical(self, elements: Elements) -> Mask:
        """Which elements are below p: bool, one axis less than words in Field128."""
        if self.words == 1:
            return np.asarray(elements < np.uint64(self.modulus))
        low, high = elements[..., 0], elements[..., 1]
        most_high, most_low = (np.uint64(word) for word in divmod(self.modulus - 1, _WORD))
        return np.asarray((high < most_high) | ((high == most_high) & (low <= most_low)))

    def root(self, n: int) -> int:
        """The principal n-th root of unity, n a power of two. Raises ParameterOutOfRange."""
        if n < 1 or n & (n - 1) or n > 2**self.log_order:
            raise ParameterOutOfRange(
                f"order of a root of unity in {self.name}", n, f"a power of two <= 2^{self.log_order}"
            )
        return pow(self.generator, 2**self.log_order // n, self.modulus)

    def inverse(self, value: int) -> int:
        """1 / value mod p, value not 0 mod p."""
        return pow(value, -1, self.modulus)


FIELD64 = NttField("Field64", P, 1, pow(7, 2**32 - 1, P), 32)
FIELD128 = NttField("Field128", P128, 2, pow(7, 2**62 - 7, P128), 66)
