"""Labels as people bring them: tables, readers and files, in batches, and their times in µs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .entities import KeyType
from .errors import BadReference
from .keys import arrow_type

Ints = npt.NDArray[np.int64]

JOIN_BATCH: Final = 65_536
"""Labels that are joined at a time."""
MAX_LABEL_US: Final = 2**61
"""Label times are held within ± this, 73,000 years: differences with a pane's end then fit int64."""


def label_batches(
    labels: pa.Table | pa.RecordBatchReader | str | Path, types: Mapping[str, KeyType]
) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    """The labels in batches, and their schema. In a CSV file the join keys have the types of the domain ("007" is text)."""
    if isinstance(labels, pa.Table):
        return iter(labels.to_batches(max_chunksize=JOIN_BATCH)), labels.schema
    if isinstance(labels, pa.RecordBatchReader):
        return iter(labels), labels.schema
    path = Path(labels)
    if not path.is_file():
        raise BadReference(f"no labels file {path}")
    try:
        if path.suffix.lower() == ".parquet":
            file = pq.ParquetFile(path)
            return file.iter_batches(batch_size=JOIN_BATCH), file.schema_arrow
        if path.suffix.lower() == ".csv":
            import pyarrow.csv as csv

            kinds = {name: arrow_type(kind) for name, kind in types.items()}
            table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=kinds))
            return iter(table.to_batches(max_chunksize=JOIN_BATCH)), table.schema
    except (pa.ArrowInvalid, OSError) as error:
        raise BadReference(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    raise BadReference(f"{path}: labels are read from .parquet or .csv")


def label_times(column: pa.ChunkedArray | pa.Array, name: str) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """(int64[N] µs, bool[N] known) of a labels' time column: timestamps of any unit and zone (naive is UTC), or dates.

    A time below a microsecond is rounded down: a moment in whole µs is at or before it exactly when it is at or before the
    rounded time. Times beyond the range of int64 µs are held at its ends, which lie beyond every release.
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
