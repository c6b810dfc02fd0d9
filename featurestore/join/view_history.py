"""The stored rows of a view for a join: packed records in the order of its files, in chunks that fit into memory.

A row's place is its number in the concatenation of the files that the registry lists. Files hold whole issues: issue i begins
at row i·K and has one row a key. A record holds the columns of the requested features, with 0 for null; the statuses say
which values are null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.define.panes import NEVER
from featurestore.define.records import FileRecord
from featurestore.define.references import Reference
from featurestore.define.release import Clock
from featurestore.define.schema import feature_fields, offline_schema, status_codes
from featurestore.errors import StoreCorrupt
from featurestore.offline.parquet import Offline, as_us

Ints = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.void]
"""Records of `record_dtype`."""

_BATCH_ROWS: Final = 65_536
_BATCH_BYTES: Final = 2**24
"""Rows that are decoded at a time: 16 MiB of wide rows."""
_ISSUE_COLUMNS = ("pane_start", "released_at", "seq")


def record_dtype(references: Sequence[Reference]) -> np.dtype[np.void]:
    """The dtype of a record: `value<i>`, `se<i>`, `n<i>` (of a Mean or Rate) and `status<i>` of each reference, without gaps."""
    fields: list[tuple[Any, ...]] = []
    for i, reference in enumerate(references):
        served = reference.served
        fields.append((f"value{i}", np.int64 if served.is_whole else np.float64))
        if served.is_list:
            fields[-1] = (*fields[-1], (served.width,))
        fields.append((f"se{i}", np.float64))
        if served.has_n:
            fields.append((f"n{i}", np.int64))
        fields.append((f"status{i}", np.uint8))
    return np.dtype(fields)


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The rows of one view in these files; `references` are features of that view.

    Attributes:
        clock: the kind of releases that labels can get; None: both.
    """

    offline: Offline
    references: tuple[Reference, ...]
    files: tuple[FileRecord, ...]
    clock: Clock | None = None

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(file.rows for file in self.files)

    def issues(self) -> tuple[Ints, Ints, Ints]:
        """(pane_start, released_at, seq) of each issue: int64[I] each. An issue of the other kind is released NEVER."""
        parts: list[tuple[Ints, Ints, Ints]] = []
        for first, batch in self._batches(self._issue_columns, lambda _first, _end: True):
            parts.append(self._issues_of(first, batch))
        return _joined(parts)

    def everything(self) -> tuple[tuple[Ints, Ints, Ints], Rows]:
        """The issues and all records."""
        parts: list[tuple[Ints, Ints, Ints]] = []
        rows = np.empty(self.count, dtype=record_dtype(self.references))
        for first, batch in self._batches((*self._issue_columns, *self._names()), lambda _first, _end: True):
            parts.append(self._issues_of(first, batch))
            self._fill(rows[first : first + batch.num_rows], batch)
        return _joined(parts), rows

    def chunks(self, size: int, wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, Rows]]:
        """(number, records) of each wanted chunk of `size` rows, in order. The records are valid until the next chunk.

        Args:
            wanted: bool[chunks]; files without a row in a wanted chunk are not opened.
        """
        rows = np.empty(min(size, self.count), dtype=record_dtype(self.references))
        end_of_all = self.count
        for first, batch in self._batches(
            self._names(), lambda first, end: bool(wanted[first // size : (end - 1) // size + 1].any())
        ):
            at = 0
            while at < batch.num_rows:
                chunk, inside = divmod(first + at, size)
                taken = min(size - inside, batch.num_rows - at)
                if wanted[chunk]:
                    self._fill(rows[inside : inside + taken], batch.slice(at, taken))
                at += taken
                if wanted[chunk] and first + at in ((chunk + 1) * size, end_of_all):
                    yield chunk, rows[: inside + taken]

    def _batches(
        self, columns: Sequence[str], is_wanted: Callable[[int, int], bool]
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(first row, batch) of the files with wanted rows among [first, end)."""
        schema = offline_schema(self.references[0].registered.view)
        size = min(_BATCH_ROWS, max(1, _BATCH_BYTES // record_dtype(self.references).itemsize))
        first = 0
        for file in self.files:
            end = first + file.rows
            if first < end and is_wanted(first, end):
                at = first
                for batch in self.offline.batches(file, schema, columns, size):
                    if at + batch.num_rows > end:
                        raise StoreCorrupt(f"{file.path} holds more rows than the {file.rows} that the registry says")
                    yield at, batch
                    at += batch.num_rows
            first = end

    def _issues_of(self, first: int, batch: pa.RecordBatch) -> tuple[Ints, Ints, Ints]:
        """The columns of the issues that begin in a batch, copied, because a numpy view would keep the batch alive."""
        keys = len(self.references[0].registered.view.entity.domain)
        begin = -first % keys
        pane_start, released_at, seq = (batch.column(name) for name in _ISSUE_COLUMNS)
        issues = [column[begin::keys].copy() for column in (as_us(pane_start), as_us(released_at), np.asarray(seq))]
        if self.clock is not None:
            clocks = batch.column("clock")
            is_other = np.array([name != self.clock for name in clocks.dictionary.to_pylist()], dtype=bool)
            issues[1][is_other[np.asarray(clocks.indices)[begin::keys]]] = NEVER
        return issues[0], issues[1], issues[2]

    @property
    def _issue_columns(self) -> tuple[str, ...]:
        return _ISSUE_COLUMNS if self.clock is None else (*_ISSUE_COLUMNS, "clock")

    def _names(self) -> list[str]:
        # a feature is there twice if one reference pins the version that its name serves
        return list(dict.fromkeys(field.name for reference in self.references for field in _stored_fields(reference)))

    def _fill(self, rows: Rows, batch: pa.RecordBatch) -> None:
        for i, reference in enumerate(self.references):
            value, se, *n, status = (batch.column(field.name) for field in _stored_fields(reference))
            rows[f"value{i}"] = _lists(value) if reference.served.is_list else _numbers(value)
            rows[f"se{i}"] = _numbers(se)
            if n:
                rows[f"n{i}"] = _numbers(n[0])
            rows[f"status{i}"] = status_codes(status)


def _stored_fields(reference: Reference) -> list[pa.Field]:
    return feature_fields(reference.served, reference.served.name, intervals=False)


def _joined(parts: list[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    empty = np.empty(0, dtype=np.int64)
    pane_start, released_at, seq = (np.concatenate([empty, *(part[i] for part in parts)]) for i in range(3))
    return pane_start, released_at, seq


def _numbers(array: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(pc.fill_null(array, 0) if array.null_count else array)


def _lists(array: pa.FixedSizeListArray) -> npt.NDArray[Any]:
    width = array.type.list_size
    return _numbers(array.values.slice(array.offset * width, len(array) * width)).reshape(-1, width)
