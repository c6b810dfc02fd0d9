"""From events to slots: one DuckDB query per view for all clients of a site, with the bounds of DESIGN §3 applied.

The privacy unit is one client and one UTC day, so the bounds hold per client-day: at most `max_cells` cells (join key, pane)
of each (client, day), and at most `max_events_per_cell` events of each cell. The earliest events by event time are kept (ties in
input order). `compute` takes the number of used cells of each client-day, and returns the number of cells of each report. A day
that is computed pane by pane therefore gives exactly the same result as a day that is computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US
from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.encoding import EachClient, EachEvent, Encoding, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.expressions import parse
from featurestore.define.keys import domain_index
from featurestore.define.layout import layout_of

from .events import Events, EventTimes, column_types, key_columns, typed_column
from .sandbox import locked_duckdb


@dataclass(frozen=True)
class Dropped:
    """Number of events that were not counted, by reason. These numbers never leave the site."""

    null_client: int = 0
    null_time: int = 0
    null_key: int = 0
    unknown_key: int = 0
    over_bounds: int = 0


@dataclass(frozen=True, eq=False)
class UsedCells:
    """The number of used cells of each client-day, as parallel arrays with one entry per client-day. Privacy-sensitive."""

    client: npt.NDArray[np.int32]
    day: npt.NDArray[np.int64]
    cells: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return f"UsedCells({len(self.client)} client-days: redacted)"

    @classmethod
    def none(cls) -> UsedCells:
        """No cell is used yet: the start of a day."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, eq=False)
class Contributions:
    """The reports of a site's clients: one per (pane, client), sorted by pane, then client. Secret.

    Attributes:
        pane_start: int64[R], µs since the epoch.
        client: int32[R], index of the identity.
        cells: int64[R], the cells that each report uses of its client-day. A cell without a value is used, too.
        slots: the R sparse report vectors.
        dropped: the number of events of these panes that were not counted.
    """

    pane_start: npt.NDArray[np.int64]
    client: npt.NDArray[np.int32]
    cells: npt.NDArray[np.int64]
    slots: SparseRows
    dropped: Dropped

    def __repr__(self) -> str:
        return f"Contributions({len(self.client)} reports: redacted)"


EVERYTHING: Final = (-(2**63), 2**63 - 1)
"""The interval of all panes."""


def compute(
    view: FeatureView,
    events: Events,
    used: UsedCells | None = None,
    interval: tuple[int, int] = EVERYTHING,
    panes: npt.NDArray[np.int64] | None = None,
) -> Contributions:
    """Compute every report of the panes that start in `interval` = [from, to), µs since the epoch.

    Within a day, compute panes in order of time: `used` holds the cells of earlier panes, and the remaining cells are filled
    in order of event time. Events outside the interval are ignored.

    Args:
        panes: only these panes (starts, µs since the epoch, increasing); events of other panes are ignored.

    Raises:
        EventsError: a needed column is missing. EventColumnError: a column has a type that its use does not allow.
    """
    used = used or UsedCells.none()
    times = events.times(view)
    inside = ~times.valid | ((times.us >= interval[0]) & (times.us < interval[1]))
    if panes is not None:
        inside &= ~times.valid | np.isin(times.us - times.us % view.pane_us, panes)
    keep, key, dropped = _eligible(view, events, times, inside)
    source = _source_table(view, events, times, keep, key)
    with locked_duckdb() as db:
        db.register("events", source)
        db.register("used", pa.table({"client": used.client, "day": used.day, "cells": used.cells}))
        cells = db.sql(_query(view)).to_arrow_table()
    counted = int(cells.column("events").to_numpy().sum()) if cells.num_rows else 0
    return _contributions(view, cells, replace(dropped, over_bounds=source.num_rows - counted))


def days_with_events(view: FeatureView, events: Events) -> npt.NDArray[np.int64]:
    """The distinct UTC days (since the epoch) that hold an event with a time."""
    times = events.times(view)
    return np.unique(times.us[times.valid] // DAY_US)


def _eligible(
    view: FeatureView, events: Events, times: EventTimes, inside: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], Dropped]:
    """bool[N], which events may count; int64[N], the index of their join key; and why the others were dropped."""
    table = events.table
    has_client = events.client >= 0
    if view.entity.constant:
        key = np.zeros(table.num_rows, dtype=np.int64)
        has_key = np.ones(table.num_rows, dtype=bool)
    else:
        key = domain_index(view.entity, key_columns(view, table))
        has_key = np.logical_and.reduce([table.column(c).is_valid().to_numpy() for c in view.entity.columns])
    known = key >= 0
    timed = has_client & times.valid
    dropped = Dropped(
        null_client=int(np.count_nonzero(inside & ~has_client)),
        null_time=int(np.count_nonzero(has_client & ~times.valid)),
        null_key=int(np.count_nonzero(inside & timed & ~has_key)),
        unknown_key=int(np.count_nonzero(inside & timed & has_key & ~known)),
    )
    return inside & timed & known, key, dropped


def _source_table(
    view: FeatureView,
    events: Events,
    times: EventTimes,
    keep: npt.NDArray[np.bool_],
    key: npt.NDArray[np.int64],
) -> pa.Table:
    """The kept events as the query reads them: client, key, pane, day, ord, and the values v0, v1, … by `_value_names`.

    Column h<i> is the cell of the histogram that starts at slot i. In SQL, one column per cell would cost time and memory
    for each of them.
    """
    pane = times.us[keep] // view.pane_us
    columns = {
        "client": pa.array(events.client[keep]),
        "key": pa.array(key[keep].astype(np.int32)),
        "pane": pa.array(pane),
        "day": pa.array(pane // view.panes_per_day),
        "ord": pa.array(times.order[keep]),
    }
    mask = pa.array(keep)
    types = column_types(view)
    values = {column: typed_column(events.table, column, types[column]).filter(mask) for column in types}
    columns |= {name: values[column] for column, name in _value_names(view).items()}
    for first, encoding in _collected(view).items():
        if isinstance(encoding, OneHot):
            columns[f"h{first}"] = _cells(encoding, values[encoding.column])
    return pa.table(columns)


def _cells(encoding: OneHot, values: pa.Array) -> pa.Array:
    """int32[N], the cell (−∞, e0), [e0, e1), …, [en, ∞) of each value; a null is in the last cell, or stays null."""
    numbers = values.fill_null(0.0).to_numpy()
    is_null = ~values.is_valid().to_numpy(zero_copy_only=False)
    cells = np.searchsorted(np.asarray(encoding.edges, dtype=np.float64), numbers, side="right").astype(np.int32)
    if not encoding.nulls:
        return pa.array(cells, mask=is_null)
    return pa.array(np.where(is_null, np.int32(len(encoding.edges) + 1), cells))


def _value_names(view: FeatureView) -> dict[str, str]:
    """An internal name for each value column, so that no name from outside reaches the SQL."""
    return {column: f"v{i}" for i, column in enumerate(sorted(column_types(view)))}


def _collected(view: FeatureView) -> dict[int, Encoding]:
    """The encoding of each feature that has slots, by the first of its slots within a join key."""
    first: dict[str, int] = {}
    for i, slot in enumerate(layout_of(view).slots):
        first.setdefault(slot.feature, i)
    return {first[feature.name]: feature.encoding for feature in view.collected}


def _query(view: FeatureView) -> str:
    """SQL for the cells (client, pane, key) in report order, with the number of events and the raw slots of each.

    s<i> is slot i. h<i> is a list of histogram cells, counted from slot i, with one entry per event.
    """
    names = _value_names(view)
    selected = []
    for first, encoding in _collected(view).items():
        if isinstance(encoding, OneHot):
            selected.append(f"list(h{first}) FILTER (WHERE h{first} IS NOT NULL) AS h{first}")
        else:
            slots = enumerate(_slot_sql(encoding, names), first)
            selected += [f"CAST({sql} AS BIGINT) AS s{slot}" for slot, sql in slots]
    return f"""
        WITH kept AS (
            SELECT * FROM events
            QUALIFY row_number() OVER (PARTITION BY client, pane, key ORDER BY ord) <= {view.bounds.max_events_per_cell}
        ), cell AS (
            SELECT client, day, pane, key, min(ord) AS first, count(*) AS events, {", ".join(selected)}
            FROM kept GROUP BY client, day, pane, key
        )
        SELECT cell.* EXCLUDE (first)
        FROM cell LEFT JOIN used USING (client, day)
        QUALIFY row_number() OVER (PARTITION BY client, day ORDER BY first)
            <= {view.bounds.max_cells} - coalesce(used.cells, 0)
        ORDER BY pane, client, key"""


def _slot_sql(encoding: EachEvent | EachClient | OffsetSum | TrueOrFalse, names: dict[str, str]) -> list[str]:
    """The SQL aggregate of each raw slot, in the layout's order."""
    match encoding:
        case EachEvent():
            return ["count(*)"]
        case EachClient():
            return ["1"]
        case OffsetSum(column=column, low=low, high=high, step=step):
            value = names[column]
            clipped = f"least(greatest({value}, {_double(low)}), {_double(high)})"
            q = f"CAST(floor(({clipped} - {_double(low)}) / {_double(step)} + 0.5) AS BIGINT)"
            # greatest and least skip NULL, so a null value would become `low`: FILTER keeps it out
            return [f"coalesce(sum({q}) FILTER (WHERE {value} IS NOT NULL), 0)", f"count({value})"]
        case TrueOrFalse(where=where):
            holds = parse(where).sql(names)
            return [f"count(*) FILTER (WHERE {holds})", f"count(*) FILTER (WHERE NOT {holds})"]
        case _:
            assert_never(encoding)


def _double(value: float) -> str:
    return f"CAST('{float(value)!r}' AS DOUBLE)"


def _contributions(view: FeatureView, cells: pa.Table, dropped: Dropped) -> Contributions:
    """Pack the query's cells into sparse report vectors."""
    layout = layout_of(view)
    client = cells.column("client").to_numpy().astype(np.int32)
    pane = cells.column("pane").to_numpy().astype(np.int64)
    key = cells.column("key").to_numpy().astype(np.int64)
    row, slot, value = _nonzero(cells, layout.slots_per_key)
    is_first = np.ones(len(client), dtype=bool)
    is_first[1:] = (pane[1:] != pane[:-1]) | (client[1:] != client[:-1])
    starts = np.flatnonzero(is_first)
    ends = np.append(starts, len(client))
    columns = key[row] * layout.slots_per_key + slot
    slots = SparseRows(np.searchsorted(row, ends), columns.astype(np.int32), value, layout.length)
    return Contributions(pane[starts] * view.pane_us, client[starts], np.diff(ends), slots, dropped)


def _nonzero(cells: pa.Table, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(row, slot, value) of every nonzero slot of the query's answer, by row, then slot.

    Wide histograms are nearly empty, so no row is ever stored densely.
    """
    places, values = [], []  # place: row · width + slot, the order of both
    for name in cells.column_names:
        column = cells.column(name).combine_chunks()
        if name.startswith("s"):
            dense = column.to_numpy()
            row = np.flatnonzero(dense)
            places.append(row * width + int(name[1:]))
            values.append(dense[row])
        elif name.startswith("h"):
            row = np.repeat(np.arange(len(column)), pc.fill_null(pc.list_value_length(column), 0).to_numpy())
            slot = column.flatten().to_numpy().astype(np.int64) + int(name[1:])
            at, count = np.unique(row * width + slot, return_counts=True)
            places.append(at)
            values.append(count)
    place = np.concatenate(places)
    order = np.argsort(place, kind="stable")
    row, slot = np.divmod(place[order], width)
    return row, slot, np.concatenate(values)[order]
