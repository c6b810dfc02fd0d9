"""Labels from tables, data frames, readers and files, in batches, and their times in µs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.define.entities import ColumnType
from featurestore.define.keys import arrow_type
from featurestore.errors import BadReference

if TYPE_CHECKING:
    import pandas as pd

Ints = npt.NDArray[np.int64]

JOIN_BATCH: Final = 65_536
"""The most labels of one batch."""
CSV_BLOCK: Final = 4 * 2**20
"""Bytes of a CSV file that are parsed at a time; the first block decides the columns' types."""
MAX_LABEL_US: Final = 2**61
"""Label times are limited to ± this, 73,000 years: differences with a pane's end then fit int64."""
_TEXT_BYTES: Final = 32
"""The assumed length of a text before the first batch."""


@dataclass(frozen=True)
class Labels:
    """Unread labels. `batches(size)` yields them once, in batches of at most `size` bytes and JOIN_BATCH rows.

    Attributes:
        row_bytes: the approximate size of a row.
    """

    schema: pa.Schema
    row_bytes: int
    _read: Callable[[int], Iterator[pa.RecordBatch]]

    def batches(self, size: int, more_bytes: int = 0) -> Iterator[pa.RecordBatch]:
        """The labels in their order.

        Args:
            size: the most bytes of a batch, unless a single row has more.
            more_bytes: bytes that the join adds to each row; they count, too.

        Raises:
            BadReference: the rest of the file cannot be read.
        """
        rows = min(JOIN_BATCH, max(1, size // (self.row_bytes + more_bytes)))
        for batch in self._read(rows):
            fitting = max(1, size // (batch.nbytes // max(1, batch.num_rows) + more_bytes + 1))
            step = min(rows, fitting)
            for at in range(0, batch.num_rows, step):
                yield batch.slice(at, step)

    def named(self, renamed: Mapping[str, str], constants: Mapping[str, pa.Scalar]) -> Labels:
        """The labels with other names for some columns, and with columns that hold one value in every row.

        Args:
            renamed: the new names, by column.
            constants: the values, by the name of the new column.

        Raises:
            BadReference: a column to rename does not exist, or two columns would have one name.
        """
        for column in renamed:
            if column not in self.schema.names:
                raise BadReference(
                    f"the labels have no column {column!r} to rename; they have: {', '.join(self.schema.names)}"
                )
        names = [*(renamed.get(name, name) for name in self.schema.names), *constants]
        for name in [*renamed.values(), *constants]:
            if names.count(name) > 1:
                raise BadReference(f"two columns of the labels would have the name {name!r}")
        kinds = [*self.schema.types, *(value.type for value in constants.values())]
        schema = pa.schema([pa.field(name, kind) for name, kind in zip(names, kinds, strict=True)])

        def read(rows: int) -> Iterator[pa.RecordBatch]:
            for batch in self._read(rows):
                filled = [pa.repeat(value, batch.num_rows) for value in constants.values()]
                yield pa.RecordBatch.from_arrays([*batch.columns, *filled], schema=schema)

        return Labels(schema, self.row_bytes + sum(_value_bytes(one.type) for one in constants.values()), read)


LabelSource: TypeAlias = "pa.Table | pa.RecordBatchReader | pd.DataFrame | Labels | str | Path"
"""Where labels come from; a text is the path of a file."""


def open_labels(labels: LabelSource, types: Mapping[str, ColumnType]) -> Labels:
    """Open labels of any form. In a CSV file the join keys have the domain's types ("007" is text).

    Raises:
        BadReference: the file is missing or unreadable, or a column of the data frame has no Arrow type.
    """
    if isinstance(labels, Labels):
        return labels
    if _is_data_frame(labels):
        labels = _table_of(labels)
    if isinstance(labels, pa.Table):
        return Labels(labels.schema, _row_bytes(labels.schema), lambda rows: iter(labels.to_batches(rows)))
    if isinstance(labels, pa.RecordBatchReader):
        return Labels(labels.schema, _row_bytes(labels.schema), lambda _rows: iter(labels))
    path = Path(labels)
    if not path.is_file():
        raise BadReference(f"no labels file {path}")
    with _readable(path):
        if path.suffix.lower() == ".parquet":
            file = pq.ParquetFile(path, buffer_size=2**18, pre_buffer=False)
            width = max(_row_bytes(file.schema_arrow), _stored_row_bytes(file.metadata))
            return Labels(file.schema_arrow, width, lambda rows: _checked(path, file.iter_batches(rows)))
        if path.suffix.lower() == ".csv":
            import pyarrow.csv as csv

            kinds = {name: arrow_type(kind) for name, kind in types.items()}
            reader = csv.open_csv(
                path,
                read_options=csv.ReadOptions(block_size=CSV_BLOCK),
                convert_options=csv.ConvertOptions(column_types=kinds),
            )
            return Labels(reader.schema, _row_bytes(reader.schema), lambda _rows: _checked(path, reader))
    raise BadReference(f"{path}: a labels file is .parquet or .csv")


def _is_data_frame(labels: object) -> bool:
    """Whether the labels are a pandas DataFrame. pandas is not imported: it may be missing."""
    return any(one.__name__ == "DataFrame" and one.__module__.split(".")[0] == "pandas" for one in type(labels).__mro__)


def _table_of(frame: Any) -> pa.Table:
    """The columns of a pandas DataFrame, without its index."""
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise BadReference(f"the data frame cannot be read: {'; '.join(map(str, error.args))}") from None


def _checked(path: Path, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _readable(path):
        yield from batches


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        if "conversion error" in reason:
            reason += f" (the first {CSV_BLOCK // 2**20} MiB decide the columns' types; a Parquet file has its own)"
        raise BadReference(f"{path} cannot be read: {reason}") from None


def _stored_row_bytes(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)


def _row_bytes(schema: pa.Schema) -> int:
    return sum(_value_bytes(field.type) for field in schema)


def _value_bytes(kind: pa.DataType) -> int:
    try:
        return -(-int(kind.bit_width) // 8) + 1
    except ValueError:
        return _TEXT_BYTES


def label_times(column: pa.ChunkedArray | pa.Array, name: str) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """(int64[N] µs, bool[N] known) of a labels' time column: timestamps of any unit and zone (naive is UTC), or dates.

    A time below a microsecond is rounded down: a moment in whole µs is at or before it exactly when it is at or before the
    rounded time. Times beyond the range of int64 µs are limited to its ends, which lie beyond every release.
    """
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if not pa.types.is_timestamp(column.type):
        raise BadReference(f"the labels' time column {name!r} must hold timestamps or dates, not {column.type}")
    known = np.asarray(column.is_valid())
    raw = np.asarray(pc.fill_null(column.cast(pa.int64()), 0))
    if column.type.unit == "ns":
        return raw // 1_000, known
    factor = {"s": 10**6, "ms": 10**3, "us": 1}[column.type.unit]
    return np.clip(raw, -(MAX_LABEL_US // factor), MAX_LABEL_US // factor) * factor, known
