"""The demo with proofs: the days that have proofs, and the table of their cost."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console

from covey.demo import _back_fill, _collect
from covey.demo.proofs import BackFill, TimedCollection, print_proofs
from deployment.in_process.run import ViewReport
from edge_client.compute import Dropped
from featurestore.store import Store
from federation.terms import Validity
from simulations.datasets.flights import flight_views, load_flights

FIRST, LAST = 15_706, 16_071
"""2013-01-01 and 2014-01-01, days since the epoch: the flights' first and last arrivals in UTC."""
YEAR = {"a": 600, "b": 300}
ROWS = ("bytes to leader", "bytes to helper", "reports, year", "with proofs", "rejected", "reports/s")


def times(*moments: datetime | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(moments, pa.timestamp("us", "UTC"))])


class TestBackFill:
    def test_the_last_weeks_carry_proofs_and_the_last_event_lies_in_their_last_day(self) -> None:
        midnight = datetime(2014, 1, 1, tzinfo=UTC)
        before = midnight - timedelta(microseconds=1)
        year = [None, datetime(2013, 6, 1, tzinfo=UTC), datetime(2013, 1, 1, 11, 43, tzinfo=UTC)]
        assert BackFill.of(times(*year, midnight)) == BackFill(FIRST, LAST + 1 - 84, LAST + 1)
        assert BackFill.of(times(*year, before)) == BackFill(FIRST, LAST - 84, LAST)
        assert BackFill.of(times(*year, before), weeks=1) == BackFill(FIRST, LAST - 7, LAST)

    def test_of_fewer_days_all_carry_proofs(self) -> None:
        days = BackFill.of(times(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 9, tzinfo=UTC)))
        assert days == BackFill(FIRST, FIRST, FIRST + 9)

    def test_it_says_which_days_carry_them(self) -> None:
        assert str(BackFill(FIRST, FIRST + 2, FIRST + 5)) == "2013-01-03 … 2013-01-05"


def report(view: str, reports: int | None, *, rejected: int = 0, already_open: tuple[int, ...] = ()) -> ViewReport:
    return ViewReport(view, reports, 0, 0, already_open, (), Dropped(), rejected)


class TestCollected:
    def test_what_went_over_the_wire_is_what_one_process_has_counted(self) -> None:
        wire = TimedCollection("wire", Validity.PRIO3, (report("a", None), report("b", None)), 20.0)
        assert (wire.reports(YEAR), wire.rate(YEAR)) == ({"a": 600, "b": 300}, 45.0)

    def test_a_count_of_its_own_is_kept(self) -> None:
        local = TimedCollection("local", Validity.PRIO3, (report("a", 50),), 20.0)
        assert (local.reports(YEAR), local.rate(YEAR)) == ({"a": 50}, 2.5)

    def test_nobody_can_tell_where_panes_were_open_before(self) -> None:
        again = TimedCollection("wire", Validity.PRIO3, (report("a", None, already_open=(0,)), report("b", None)), 20.0)
        assert again.reports(YEAR) == {"a": 0, "b": 300}


@pytest.fixture
def flights() -> pa.Table:
    """A year of one small airline that flies to one airport: its first and last flights, and every tenth of the others."""
    flights = load_flights()
    flights = flights.filter(pc.equal(flights["carrier"], "AS")).sort_by("arrived_at")
    last = flights.num_rows - 10
    return flights.take([*range(10), *range(10, last, 10), *range(last, flights.num_rows)])


def test_the_back_fill_proves_its_last_weeks_and_the_table_says_so(flights: pa.Table, tmp_path: Path) -> None:
    views, talk, out = flight_views(flights), Console(file=io.StringIO()), io.StringIO()
    area, carrier, dest = (view.name for view in views)
    plain, proven = _back_fill(flights, views[2:], tmp_path, Validity.PRIO3, talk)
    before, after = (one.views[0].reports or 0 for one in (plain, proven))
    whole = _collect(flights, views[2:], tmp_path / "exact", noisy=False, talk=talk)
    assert (plain.validity, proven.validity) == (Validity.NONE, Validity.PRIO3)
    assert 0 < after < before
    assert before + after == whole.views[0].reports
    near = _collect(flights, views[:2], tmp_path, noisy=True, talk=talk, validity=Validity.PRIO3)
    wire = replace(near, way="wire", views=(report(area, None, rejected=7), report(carrier, None)), seconds=20.0)
    plain, proven = replace(plain, seconds=0.5), replace(proven, seconds=2.0)
    year = {area: 1_400, carrier: 600, dest: 700}
    with Store.open(tmp_path) as store:
        panes = store.releases(dest)
        print_proofs(Console(file=out, width=200), views, (wire, plain, proven), year, store)
    words = panes.sort_by("pane_start")["validity"].to_pylist()
    assert words == ["none"] * (len(words) - words.count("prio3")) + ["prio3"] * words.count("prio3")
    shown = [re.split(r"  +", line.strip()) for line in out.getvalue().splitlines()]
    columns = dict(
        zip((area, carrier, dest), zip(*(row[1:] for row in shown if row[0] in ROWS), strict=True), strict=True)
    )
    assert columns[area] == ("32 → 344", "48 → 144", "1,400", "1,400", "7", "100 together")
    assert columns[carrier][2:] == ("600", "600", "0", "100 together")
    assert columns[dest][2:] == ("700", f"{after}", "0", f"{before * 2:,} → {after / 2:,.0f}")
    lines = out.getvalue()
    assert f"wire: 2,000 reports of {area} and {carrier} with proofs, from events to releases in 20 s" in lines
    assert f"{plain.way}: {before} reports of {dest} without, from events to releases in 0 s" in lines
    assert (
        f"{dest}: {words.count('prio3')} of {len(words)} releases say validity prio3: 2013-10-10 … 2014-01-01" in lines
    )


def test_a_plain_back_fill_is_one_collection(flights: pa.Table, tmp_path: Path) -> None:
    (one,) = _back_fill(flights, flight_views(flights)[2:], tmp_path, Validity.NONE, Console(file=io.StringIO()))
    assert one.validity is Validity.NONE
    with Store.open(tmp_path) as store:
        assert set(store.releases("dest_delay")["validity"].to_pylist()) == {"none"}


def test_another_word_is_a_usage_error(covey: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = covey("demo", "--validity", "pine")
    assert (code, "'pine' is not one of 'none', 'prio3'" in err) == (2, True)
