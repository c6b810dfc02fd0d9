"""The columns of a view's rows: in Parquet, in `history`, in joins and in `get`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .decoded import Bytes, Decoded, Status, n_is_there, value_is_there
from .definitions import FeatureView
from .keys import arrow_type
from .layout import layout_of
from .values import ServedFeature, served_features

TIMESTAMP = pa.timestamp("us", "UTC")
STATUS = pa.dictionary(pa.int8(), pa.string())
_STATUS_NAMES = pa.array([status.name for status in Status])


def value_type(served: ServedFeature) -> pa.DataType:
    """int64 for a count, float64 for a ratio or an estimate, a fixed-size list of int64 for a histogram."""
    if served.is_list:
        return pa.list_(pa.int64(), served.width)
    return pa.int64() if served.is_whole else pa.float64()


def feature_fields(served: ServedFeature) -> list[pa.Field]:
    """The value and its companions `__se`, `__n` (ratios), `__status`."""
    fields = [pa.field(served.name, value_type(served)), pa.field(f"{served.name}__se", pa.float64())]
    if served.has_n:
        fields.append(pa.field(f"{served.name}__n", pa.int64()))
    return [*fields, pa.field(f"{served.name}__status", STATUS)]


def history_schema(view: FeatureView) -> pa.Schema:
    """Columns of `history`: join keys, pane, features with companions, coverage, and the release of the row."""
    entity = view.entity
    fields = [pa.field(key, arrow_type(kind)) for key, kind in zip(entity.keys, entity.types, strict=True)]
    fields += [pa.field("pane_start", TIMESTAMP), pa.field("pane_end", TIMESTAMP)]
    for served in served_features(view):
        fields += feature_fields(served)
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
    return history_schema(view).append(pa.field("seq", pa.int64())).append(pa.field("slots", slots))


def feature_arrays(served: ServedFeature, decoded: Decoded) -> list[pa.Array]:
    """The arrays of `feature_fields`; null where the status has no value."""
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


def status_codes(column: pa.ChunkedArray | pa.DictionaryArray) -> Bytes:
    """uint8[N] of `Status`; a file's own dictionary may have any order."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    codes = [
        np.asarray(pc.index_in(chunk.dictionary, value_set=_STATUS_NAMES)).astype(np.uint8)[np.asarray(chunk.indices)]
        for chunk in chunks
    ]
    return np.concatenate([np.empty(0, dtype=np.uint8), *codes])


def status_array(status: Bytes) -> pa.Array:
    """Status codes as a dictionary of their names."""
    return pa.DictionaryArray.from_arrays(pa.array(status.astype(np.int8)), _STATUS_NAMES)
