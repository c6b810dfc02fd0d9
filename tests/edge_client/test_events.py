from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.times import to_us
from edge_client import time_texts
from edge_client.errors import EventColumnError, EventsError
from edge_client.events import (
    check_schema,
    column_types,
    event_times,
    key_columns,
    make_events,
    plain_values,
    typed_column,
)
from edge_client.sources.files.csv_records import MAX_RECORD
from edge_client.sources.files.reading import file_batches, read_events
from edge_client.sources.needed import needed_columns
from edge_client.time_texts import TIME_FORMATS
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.errors import BadReference

MOMENT = datetime(2013, 1, 1, 10, 0, tzinfo=UTC)
US = int(MOMENT.timestamp()) * 10**6


def view(*features: ViewFeature, **changes: Any) -> FeatureView:
    settings: dict[str, Any] = {"entity": Entity("k", domain=["a", "b"]), "pane": "1d"} | changes
    return FeatureView("v", features=features or (Count("n"),), bounds=Bounds(1), privacy=Privacy(rho=0.1), **settings)


def read(path: Path, *features: ViewFeature, site: str | None = None) -> pa.Table:
    return read_events(path, [view(*features)], "c", "t", site)


def read_at_a_site(path: Path, *features: ViewFeature) -> pa.Table:
    return pa.concat_tables(file_batches(path, needed_columns([view(*features)], "c", "t")))


class TestFiles:
    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(EventsError, match=r"no event file .*none\.parquet"):
            read(tmp_path / "none.parquet")

    @pytest.mark.parametrize("name", ["e.txt", "e", "e.parquet.gz"])
    def test_another_format_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("x")
        with pytest.raises(EventsError, match=r"events are read from \.parquet, \.csv, \.jsonl, \.ndjson, \.json, not"):
            read(tmp_path / name)

    @pytest.mark.parametrize("name", ["e.parquet", "e.csv"])
    def test_bytes_that_are_no_such_file_are_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"\xff\xfe\x00garbage\n\x80")
        with pytest.raises(EventsError):
            read(tmp_path / name)

    def test_an_empty_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("")
        (tmp_path / "h.csv").write_text("c,t,k\n")
        pq.write_table(pa.table({"c": pa.array([], pa.string()), "t": [], "k": []}), tmp_path / "e.parquet")
        for name in ("e.csv", "h.csv", "e.parquet"):
            with pytest.raises(EventsError, match="no events"):
                read(tmp_path / name)

    @pytest.mark.parametrize("suffix", ["parquet", "csv"])
    def test_a_missing_column_is_named_with_those_that_exist(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"e.{suffix}"
        if suffix == "csv":
            path.write_text("c,t,k\na,2013-01-01,b\n")
        else:
            pq.write_table(pa.table({"c": ["a"], "t": ["2013-01-01"], "k": ["b"]}), path)
        with pytest.raises(EventsError, match="no column 'x'; it has: c, t, k"):
            read(path, Mean("x", clip=(0, 1)))

    def test_a_column_named_twice_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("c,t,k,k\na,2013-01-01,b,b\n")
        with pytest.raises(EventsError, match="several columns named 'k'"):
            read(tmp_path / "e.csv")

    def test_csv_ids_stay_text_and_empty_fields_are_null(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("c,t,k,x\n007,2013-01-01,a,1\n7,2013-01-01,,\n,2013-01-01,NA,2.5\n")
        table = read(tmp_path / "e.csv", Mean("x", clip=(0, 1)))
        assert table["c"].to_pylist() == ["007", "7", None]
        assert table["k"].to_pylist() == ["a", None, "NA"]
        assert table["x"].to_pylist() == [1.0, None, 2.5]

    def test_a_csv_column_without_one_value_of_its_type_is_refused_where_a_person_reads(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("c,t,k,x\na,2013-01-01,a,NA\na,2013-01-01,a,much\na,2013-01-01,a,more\n")
        with pytest.raises(
            EventsError,
            match=r"e\.csv, column 'x': no value is a number; the first is 'much' in row 2\. Write numbers such as 12",
        ):
            read(tmp_path / "e.csv", Mean("x", clip=(0, 1)))
        (tmp_path / "e.csv").write_text("c,t,k,x\na,2013-01-01,a,much\nb,2013-01-01,a,1\n")
        assert read(tmp_path / "e.csv", Mean("x", clip=(0, 1)))["x"].to_pylist() == [None, 1.0]

    def test_rows_that_cannot_be_read_are_not_counted_and_the_error_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("c,t,k,x\na,b\na,2013-01-01,a,\na,2013-01-01,a,much\n")
        with pytest.raises(EventsError, match=r"the first is 'much' in readable row 2\.") as raised:
            read(tmp_path / "e.csv", Mean("x", clip=(0, 1)))
        assert "the first is (not shown) in readable row 2." in raised.value.logged  # a log has no value of the events

    def test_a_csv_of_which_no_row_can_be_read_is_refused_where_a_person_reads(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text('c,t,k\na,"b\na\n')
        with pytest.raises(
            EventsError, match=r"no events: none of its 2 rows can be read\. As its first line, each row needs 3 field"
        ):
            read(tmp_path / "e.csv")
        unread = read_at_a_site(tmp_path / "e.csv")
        assert unread.to_pylist() == [{"c": None, "t": None, "k": None}] * 2

    def test_a_first_line_that_is_no_record_is_refused(self, tmp_path: Path) -> None:
        for first in ('c,t,"k', "c,t,k" + "x" * MAX_RECORD):
            (tmp_path / "e.csv").write_text(f"{first}\na,2013-01-01,a\n")
            with pytest.raises(EventsError, match="its first line, of at most 262,144 bytes, must name the columns"):
                read(tmp_path / "e.csv")

    def test_an_odd_value_of_a_csv_is_missing_and_an_odd_row_is_an_event_without_a_client(self, tmp_path: Path) -> None:
        numbers = ["1", "-1.5", " 2 ", "1e3", ".5", "7.", "inf", "1e999", "nan", "", "NA", "much", "0x", "1_0", "+"]
        rows = "".join(f"a,2013-01-01,b,{text},true\n" for text in numbers)
        features = Mean("x", clip=(0, 1)), Rate("r", where="y")
        (tmp_path / "fits.csv").write_text("c,t,k,x,y\n" + "".join(rows.splitlines(keepends=True)[:11]))
        (tmp_path / "odd.csv").write_bytes(
            f"c,t,k,x,y\n{rows}a,2013-01-01,b,1,perhaps\na,b\n".encode() + b"\xff,2013-01-01,b,3,0\n"
        )
        fits, odd = (read_at_a_site(tmp_path / name, *features) for name in ("fits.csv", "odd.csv"))
        assert odd.schema.equals(fits.schema, check_metadata=True)
        assert str(odd["x"].to_pylist()[:11]) == str(fits["x"].to_pylist())  # NaN
        assert odd["x"].to_pylist()[11:] == [None, None, None, None, 1.0, 3.0, None]
        assert odd["y"].to_pylist() == [True] * 15 + [None, False, None]
        assert odd["c"].to_pylist() == ["a"] * 16 + [None, None]  # the last one is the row with two fields

    def test_a_csv_column_of_whole_numbers_may_be_key_and_value(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("c,t,k\na,2013-01-01,7\nb,2013-01-01,\n")
        numbered = view(Mean("k", clip=(0, 9)), entity=Entity("k", domain=[7, 8]))
        table = read_events(tmp_path / "e.csv", [numbered], "c", "t", None)
        assert table["k"].type == pa.int64()
        assert typed_column(table, "k", "number").to_pylist() == [7.0, None]

    def test_a_csv_column_that_one_view_only_asks_for_null_has_the_other_views_type(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("c,t,k,x\na,2013-01-01,a,1.5\n")
        views = [view(Rate("r", where="x IS NULL")), view(Mean("x", clip=(0, 9)))]
        assert read_events(tmp_path / "e.csv", views, "c", "t", None)["x"].to_pylist() == [1.5]

    @pytest.mark.parametrize("role", ["client", "site"])
    def test_a_csv_column_of_ids_may_be_a_whole_number_key(self, tmp_path: Path, role: str) -> None:
        texts = ["7", "007", " 8", "8.5", "x", str(2**63), str(-(2**63)), "1e3", "0x7", ""]
        (tmp_path / "e.csv").write_text("k,o,t\n" + "".join(f"{text},o,2013-01-01\n" for text in texts))
        numbered = view(entity=Entity("k", domain=[7, 8]))
        client, site = ("k", None) if role == "client" else ("o", "k")
        table = read_events(tmp_path / "e.csv", [numbered], client, "t", site)
        assert table["k"].to_pylist() == [*texts[:-1], None]  # the ids, untouched
        (keys,) = key_columns(numbered, table)
        assert keys.to_pylist() == [7, 7, 8, None, None, None, -(2**63), None, None, None]
        check_schema(numbered, make_events(table, client, "t", site))
        pq.write_table(table.slice(1), tmp_path / "site.parquet")  # in the form that a simulated site reads
        again = read_events(tmp_path / "site.parquet", [numbered], "k", "t", None)
        assert key_columns(numbered, again)[0].to_pylist() == keys.to_pylist()[1:]

    def test_a_csv_column_of_ids_may_be_a_boolean_key(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv").write_text("k,t\ntrue,2013-01-01\n0,2013-01-01\nyes,2013-01-01\n,2013-01-01\n")
        truths = view(entity=Entity("k", domain=[False, True]))
        table = read_events(tmp_path / "e.csv", [truths], "k", "t", None)
        assert key_columns(truths, table)[0].to_pylist() == [True, False, None, None]

    def test_text_of_a_typed_file_is_no_whole_number_key(self) -> None:
        table = pa.table({"c": ["a"], "t": [MOMENT], "k": ["7"]})
        with pytest.raises(BadReference, match="'k' is int64"):
            check_schema(view(entity=Entity("k", domain=[7, 8])), make_events(table, "c", "t"))

    def test_only_the_needed_columns_are_read(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"c": ["a"], "t": ["2013-01-01"], "k": ["b"], "secret": ["s"]}), tmp_path / "e.parquet")
        assert read(tmp_path / "e.parquet").column_names == ["c", "k", "t"]


class TestIdentities:
    def test_identity_is_site_and_client(self) -> None:
        table = pa.table({"s": ["x", "x", "y", None, "y"], "c": ["1", "2", "1", "1", None], "t": [MOMENT] * 5})
        events = make_events(table, "c", "t", "s")
        assert events.clients == 3
        assert (events.client >= 0).tolist() == [True, True, True, False, False]
        assert len(set(events.client[:3].tolist())) == 3

    def test_odd_client_ids_are_kept_apart(self) -> None:
        ids = ["é", "e\u0301", "a\nb", "a", "x" * 300, "x" * 299, " a", "", "A", "ａ", "0", "00"]
        events = make_events(pa.table({"c": ids, "t": [MOMENT] * len(ids)}), "c", "t")
        assert events.clients == len(ids)

    @pytest.mark.parametrize(
        "ids",
        [
            pa.array([1, 2, 1]),
            pa.array([b"a", b"b", b"a"]),
            *(pa.array(["a", "b", "a"], kind) for kind in (pa.large_string(), pa.string_view())),
            *(pa.array([b"a", b"b", b"a"], kind) for kind in (pa.large_binary(), pa.binary_view(), pa.binary(1))),
            pa.array(["a", "b", "a"]).dictionary_encode(),
            pa.array([b"a", b"b", b"a"], pa.binary(1)).dictionary_encode(),
            pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(["a", "b"], pa.string_view())),
        ],
        ids=lambda ids: str(ids.type),
    )
    def test_ids_may_be_text_whole_numbers_bytes_or_dictionaries(self, ids: pa.Array) -> None:
        in_parts = pa.chunked_array([ids.slice(0, 2), ids.slice(2)])
        events = make_events(pa.table({"c": in_parts, "t": [MOMENT] * 3}), "c", "t")
        assert events.client.tolist() == [0, 1, 0]
        assert events.identities.to_pylist() == ids.to_pylist()[:2]

    def test_text_is_held_with_64_bit_offsets(self) -> None:
        """Two chunks of 1.2 GB do not fit 32-bit offsets: reading raised an error, or dropped the second chunk."""
        column = pa.chunked_array([["a"], ["b"]], pa.string())
        assert plain_values(column).type == pa.large_string()
        assert plain_values(column.cast(pa.binary())).type == pa.large_binary()

    def test_ids_that_are_decimal_numbers_name_the_mend(self) -> None:
        with pytest.raises(EventColumnError, match="cast to int64"):
            make_events(pa.table({"c": [7.0, None], "t": [MOMENT] * 2}), "c", "t")

    @pytest.mark.parametrize("ids", [pa.array([1.5]), pa.array([True]), pa.array([[1]])])
    def test_other_ids_are_refused_by_type(self, ids: pa.Array) -> None:
        with pytest.raises(EventColumnError, match="ids must be text or whole numbers"):
            make_events(pa.table({"c": ids, "t": [MOMENT]}), "c", "t")

    def test_a_column_of_nothing_but_nulls_has_no_clients(self) -> None:
        assert make_events(pa.table({"c": pa.nulls(2), "t": [MOMENT] * 2}), "c", "t").clients == 0

    def test_repr_tells_no_event(self) -> None:
        assert "secret" not in repr(make_events(pa.table({"c": ["secret"], "t": [MOMENT]}), "c", "t"))


class TestTimes:
    @pytest.mark.parametrize(
        "values",
        [
            pa.array([MOMENT], pa.timestamp("s", "UTC")),
            pa.array([MOMENT], pa.timestamp("ns", "America/New_York")),
            pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("ms")),
            pa.array(["2013-01-01T10:00:00Z"]),
            pa.array(["2013-01-01 10:00:00"]),
            pa.array(["2013-01-01T05:00:00-05:00"]),
        ],
    )
    def test_every_way_to_write_a_moment_is_the_same_moment(self, values: pa.Array) -> None:
        assert event_times(pa.table({"t": values}), "t").us.tolist() == [US]

    def test_dates_are_utc_midnights_and_times_before_1970_are_valid(self) -> None:
        table = pa.table({"t": pa.array([date(1969, 12, 31), None])})
        times = event_times(table, "t")
        assert times.us.tolist()[0] == -86_400 * 10**6
        assert times.valid.tolist() == [True, False]

    def test_nanoseconds_are_rounded_down_but_order_events(self) -> None:
        times = event_times(pa.table({"t": pa.array([1_999, 1_001, -1], pa.timestamp("ns"))}), "t")
        assert times.us.tolist() == [1, 1, -1]
        assert times.order.tolist() == [2, 1, 0]

    def test_ties_keep_the_order_of_the_input(self) -> None:
        assert event_times(pa.table({"t": pa.array([5, 5, 1, 5], pa.timestamp("us"))}), "t").order.tolist() == [
            1,
            2,
            0,
            3,
        ]

    def test_text_that_is_no_time_is_a_missing_time_and_named_where_there_is_no_other(self) -> None:
        assert event_times(pa.table({"t": ["2013-01-01", "soon", None]}), "t").valid.tolist() == [True, False, False]
        with pytest.raises(EventColumnError, match=r"none of 2 value.*'soon' in row 2"):
            event_times(pa.table({"t": [None, "soon", "later"]}), "t")

    @pytest.mark.parametrize("values", [pa.array([1]), pa.array([1.5]), pa.array([True])])
    def test_numbers_are_no_times(self, values: pa.Array) -> None:
        with pytest.raises(EventColumnError, match="times must be"):
            event_times(pa.table({"t": values}), "t")

    @pytest.mark.parametrize("unit", ["s", "ms", "us"])
    @pytest.mark.parametrize("zone", [None, "UTC"])
    def test_times_outside_the_years_1_to_9999_are_no_times(self, unit: str, zone: str | None) -> None:
        ticks = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
        first, after = -62_135_596_800 * ticks, 253_402_300_800 * ticks
        odd = [first - 1, first, after - 1, after, 2**62, -(2**62), 2**63 - 1, -(2**63), None, 0]
        times = event_times(pa.table({"t": pa.array(odd, pa.timestamp(unit, zone))}), "t")
        assert times.valid.tolist() == [False, True, True, False, False, False, False, False, False, True]
        assert times.us[[1, 2]].tolist() == [first * 10**6 // ticks, (after - 1) * 10**6 // ticks]
        assert not times.us[~times.valid].any()

    def test_dates_outside_the_years_1_to_9999_are_no_times(self) -> None:
        days = [-719_163, -719_162, 2_932_896, 2_932_897, 2**31 - 1, -(2**31)]
        valid = [False, True, True, False, False, False]
        assert event_times(pa.table({"t": pa.array(days, pa.int32()).cast(pa.date32())}), "t").valid.tolist() == valid
        ms = pa.array([day * 86_400_000 for day in days]).cast(pa.date64())
        assert event_times(pa.table({"t": ms}), "t").valid.tolist() == valid

    def test_every_nanosecond_is_a_time(self) -> None:
        times = event_times(pa.table({"t": pa.array([2**63 - 1, -(2**63)], pa.timestamp("ns"))}), "t")
        assert times.valid.all()

    def test_text_without_a_time_is_null(self) -> None:
        texts = ["2013-01-01T10:00:00Z", "", " \t\r\n", "infinity", "-infinity", "12013-01-01", "0044-03-15 (BC)", None]
        times = event_times(pa.table({"t": texts}), "t")
        assert times.valid.tolist() == [True] + [False] * 7
        assert event_times(pa.table({"t": [" 2013-01-01T10:00:00Z\n"]}), "t").us.tolist() == [US]
        with pytest.raises(EventColumnError, match=r"1 value.*'never' in row 3"):
            event_times(pa.table({"t": ["", "infinity", "never"]}), "t")

    @pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()])
    def test_text_of_every_kind_is_parsed(self, kind: pa.DataType) -> None:
        table = pa.table({"t": pa.array(["2013-01-01T10:00:00Z", None], kind)})
        assert event_times(table, "t").us.tolist() == [US, 0]
        assert event_times(
            table.set_column(0, "t", pa.array(["2013-01-01T10:00:00Z"] * 2).dictionary_encode()), "t"
        ).us.tolist() == [US, US]

    def test_a_time_column_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = make_events(pa.table({"c": ["a"], "t": ["2013-01-01"], "u": ["2014-01-01"]}), "c", "t")
        calls = []
        real = time_texts.locked_duckdb
        monkeypatch.setattr(time_texts, "locked_duckdb", lambda: calls.append(1) or real())
        assert made.times(view()) is made.times(view())
        assert made.times(view(time="u")).us[0] > made.times(view()).us[0]
        assert len(calls) == 2


class TestSchema:
    @pytest.mark.parametrize(
        ("columns", "error"),
        [
            ({"k": [1]}, BadReference),
            ({"k": None}, EventsError),
            ({"x": ["1"]}, EventColumnError),
            ({"x": None}, EventsError),
            ({"t": [1.5]}, EventColumnError),
            ({"seen": [1]}, EventColumnError),
            ({"seen": None}, EventsError),
        ],
    )
    def test_a_column_that_does_not_fit_is_refused_without_a_row(
        self, columns: dict[str, Any], error: type[Exception]
    ) -> None:
        every: dict[str, Any] = {"c": ["p"], "t": ["soon"], "k": ["a"], "x": [1.0], "seen": [MOMENT]} | columns
        events = make_events(pa.table({name: values for name, values in every.items() if values}), "c", "t")
        views = [view(Mean("x", clip=(0, 1))), view(time="seen")]
        with pytest.raises(error):
            [check_schema(one, events) for one in views]

    def test_what_fits_is_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time_texts, "locked_duckdb", lambda: pytest.fail("a query"))
        events = make_events(pa.table({"c": ["p"], "t": ["soon"], "k": ["a"], "x": [1.0]}), "c", "t")
        check_schema(view(Mean("x", clip=(0, 1))), events)

    def test_two_uses_of_one_column_are_refused(self) -> None:
        events = make_events(pa.table({"c": ["p"], "t": [MOMENT], "k": ["a"], "x": pa.nulls(1)}), "c", "t")
        with pytest.raises(EventColumnError, match="both as"):
            check_schema(view(Mean("x", clip=(0, 1)), Rate("r", where="x = 'a'")), events)


class TestTypes:
    def test_nan_becomes_null(self) -> None:
        column = typed_column(pa.table({"x": [1.0, float("nan"), None, float("inf")]}), "x", "number")
        assert column.to_pylist() == [1.0, None, None, float("inf")]

    def test_nan_is_null_for_is_null_too(self) -> None:
        assert typed_column(pa.table({"x": [1.0, float("nan"), None]}), "x", "any").to_pylist() == [True, None, None]

    @pytest.mark.parametrize(
        ("values", "used_as"),
        [
            (pa.array(["1"]), "number"),
            (pa.array([True]), "number"),
            (pa.array([1]), "text"),
            (pa.array([1]), "boolean"),
            (pa.array([MOMENT]), "number"),
        ],
    )
    def test_a_column_of_the_wrong_type_is_refused_by_schema(self, values: pa.Array, used_as: Any) -> None:
        with pytest.raises(EventColumnError, match=f"use it as {used_as}"):
            typed_column(pa.table({"x": values}), "x", used_as)

    def test_a_column_without_any_value_fits_every_use(self) -> None:
        for used_as in ("number", "text", "boolean", "any"):
            assert typed_column(pa.table({"x": pa.nulls(2)}), "x", used_as).null_count == 2  # type: ignore[arg-type]

    def test_two_features_that_use_one_column_as_two_types_are_refused(self) -> None:
        with pytest.raises(EventColumnError, match="both as"):
            column_types(view(Mean("x", clip=(0, 1)), Rate("r", where="x = 'a'")))

    def test_decimals_and_small_integers_are_numbers(self) -> None:
        table = pa.table({"x": pa.array([1, 2], pa.int8()), "d": pa.array([1, 2]).cast(pa.decimal128(30, 2))})
        for name in ("x", "d"):
            assert np.array_equal(typed_column(table, name, "number").to_numpy(), [1.0, 2.0])


@pytest.mark.parametrize("text", TIME_FORMATS)
def test_every_format_of_a_time_that_a_message_lists_is_read_and_documented(text: str) -> None:
    times = event_times(pa.table({"t": [text, "soon"]}), "t")
    zone = "" if "Z" in text or "+" in text else "+00:00"
    moment = datetime.fromisoformat(text + ("T00:00:00" if len(text) == 10 else "") + zone)
    assert times.valid.tolist() == [True, False]
    assert times.us[0] == to_us(moment)
    assert f"`{text}`" in (Path(__file__).parents[2] / "docs/quickstart.md").read_text("utf-8")


@pytest.mark.parametrize("values", [["soon"], [1.5], [1_359_590_400]])
def test_an_error_about_times_lists_the_formats(values: list[object]) -> None:
    with pytest.raises(EventColumnError) as raised:
        event_times(pa.table({"t": values}), "t")
    assert all(text in str(raised.value) for text in TIME_FORMATS)
