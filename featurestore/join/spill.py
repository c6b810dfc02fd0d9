"""Joins of views whose rows do not fit into memory: labels are spilled to disk, and rows are read once, in their order.

    1. each batch of labels is written to a file
    2. for each view and batch, the place of each label's row (`find_rows`) is written, sorted by chunks of the view's rows
    3. the view's rows are read chunk by chunk; for each batch, its rows in the chunk are written to another file
    4. the batches are read back in order, and their rows are put into the order of the labels

So labels, places and rows are written once, and read once or twice. Memory has one chunk and one batch at a time. Views that
fit into memory are joined in step 4. The files are in TMPDIR and have no names (`tempfile.TemporaryFile`), so the system frees
their space when the process ends, also after a crash.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.disk import reason_of
from featurestore.errors import SpillFailed

from .point_in_time import JoinSide, Times, find_rows, joined_columns
from .view_history import StoredRows, record_dtype

Ints = npt.NDArray[np.int64]


class SpillFile:
    """A temporary file without a name, deleted when it is closed or garbage-collected.

    Raises:
        SpillFailed: it cannot be made or written.
    """

    def __init__(self) -> None:
        with _spilling():
            self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it is closed with the object

    def __del__(self) -> None:
        if hasattr(self, "file"):
            self.file.close()

    def write(self, values: npt.NDArray[Any], at: int) -> int:
        """Write an array at an offset; returns the offset of its end."""
        rest = memoryview(np.ascontiguousarray(values).tobytes())
        with _spilling():
            while rest:
                written = os.pwrite(self.file.fileno(), rest, at)
                rest, at = rest[written:], at + written
        return at

    def read(self, kind: npt.DTypeLike, count: int, at: int) -> npt.NDArray[Any]:
        """Read an array, or a part of one, from an offset."""
        size = np.dtype(kind).itemsize * count
        return np.frombuffer(os.pread(self.file.fileno(), size, at), dtype=kind)


class SpilledLabels:
    """Batches of labels on disk, which can be read again and again."""

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        self._spill = SpillFile()
        with _spilling():
            writer = pa.ipc.new_stream(pa.PythonFile(self._spill.file, "w"), schema)
        for batch in batches:
            with _spilling():
                writer.write_batch(batch)
        with _spilling():
            writer.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches, in order; one reader at a time."""
        self._spill.file.seek(0)
        yield from pa.ipc.open_stream(pa.PythonFile(self._spill.file, "r"))


@dataclass(frozen=True, eq=False)
class _Placed:
    """The position of a batch's places in the file.

    Attributes:
        at: the offset in the file of places, in bytes. There are int64[F], the rows by chunk; int32[N], the labels in this
            order; and uint8[N], `LabelRows.status`. The F labels that have a row come first.
        edges: int64[C + 1]; chunk c has the rows edges[c] … edges[c + 1].
        first: the number of rows that were copied for earlier batches.
    """

    count: int
    at: int
    edges: Ints
    first: int


class RowsOnDisk:
    """One view of a join, whose rows were copied to disk for all labels, in the order of their batches."""

    def __init__(self, side: JoinSide, stored: StoredRows, labels: SpilledLabels, times: Times, memory: int) -> None:
        self._side = side
        self._kind = record_dtype(side.references)
        self._places, self._rows = SpillFile(), SpillFile()
        self._placed: list[_Placed] = []
        chunk = max(1, memory // self._kind.itemsize)
        chunks = -(-stored.count // chunk)
        self._place(labels, times, chunk, chunks)
        self._pick_up(stored, chunk, chunks)

    def columns(self, number: int, _labels: pa.RecordBatch) -> dict[str, pa.Array]:
        """The columns of each reference by name, a row for each label of this batch."""
        placed = self._placed[number]
        found = int(placed.edges[-1])
        at = placed.at + 8 * found
        order = self._places.read(np.int32, placed.count, at)
        status = self._places.read(np.uint8, placed.count, at + 4 * placed.count)
        if found == 0:
            return joined_columns(self._side, status, np.zeros(placed.count, dtype=self._kind))
        rows = self._rows.read(self._kind, found, placed.first * self._kind.itemsize)
        back = np.empty(placed.count, dtype=np.int64)
        back[order] = np.minimum(np.arange(placed.count), found - 1)
        return joined_columns(self._side, status, rows.take(back))

    def _place(self, labels: SpilledLabels, times: Times, chunk: int, chunks: int) -> None:
        at = first = 0
        for batch in labels.batches():
            label_rows = find_rows(self._side, batch, *times(batch))
            number = np.where(label_rows.row < 0, chunks, label_rows.row // chunk)
            order = np.argsort(number, kind="stable")
            edges = np.searchsorted(number[order], np.arange(chunks + 1))
            found = int(edges[-1])
            self._placed.append(_Placed(batch.num_rows, at, edges, first))
            for values in (label_rows.row[order[:found]], order.astype(np.int32), label_rows.status):
                at = self._places.write(values, at)
            first += found

    def _pick_up(self, stored: StoredRows, chunk: int, chunks: int) -> None:
        wanted = np.zeros(chunks, dtype=bool)
        for placed in self._placed:
            wanted |= placed.edges[1:] > placed.edges[:-1]
        for number, rows in stored.chunks(chunk, wanted):
            for placed in self._placed:
                low, high = placed.edges[number : number + 2].tolist()
                if low < high:
                    places = self._places.read(np.int64, high - low, placed.at + 8 * low)
                    taken = rows.take(places - number * chunk)
                    self._rows.write(taken, (placed.first + low) * self._kind.itemsize)


@contextmanager
def _spilling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpillFailed(tempfile.gettempdir(), reason_of(error)) from error
