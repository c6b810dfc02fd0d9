"""Field64 in machine words: the numba kernels below `crypto.field` and the leader's accumulator.

p = 2^64 - 2^32 + 1 (draft-irtf-cfrg-vdaf, section 6.1: Field64). Elements are canonical uint64, below p. All kernels rest
on two facts:

* 2^64 = 2^32 - 1 and 2^96 = -1 (mod p), so a 128-bit product folds with shifts and one 32 by 32 bit product;
* with x' = p - x, a sum a + x is the difference a - x', which borrows exactly when a < x'. One subtraction, one
  comparison and one masked addition, with no 65th bit to keep: LLVM turns the loops into AVX-512 or AVX2.

Constants are in the file of their kernels, because numba's `cache=True` does not notice a change in another module. p does not
change.
Loops index whole arrays, `a[r, j]`, on purpose: sliced rows were three times slower (no vector code).
Signatures are explicit, so that each kernel is compiled once and takes read-only arrays (received bytes) too.
"""

from __future__ import annotations

import numpy as np

from base.compiled import njit, types

from .field_modulus import P

_P = np.uint64(P)
_LOW = np.uint64(2**32 - 1)
_32 = np.uint64(32)

# One group of rows is checked, then added while it is still in the L2 cache: 16,384 elements = 128 KiB.
_GROUP_ELEMENTS = 16_384

_MATRIX = types.Array(types.uint64, 2, "C")
_MATRIX_IN = types.Array(types.uint64, 2, "C", readonly=True)
_INT64S_IN = types.Array(types.int64, 1, "C", readonly=True)
_WORDS = types.Array(types.uint64, 1, "C")
_WORDS_IN = types.Array(types.uint64, 1, "C", readonly=True)
_BINARY = types.void(_WORDS_IN, _WORDS_IN, _WORDS)
_INT32S_IN = types.Array(types.int32, 1, "C", readonly=True)


@njit(inline="always")
def _add(a: np.uint64, x: np.uint64) -> np.uint64:
    borrow = _P - x
    difference = a - borrow
    return difference + _P if a < borrow else difference


@njit(inline="always")
def _multiply(a: np.uint64, b: np.uint64) -> np.uint64:
    """Schoolbook to 128 bits in 32-bit limbs, then folded."""
    a0, a1, b0, b1 = a & _LOW, a >> _32, b & _LOW, b >> _32
    low = a0 * b0
    cross = a1 * b0 + (low >> _32)  # at most (2^32 - 1)^2 + 2^32 - 1: fits, as do the next two
    middle = a0 * b1 + (cross & _LOW)
    high = a1 * b1 + (cross >> _32) + (middle >> _32)
    low = (low & _LOW) | (middle << _32)
    # low + 2^64 (h0 + 2^32 h1) = low - h1 + (2^32 - 1) h0
    h0, h1 = high & _LOW, high >> _32
    folded = low - h1
    if low < h1:
        folded -= _LOW  # the wrap added 2^64 = 2^32 - 1
    product = h0 * _LOW
    result = folded + product
    if result < product:
        result += _LOW  # the wrap took 2^64 away
    return result - _P if result >= _P else result


@njit([_BINARY], nogil=True, cache=True)
def add_elements(a, b, out):  # type: ignore[no-untyped-def]
    """Write a + b mod p to `out`; all three uint64[n]."""
    for i in range(out.size):
        out[i] = _add(a[i], b[i])


@njit([_BINARY], nogil=True, cache=True)
def subtract_elements(a, b, out):  # type: ignore[no-untyped-def]
    """Write a - b mod p to `out`; all three uint64[n]."""
    for i in range(out.size):
        difference = a[i] - b[i]
        out[i] = difference + _P if a[i] < b[i] else difference


@njit([_BINARY], nogil=True, cache=True)
def multiply_elements(a, b, out):  # type: ignore[no-untyped-def]
    """Write a * b mod p to `out`, exact; all three uint64[n]."""
    for i in range(out.size):
        out[i] = _multiply(a[i], b[i])


@njit([types.int64(_INT64S_IN, _MATRIX_IN, _MATRIX)], nogil=True, cache=True)
def add_rows(rows, elements, totals):  # type: ignore[no-untyped-def]
    """Add elements[b] to totals[rows[b]], group by group, each group range-checked before it is added.

    `rows: int64[B]` < C (checked by the caller), `elements: uint64[B, d]` as received, `totals: uint64[C, d]`
    canonical. Returns how many leading rows were added: B, or less where the group that follows holds an element >= p.
    """
    count, width = elements.shape
    group = max(4, _GROUP_ELEMENTS // max(width, 1))
    for first in range(0, count, group):
        last = min(count, first + group)
        largest = np.uint64(0)
        for b in range(first, last):
            for j in range(width):
                largest = max(largest, elements[b, j])
        if largest >= _P:
            return first
        b = first
        while b < last:
            r = rows[b]
            if b + 4 <= last and rows[b + 1] == r and rows[b + 2] == r and rows[b + 3] == r:
                # Four rows of one collection: its total is loaded and stored once.
                for j in range(width):
                    total = _add(totals[r, j], elements[b, j])
                    total = _add(total, elements[b + 1, j])
                    total = _add(total, elements[b + 2, j])
                    totals[r, j] = _add(total, elements[b + 3, j])
                b += 4
            else:
                for j in range(width):
                    totals[r, j] = _add(totals[r, j], elements[b, j])
                b += 1
    return count


@njit([types.void(_INT64S_IN, _INT32S_IN, _INT64S_IN, _MATRIX)], nogil=True, cache=True)
def add_sparse(indptr, columns, values, elements):  # type: ignore[no-untyped-def]
    """Add sparse rows (indptr: int64[B+1], columns: int32[n], values: int64[n] >= 0) to `elements: uint64[B, d]`."""
    for b in range(elements.shape[0]):
        for k in range(indptr[b], indptr[b + 1]):
            j = columns[k]
            elements[b, j] = _add(elements[b, j], np.uint64(values[k]))
