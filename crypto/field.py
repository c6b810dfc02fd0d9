"""Field64: the integers modulo p = 2^64 - 2^32 + 1 as arrays of canonical uint64 (draft-irtf-cfrg-vdaf, section 6.1).

Integers travel *centred*: v in [-(p-1)/2, (p-1)/2] is the element v mod p. Every function is exact, returns new arrays and
takes any shape, unless it says otherwise. The algebra expects canonical elements (below p). `from_bytes` checks received
bytes; other functions that check say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import FieldElementOutOfRange, NotAMultiple, ValueOutOfRange, WrongArray
from .field_modulus import P
from .field_words import loops

Elements: TypeAlias = npt.NDArray[np.uint64]
BytesLike: TypeAlias = bytes | bytearray | memoryview

ELEMENT_BYTES = 8
HALF = (P - 1) // 2  # the largest centred value, 2^63 - 2^31; every centred value fits int64


def encode(values: npt.NDArray[np.int64]) -> Elements:
    """Elements of the centred integers `values: int64[...]`; a negative v becomes p + v.

    Raises ValueOutOfRange beyond ±(p-1)/2, where `decode_centred` would read another integer.
    """
    values = np.asarray(values)
    if values.dtype != np.int64:
        raise WrongArray("centred values", str(values.dtype), "int64")
    outside = (values > HALF) | (values < -HALF)
    if outside.any():
        raise ValueOutOfRange("centred value", int(np.argmax(outside)), -HALF, HALF)
    # uint64 holds 2^64 + v for a negative v; subtracting 2^64 - p leaves p + v.
    wrapped = values.astype(np.uint64)
    return np.where(values < 0, wrapped - np.uint64(2**64 - P), wrapped)


def decode_centred(elements: Elements) -> npt.NDArray[np.int64]:
    """Centred integers (int64[...]) of the elements; the inverse of `encode`. Raises FieldElementOutOfRange."""
    require_canonical(elements)
    shifted = np.where(elements > np.uint64(HALF), elements + np.uint64(2**64 - P), elements)
    return shifted.view(np.int64)


def add(a: Elements, b: Elements) -> Elements:
    """Sum mod p; the two broadcast as in numpy."""
    return _binary(loops().add_elements, a, b)


def subtract(a: Elements, b: Elements) -> Elements:
    """Difference a - b mod p; the two broadcast as in numpy."""
    return _binary(loops().subtract_elements, a, b)


def negate(a: Elements) -> Elements:
    """The additive inverse, p - a (0 for 0)."""
    return _binary(loops().subtract_elements, np.zeros((), np.uint64), a)


def multiply(a: Elements, b: Elements) -> Elements:
    """Product mod p, element by element; the two broadcast as in numpy."""
    return _binary(loops().multiply_elements, a, b)


def scale(elements: Elements, k: int) -> Elements:
    """k times each element mod p, for any Python integer k: the layout's public linear map has small, negative ones."""
    return _binary(loops().multiply_elements, elements, np.array(k % P, np.uint64))


def _binary(kernel: Callable[[Elements, Elements, Elements], None], a: Elements, b: Elements) -> Elements:
    shape = np.broadcast_shapes(a.shape, b.shape)
    out = np.empty(shape, np.uint64)
    left, right = (np.ascontiguousarray(np.broadcast_to(part, shape)).reshape(-1) for part in (a, b))
    kernel(left, right, out.reshape(-1))
    return out


def sum_rows(matrix: Elements) -> Elements:
    """Sum mod p over the rows of uint64[B, d]: uint64[d]. Raises FieldElementOutOfRange."""
    totals: Elements = np.zeros((1, matrix.shape[1]), np.uint64)
    if loops().add_rows(np.zeros(len(matrix), np.int64), np.ascontiguousarray(matrix), totals) < len(matrix):
        require_canonical(matrix)
    return totals.reshape(-1)


def require_canonical(elements: Elements) -> None:
    """Raise FieldElementOutOfRange at the first element that is p or more (index in C order)."""
    if elements.dtype != np.uint64:
        raise WrongArray("field elements", str(elements.dtype), "uint64")
    if elements.size and int(elements.max()) >= P:
        raise FieldElementOutOfRange(int(np.argmax(elements >= np.uint64(P))))


def to_bytes(elements: Elements) -> bytes:
    """Little-endian, 8 bytes an element, in C order."""
    return elements.astype("<u8", copy=False).tobytes()


def from_bytes(data: BytesLike) -> Elements:
    """Elements (uint64[n], read-only) of little-endian bytes; no copy where the bytes are aligned.

    Raises NotAMultiple (trailing bytes) and FieldElementOutOfRange.
    """
    elements = view_words(data)
    require_canonical(elements)
    return elements


def view_words(data: BytesLike) -> Elements:
    """As `from_bytes`, but the words may be p or more: for callers that check the words while they add them."""
    size = memoryview(data).nbytes
    if size % ELEMENT_BYTES:
        raise NotAMultiple("field elements", size, ELEMENT_BYTES)
    words = np.frombuffer(data, "<u8").astype(np.uint64, copy=False)
    words = np.require(words, requirements="A")
    words.flags.writeable = False
    return words
