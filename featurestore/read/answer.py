"""Answers as Arrow tables, the same for `Store.get`, remote stores, and `Accept: application/vnd.apache.arrow.stream`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from featurestore.define.decoded import Floats, n_is_there, value_is_there
from featurestore.define.entities import KeyType
from featurestore.define.keys import arrow_type, key_column
from featurestore.define.on_demand import OnDemandView
from featurestore.define.schema import TIMESTAMP, masked_floats, status_array
from featurestore.errors import BadReference
from featurestore.online.view_rows import ViewColumn, ViewRows

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
    given = keys if isinstance(keys, pa.Table) else _by_column(keys or {})
    names = given.column_names if isinstance(given, pa.Table) else list(given)
    for name in types:
        if name not in names:
            raise BadReference(f"the join key {name!r} is missing; given: {', '.join(names) or 'none'}")
    if isinstance(given, pa.Table):
        return given
    for name, values in given.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise BadReference(f"the join key {name!r} takes a list of values; write {{{name!r}: [{values!r}]}}")
    try:
        columns = {
            name: pa.array(values, arrow_type(types[name]) if name in types else None) for name, values in given.items()
        }
        return pa.table(columns)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        OverflowError,
        UnicodeError,
    ) as error:  # beyond int64, or not valid Unicode
        raise BadReference(f"the join keys cannot be read: {str(error).splitlines()[0]}") from None


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


def answer_table(given: pa.Table, requested: Sequence[RequestedColumn], reading: Reading, *, clamp: bool) -> pa.Table:
    """The given columns; for each requested feature its value, `__se`, `__lo`, `__hi`, `__n` (Mean, Rate), `__status`; the times
    of each view.

    Args:
        clamp: limit counts and histogram cells to 0 or more, rates to [0, 1], and means to their clip range.

    Raises:
        BadReference: a missing or wrongly typed input, or two columns of one name. OnDemandFailed.
    """
    columns: dict[str, pa.Array] = dict(zip(given.column_names, given.columns, strict=True))
    times: dict[str, pa.Array] = {}
    for one in requested:
        made = _columns(one, reading, clamp=clamp)
        clash = next((name for name in made if name in columns), None)
        if clash is not None:
            raise BadReference(f"the column {clash!r} exists already; use full names (view__feature)")
        columns |= made
        if not isinstance(one.source, OnDemandView):
            times |= _times(one.source, reading)
    clash = next((name for name in times if name in columns), None)
    if clash is not None:
        raise BadReference(f"the column {clash!r} exists already: a time of a view has this name")
    return pa.table(columns | times)


def _times(view: ViewRows, reading: Reading) -> dict[str, pa.Array]:
    header, found = view.header, reading.rows(view).has_row
    moments = {"pane_end": header.pane_end, "released_at": header.released_at}
    return {
        f"{header.view}__{name}": pa.array(np.full(len(found), moment or 0), mask=~found).cast(TIMESTAMP)
        for name, moment in moments.items()
    }


def _columns(requested: RequestedColumn, reading: Reading, *, clamp: bool) -> dict[str, pa.Array]:
    """One feature and its companions."""
    column = requested.column
    value, status = reading.values(requested)
    there = value_is_there(status)
    columns = {requested.name: _value(column, value, there, clamp=clamp)}
    if isinstance(requested.source, OnDemandView):
        columns |= {f"{requested.name}__{one}": pa.nulls(len(status), pa.float64()) for one in ("se", "lo", "hi")}
    else:
        found, companions = reading.rows(requested.source), requested.source.columns
        se = found.numbers(companions[f"{column.name}__se"])
        columns[f"{requested.name}__se"] = pa.array(se, mask=~there)
        low = companions[f"{column.name}__lo"]
        if low.end is not None:
            for side, values in zip(("lo", "hi"), found.bounds(low, low.end), strict=True):
                columns[f"{requested.name}__{side}"] = masked_floats(_clamped(low, values, clamp=clamp), ~there)
        if n := companions.get(f"{column.name}__n"):
            columns[f"{requested.name}__n"] = _value(n, found.numbers(n), n_is_there(status), clamp=clamp)
    columns[f"{requested.name}__status"] = status_array(status)
    return columns


def _value(column: ViewColumn, values: Floats, there: Any, *, clamp: bool) -> pa.Array:
    """Numbers in their own type, null where they are missing."""
    values = _clamped(column, values, clamp=clamp)
    if column.kind == "list":
        shown = np.where(there[:, None], values, 0).astype(np.int64)
        return pa.FixedSizeListArray.from_arrays(pa.array(shown.reshape(-1)), column.width, mask=pa.array(~there))
    shown = np.where(there, values, 0)
    return pa.array(shown.astype(np.int64) if column.integer else shown, mask=~there)


def _clamped(column: ViewColumn, values: Floats, *, clamp: bool) -> Floats:
    limited = clamp and (column.low is not None or column.high is not None)
    return np.clip(values, column.low, column.high) if limited else values
