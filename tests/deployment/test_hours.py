"""Runs in one process that take a day in parts: a client's bounds hold for the day, over all runs into the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from base.times import DAY_US
from deployment.errors import RunRefused
from deployment.in_process import run as in_process
from deployment.in_process.ledger import RunLedger
from deployment.panes import choose_days, choose_panes, closed_panes, require_whole_days
from edge_client.compute import days_with_events
from edge_client.events import make_events as make_edge_events
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release
from featurestore.define.views_file import load_views
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.dating import Dating
from federation.errors import LedgerBroken
from federation.ledger.operator import LEDGERS, operator_path
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, area_delay, load_flights
from tests.covey.conftest import VIEWS, make_events
from tests.ledgers import spent_of
from tests.pipeline import LATER, run_views
from tests.planted import CLIENT

from .test_run_ledger import MAY, Cut, cut_at, state_of

HOUR = DAY_US // 24
FIRST = MAY * DAY_US
HOURS = 8
PART = FIRST, FIRST + HOURS * HOUR
VISITS = FeatureView(
    "visits",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1h",
    features=[Count("visits")],
    bounds=Bounds(max_cells=3, max_events_per_cell=2),
    privacy=Privacy(rho=0.5, min_clients=2),
)
"""A client may use 3 of the day's 48 cells; it has events in 16."""


def busy(clients: int = 1, seed: int = 0) -> pa.Table:
    """Events of each client in each of the day's first hours, in both shops."""
    rng = np.random.default_rng(seed)
    at, who, shop = (column.ravel() for column in np.meshgrid(np.arange(HOURS), np.arange(clients), np.arange(2)))
    times = FIRST + at * HOUR + rng.integers(0, HOUR, len(at))
    names = [f"{CLIENT}-p{number}" for number in who.tolist()]
    return pa.table({"who": names, "at": pa.array(times, pa.timestamp("us")), "shop": np.array(["a", "b"])[shop]})


def collect(
    folder: Path, table: pa.Table, hours: Iterable[int], view: FeatureView = VISITS, site: str | None = None
) -> None:
    """Collect each of these hours by a run of its own."""
    for hour in hours:
        between = FIRST + hour * HOUR, FIRST + (hour + 1) * HOUR
        run_views([view], table, folder, client="who", time="at", site=site, min_clients=1, between=between)


def at_once(folder: Path, table: pa.Table, view: FeatureView = VISITS) -> None:
    """Collect the same hours by one run."""
    run_views([view], table, folder, client="who", time="at", min_clients=1, between=PART)


def sums_of(folder: Path, view: str = "visits") -> dict[int, npt.NDArray[np.int64]]:
    """The opened sums by pane start."""
    with Store.open(folder) as store:
        items = [store.release(bytes.fromhex(one)) for one in store.releases(view)["release_id"].to_pylist()]
    return {item.pane_start: item.slots for item in items if isinstance(item, Release)}


def assert_same(mine: dict[int, npt.NDArray[np.int64]], theirs: dict[int, npt.NDArray[np.int64]]) -> None:
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[pane], slots) for pane, slots in theirs.items())


def used_by_client(folder: Path) -> dict[bytes, int]:
    """The cells of the day that the ledger knows for each client."""
    found: dict[bytes, int] = {}
    with sqlite3.connect(operator_path(folder / LEDGERS)) as db:
        for names, cells in db.execute("SELECT names, cells FROM cells"):
            for at, count in enumerate(np.frombuffer(cells, "<i8").tolist()):
                name = names[32 * at : 32 * at + 32]
                found[name] = found.get(name, 0) + count
    db.close()
    return found


class TestBoundsOfADay:
    def test_hours_in_order_equal_the_day_at_once_where_bounds_bind(self, tmp_path: Path) -> None:
        table = busy(clients=3)
        collect(tmp_path / "hours", table, range(HOURS))
        at_once(tmp_path / "day", table)
        assert_same(sums_of(tmp_path / "hours"), sums_of(tmp_path / "day"))
        assert sum(slots.sum() for slots in sums_of(tmp_path / "day").values()) == 3 * VISITS.bounds.max_cells

    def test_in_any_order_a_client_uses_all_its_cells_and_no_more(self, tmp_path: Path, simulation_seed: int) -> None:
        """Which cells these are depends on the order: each hour takes the earliest that are left."""
        order = np.random.default_rng(simulation_seed).permutation(HOURS).tolist()
        collect(tmp_path, busy(), order)
        sums = sums_of(tmp_path)
        assert sum(slots.sum() for slots in sums.values()) == VISITS.bounds.max_cells
        assert [sums[FIRST + hour * HOUR].sum() for hour in order[:2]] == [2, 1]
        assert list(used_by_client(tmp_path).values()) == [VISITS.bounds.max_cells]

    def test_in_any_order_the_result_is_the_day_at_once_where_no_bound_binds(
        self, tmp_path: Path, simulation_seed: int
    ) -> None:
        table = busy(clients=4).filter(pa.array(np.random.default_rng(1).random(HOURS * 4 * 2) < 0.1))
        order = np.random.default_rng(simulation_seed).permutation(HOURS).tolist()
        collect(tmp_path / "hours", table, order)
        at_once(tmp_path / "day", table)
        assert max(used_by_client(tmp_path / "hours").values()) <= VISITS.bounds.max_cells
        assert sum(slots.sum() for slots in sums_of(tmp_path / "day").values()) == table.num_rows
        assert_same(
            {pane: slots for pane, slots in sums_of(tmp_path / "hours").items() if slots.any()},
            {pane: slots for pane, slots in sums_of(tmp_path / "day").items() if slots.any()},
        )

    def test_a_run_without_times_takes_the_rest_of_a_day_and_uses_what_is_left(self, tmp_path: Path) -> None:
        collect(tmp_path, busy(), [7])
        (report,) = run_views([VISITS], busy(), tmp_path, client="who", time="at", min_clients=1)
        assert (report.opened + report.void, len(report.already_open)) == (23, 1)
        sums = sums_of(tmp_path)
        assert {pane: slots.sum() for pane, slots in sums.items() if slots.any()} == {FIRST: 1, FIRST + 7 * HOUR: 2}

    def test_a_client_with_a_site_is_known_again(self, tmp_path: Path) -> None:
        table = busy().append_column("site", pa.array(["x"] * 2 * HOURS))
        collect(tmp_path, table, [5, 2], site="site")
        assert sum(slots.sum() for slots in sums_of(tmp_path).values()) == VISITS.bounds.max_cells

    def test_a_cell_without_a_value_is_used(self, tmp_path: Path) -> None:
        """As in a run over the whole day, where it takes the place of a later cell."""
        view = FeatureView(
            "visits", entity=Entity("city", value="X"), pane="1h", features=[Mean("spent", clip=(0, 8), resolution=1)],
            bounds=Bounds(max_cells=1), privacy=Privacy(rho=0.5, min_clients=2),
        )  # fmt: skip
        at = pa.array([FIRST, FIRST + HOUR], pa.timestamp("us"))
        table = pa.table({"who": ["p", "p"], "at": at, "spent": pa.array([None, 5.0])})
        collect(tmp_path / "hours", table, [0, 1], view)
        at_once(tmp_path / "day", table, view)
        assert not any(slots.any() for slots in sums_of(tmp_path / "hours").values())
        assert not any(slots.any() for slots in sums_of(tmp_path / "day").values())

    def test_a_day_is_charged_once(self, tmp_path: Path) -> None:
        collect(tmp_path, busy(), [3, 1, 2])
        assert spent_of(state_of(tmp_path)) == {MAY: 500_000}
        assert len(state_of(tmp_path).completed) == 3


@pytest.mark.parametrize(
    ("home", "where"),
    [(in_process, "run_collections"), (RunLedger, "record"), (Publisher, "publish"), (RunLedger, "published")],
)
def test_a_run_that_was_cut_off_and_repeated_after_others_uses_no_more_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Any, where: str
) -> None:
    with monkeypatch.context() as patched:
        cut_at(patched, home, where)
        with pytest.raises(Cut):
            collect(tmp_path, busy(), [4])
    collect(tmp_path, busy(), [2])
    collect(tmp_path, busy(), [4, 6])
    kept = {pane: slots.sum() for pane, slots in sums_of(tmp_path).items() if slots.any()}
    published = where == "published"  # the releases of hour 4 were in the store before those of hour 2 were computed
    assert kept == {FIRST + 4 * HOUR: 2 if published else 1, FIRST + 2 * HOUR: 1 if published else 2}
    assert list(used_by_client(tmp_path).values()) == [VISITS.bounds.max_cells]
    assert set(state_of(tmp_path).completed) == set(state_of(tmp_path).intended)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE cells SET cells = x'0000000000000000'",
        "UPDATE cells SET names = zeroblob(length(names))",
        "UPDATE cells SET names = x'00'",
        "UPDATE cells SET cells = 'abc'",
        "DELETE FROM cells",
    ],
)
def test_edited_cells_are_noticed_by_the_next_run_of_the_day(tmp_path: Path, edit: str) -> None:
    collect(tmp_path, busy(), [4])
    with sqlite3.connect(operator_path(tmp_path / LEDGERS)) as db:
        db.execute(edit)
    db.close()
    with pytest.raises(LedgerBroken, match=r"the used cells of plan .* differ from the recorded ones"):
        collect(tmp_path, busy(), [2])


def flights_seen(folder: Path, minutes: Iterable[int]) -> list[int | None]:
    """What labels at these minutes of the day read of shop a."""
    at = pa.array([FIRST + minute * HOUR // 60 for minute in minutes], pa.timestamp("us"))
    labels = pa.table({"shop": ["a"] * len(at), "t": at})
    with Store.open(folder) as store:
        found: list[int | None] = store.join(labels, ["visits:visits"], "t").read_all()["visits"].to_pylist()
    return found


class TestTimesOfReplays:
    """Release delay: 5 minutes."""

    table = busy(clients=5).filter(pa.array([shop == "a" for shop in busy(clients=5)["shop"].to_pylist()]))

    def test_no_label_of_the_morning_reads_hours_that_were_collected_in_the_evening(self, tmp_path: Path) -> None:
        """`test_repro`: a run takes the day at once, and a label at 01:05 read the pane of 00:00."""
        three = FIRST, FIRST + 3 * HOUR
        run_views([VISITS], self.table, tmp_path, client="who", time="at", min_clients=1, between=three)
        assert flights_seen(tmp_path, [65, 184, 185]) == [None, None, 5]
        with Store.open(tmp_path) as store:
            assert set(store.releases("visits")["released_at"].cast("int64").to_pylist()) == {FIRST + 185 * HOUR // 60}

    def test_hours_that_are_collected_by_themselves_are_read_after_their_own_end(self, tmp_path: Path) -> None:
        collect(tmp_path, self.table, [0, 1])
        assert flights_seen(tmp_path, [64, 65, 124, 125]) == [None, 5, 5, 5]

    def test_a_run_can_stand_for_a_collection_hour_by_hour(self, tmp_path: Path) -> None:
        settings = {"client": "who", "time": "at", "min_clients": 1, "between": PART}
        run_views([VISITS], self.table, tmp_path / "one", **settings, dating=Dating.REPLAY_PANES)
        collect(tmp_path / "hours", self.table, range(HOURS))
        minutes = range(0, HOURS * 60 + 30, 5)
        assert flights_seen(tmp_path / "one", minutes) == flights_seen(tmp_path / "hours", minutes)


class TestPanes:
    @pytest.fixture
    def hourly(self, tmp_path: Path) -> FeatureView:
        (tmp_path / "views.py").write_text(VIEWS)
        return next(view for view in load_views(tmp_path / "views.py") if view.name == "everywhere")

    def days(self, view: FeatureView) -> tuple[Any, list[int], list[npt.NDArray[np.int64]]]:
        events = make_edge_events(make_events(), "who", "at", "site")
        days = days_with_events(view, events).tolist()
        return events, days, [day * DAY_US + np.arange(24) * view.pane_us for day in days]

    def test_a_time_range_takes_the_panes_inside_it(self, hourly: FeatureView) -> None:
        assert closed_panes(hourly, (FIRST + 1, FIRST + 3 * HOUR - 1), LATER).tolist() == [FIRST + HOUR]
        assert closed_panes(hourly, (FIRST + 1, FIRST + HOUR), LATER).tolist() == []

    def test_panes_that_have_not_ended_are_left_out_and_their_day_is_named(self, hourly: FeatureView) -> None:
        events, _, _ = self.days(hourly)
        now = FIRST + 2 * HOUR + hourly.release_delay_us
        chosen = choose_panes(hourly, events, np.empty(0, np.int64), (FIRST, FIRST + 4 * HOUR), now)
        assert chosen.todo.tolist() == [FIRST, FIRST + HOUR]
        assert chosen.days_not_over.tolist() == [MAY]
        assert choose_panes(hourly, events, np.empty(0, np.int64), None, now).todo.tolist() == []  # whole days
        every = FIRST + DAY_US + hourly.release_delay_us
        assert len(choose_panes(hourly, events, np.empty(0, np.int64), None, every).todo) == 24

    def test_open_panes_of_a_day_are_skipped(self, hourly: FeatureView) -> None:
        events, _, (first, second, third) = self.days(hourly)
        opened = np.concatenate((first, second[:5]))
        chosen = choose_panes(hourly, events, opened, None, LATER)
        assert np.array_equal(chosen.todo, np.concatenate((second[5:], third)))
        assert np.array_equal(chosen.already_open, opened)

    def test_over_processes_a_day_of_which_some_panes_are_open_is_refused_by_name(self, hourly: FeatureView) -> None:
        """`test_repro`: the other panes were collected as if no client had used a cell of that day."""
        events, days, (first, second, third) = self.days(hourly)
        opened = np.concatenate((first, second[:5]))
        with pytest.raises(RunRefused, match=r"view 'everywhere'.* 2020-05-02 are open"):
            choose_days(hourly, events, opened, None, LATER)
        only_third = choose_days(hourly, events, opened, (days[2] * DAY_US, (days[2] + 1) * DAY_US), LATER)
        assert np.array_equal(only_third.todo, third)
        chosen = choose_days(hourly, events, np.concatenate((first, third)), None, LATER)
        assert np.array_equal(chosen.todo, second)
        assert np.array_equal(chosen.already_open, np.concatenate((first, third)))
        soon = choose_days(hourly, events, np.empty(0, np.int64), None, FIRST + 2 * DAY_US)
        assert (soon.todo.tolist(), soon.days_not_over.tolist()) == (first.tolist(), days[1:])

    def test_over_processes_a_range_begins_and_ends_with_a_day(self) -> None:
        require_whole_days(None)
        require_whole_days((FIRST, FIRST + DAY_US))
        with pytest.raises(RunRefused, match="2020-05-01T01:00:00Z … 2020-05-02T00:00:00Z takes a day in part"):
            require_whole_days((FIRST + HOUR, FIRST + DAY_US))

    def test_a_range_without_a_pane_is_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        with pytest.raises(RunRefused, match=r"no pane \(1h\) of the views lies inside 2020-05-01T00:00:00Z"):
            run_views([VISITS], busy(), tmp_path / "s", client="who", time="at", between=(FIRST, FIRST + HOUR - 1))
        assert not (tmp_path / "s").exists()


OF_FLIGHTS: dict[str, Any] = {"client": CLIENT_COLUMN, "time": "departed_at", "site": SITE_COLUMN}


def flights_of(first_day: int, days: int) -> pa.Table:
    """The flights that departed on these days of 2013, counted from 1 January."""
    flights = load_flights()
    start = (15_706 + first_day) * DAY_US
    at = flights["departed_at"].cast("int64")
    inside = pc.and_(pc.greater_equal(at, start), pc.less(at, start + days * DAY_US))
    return flights.filter(pc.fill_null(inside, False))


def by_parts(folder: Path, table: pa.Table, panes: Sequence[int], hours: int) -> None:
    """Collect the panes of the area's delay by runs of so many hours."""
    at = table["departed_at"].cast("int64").to_numpy() // DAY_US
    for pane in panes[::hours]:
        of_day = table.filter(pa.array(at == pane // DAY_US))  # a run reads the events of its panes
        run_views([area_delay()], of_day, folder, **OF_FLIGHTS, between=(pane, pane + hours * HOUR))


@pytest.mark.parametrize(
    ("days", "hours"),
    [(1, 1), pytest.param(14, 1, marks=pytest.mark.long), pytest.param(365, 12, marks=pytest.mark.long)],
)
def test_hourly_panes_of_flights_collected_by_the_hour_equal_those_collected_at_once(
    tmp_path: Path, days: int, hours: int
) -> None:
    """A plane departs more often than the 2 cells that it may use of a day, so the bounds bind."""
    first_day = 4 if days < 365 else 0
    table = flights_of(first_day, days)
    panes = ((15_706 + first_day) * DAY_US + np.arange(24 * days) * HOUR).tolist()
    by_parts(tmp_path / "parts", table, panes, hours)
    between = (panes[0], panes[-1] + HOUR)
    (report,) = run_views([area_delay()], table, tmp_path / "once", **OF_FLIGHTS, between=between)
    assert report.dropped.over_bounds > 0
    assert report.opened > 10 * days
    assert_same(sums_of(tmp_path / "parts", "area_delay"), sums_of(tmp_path / "once", "area_delay"))
