"""Answers as Arrow tables, the same for `Store.get`, remote stores, and `Accept: application/vnd.apache.arrow.stream`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from featurestore.define.decoded import value_is_there
from featurestore.define.entities import KeyType
from featurestore.define.keys import arrow_type, key_column
from featurestore.define.on_demand import OnDemandView
from featurestore.define.schema import status_array
from featurestore.errors import BadReference
from featurestore.online.view_rows import ViewRows

from . import part_loops_numpy
from .feature_columns import Columns, FeatureColumns, PartLoops
from .request import Reading, RequestedColumn

Keys: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] | pa.Table
"""A list of values for each column, a mapping for each row, or a table."""


def key_types(views: Iterable[ViewRows]) -> dict[str, KeyType]:
    """The join keys of these views, with their types. Constant entities have none."""
    headers = [view.header for view in views]
    return {
        name: kind
        for header in headers
        if header.constant is None
        for name, kind in zip(header.keys, header.key_types, strict=True)
    }


def key_table(keys: Keys | None, types: Mapping[str, KeyType]) -> pa.Table:
    """The given columns as a table. The columns of join keys have the keys' types.

    Raises:
        BadReference: a join key is missing, in all rows or one, or has another type; columns of different lengths.
    """
    if isinstance(keys, pa.Table):
        _require_keys(keys.column_names, types)
        return keys
    columns = key_arrays(_by_column(keys or {}), types)
    try:
        return pa.table(columns)
    except pa.ArrowInvalid as error:
        raise _unreadable(error) from None


def key_arrays(given: Mapping[str, Sequence[Any]], types: Mapping[str, KeyType]) -> dict[str, pa.Array]:
    """The given columns as arrays; see `key_table`, but they may have different lengths."""
    _require_keys(given, types)
    for name, values in given.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise BadReference(f"the join key {name!r} takes a list of values; write {{{name!r}: [{values!r}]}}")
    try:
        return {
            name: pa.array(values, arrow_type(types[name]) if name in types else None) for name, values in given.items()
        }
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError) as error:
        raise _unreadable(error) from None  # beyond int64, or not valid Unicode


def _require_keys(names: Iterable[str], types: Mapping[str, KeyType]) -> None:
    for name in types:
        if name not in names:
            raise BadReference(f"the join key {name!r} is missing; given: {', '.join(names) or 'none'}")


def _unreadable(error: Exception) -> BadReference:
    return BadReference(f"the join keys cannot be read: {str(error).splitlines()[0]}")


def _by_column(keys: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(keys, Mapping):
        return dict(keys)
    for number, row in enumerate(keys):
        if not isinstance(row, Mapping):
            raise BadReference(f"the keys of row {number} are {row!r:.80}; write a mapping, such as {{'dest': 'ATL'}}")
        if row.keys() != keys[0].keys():
            raise BadReference(
                f"row {number} has the keys {', '.join(map(str, row))}, row 0 has {', '.join(map(str, keys[0]))}; "
                "give each row all keys"
            )
    return {name: [row[name] for row in keys] for name in keys[0]}


def entities_of(table: pa.Table, types: Mapping[str, KeyType]) -> tuple[dict[str, list[Any]], int]:
    """The columns of a table as lists, and the number of rows: 1 if there is no column."""
    columns = dict(zip(table.column_names, table.columns, strict=True))
    lists = {
        name: (key_column(name, types[name], column) if name in types else column).to_pylist()
        for name, column in columns.items()
    }
    return lists, table.num_rows if columns else 1


class AnswerTable:
    """The table of an answer: the given columns; for each requested feature its value, `__se`, `__lo`, `__hi`, `__n` (Mean, Rate),
    `__status`; the times of each view.

    Args:
        loops: see `FeatureColumns`.

    Attributes:
        views: each view with its features, and what makes their columns; a version that some references pin is a view of its own.
    """

    def __init__(self, requested: Sequence[RequestedColumn], loops: PartLoops = part_loops_numpy) -> None:
        self._requested = requested
        by_view: dict[str, tuple[ViewRows, list[RequestedColumn]]] = {}
        for one in requested:
            if not isinstance(one.source, OnDemandView):
                by_view.setdefault(one.view, (one.source, []))[1].append(one)
        self.views = [(view, some, FeatureColumns(view, some, loops)) for view, some in by_view.values()]

    def columns(self, given: Mapping[str, pa.Array], reading: Reading, *, clamp: bool) -> dict[str, pa.Array]:
        """The columns by their names.

        Args:
            given: join keys and inputs.
            clamp: limit counts and histogram cells to 0 or more, rates to [0, 1], and means to their clip range.

        Raises:
            BadReference: a missing or wrongly typed input, or two columns of one name. OnDemandFailed.
        """
        made: dict[str, Columns] = {}
        times: Columns = []
        for view, some, features in self.views:
            arrays, moments = features.arrays(reading.rows(view), clamp=clamp)
            made |= zip((one.name for one in some), arrays, strict=True)
            times += moments
        columns = dict(given)
        for one in self._requested:
            _add(
                columns,
                made[one.name] if one.name in made else _computed(one, reading),
                "; use full names (view__feature)",
            )
        _add(columns, times, ": a time of a view has this name")
        return columns

    def loose(self, given: Mapping[str, pa.Array], reading: Reading) -> dict[str, pa.Array]:
        """The given columns, and those of on-demand views. Raises as `columns`, but ignores repeated names."""
        columns = dict(given)
        for one in self._requested:
            if isinstance(one.source, OnDemandView):
                columns |= _computed(one, reading)
        return columns


def _add(columns: dict[str, pa.Array], more: Columns, why: str) -> None:
    for name, array in more:
        if name in columns:
            raise BadReference(f"the column {name!r} exists already{why}")
        columns[name] = array


def _computed(requested: RequestedColumn, reading: Reading) -> Columns:
    """An output of an on-demand view, with its companions."""
    value, status = reading.values(requested)
    name, missing = requested.name, pa.nulls(len(status), pa.float64())
    number = pa.array(np.where(there := value_is_there(status), value, 0), mask=~there)
    return [
        (name, number),
        *((f"{name}__{one}", missing) for one in ("se", "lo", "hi")),
        (f"{name}__status", status_array(status)),
    ]
