"""The columns of a view's rows: in Parquet, in `history`, in joins and in `get`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .decoded import Bytes, Decoded, Floats, Status, n_is_there, value_is_there
from .definitions import FeatureView
from .interval import Interval
from .keys import arrow_type
from .layout import layout_of
from .values import ServedFeature, served_features

TIMESTAMP = pa.timestamp("us", "UTC")
STATUS = pa.dictionary(pa.int8(), pa.string())
STATUS_NAMES = pa.array([status.name for status in Status])


def value_type(served: ServedFeature) -> pa.DataType:
    """int64 for a count, float64 for a ratio or an estimate, a fixed-size list of int64 for a histogram."""
    if served.is_list:
        return pa.list_(pa.int64(), served.width)
    return pa.int64() if served.is_whole else pa.float64()


def bound_type(served: ServedFeature) -> pa.DataType:
    """The type of `__lo` and `__hi`: float64, for a histogram a fixed-size list of float64."""
    return pa.list_(pa.float64(), served.width) if served.is_list else pa.float64()


def feature_fields(served: ServedFeature, column: str, *, intervals: bool) -> list[pa.Field]:
    """The value and its companions `__se`, `__lo`, `__hi` (if `intervals`), `__n` (ratios), `__status`.

    Args:
        column: the name of the value's column.
    """
    fields = [pa.field(column, value_type(served)), pa.field(f"{column}__se", pa.float64())]
    if intervals:
        fields += [pa.field(f"{column}__{end}", bound_type(served)) for end in ("lo", "hi")]
    if served.has_n:
        fields.append(pa.field(f"{column}__n", pa.int64()))
    return [*fields, pa.field(f"{column}__status", STATUS)]


def history_schema(view: FeatureView, *, intervals: bool) -> pa.Schema:
    """Columns of `history`: join keys, pane, features with companions, coverage, and the release of the row."""
    entity = view.entity
    fields = [pa.field(key, arrow_type(kind)) for key, kind in zip(entity.keys, entity.types, strict=True)]
    fields += [pa.field("pane_start", TIMESTAMP), pa.field("pane_end", TIMESTAMP)]
    for served in served_features(view):
        fields += feature_fields(served, served.name, intervals=intervals)
    fields += [pa.field(f"coverage_{window.name}", pa.float64()) for window in view.trailing]
    fields += [
        pa.field("released_at", TIMESTAMP),
        pa.field("published_at", TIMESTAMP),
        pa.field("clock", pa.dictionary(pa.int8(), pa.string())),
        pa.field("view_version", pa.int32()),
        pa.field("release_id", pa.string()),
    ]
    return pa.schema(fields)


def offline_schema(view: FeatureView) -> pa.Schema:
    """Columns of the Parquet files: those of `history`, the publication's number, and the pane's int64 slots."""
    slots = pa.list_(pa.int64(), layout_of(view).slots_per_key)
    stored = history_schema(view, intervals=False)  # an interval follows from the value and its standard error
    return stored.append(pa.field("seq", pa.int64())).append(pa.field("slots", slots))


def feature_arrays(served: ServedFeature, decoded: Decoded) -> list[pa.Array]:
    """The arrays of `feature_fields` that are stored; null where the status has no value."""
    hidden = ~value_is_there(decoded.status)
    if served.is_list:
        flat = pa.array(np.ascontiguousarray(decoded.value).reshape(-1))
        value = pa.FixedSizeListArray.from_arrays(flat, served.width, mask=pa.array(hidden))
    else:
        value = pa.array(decoded.value, mask=hidden)
    arrays = [value, pa.array(decoded.se, mask=hidden)]
    if decoded.n is not None:
        arrays.append(pa.array(decoded.n, mask=~n_is_there(decoded.status)))
    return [*arrays, status_array(decoded.status)]


def bound_arrays(interval: Interval, value: Floats, se: Floats, hidden: npt.NDArray[np.bool_]) -> list[pa.Array]:
    """The arrays of `__lo` and `__hi`; null where `hidden`.

    Args:
        value: float64[N], or float64[N, cells] for a list.
    """
    return [masked_floats(end, hidden) for end in interval.bounds(value, se)]


def masked_floats(values: Floats, hidden: npt.NDArray[np.bool_]) -> pa.Array:
    """float64[N], or float64[N, cells] as lists; null where `hidden`."""
    if values.ndim == 1:
        return pa.array(values, mask=hidden)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=pa.array(hidden))


def floats_of(column: pa.Array) -> Floats:
    """float64[N], or float64[N, cells] of a list; 0 for null."""
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        flat = column.values.slice(column.offset * width, len(column) * width)
        return np.asarray(flat.fill_null(0)).astype(np.float64).reshape(-1, width)
    return np.asarray(column.fill_null(0)).astype(np.float64)


def status_codes(column: pa.ChunkedArray | pa.DictionaryArray) -> Bytes:
    """uint8[N] of `Status`; a file's own dictionary may have any order."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    codes = [
        np.asarray(pc.index_in(chunk.dictionary, value_set=STATUS_NAMES)).astype(np.uint8)[np.asarray(chunk.indices)]
        for chunk in chunks
    ]
    return np.concatenate([np.empty(0, dtype=np.uint8), *codes])


def status_array(status: Bytes) -> pa.Array:
    """Status codes as a dictionary of their names."""
    return pa.DictionaryArray.from_arrays(pa.array(status.astype(np.int8)), STATUS_NAMES)
