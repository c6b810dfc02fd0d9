"""Additive shares in Field64, as in VDAF's Prio3: a report's vector is the leader's share plus the helper's.

    client   leader share = vector - expand(seed)       8 bytes a slot
             helper share = seed                       32 bytes a report, whatever its length
    leader   adds the leader shares of a collection
    helper   expands the seeds of a collection and adds the helper shares
    both     total(leader) + total(helper) = sum of the vectors, mod p

`expand` is XofTurboShake128, bound to the plan, the collection and the helper's aggregator id, so that a seed works nowhere
else. Two vectors under one (seed, plan, collection) would reveal their difference to the leader, so seeds are always fresh.

All functions work on whole batches, are pure (randomness is an argument) and release the GIL in their kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from .errors import IndexOutOfRange, ValueOutOfRange, WrongArray, WrongLength
from .field import ELEMENT_BYTES, BytesLike, Elements, add, negate, require_canonical, to_bytes, view_words
from .field_words import loops
from .xof import SEED_BYTES
from .xof_batch import INDEX_BYTES, BatchXof, Indices, Rows, Seeds, check_rows

VERSION, CLASS_VDAF = 18, 0  # "12 00": the two leading bytes of every VDAF tag
ALGORITHM_PLAIN = 0xFFFF0001  # private use: plain additive shares
USAGE_SHARE = 1
CONTEXT = b"covey-1"
PLAN_HASH_BYTES = 32
HELPER_ID = 1

# From this length on, sorting a batch by row makes the helper's addition faster.
_SORT_FROM = 64


def share_xof(plan_hash: bytes, algorithm: int = ALGORITHM_PLAIN) -> BatchXof:
    """The helper's stream. Tag: 12 00, algorithm (u32 BE), usage 00 01, `covey-1`, plan hash, index (u32 BE)."""
    if len(plan_hash) != PLAN_HASH_BYTES:
        raise WrongLength("bytes of a plan hash", len(plan_hash), PLAN_HASH_BYTES)
    head = bytes([VERSION, CLASS_VDAF]) + algorithm.to_bytes(4, "big") + USAGE_SHARE.to_bytes(2, "big")
    tag = head + CONTEXT + plan_hash
    return BatchXof(tag + bytes(INDEX_BYTES), len(tag), bytes([HELPER_ID]))


@dataclass(frozen=True, eq=False)
class SparseRows:
    """The plaintext vectors of a batch, row by row (CSR): B reports of `length` slots, most of them zero. **Secret.**

    Report b has `values[k]` at slot `columns[k]` for k in [indptr[b], indptr[b+1]); values at the same slot add up.
    Raises WrongArray, WrongLength, IndexOutOfRange (columns, indptr) and ValueOutOfRange (a negative value).
    """

    indptr: npt.NDArray[np.int64] = field(repr=False)  # int64[B + 1], from 0, never falling
    columns: npt.NDArray[np.int32] = field(repr=False)  # int32[n], in [0, length)
    values: npt.NDArray[np.int64] = field(repr=False)  # int64[n], not negative
    length: int

    def __post_init__(self) -> None:
        _require("indptr", self.indptr, np.int64, 1)
        _require("columns", self.columns, np.int32, 1)
        _require("values", self.values, np.int64, 1)
        if not len(self.indptr) or self.indptr[0] != 0:
            raise IndexOutOfRange("start of indptr", int(self.indptr[0]) if len(self.indptr) else -1, 1)
        if (steps := np.diff(self.indptr)).size and steps.min() < 0:
            row = int(np.argmax(steps < 0))
            raise IndexOutOfRange(f"indptr of row {row}", int(self.indptr[row]), int(self.indptr[row + 1]) + 1)
        if len(self.columns) != self.indptr[-1]:
            raise WrongLength("columns", len(self.columns), int(self.indptr[-1]))
        if len(self.values) != len(self.columns):
            raise WrongLength("values", len(self.values), len(self.columns))
        if len(self.columns) and not 0 <= int(self.columns.min()) <= int(self.columns.max()) < self.length:
            wrong = (self.columns < 0) | (self.columns >= self.length)
            raise IndexOutOfRange("column", int(self.columns[np.argmax(wrong)]), self.length)
        if len(self.values) and self.values.min() < 0:
            raise ValueOutOfRange("value", int(np.argmax(self.values < 0)), 0, 2**63 - 1)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, rows: slice) -> Self:
        """The reports of a slice without a step, as views."""
        first, last, _ = rows.indices(len(self))
        a, b = self.indptr[first], self.indptr[max(first, last)]
        indptr = self.indptr[first : max(first, last) + 1] - a
        return type(self)(indptr, self.columns[a:b], self.values[a:b], self.length)

    def take(self, rows: Rows) -> Self:
        """The reports at these indices (int64[n]), copied."""
        counts = self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate(([0], np.cumsum(counts)))
        at = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], counts)
        return type(self)(indptr, self.columns[at], self.values[at], self.length)


@dataclass(frozen=True, eq=False)
class HelperSeeds:
    """The helper's shares of a batch: uint8[B, 32], fresh from a CSPRNG. **Secret**: with the leader's they open the batch."""

    seeds: Seeds = field(repr=False)

    def __post_init__(self) -> None:
        _require("seeds", self.seeds, np.uint8, 2)
        if self.seeds.shape[1] != SEED_BYTES:
            raise WrongLength("bytes of a seed", self.seeds.shape[1], SEED_BYTES)

    def __len__(self) -> int:
        return len(self.seeds)

    @classmethod
    def from_bytes(cls, data: BytesLike, count: int) -> Self:
        """Parse `count` seeds, no copy. Raises WrongLength."""
        if (size := memoryview(data).nbytes) != count * SEED_BYTES:
            raise WrongLength("bytes of seeds", size, count * SEED_BYTES)
        return cls(np.frombuffer(data, np.uint8).reshape(count, SEED_BYTES))

    def to_bytes(self) -> bytes:
        """32 bytes a report."""
        return self.seeds.tobytes()


@dataclass(frozen=True, eq=False)
class LeaderShares:
    """The leader's shares of a batch: uint64[B, d]. **Secret**, like the seeds.

    `Accumulator.add_leader` range-checks received words while it adds them: one pass over memory, not two.
    """

    elements: Elements = field(repr=False)

    def __post_init__(self) -> None:
        _require("leader shares", self.elements, np.uint64, 2)

    def __len__(self) -> int:
        return len(self.elements)

    @classmethod
    def from_bytes(cls, data: BytesLike, count: int, length: int) -> Self:
        """Parse `count` shares of `length` little-endian elements; no copy where aligned. Raises WrongLength."""
        if (size := memoryview(data).nbytes) != count * length * ELEMENT_BYTES:
            raise WrongLength("bytes of leader shares", size, count * length * ELEMENT_BYTES)
        return cls(view_words(data).reshape(count, length))

    def to_bytes(self) -> bytes:
        """8 bytes an element, report by report."""
        return to_bytes(self.elements)


def shard(slots: SparseRows, seeds: HelperSeeds, collections: Indices, plan_hash: bytes) -> LeaderShares:
    """Run by the client's site: split each report's vector. `collections: uint32[B]` are indices in the plan."""
    if len(seeds) != len(slots):
        raise WrongLength("seeds", len(seeds), len(slots))
    elements = share_xof(plan_hash).expand(seeds.seeds, collections, slots.length, negated=True)
    loops().add_sparse(slots.indptr, slots.columns, slots.values, elements)
    return LeaderShares(elements)


class Accumulator:
    """One aggregator's running totals: uint64[C, d], a row for each collection. **Secret**: a share of the sums.

    Exact and of constant memory, however many reports are added. One writer at a time: give each thread its own.
    """

    def __init__(self, collections: int, length: int) -> None:
        self._totals = np.zeros((collections, length), np.uint64)

    @classmethod
    def from_values(cls, values: Elements) -> Self:
        """Resume from stored totals (copied). Raises FieldElementOutOfRange."""
        _require("totals", values, np.uint64, 2)
        require_canonical(values)
        accumulator = cls(*values.shape)
        accumulator._totals[:] = values
        return accumulator

    def __repr__(self) -> str:
        return f"{type(self).__name__}(collections={self._totals.shape[0]}, length={self._totals.shape[1]})"

    @property
    def values(self) -> Elements:
        """The totals, canonical: uint64[C, d], a copy."""
        return self._totals.copy()

    def merge(self, totals: Elements) -> None:
        """Add another accumulator's totals (uint64[C, d]), of other reports. Raises as `from_values`."""
        _require("totals", totals, np.uint64, 2)
        if totals.shape != self._totals.shape:
            raise WrongLength("totals", totals.size, self._totals.size)
        require_canonical(totals)
        self._totals[:] = add(self._totals, totals)

    def add_leader(self, shares: LeaderShares | BytesLike, rows: Rows) -> None:
        """Run by the leader: add share b to row `rows[b]` (int64[B]). All shares are added, or none.

        Bytes are read as B shares of d elements. Raises WrongLength, IndexOutOfRange and FieldElementOutOfRange.
        """
        if not isinstance(shares, LeaderShares):
            shares = LeaderShares.from_bytes(shares, len(rows), self._totals.shape[1])
        elements = shares.elements
        if elements.shape[1] != self._totals.shape[1]:
            raise WrongLength("elements of a leader share", elements.shape[1], self._totals.shape[1])
        check_rows(rows, len(elements), len(self._totals))
        added = loops().add_rows(rows, elements, self._totals)
        if added < len(elements):
            # The kernel stopped before a bad element. What it added was in range, and subtracting mod p is exact.
            loops().add_rows(rows[:added], negate(elements[:added]), self._totals)
            require_canonical(elements)

    def add_helper(self, seeds: HelperSeeds, collections: Indices, rows: Rows, plan_hash: bytes) -> None:
        """Run by the helper: expand seed b for the collection index `collections[b]` (uint32[B]) and add it to `rows[b]`.

        Expanded shares are summed in registers, never stored. Raises WrongLength and IndexOutOfRange, and then adds nothing.
        """
        xof = share_xof(plan_hash)
        check_rows(rows, len(seeds), len(self._totals))
        parts = seeds.seeds, collections, rows
        if self._totals.shape[1] >= _SORT_FROM and len(collections) == len(rows) and np.any(rows[1:] < rows[:-1]):
            order = np.argsort(rows, kind="stable")
            parts = seeds.seeds[order], collections[order], rows[order]
        xof.add_to(self._totals, *parts)


def _require(what: str, array: npt.NDArray[np.generic], dtype: type[np.generic], axes: int) -> None:
    """Raise WrongArray unless the array has the form that the kernels need; the kernels do not check it."""
    if array.dtype != dtype or array.ndim != axes or not (array.flags.c_contiguous and array.flags.aligned):
        have = f"{array.dtype}, {array.ndim} axes"
        raise WrongArray(what, have, f"contiguous, aligned {np.dtype(dtype)}, {axes} axes")
