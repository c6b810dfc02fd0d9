"""Converts the values of a source to the types that a site's file declares.

A type that can never fit is refused by the schema, without reading a value: text of a Parquet file, a table or a JSON record is no
number. Text that stands for typed values may be any of them: the fields of a CSV file, topics and keys. A value that does not fit
is null: one odd event must not fail the others.
"""

from __future__ import annotations

from typing import Final, assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import EventColumnError
from ..events import plain_values, require_column
from ..time_texts import YEAR_1, YEAR_10000, has_no_zone, parse_times
from .declared_column import (
    AsBoolean,
    AsNumber,
    AsText,
    AsTime,
    AsWhole,
    Column,
    Kind,
    Named,
    RecordKey,
    RecordTime,
    TimeUnit,
    TopicLevel,
    raw_name,
)
from .files.csv_file import UNTYPED, numbers, truths, whole_numbers

UTC_US: Final = pa.timestamp("us", "UTC")
_PER_SECOND: Final[dict[TimeUnit, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def declared(column: Column, table: pa.Table) -> tuple[pa.Field, pa.Array | pa.ChunkedArray]:
    """A declared column of a source's columns, and its field. Raises EventsError, EventColumnError."""
    raw = raw_name(column.origin)
    require_column(table, raw)
    values, field = table.column(raw), table.schema.field(raw)
    match column.origin:
        case Named():
            untyped = UNTYPED.items() <= (field.metadata or {}).items()
        case TopicLevel(level=level):
            values, untyped = values if level is None else _level(values, level), True
        case RecordKey():
            untyped = True
        case RecordTime():
            untyped = False
        case _:
            assert_never(column.origin)
    if column.kind is None:
        return field.with_name(column.name), values
    found = converted(values, column.kind, column.name, untyped=untyped)
    return pa.field(column.name, found.type), found


def converted(values: pa.ChunkedArray, kind: Kind, name: str, *, untyped: bool = False) -> pa.Array:
    """Values as a declared type.

    Args:
        name: of the declared column, for the error.
        untyped: text stands for typed values.

    Raises:
        EventColumnError: no value of the source's type fits.
    """
    plain = plain_values(values)
    if pa.types.is_null(plain.type):
        return pa.nulls(len(plain), type_of(kind))
    match kind:
        case AsText():
            return _text(plain, name)
        case AsNumber(scale=scale):
            number = _number(plain, name, untyped=untyped)
            if (scale.factor, scale.offset) != (1, 0):
                number = pc.add(pc.multiply(number, scale.factor), scale.offset)
            return pc.if_else(pc.is_nan(number), pa.scalar(None, pa.float64()), number)
        case AsWhole():
            return _whole(plain, name, untyped=untyped)
        case AsBoolean():
            return _boolean(plain, name, untyped=untyped)
        case AsTime():
            return _time(plain, kind, name, untyped=untyped)
        case _:
            assert_never(kind)


def type_of(kind: Kind) -> pa.DataType:
    """The type of a declared column. Times of files and tables keep their resolution where nothing is converted."""
    match kind:
        case AsText():
            return pa.string()
        case AsNumber():
            return pa.float64()
        case AsWhole():
            return pa.int64()
        case AsBoolean():
            return pa.bool_()
        case AsTime():
            return UTC_US
        case _:
            assert_never(kind)


def in_zone(local: pa.Array, zone: str) -> pa.Array:
    """Timestamps without a zone as times of a zone.

    An hour that a clock shows twice, when summer ends, means the earlier one. A time that no clock shows, when summer begins, means
    the moment of the change. Arrow knows no summer time after 2037.
    """
    return pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest").cast(
        pa.timestamp(local.type.unit, "UTC")
    )


def require_zone(zone: str) -> None:
    """Raise ValueError if the system's time zones, which Arrow reads, do not have this one."""
    try:
        in_zone(pa.array([0], pa.timestamp("us")), zone)
    except pa.ArrowInvalid:
        raise ValueError(f"this machine has no time zone {zone!r}: install the system's package tzdata") from None


def _level(topics: pa.ChunkedArray, level: int) -> pa.ChunkedArray:
    """A level of topics such as `site/device/events`, counted from 1; null where a topic has fewer."""
    before = f"(?:[^/]*/){{{level - 1}}}" if level > 1 else ""
    return pc.struct_field(pc.extract_regex(topics, pattern=f"^{before}(?P<level>[^/]*)(?:/|$)"), [0])


def _text(values: pa.Array, name: str) -> pa.Array:
    if pa.types.is_large_string(values.type) or pa.types.is_integer(values.type):
        return values.cast(pa.string())
    raise _unfit(name, "text", values)


def _number(values: pa.Array, name: str, *, untyped: bool) -> pa.Array:
    if _is_number(values.type):
        return values.cast(pa.float64(), safe=False)
    if untyped and pa.types.is_large_string(values.type):
        return numbers(values)
    raise _unfit(name, "a number", values)


def _whole(values: pa.Array, name: str, *, untyped: bool) -> pa.Array:
    kind = values.type
    if pa.types.is_uint64(kind):
        return pc.if_else(pc.less_equal(values, pa.scalar(2**63 - 1, kind)), values, pa.scalar(None, kind)).cast(
            pa.int64()
        )
    if pa.types.is_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_floating(kind):
        return _whole_of_floats(values.cast(pa.float64()))
    if pa.types.is_decimal(kind):
        return whole_numbers(pc.replace_substring_regex(values.cast(pa.string()), r"\.0*$", ""))
    if untyped and pa.types.is_large_string(kind):
        return whole_numbers(values)
    raise _unfit(name, "a whole number", values)


def _whole_of_floats(values: pa.Array) -> pa.Array:
    found = pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False)
    whole = (np.floor(found) == found) & (found >= -(2.0**63)) & (found < 2.0**63)
    return pa.array(np.where(whole, found, 0).astype(np.int64), mask=~whole)


def _boolean(values: pa.Array, name: str, *, untyped: bool) -> pa.Array:
    """Databases without booleans have 0 and 1."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return values
    if pa.types.is_integer(kind):
        known = pc.is_in(values, pa.array([0, 1], kind))
        return pc.if_else(known, pc.equal(values, pa.scalar(1, kind)), pa.scalar(None, pa.bool_()))
    if untyped and pa.types.is_large_string(kind):
        return truths(pc.utf8_trim_whitespace(values))
    raise _unfit(name, "a boolean", values)


def _time(values: pa.Array, kind: AsTime, name: str, *, untyped: bool) -> pa.Array:
    found = values.type
    if kind.unit is not None:
        if _is_number(found):
            return _epoch(values, kind.unit)
        if untyped and pa.types.is_large_string(found):
            exact = _epoch(whole_numbers(values), kind.unit)
            return pc.coalesce(exact, _epoch(numbers(values), kind.unit))
        raise _unfit(name, f"a number of {kind.unit} since 1970", values)
    if pa.types.is_large_string(found):
        times = parse_times(values, name, strict=False)
        return times if kind.zone is None else _localized(times, has_no_zone(values), kind.zone)
    if pa.types.is_date(found) or pa.types.is_timestamp(found):
        if kind.zone is None or (pa.types.is_timestamp(found) and found.tz is not None):
            return values
        local = values if pa.types.is_timestamp(found) else values.cast(pa.timestamp("ms"))
        return in_zone(_of_known_years(local), kind.zone)
    if _is_number(found):
        raise EventColumnError(
            name, f"the site's file declares a time, but the source has {found}. Add unit = 's' or 'ms'"
        )
    raise _unfit(name, "a time", values)


def _localized(times: pa.Array, naive: pa.Array, zone: str) -> pa.Array:
    """Times of which some were read as UTC because their text names no zone."""
    local = _of_known_years(times.cast(pa.int64()).cast(pa.timestamp("us")))
    return pc.if_else(naive, in_zone(local, zone), times)


def _of_known_years(local: pa.Array) -> pa.Array:
    """Null outside the years 0001 to 9999, or of the 64 bits of nanoseconds, with a day to spare for the zone."""
    ticks, per_second = local.cast(pa.int64()), _PER_SECOND[local.type.unit]
    day = 86_400 * per_second
    low, high = max(YEAR_1 * per_second // 10**6, -(2**63)), min(YEAR_10000 * per_second // 10**6, 2**63 - 1)
    fits = pc.and_(pc.greater_equal(ticks, low + day), pc.less(ticks, high - day))
    return pc.if_else(fits, local, pa.scalar(None, local.type))


def _epoch(values: pa.Array, unit: TimeUnit) -> pa.Array:
    """Numbers since 1970 as times: whole numbers rounded down to µs, others to the nearest µs."""
    per_second = _PER_SECOND[unit]
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        found = pc.fill_null(values.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):  # infinity is beyond every year
            us = np.rint(found * (10**6 / per_second))
        fits = (us >= YEAR_1) & (us < YEAR_10000)
        return _times(np.where(fits, us, 0).astype(np.int64), fits)
    whole = _whole(values, "", untyped=False)
    ticks = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)
    fits = whole.is_valid().to_numpy(zero_copy_only=False)
    if per_second == 10**9:
        return _times(ticks // 1_000, fits)
    us_per_tick = 10**6 // per_second
    fits = fits & (ticks >= YEAR_1 // us_per_tick) & (ticks < YEAR_10000 // us_per_tick)
    return _times(np.where(fits, ticks, 0) * us_per_tick, fits)


def _times(us: npt.NDArray[np.int64], fits: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.array(us, mask=~fits).cast(UTC_US)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _unfit(name: str, what: str, values: pa.Array) -> EventColumnError:
    return EventColumnError(name, f"the site's file declares {what}, but the source has {values.type}")
