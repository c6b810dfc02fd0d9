"""Integers as bits, so that a check of the bits is also a range check (draft-irtf-cfrg-vdaf, VERSION 18, section 7.4.2).

An integer in [0, max] is a sum of bits times weights 1, 2, 4 ... and a last weight, chosen so that all weights add up to
max: any bits encode an integer in range.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto.errors import ValueOutOfRange, WrongArray, WrongLength

Integers: TypeAlias = npt.NDArray[Any]
"""int64[...], or objects (Python's integers) where int64 is too small; numpy's operators work on both."""

_INT64_BITS = 62


def as_integers(what: str, values: Any, largest: int, columns: int | None = None) -> Integers:
    """`values` as integers [R], or [R, columns], each in [0, largest].

    Takes arrays and nested sequences. Raises WrongArray (another shape, no integers), WrongLength and ValueOutOfRange.
    """
    array = values if isinstance(values, np.ndarray) else np.array(values, object)
    if columns is not None and array.shape == (0,):
        array = array.reshape(0, columns)
    if array.ndim != (axes := 1 if columns is None else 2):
        raise WrongArray(what, f"{array.ndim} axes", f"{axes} axes of integers")
    if array.dtype == object and not all(isinstance(value, (int, np.integer, np.bool_)) for value in array.flat):
        raise WrongArray(what, "objects", "integers")
    if array.dtype.kind not in "biuO":
        raise WrongArray(what, str(array.dtype), "integers")
    if columns is not None and array.shape[1] != columns:
        raise WrongLength(f"entries of a {what}", array.shape[1], columns)
    outside = np.asarray((array < 0) | (array > largest), np.bool_)
    if outside.any():
        raise ValueOutOfRange(what, int(np.argmax(outside)), 0, largest)
    return array.astype(np.int64 if largest.bit_length() <= _INT64_BITS else object)


def weights(largest: int) -> list[int]:
    """The weights of the bits of an integer in [0, largest], `largest` > 0."""
    low = [2**i for i in range(largest.bit_length() - 1)]
    return [*low, largest - sum(low)]


def range_checked_bits(values: Integers, largest: int) -> npt.NDArray[np.uint8]:
    """Bits of integers in [0, largest]: one more axis, of `largest.bit_length()` ("encode_range_checked_int").

    Without a branch: the last bit is set exactly where the other bits cannot hold the integer.
    """
    *low, last_weight = weights(largest)
    last = np.asarray(values > sum(low)).astype(values.dtype)
    rest = values - last * last_weight
    bits = np.empty((*values.shape, len(low) + 1), np.uint8)
    bits[..., :-1] = (rest[..., None] >> np.arange(len(low)).astype(values.dtype)) & 1
    bits[..., -1] = last
    return bits
