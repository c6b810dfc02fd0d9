"""Runs a join: chooses the views that are held in memory and those that spill to disk, and yields the answer in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.define.entities import KeyType
from featurestore.define.references import Reference
from featurestore.errors import BadReference
from featurestore.registry.staleness import SpentPanes

from .labels import Labels, label_times
from .memory import Memory
from .point_in_time import RowsInMemory, Times, make_side
from .spill import RowsOnDisk, SpilledLabels
from .view_history import StoredRows, record_dtype

_T = TypeVar("_T")

_ISSUE_BYTES: Final = 128
"""Bytes for each issue: of its columns, and of temporary arrays while the visible issues are selected."""


class RowSource(Protocol):
    """Reads the stored rows of a view; reads again, from a new list of files, if a file is replaced meanwhile."""

    def __call__(self, read: Callable[[StoredRows], _T]) -> _T:
        """The result of `read`."""


@dataclass(frozen=True, eq=False)
class ViewToJoin:
    """One view of a join.

    Attributes:
        references: the requested features of this view.
        rows: how many rows the view has.
        spent: read before the rows, so the rows are at least as new as these voids.
    """

    references: tuple[Reference, ...]
    rows: int
    spent: SpentPanes
    reads: RowSource

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory."""
        return record_dtype(self.references).itemsize

    @property
    def interval_bytes(self) -> int:
        """Bytes of a row's intervals while they are computed: `__lo`, `__hi`, and as many temporary arrays."""
        return sum(4 * 8 * one.served.width for one in self.references if one.interval is not None)

    @property
    def issue_bytes(self) -> int:
        """Bytes that the join needs in any case."""
        return self.rows // len(self.references[0].registered.view.entity.domain) * _ISSUE_BYTES

    def in_memory(self, times: Times) -> RowsInMemory:
        """The view's side of the join, with all rows in memory."""
        issues, rows = self.reads(StoredRows.everything)
        return RowsInMemory(make_side(self.references, issues, self.spent), rows, times)

    def on_disk(self, labels: SpilledLabels, times: Times, memory: int) -> RowsOnDisk:
        """The view's side of the join, with its rows copied to disk; `memory` bytes of rows are in memory at a time."""

        def read(stored: StoredRows) -> RowsOnDisk:
            return RowsOnDisk(make_side(self.references, stored.issues(), self.spent), stored, labels, times, memory)

        return self.reads(read)


def join_keys(references: Sequence[Reference]) -> dict[str, KeyType]:
    """The join keys that labels need, with their types. Constant entities need none."""
    entities = [reference.registered.view.entity for reference in references]
    return {
        name: kind
        for entity in entities
        if not entity.constant
        for name, kind in zip(entity.keys, entity.types, strict=True)
    }


def joined_schema(labels: pa.Schema, references: Sequence[Reference], time: str) -> pa.Schema:
    """The labels' columns, then those of each reference.

    Raises:
        BadReference: a join key or the time is missing, occurs twice or has a wrong type, or two columns have one name.
    """
    for name in dict.fromkeys([time, *join_keys(references)]):
        if labels.names.count(name) != 1:
            raise BadReference(
                f"the labels have no column {name!r} (or have it twice); they have: {', '.join(labels.names)}"
            )
    fields = [field for reference in references for field in reference.fields]
    for field in fields:
        if field.name in labels.names:
            raise BadReference(f"the column {field.name!r} exists already; use full names (view__feature)")
    label_times(pa.array([], labels.field(time).type), time)  # refuse a wrong type before the first read
    return pa.schema([*labels, *fields])


def joined(
    labels: Labels, schema: pa.Schema, time: str, views: Sequence[ViewToJoin], limit: int | str | None
) -> Iterator[pa.RecordBatch]:
    """Read the views and return the joined batches, which then read only labels or temporary files.

    Raises:
        MemoryLimitTooSmall, MemoryLimitUnreadable, SpillFailed, StoreCorrupt. BadReference: the labels' file cannot be read.
    """
    memory = Memory.within(limit, fixed=sum(view.issue_bytes for view in views))
    held, chunk = _held(views, memory.rows)

    def times(batch: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        return label_times(batch.column(time), time)

    # a batch's rows exist as records, as records in the labels' order, and as columns
    batches = labels.batches(memory.batch, sum(4 * view.row_bytes + view.interval_bytes for view in views))
    if len(held) == len(views):
        return _answer(batches, schema, [view.in_memory(times) for view in views])
    spilled = SpilledLabels(batches, labels.schema)
    on_disk = [view.on_disk(spilled, times, chunk) for view in views if view not in held]
    return _answer(spilled.batches(), schema, [*on_disk, *(view.in_memory(times) for view in held)])


def _held(views: Sequence[ViewToJoin], memory: int) -> tuple[list[ViewToJoin], int]:
    """The views that are held in memory, and the bytes that remain for a chunk of the others."""
    if sum(view.rows * view.row_bytes for view in views) <= memory:
        return list(views), 0
    held: list[ViewToJoin] = []
    left = memory
    for view in sorted(views, key=lambda view: view.rows * view.row_bytes):
        if left - view.rows * view.row_bytes >= memory // 2:
            held.append(view)
            left -= view.rows * view.row_bytes
    return held, left


def _answer(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, sides: Sequence[RowsInMemory | RowsOnDisk]
) -> Iterator[pa.RecordBatch]:
    for number, batch in enumerate(batches):
        columns: dict[str, pa.Array] = {}
        for side in sides:
            columns |= side.columns(number, batch)
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, *(columns[name] for name in schema.names[batch.num_columns :])], schema=schema
        )
