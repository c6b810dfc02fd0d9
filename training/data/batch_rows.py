"""The rows of a batch, copied once from the mapped files of a joined cache into reused memory."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from numba import njit, types, uint8, void

from .cache_files import Bytes, Floats, Ints, JoinedCache

Bools = npt.NDArray[np.bool_]

_KEPT: Final = 4
"""The most pieces of memory that are kept for reuse."""
_ALIGNED: Final = 64
_UNPACKED: Final = 2**16
_BITS_OF: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
"""uint8[256, 8]: the bits of each byte, the lowest first."""


class Buffers:
    """Memory for rows. A piece is reused when no array or tensor refers to it.

    The operating system provides new memory page by page, which takes longer than copying the rows.
    """

    def __init__(self) -> None:
        self._free = deque[Bytes](maxlen=_KEPT)

    def lend(self, size: int) -> Bytes:
        """Return a writable uint8[size]."""
        waiting = self._free.pop() if self._free else None
        memory = np.empty(size, np.uint8) if waiting is None or len(waiting) < size else waiting
        return np.asarray(_Loan(memory, self._free))[:size]


class _Loan:
    """The owner of an array's memory, which returns the memory when the array is deleted."""

    def __init__(self, memory: Bytes, free: deque[Bytes]) -> None:
        self._memory, self._free = memory, free
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self._free.append(self._memory)


@dataclass(frozen=True, eq=False)
class BatchRows:
    """N rows. A padding row has weight 0, number −1, and 0 everywhere else.

    Attributes:
        x, se: float32[N, F]; mask: bool[N, F].
        y, weight: float32[N].
        row, time: int64[N], number of the label and its time in µs.
    """

    x: Floats
    mask: Bools
    se: Floats
    y: Floats
    weight: Floats
    row: Ints
    time: Ints

    @classmethod
    def empty(cls, size: int, width: int, buffers: Buffers) -> Self:
        """Make rows without content."""
        places, need = _places(size, width)
        memory = buffers.lend(need)
        first = -memory.ctypes.data % _ALIGNED
        return cls(*(memory[first + at : first + end].view(kind).reshape(shape) for at, end, kind, shape in places))


@cache
def _places(size: int, width: int) -> tuple[list[tuple[int, int, type[np.generic], tuple[int, ...]]], int]:
    """Return (start, end, kind, shape) of each array in one piece of memory, and the size of the piece."""
    matrix, column = (size, width), (size,)
    kinds: list[tuple[type[np.generic], tuple[int, ...]]] = [
        (np.float32, matrix), (np.bool_, matrix), (np.float32, matrix),
        (np.float32, column), (np.float32, column), (np.int64, column), (np.int64, column),
    ]  # fmt: skip
    places, at = [], 0
    for kind, shape in kinds:
        end = at + np.dtype(kind).itemsize * math.prod(shape)
        places.append((at, end, kind, shape))
        at = -(-end // _ALIGNED) * _ALIGNED
    return places, at + _ALIGNED


def read_rows(cache: JoinedCache, rows: slice | Ints, size: int, buffers: Buffers) -> BatchRows:
    """Copy rows: neighbours as a slice, others one by one. Padding rows follow up to `size`."""
    made = BatchRows.empty(size, cache.width, buffers)
    if isinstance(rows, slice):
        count = rows.stop - rows.start
        made.x[:count], made.se[:count], small = cache.x[rows], cache.se[rows], cache.small[rows]
        made.row[:count] = np.arange(rows.start, rows.stop)
        _unpack(cache.bits, rows.start * cache.width, made.mask[:count].reshape(-1))
    else:
        count = len(rows)
        for part, matrix in ((cache.x, made.x), (cache.se, made.se)):
            np.take(part, rows, axis=0, out=matrix[:count], mode="clip")  # "raise" would copy once more
        small = np.take(cache.small, rows, mode="clip")
        made.row[:count] = rows
        _spread(small["mask"], _BITS_OF, made.mask.view(np.uint8))
    made.y[:count], made.time[:count], made.weight[:count] = small["y"], small["time"], 1
    if count < size:
        for into in (made.x, made.mask, made.se, made.y, made.weight, made.time):
            into[count:] = 0
        made.row[count:] = -1
    return made


def _unpack(bits: Bytes, first: int, out: Bools) -> None:
    """Fill bool[n] with the bits from `first` on, in small pieces that stay in the CPU cache until they are copied."""
    for done in range(0, len(out), _UNPACKED):
        low = first + done
        high = min(low + _UNPACKED, first + len(out))
        unpacked = np.unpackbits(bits[low // 8 : -(-high // 8)], bitorder="little").view(np.bool_)
        out[done : done + high - low] = unpacked[low % 8 : low % 8 + high - low]


@njit(void(types.Array(uint8, 2, "A"), uint8[:, ::1], uint8[:, ::1]), cache=True, nogil=True)
def _spread(mask: Bytes, bits_of: Bytes, out: Bytes) -> None:
    """Fill the first n rows of uint8[N, F] with the bits of uint8[n, ⌈F/8⌉]; twice as fast as `np.unpackbits` for short rows."""
    whole = out.shape[1] // 8
    rest = out.shape[1] - 8 * whole
    for i in range(len(mask)):
        for k in range(whole):
            byte = mask[i, k]
            for j in range(8):  # a loop of a fixed length becomes one instruction
                out[i, 8 * k + j] = bits_of[byte, j]
        if rest:
            byte = mask[i, whole]
            for j in range(rest):
                out[i, 8 * whole + j] = bits_of[byte, j]
