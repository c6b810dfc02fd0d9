"""Field64 in numpy: what a site without numba uses instead of `crypto.field_kernels`. Same arguments, same results, more memory.

The arithmetic is that of the kernels, over whole arrays. Words wrap modulo 2^64, as they do there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .field_modulus import P

Words = npt.NDArray[np.uint64]

_P = np.uint64(P)
_LOW = np.uint64(2**32 - 1)
_32 = np.uint64(32)
_ZERO = np.uint64(0)


def add_elements(a: Words, b: Words, out: Words) -> None:
    """Write a + b mod p to `out`; all three uint64[n]."""
    borrow = _P - b
    np.subtract(a, borrow, out=out)
    out += np.where(a < borrow, _P, _ZERO)


def subtract_elements(a: Words, b: Words, out: Words) -> None:
    """Write a - b mod p to `out`; all three uint64[n]."""
    less = a < b
    np.subtract(a, b, out=out)
    out += np.where(less, _P, _ZERO)


def multiply_elements(a: Words, b: Words, out: Words) -> None:
    """Write a * b mod p to `out`, exact; all three uint64[n]. See `field_kernels._multiply`."""
    a0, a1, b0, b1 = a & _LOW, a >> _32, b & _LOW, b >> _32
    low = a0 * b0
    cross = a1 * b0 + (low >> _32)
    middle = a0 * b1 + (cross & _LOW)
    high = a1 * b1 + (cross >> _32) + (middle >> _32)
    low = (low & _LOW) | (middle << _32)
    h0, h1 = high & _LOW, high >> _32
    folded = low - h1 - np.where(low < h1, _LOW, _ZERO)
    product = h0 * _LOW
    result = folded + product
    result += np.where(result < product, _LOW, _ZERO)
    out[...] = result - np.where(result >= _P, _P, _ZERO)


def add_rows(rows: npt.NDArray[np.int64], elements: Words, totals: Words) -> int:
    """Add elements[b] to totals[rows[b]], each row range-checked before it is added.

    Returns how many leading rows were added: B, or less where the row that follows holds an element >= p.
    """
    for b, row in enumerate(rows.tolist()):
        if elements.shape[1] and elements[b].max() >= _P:
            return b
        add_elements(totals[row].copy(), elements[b], totals[row])
    return len(rows)


def add_sparse(
    indptr: npt.NDArray[np.int64], columns: npt.NDArray[np.int32], values: npt.NDArray[np.int64], elements: Words
) -> None:
    """Add sparse rows (indptr: int64[B+1], columns: int32[n], values: int64[n] >= 0) to `elements: uint64[B, d]`."""
    flat = elements.reshape(-1)
    of_row = np.repeat(np.arange(len(elements), dtype=np.int64), np.diff(indptr))
    places, added = of_row * elements.shape[1] + columns[indptr[0] : indptr[-1]], values[indptr[0] : indptr[-1]]
    while len(places):  # a place that a row names again is added in the next turn
        at, first = np.unique(places, return_index=True)
        sums = np.empty(len(at), np.uint64)
        add_elements(flat[at], added[first].astype(np.uint64), sums)
        flat[at] = sums
        rest = np.ones(len(places), np.bool_)
        rest[first] = False
        places, added = places[rest], added[rest]
