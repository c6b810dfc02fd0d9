"""The mapping of a source's columns, against a reading of each value by itself in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_client.errors import EventColumnError, EventsError
from edge_client.sources.conversions import in_zone
from edge_client.sources.declared_column import (
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
    TopicLevel,
)
from edge_client.sources.files.csv_file import UNTYPED
from edge_client.sources.mapping import NO_COLUMNS, Mapping
from edge_client.sources.units import Scale, scale_of

NEW_YORK = "America/New_York"
_US = timedelta(microseconds=1)


def mapped(values: pa.Array, kind: Kind, *, untyped: bool = False) -> list[Any]:
    field = pa.field("raw", values.type, metadata=UNTYPED if untyped else None)
    mapping = Mapping((Column("x", Named("raw"), kind),))
    table = pa.table([values], pa.schema([field]))
    found = mapping.apply(table)
    assert mapping.apply(table.slice(0, 0)).schema == found.schema
    assert found.column_names == ["x"]
    result: list[Any] = found.column("x").to_pylist()
    return result


def test_declared_columns_come_first_and_hide_their_origins() -> None:
    table = pa.table({"arr": ["2020-01-01"], "dist": [2.0], "plain": [1], "late": [9]})
    mapping = Mapping(
        (Column("at", Named("arr"), AsTime()), Column("km", Named("dist"), AsNumber(scale_of("mi", "km"))),
         Column("late", Named("plain"), None))
    )  # fmt: skip
    found = mapping.apply(table)
    assert found.column_names == ["at", "km", "late"]
    assert found.to_pylist() == [{"at": datetime(2020, 1, 1, tzinfo=UTC), "km": 2 * 1.609344, "late": 1}]
    assert (mapping.origin("km"), mapping.origin("other"), mapping.hides("dist")) == ("dist", "other", True)


def test_without_declared_columns_a_table_stays_as_it_is() -> None:
    table = pa.table({"a": [1]})
    assert NO_COLUMNS.apply(table) is table


def test_only_what_a_table_has_is_mapped() -> None:
    mapping = Mapping((Column("x", Named("a"), AsText()), Column("y", Named("b"), AsText())))
    assert mapping.apply(pa.table({"a": ["p"], "c": [1]})).column_names == ["x", "c"]
    with pytest.raises(EventsError, match="2 columns named 'a'"):
        mapping.apply(pa.table([pa.array(["p"]), pa.array(["q"])], ["a", "a"]))


def test_records_of_streams_have_topics_keys_and_times() -> None:
    mapping = Mapping(
        (
            Column("topic", TopicLevel(), AsText()),
            Column("device", TopicLevel(2), AsText()),
            Column("room", TopicLevel(3), AsWhole()),
            Column("key", RecordKey(), AsNumber()),
            Column("at", RecordTime(), AsTime()),
        )
    )
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    raw = pa.table(
        {
            "@topic": ["site/a/7", "site", "site//x", "/b"],
            "@key": ["1.5", "seven", None, "2"],
            "@time": pa.array([moment] * 4, pa.timestamp("us", "UTC")),
        }
    )
    found = mapping.apply(raw)
    assert found.schema == mapping.schema()
    assert found.to_pydict() == {
        "topic": ["site/a/7", "site", "site//x", "/b"],
        "device": ["a", None, "", "b"],
        "room": [7, None, None, None],
        "key": [1.5, None, None, 2.0],
        "at": [moment] * 4,
    }


def in_python(local: datetime, zone: str) -> datetime:
    """A time of a zone: of two the earlier one, of none the moment of the change."""
    aware = local.replace(tzinfo=ZoneInfo(zone), fold=0)
    back = aware.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if back == local:
        return aware.astimezone(UTC)
    before, after = (aware.replace(fold=fold).astimezone(UTC) for fold in (1, 0))  # on both sides of the change
    low, high = min(before, after), max(before, after)
    offset = low.astimezone(ZoneInfo(zone)).utcoffset()
    while high - low > _US:
        middle = low + (high - low) // 2
        if middle.astimezone(ZoneInfo(zone)).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


_LOCAL = st.one_of(
    st.datetimes(datetime(1900, 1, 1), datetime(2037, 1, 1)),
    st.datetimes(datetime(2020, 3, 8, 1), datetime(2020, 3, 8, 4)),
    st.datetimes(datetime(2020, 11, 1), datetime(2020, 11, 1, 3)),
)
_ZONES = st.sampled_from([NEW_YORK, "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])


@given(_LOCAL, _ZONES)
@example(datetime(2020, 3, 8, 2, 30), NEW_YORK)
@example(datetime(2020, 11, 1, 1, 30), NEW_YORK)
@example(datetime(2020, 10, 4, 2, 15), "Australia/Lord_Howe")
def test_a_time_of_a_zone_is_one_moment(local: datetime, zone: str) -> None:
    expected = in_python(local, zone)
    assert in_zone(pa.array([local], pa.timestamp("us")), zone).to_pylist() == [expected]
    assert mapped(pa.array([local.isoformat(), None]), AsTime(zone)) == [expected, None]
    seconds = local.replace(microsecond=0)
    assert mapped(pa.array([seconds], pa.timestamp("s")), AsTime(zone)) == [in_python(seconds, zone)]


def test_the_hour_that_is_missing_and_the_hour_that_is_there_twice() -> None:
    local = pa.array(["2020-03-08T02:30:00", "2020-11-01 01:30:00", "2020-11-01T01:30:00-05:00", "2020-06-01", "soon"])
    assert mapped(local, AsTime(NEW_YORK)) == [
        datetime(2020, 3, 8, 7, tzinfo=UTC),
        datetime(2020, 11, 1, 5, 30, tzinfo=UTC),
        datetime(2020, 11, 1, 6, 30, tzinfo=UTC),
        datetime(2020, 6, 1, 4, tzinfo=UTC),
        None,
    ]
    day = pa.array([date(2020, 6, 1)])
    assert mapped(day, AsTime(NEW_YORK)) == [datetime(2020, 6, 1, 4, tzinfo=UTC)]
    aware = pa.array([datetime(2020, 6, 1, tzinfo=UTC)])
    assert mapped(aware, AsTime(NEW_YORK)) == [datetime(2020, 6, 1, tzinfo=UTC)]


@pytest.mark.parametrize("ticks", [2**63 - 1, -(2**63), 0])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_time_of_an_unset_clock_is_no_error(ticks: int, unit: str) -> None:
    values = pa.array([ticks], pa.int64()).cast(pa.timestamp(unit))
    found = Mapping((Column("x", Named("x"), AsTime(NEW_YORK)),)).apply(pa.table({"x": values})).column("x")
    assert found.null_count == (ticks != 0)


_PER = {"s": 10**6, "ms": 10**3, "us": 1}
_LOW, _HIGH = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def epoch_in_python(number: int | float | None, unit: str) -> datetime | None:
    if number is None or (isinstance(number, float) and not math.isfinite(number)):
        return None
    if isinstance(number, float):
        found = number * (10**6 / {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit])
        if not math.isfinite(found):
            return None
        us = round(found)
    else:
        us = number // 1_000 if unit == "ns" else number * _PER[unit]
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + us * _US
    except OverflowError:
        return None


_WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**40), 2**40))


@given(st.lists(_WHOLE), st.sampled_from(["s", "ms", "us", "ns"]))
@example([2**63 - 1, -(2**63), -1], "ns")
def test_whole_numbers_since_1970(numbers: list[int | None], unit: Any) -> None:
    expected = [epoch_in_python(one, unit) for one in numbers]
    assert mapped(pa.array(numbers, pa.int64()), AsTime(unit=unit)) == expected
    texts = pa.array([None if one is None else str(one) for one in numbers], pa.string())
    assert [
        one for one, number in zip(mapped(texts, AsTime(unit=unit), untyped=True), numbers, strict=True)
    ] == expected


@given(st.lists(st.one_of(st.none(), st.floats())), st.sampled_from(["s", "ms", "us", "ns"]))
def test_numbers_with_a_fraction_since_1970(numbers: list[float | None], unit: Any) -> None:
    expected = [epoch_in_python(one, unit) for one in numbers]
    assert mapped(pa.array(numbers, pa.float64()), AsTime(unit=unit)) == expected


@given(st.lists(st.one_of(st.none(), st.floats())), st.floats(-10, 10), st.floats(-500, 500))
def test_numbers_are_converted_by_a_factor_and_an_offset(
    numbers: list[float | None], factor: float, offset: float
) -> None:
    def one(number: float | None) -> float | None:
        found = None if number is None else number * factor + offset
        return None if found is None or math.isnan(found) else found

    kind = AsNumber(Scale(factor, offset))
    assert mapped(pa.array(numbers, pa.float64()), kind) == list(map(one, numbers))


def whole_in_python(value: Any) -> int | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or value != int(value):
        return None
    return int(value) if -(2**63) <= value < 2**63 else None


_DECIMALS = st.decimals(-(10**20), 10**20, places=3)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.uint64(), st.integers(0, 2**64 - 1)),
        (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
        (pa.float64(), st.one_of(st.floats(), st.integers(-(2**60), 2**60).map(float))),
        (pa.decimal128(38, 3), st.one_of(_DECIMALS, st.integers(-(10**19), 10**19).map(Decimal))),
    ],
)
def test_whole_numbers_of_every_type(kind: pa.DataType, values: st.SearchStrategy[Any]) -> None:
    @given(st.lists(st.one_of(st.none(), values)))
    def check(numbers: list[Any]) -> None:
        assert mapped(pa.array(numbers, kind), AsWhole()) == list(map(whole_in_python, numbers))

    check()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([7, None]), AsText(), ["7", None]),
        (pa.array(["a", None]).dictionary_encode(), AsText(), ["a", None]),
        (pa.array([0, 1, 2, None]), AsBoolean(), [False, True, None, None]),
        (pa.array([True, None]), AsBoolean(), [True, None]),
        (pa.array([Decimal("1.5"), None]), AsNumber(), [1.5, None]),
        (pa.array([float("nan"), 1.0]), AsNumber(), [None, 1.0]),
        (pa.array([1], pa.uint8()), AsNumber(), [1.0]),
        (pa.nulls(2), AsWhole(), [None, None]),
        (pa.nulls(1), AsTime(), [None]),
        (pa.array([Decimal("1577836800.5")]), AsTime(unit="s"), [datetime(2020, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)]),
    ],
)
def test_values_that_fit(values: pa.Array, kind: Kind, expected: list[Any]) -> None:
    assert mapped(values, kind) == expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (" 12 ", AsWhole(), 12), ("1.5", AsWhole(), None), ("1.5", AsNumber(), 1.5), ("x", AsNumber(), None),
        (" true", AsBoolean(), True), ("yes", AsBoolean(), None), ("007", AsText(), "007"),
        ("1577836800.5", AsTime(unit="s"), datetime(2020, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("1577836800123456789", AsTime(unit="ns"), datetime(2020, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_text_without_a_type_may_be_any(text: str, kind: Kind, expected: object) -> None:
    assert mapped(pa.array([text]), kind, untyped=True) == [expected]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(["7"]), AsNumber()), (pa.array(["7"]), AsWhole()), (pa.array(["true"]), AsBoolean()),
        (pa.array([True]), AsNumber()), (pa.array([1.0]), AsText()), (pa.array([b"x"]), AsText()),
        (pa.array([1.0]), AsBoolean()), (pa.array([1]), AsTime()), (pa.array(["1"]), AsTime(unit="s")),
        (pa.array([date(2020, 1, 1)]), AsTime(unit="s")), (pa.array([True]), AsTime()), (pa.array([date(2020, 1, 1)]), AsNumber()),
    ],
)  # fmt: skip
def test_a_type_that_can_never_fit_is_refused_without_a_row(values: pa.Array, kind: Kind) -> None:
    for rows in (values, values.slice(0, 0)):
        with pytest.raises(EventColumnError, match="the site's file declares"):
            mapped(rows, kind)


@pytest.mark.parametrize(
    ("unit", "to", "number", "expected"),
    [
        ("mi", "km", 1.0, 1.609344),
        ("degF", "degC", 212.0, 100.0),
        ("km/h", "m/s", 3.6, 1.0),
        ("percent", "", 50.0, 0.5),
    ],
)
def test_units(unit: str, to: str, number: float, expected: float) -> None:
    convert: Callable[[Scale], list[Any]] = lambda scale: mapped(pa.array([number]), AsNumber(scale))  # noqa: E731
    assert convert(scale_of(unit, to)) == pytest.approx([expected], rel=1e-15, abs=1e-13)
