"""Expand the seeds of a whole batch: the same bytes as `crypto.xof`, sixteen reports at a time.

All reports of a batch share the binder, and the domain separation tag except for a u32 index in it (the collection). The
message must fit one block of TurboSHAKE128. `expand` stores the streams; `add_to` only sums them.

Rejected words (p or more, one in 2^32) are rare. The kernels mark a report that has one; then the reference path replaces
its row, or adds the difference between the right stream and the words that were added. Without numba, every report takes the
reference path.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from base.extras import COMPILED

from . import field
from .errors import IndexOutOfRange, TooLong, WrongArray, WrongLength
from .field import ELEMENT_BYTES, Elements
from .field_modulus import P
from .xof import DOMAIN, SEED_BYTES, XofTurboShake128, message

RATE_BYTES, _STATE_BYTES = 168, 200
"""Of TurboSHAKE128: what a permutation absorbs, of the whole state."""
INDEX_BYTES = 4

# The kernels mark a report with a word of this size or more. Tests lower it, to send ordinary reports to the reference path.
SUSPECT_FROM = P

# Up to this many reports leave most lanes idle; one by one they are faster.
_FEW = 3

Seeds = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.int64]


class BatchXof:
    """XofTurboShake128 with a fixed binder and a dst that holds a big-endian u32 index at byte `index_at`."""

    def __init__(self, dst: bytes, index_at: int, binder: bytes) -> None:
        """`dst` has zeros in place of the index. Raises TooLong if the padded message is longer than one block."""
        if not 0 <= index_at <= len(dst) - INDEX_BYTES or any(dst[index_at : index_at + INDEX_BYTES]):
            raise IndexOutOfRange("place of the index in the tag", index_at, len(dst) - INDEX_BYTES + 1)
        self._dst, self._index_at, self._binder = dst, index_at, binder
        block = bytearray(message(bytes(SEED_BYTES), dst, binder))
        if len(block) >= RATE_BYTES:
            raise TooLong("message", len(block), RATE_BYTES - 1)
        self._at = (2 + len(dst) + 1, 2 + index_at)  # the places of seed and index in the message
        block += bytes([DOMAIN]) + bytes(_STATE_BYTES - len(block) - 1)
        block[RATE_BYTES - 1] ^= 0x80
        self._template = field.view_words(bytes(block))

    def one(self, seed: bytes, index: int) -> XofTurboShake128:
        """The stream of one report, by the reference path."""
        at = self._index_at
        dst = self._dst[:at] + index.to_bytes(INDEX_BYTES, "big") + self._dst[at + INDEX_BYTES :]
        return XofTurboShake128(seed, dst, self._binder)

    def expand(self, seeds: Seeds, indices: Indices, length: int, *, negated: bool = False) -> Elements:
        """Each report's first `length` elements (or their negation mod p): uint64[B, length].

        `seeds: uint8[B, 32]` are secret, and so is the result; `indices: uint32[B]`.
        """
        words = _seed_words(seeds, indices)
        out = np.empty((len(words), length), np.uint64)
        suspect = np.ones(len(words), np.uint8)
        if COMPILED and len(words) > _FEW:
            from . import xof_lanes  # imports numba, which takes half a second

            xof_lanes.expand(
                self._template, *self._at, words, _swapped(indices), negated, np.uint64(SUSPECT_FROM), out, suspect
            )
        for b in np.flatnonzero(suspect).tolist():
            row = self.one(seeds[b].tobytes(), int(indices[b])).next_vec(length)
            out[b] = field.negate(row) if negated else row
        return out

    def add_to(self, totals: Elements, seeds: Seeds, indices: Indices, rows: Rows) -> None:
        """Add each report's first d elements to its row of `totals: uint64[C, d]` (canonical, in place).

        `seeds: uint8[B, 32]`, `indices: uint32[B]`, `rows: int64[B]` < C (IndexOutOfRange). No stream is stored, so the
        memory does not depend on B. Fastest if equal rows are adjacent.
        """
        words = _seed_words(seeds, indices)
        check_rows(rows, len(words), len(totals))
        length = totals.shape[1]
        if not COMPILED or len(words) <= _FEW:
            for b in range(len(words)):
                stream = self.one(seeds[b].tobytes(), int(indices[b])).next_vec(length)
                totals[rows[b]] = field.add(totals[rows[b]], stream)
            return
        from . import xof_lanes  # imports numba, which takes half a second

        suspect = np.empty(len(words), np.uint8)
        xof_lanes.accumulate(
            self._template, *self._at, words, _swapped(indices), rows, np.uint64(SUSPECT_FROM), totals, suspect
        )
        for b in np.flatnonzero(suspect).tolist():
            seed, index = seeds[b].tobytes(), int(indices[b])
            added = field.view_words(self.one(seed, index).next(length * ELEMENT_BYTES)) % np.uint64(P)
            right = self.one(seed, index).next_vec(length)
            totals[rows[b]] = field.add(totals[rows[b]], field.subtract(right, added))


def check_rows(rows: Rows, count: int, bound: int) -> None:
    """Raise unless `rows` is int64[count], C-contiguous, and in [0, bound): the kernels do not check it."""
    if rows.dtype != np.int64 or rows.ndim != 1 or not rows.flags.c_contiguous:
        raise WrongArray("rows", f"{rows.dtype}, {rows.ndim} axes", "contiguous int64[B]")
    if len(rows) != count:
        raise WrongLength("rows", len(rows), count)
    if count and not 0 <= int(rows.min()) <= int(rows.max()) < bound:
        wrong = (rows < 0) | (rows >= bound)
        raise IndexOutOfRange("row", int(rows[np.argmax(wrong)]), bound)


def _seed_words(seeds: Seeds, indices: Indices) -> Elements:
    """Seeds as uint64[B, 4], little-endian, after the checks that the kernels do not make."""
    if seeds.dtype != np.uint8 or seeds.ndim != 2:
        raise WrongArray("seeds", f"{seeds.dtype}, {seeds.ndim} axes", "uint8[B, 32]")
    if seeds.shape[1] != SEED_BYTES:
        raise WrongLength("bytes of a seed", seeds.shape[1], SEED_BYTES)
    if indices.dtype != np.uint32 or indices.ndim != 1:
        raise WrongArray("indices", f"{indices.dtype}, {indices.ndim} axes", "uint32[B]")
    if len(indices) != len(seeds):
        raise WrongLength("indices", len(indices), len(seeds))
    words = np.require(seeds, requirements=["C", "A"]).view("<u8").astype(np.uint64, copy=False)
    return np.require(words, requirements="A")


def _swapped(indices: Indices) -> Indices:
    """Big-endian numbers as the little-endian words that the kernels patch in."""
    return np.ascontiguousarray(indices).byteswap()
