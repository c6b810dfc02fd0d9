"""The events of a site: checked against the views once, before anything is computed.

A type is refused by the schema, never because of one row: one odd event must not fail a site. Text is not converted to numbers,
except in CSV files, which have no types. Client ids are never changed: "007" and "7", or two Unicode spellings of one name, are
different clients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US
from featurestore.define.definitions import FeatureView
from featurestore.define.encoding import EachClient, EachEvent, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.expressions import ColumnType
from featurestore.define.keys import domain_index

from .errors import EventColumnError, EventsError
from .sources.files.csv_file import UNTYPED, truths, whole_numbers
from .time_texts import TIME_FORMATS, YEAR_1, YEAR_10000, parse_times

PaneCounts = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Panes (their start in µs, increasing), and how many events with a client each has. No pane has 0."""


@dataclass(frozen=True, eq=False)
class Events:
    """The events of one site (or, in one process, of several). Everything in it is privacy-sensitive.

    Attributes:
        table: the event columns: of all events of the source, or of those in the panes of one plan.
        client: int32[N], dense index of the identity (site, client id); −1 where either is null.
        identities: the distinct identities, by index: client ids, or {site, client} with a site column.
        time_column: the default time column; a view may name another.
        strict_times: see `make_events`.
        counted: how many events each pane of a view has in the whole source. None: `table` holds all events.
    """

    table: pa.Table
    client: npt.NDArray[np.int32]
    identities: pa.Array
    time_column: str
    strict_times: bool = True
    counted: Callable[[FeatureView], PaneCounts] | None = None
    _times: dict[str, EventTimes] = field(default_factory=dict, init=False, repr=False)

    def times(self, view: FeatureView) -> EventTimes:
        """The event times that a view uses. Each time column is read once. Raises as `event_times`."""
        column = view.time or self.time_column
        if column not in self._times:
            self._times[column] = event_times(self.table, column, strict=self.strict_times)
        return self._times[column]

    def pane_starts(self, view: FeatureView) -> npt.NDArray[np.int64]:
        """int64[N], the start of the pane (µs) of each event of `table` with a client and a time. Raises as `event_times`."""
        return starts_of(self.times(view), self.client >= 0, view.pane_us)

    def pane_counts(self, view: FeatureView) -> PaneCounts:
        """How many events each pane of a view has, in the whole source. Raises as `event_times`."""
        if self.counted is not None:
            return self.counted(view)
        return np.unique(self.pane_starts(view), return_counts=True)

    @property
    def clients(self) -> int:
        """Number of distinct identities."""
        return len(self.identities)

    def __repr__(self) -> str:
        return f"Events({self.table.num_rows} events, {self.clients} clients: redacted)"


@dataclass(frozen=True, eq=False)
class EventTimes:
    """The times of one time column.

    Attributes:
        ticks: int64[N], the times to the source's full precision; 0 where not valid.
        us: int64[N] µs since the epoch, rounded down; 0 where not valid.
        valid: bool[N]; false where null, and outside the years 0001 to 9999.
    """

    ticks: npt.NDArray[np.int64]
    us: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """int64[N], rank in order of time, ties in input order."""
        order = np.empty(len(self.ticks), dtype=np.int64)
        order[np.argsort(self.ticks, kind="stable")] = np.arange(len(order))
        return order


def column_types(view: FeatureView) -> dict[str, ColumnType]:
    """The value columns that a view's features read, each with the type that its use demands.

    Raises:
        EventColumnError: two features use one column as two types.
    """
    types: dict[str, ColumnType] = {}

    def use(column: str, used_as: ColumnType) -> None:
        known = types.get(column, "any")
        if "any" not in (known, used_as) and known != used_as:
            raise EventColumnError(column, f"view {view.name!r} uses it both as {known} and as {used_as}")
        types[column] = used_as if known == "any" else known

    for feature in view.pane_features:
        match feature.encoding:
            case OffsetSum(column=column) | OneHot(column=column):
                use(column, "number")
            case TrueOrFalse() as condition:
                for column, used_as in condition.columns:
                    use(column, used_as)
            case EachEvent() | EachClient():
                pass
            case encoding:
                assert_never(encoding)
    return types


def make_events(
    table: pa.Table, client_column: str, time_column: str, site_column: str | None = None, *, strict_times: bool = True
) -> Events:
    """Number the client identities of a table of events.

    Args:
        strict_times: a column of text without a single time raises an error. False on a site, whose answer must not reveal
            it. In both cases text that is not a time is a missing time: one odd event must not fail the others.

    Raises:
        EventsError: the table lacks a column. EventColumnError: the ids are neither text nor whole numbers.
    """
    for column in (client_column, time_column, *([site_column] if site_column else [])):
        require_column(table, column)
    client, identities = _dense(table, client_column)
    if site_column is not None:
        site, sites = _dense(table, site_column)
        both = np.where((client < 0) | (site < 0), -1, site * max(len(identities), 1) + client)
        distinct, inverse = np.unique(both, return_inverse=True)
        has_null = len(distinct) > 0 and distinct[0] < 0
        client, distinct = inverse - has_null, distinct[int(has_null) :]
        parts = [
            sites.take(pa.array(distinct // len(identities))),
            identities.take(pa.array(distinct % len(identities))),
        ]
        identities = pa.StructArray.from_arrays(parts, ["site", "client"])
    return Events(table, client.astype(np.int32), identities, time_column, strict_times)


def check_schema(view: FeatureView, events: Events) -> None:
    """Refuse events from which a view cannot be computed, by the names and types of their columns. Reads no row.

    Raises:
        EventsError: a column is missing. EventColumnError: a time or value column has another type, or the view uses a
            column as two types. BadReference: a join key has another type.
    """
    no_rows = events.table.slice(0, 0)
    time_column = view.time or events.time_column
    require_column(no_rows, time_column)
    _require_time_type(time_column, plain_values(no_rows.column(time_column)).type)
    if not view.entity.constant:
        domain_index(view.entity, key_columns(view, no_rows))
    for column, used_as in column_types(view).items():
        typed_column(no_rows, column, used_as)


def event_times(table: pa.Table, column: str, *, strict: bool = True) -> EventTimes:
    """The times of a column: timestamps of any unit and zone (naive is UTC), dates, or ISO 8601 text.

    Raises:
        EventColumnError: the column has another type. If `strict`, also: none of its texts is a time (names the first).
    """
    require_column(table, column)
    values = plain_values(table.column(column))
    _require_time_type(column, values.type)
    if pa.types.is_large_string(values.type):
        values = parse_times(values, column, strict=strict)
    kind = values.type
    unit = kind.unit if pa.types.is_timestamp(kind) else "day" if pa.types.is_date32(kind) else "ms"
    ticks = values.cast(pa.int32()).cast(pa.int64()) if unit == "day" else values.cast(pa.int64())
    raw = pc.fill_null(ticks, 0).to_numpy()
    us = {"day": DAY_US, "s": 1_000_000, "ms": 1_000, "us": 1}.get(unit)  # of one tick
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    if us is not None:  # 64 bits of nanoseconds end in 2262
        valid = valid & (raw >= YEAR_1 // us) & (raw < YEAR_10000 // us)
    raw = np.where(valid, raw, 0)
    return EventTimes(raw, raw // 1_000 if us is None else raw * us, valid)


def starts_of(times: EventTimes, has_client: npt.NDArray[np.bool_], pane_us: int) -> npt.NDArray[np.int64]:
    """int64[M], the start of the pane (µs) of each event with a client and a time."""
    us = times.us[times.valid & has_client]
    return us - us % pane_us


def require_column(table: pa.Table, column: str) -> None:
    """Raise EventsError unless the table has the column once."""
    found = table.column_names.count(column)
    if found != 1:
        what = "no column" if found == 0 else f"{found} columns named"
        raise EventsError(f"the events have {what} {column!r}; they have: {', '.join(table.column_names)}")


def typed_column(table: pa.Table, column: str, used_as: ColumnType) -> pa.Array:
    """A value column as its use demands: numbers as float64 with NaN as NULL, text as string, booleans.

    Raises:
        EventColumnError: the column's type does not allow this use.
    """
    require_column(table, column)
    values = plain_values(table.column(column))
    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    is_text = pa.types.is_large_string(kind)
    fits = {"number": is_number, "text": is_text, "boolean": pa.types.is_boolean(kind), "any": True}[used_as]
    if pa.types.is_null(kind):
        return pa.nulls(len(values), {"number": pa.float64(), "text": pa.large_string()}.get(used_as, pa.bool_()))
    if not fits:
        raise EventColumnError(column, f"the views use it as {used_as}, but the events hold {kind}")
    if used_as == "any":
        is_nan = pc.is_nan(values) if pa.types.is_floating(kind) else None
        known = (
            values.is_valid() if is_nan is None else pc.and_(values.is_valid(), pc.invert(pc.fill_null(is_nan, False)))
        )
        return pc.if_else(known, pa.scalar(True), pa.scalar(None, pa.bool_()))
    if used_as == "number":
        numbers = values.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    return values


def key_columns(view: FeatureView, table: pa.Table) -> list[pa.Array | pa.ChunkedArray]:
    """The columns of a view's join key. Text of a CSV file is read as the key's type, or as null if it does not fit.

    Raises:
        EventsError: a column is missing. (`featurestore.define.keys.domain_index` checks the types.)
    """
    columns = []
    for column, key_type in zip(view.entity.columns, view.entity.types, strict=True):
        require_column(table, column)
        values = table.column(column)
        is_untyped = UNTYPED.items() <= (table.schema.field(column).metadata or {}).items()
        if is_untyped and key_type == "int64":
            values = whole_numbers(plain_values(values))
        elif is_untyped and key_type == "bool":
            values = truths(values)
        columns.append(values)
    return columns


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of `plain_values` of a column."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.large_binary()
    return kind


def plain_values(column: pa.ChunkedArray) -> pa.Array:
    """One contiguous array: dictionaries decoded, text and bytes of every kind with 64-bit offsets."""
    kind = plain_type(column.type)
    if pa.types.is_dictionary(column.type):  # decoded by hand: Arrow cannot decode views
        chunks = [chunk.dictionary.cast(kind).take(chunk.indices) for chunk in column.chunks]
    else:
        chunks = column.cast(kind).chunks
    if not chunks:
        return pa.array([], kind)
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def _dense(table: pa.Table, column: str) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Dense index of a column of ids, −1 for null, and the distinct ids."""
    values = plain_values(table.column(column))
    kind = values.type
    if not (pa.types.is_large_string(kind) or pa.types.is_large_binary(kind) or pa.types.is_integer(kind)):
        if not pa.types.is_null(kind):
            mend = "; cast to int64" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else ""
            raise EventColumnError(column, f"ids must be text or whole numbers, not {kind}{mend}")
        return np.full(len(values), -1, dtype=np.int64), values.slice(0, 0)
    encoded = values.dictionary_encode()
    return pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(), encoded.dictionary


def _require_time_type(column: str, kind: pa.DataType) -> None:
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_large_string(kind)):
        raise EventColumnError(
            column, f"times must be timestamps, dates or text such as {' or '.join(TIME_FORMATS)}, not {kind}"
        )
