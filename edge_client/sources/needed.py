"""The columns that the views need of a source. Where a source has no types (CSV, SQLite), the use of a column demands its type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from featurestore.define.definitions import FeatureView

from ..events import column_types

_TYPES: Final = {
    "number": pa.float64(),
    "text": pa.string(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
}


def needed_columns(
    views: Iterable[FeatureView], client_column: str, time_column: str, site_column: str | None = None
) -> dict[str, pa.DataType]:
    """Every column to read, with its type: text if its uses demand several types, because text can become any of them."""
    uses: dict[str, set[pa.DataType]] = {client_column: {pa.string()}}
    if site_column is not None:
        uses.setdefault(site_column, set()).add(pa.string())
    for view in views:
        if not view.entity.constant:
            for column, key_type in zip(view.entity.columns, view.entity.types, strict=True):
                uses.setdefault(column, set()).add(_TYPES[key_type])
        for column, used_as in column_types(view).items():
            uses.setdefault(column, set()).update([_TYPES[used_as]] if used_as != "any" else [])
        uses.setdefault(view.time or time_column, set()).add(pa.string())
    uses.setdefault(time_column, set()).add(pa.string())
    return {column: one_type(kinds) for column, kinds in uses.items()}


def one_type(kinds: set[pa.DataType]) -> pa.DataType:
    """The type that a column with these uses is read as."""
    if kinds == {pa.int64(), pa.float64()}:
        return pa.int64()
    return next(iter(kinds)) if len(kinds) == 1 else pa.string()
