"""The oracle against a second reading of DESIGN §3: plain loops over rows, and numbers computed by hand."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from tests.examples import examples
from tests.oracle import oracle
from tests.strategies import Case, Row, Truth, cases

DAY_US = 86_400_000_000
DAY_0 = datetime(2013, 3, 10, tzinfo=UTC)
DAY = (DAY_0 - datetime(1970, 1, 1, tzinfo=UTC)).days
NYC = Entity("area", value="NYC")


# --- the naive reading -----------------------------------------------------------------------------------------------


def naive(case: Case, opened: set[int] | None = None) -> list[dict[str, Any]]:
    view, pane_us = case.view, case.view.pane_us
    kept = _kept(case)
    of_cell: dict[tuple[Any, int], list[Row]] = defaultdict(list)
    of_pane: dict[int, set[Any]] = defaultdict(set)
    for row in kept:
        of_cell[row["<key>"], row["<pane>"]].append(row)
        of_pane[row["<pane>"]].add(row["<client>"])
    panes = [p for day in sorted(set(case.days)) for p in range(day * DAY_US, (day + 1) * DAY_US, pane_us)]
    is_open = {p: len(of_pane[p]) >= case.min_clients if opened is None else p in opened for p in panes}

    answer = []
    for key in view.entity.domain:
        for pane in panes:
            out: dict[str, Any] = dict(zip(view.entity.keys, key, strict=True))
            out["pane_start"], out["pane_end"] = pane, pane + pane_us
            for feature in view.features:
                out[feature.name] = _value(feature, of_cell[key, pane], case.truths) if is_open[pane] else None
            for window in view.trailing:
                inside = [pane - n * pane_us for n in range(window.panes)]
                inside = [p for p in inside if is_open.get(p, False)]
                rows = [row for p in inside for row in of_cell[key, p]]
                coverage = len(inside) / window.panes
                for feature in view.features:
                    if not isinstance(feature, ClientCount):
                        enough = coverage >= view.min_coverage
                        out[f"{feature.name}_{window.name}"] = _value(feature, rows, case.truths) if enough else None
                out[f"coverage_{window.name}"] = coverage
            answer.append(out)
    return answer


def _kept(case: Case) -> list[Row]:
    """The events within the bounds, each client's one by one in order of time."""
    view = case.view
    time = view.time or case.time_column
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[case.events.schema.field(time).type.unit]
    domain = set(view.entity.domain)
    streams: dict[Any, list[tuple[int, int, dict[str, Any]]]] = defaultdict(list)
    columns = {
        name: case.events[name].cast(pa.int64()) if name == time else case.events[name]
        for name in case.events.column_names
        if name == time or not pa.types.is_timestamp(case.events[name].type)
    }
    for order, row in enumerate(pa.table(columns).to_pylist()):
        key = view.entity.domain[0] if view.entity.constant else tuple(row[column] for column in view.entity.columns)
        if row[case.client_column] is None or row[time] is None or key not in domain:
            continue
        time_ns = row[time] * scale
        day = time_ns // (DAY_US * 1000)
        if day not in case.days:
            continue
        client = (row[case.site_column] if case.site_column else None, row[case.client_column])
        values = {name: _cleaned(value) for name, value in row.items()}
        values |= {"<key>": key, "<client>": client, "<pane>": time_ns // 1000 // view.pane_us * view.pane_us}
        streams[client, day].append((time_ns, order, values))
    kept = []
    for stream in streams.values():
        cells: Counter[tuple[Any, int]] = Counter()
        for _, _, values in sorted(stream, key=lambda item: item[:2]):
            cell = values["<key>"], values["<pane>"]
            if cell not in cells and len(cells) == view.bounds.max_cells:
                continue
            if cells[cell] < view.bounds.max_events_per_cell:
                cells[cell] += 1
                kept.append(values)
    return kept


def _cleaned(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if math.isnan(value) else float(value)
    return value


def _value(feature: ViewFeature, rows: list[Row], truths: Mapping[str, Truth]) -> object:
    match feature:
        case Count():
            return len(rows)
        case ClientCount():
            return len({row["<client>"] for row in rows})
        case Mean():
            values = [row[feature.column] for row in rows if row[feature.column] is not None]
            low, high = feature.bounds
            q = [math.floor((min(max(x, low), high) - low) / feature.step + 0.5) for x in values]
            return low + feature.step * (sum(q) / len(q)) if q else None
        case Rate():
            verdicts = [v for v in (truths[feature.where](row) for row in rows) if v is not None]
            return sum(verdicts) / len(verdicts) if verdicts else None
        case Histogram():
            cells = [0] * feature.cells
            for row in rows:
                x = row[feature.column]
                if x is not None:
                    cells[sum(x >= edge for edge in feature.edges)] += 1
                elif feature.nulls:
                    cells[-1] += 1
            return cells


def ask(case: Case, opened: set[int] | None = None) -> list[dict[str, Any]]:
    table = oracle(
        case.view,
        case.events,
        client_column=case.client_column,
        time_column=case.time_column,
        site_column=case.site_column,
        days=case.days,
        opened=opened,
        min_clients=case.min_clients,
    )
    for name in ("pane_start", "pane_end"):
        assert table.schema.field(name).type == pa.timestamp("us", tz="UTC")
        i = table.schema.get_field_index(name)
        table = table.set_column(i, name, table[name].cast(pa.int64()))
    return table.to_pylist()


@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(cases())
def test_sql_and_plain_loops_read_the_design_alike(case: Case) -> None:
    mine, theirs = naive(case), ask(case)
    assert theirs == mine
    served = [row[feature.name] for row in mine for feature in case.view.features]
    event(f"a pane is open: {any(value is not None for value in served)}")
    event(f"bounds bind: {_bind(case)}")


def _bind(case: Case) -> bool:
    generous = FeatureView(
        "v",
        entity=case.view.entity,
        features=case.view.features,
        pane=case.view.pane,
        time=case.view.time,
        bounds=Bounds(10**6, 10**6),
        privacy=case.view.privacy,
    )
    loose = Case(**{**vars(case), "view": generous})
    return len(_kept(loose)) > len(_kept(case))


# --- by hand ---------------------------------------------------------------------------------------------------------


def make_view(*features: ViewFeature, pane: str = "1h", cells: int = 9, each: int = 9, **more: Any) -> FeatureView:
    given = {"entity": NYC, "privacy": Privacy(rho=0.1, min_clients=2)} | more
    return FeatureView("v", features=features, pane=pane, bounds=Bounds(cells, each), **given)


def make_events(*rows: tuple[Any, ...], names: tuple[str, ...] = ("plane", "at", "delay"), **types: Any) -> pa.Table:
    """Rows of (plane, hours after midnight, …); None is null."""
    known = {"plane": pa.string(), "site": pa.string(), "at": pa.timestamp("us"), "delay": pa.float64()} | types
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    columns["at"] = [None if hours is None else DAY * DAY_US + round(hours * 3_600_000_000) for hours in columns["at"]]
    return pa.table({name: pa.array(values, known.get(name)) for name, values in columns.items()})


def solve(view: FeatureView, events: pa.Table, *, days: tuple[int, ...] = (DAY,), **more: Any) -> list[dict[str, Any]]:
    site = "site" if "site" in events.column_names else None
    return ask(Case(view, events, "plane", "at", site, days, 2, {}), **more)


def hour(rows: list[dict[str, Any]], number: int) -> dict[str, Any]:
    return next(row for row in rows if row["pane_start"] == DAY * DAY_US + number * 3_600_000_000)


def test_the_first_events_of_a_cell_count_and_ties_go_by_input_order() -> None:
    view = make_view(Count("n"), Mean("delay", clip=(0, 100), resolution=1), each=2)
    events = make_events(
        ("a", 9.10, 10.0), ("a", 9.05, 20.0), ("a", 9.05, 30.0), ("a", 9.05, 70.0), ("b", 9.0, None)
    )  # fmt: skip
    nine = hour(solve(view, events), 9)
    assert (nine["n"], nine["delay_mean"]) == (3, 25.0)


def test_the_cells_of_a_day_count_by_their_first_event_and_a_kept_cell_goes_on_taking_events() -> None:
    view = make_view(Count("n"), cells=2, entity=Entity("dest", domain=["ATL", "BOS"]))
    events = make_events(
        ("a", 9.0, "ATL"), ("a", 9.1, "BOS"), ("a", 9.2, "ATL"), ("a", 10.0, "ATL"), ("a", 33.0, "ATL"),
        ("b", 9.5, "BOS"), ("b", 9.5, "ATL"), ("b", 10.5, "BOS"), ("b", 33.5, "ATL"),
        names=("plane", "at", "dest"),
    )  # fmt: skip
    rows = solve(view, events, days=(DAY, DAY + 1))
    counts = {(row["dest"], (row["pane_start"] - DAY * DAY_US) // 3_600_000_000): row["n"] for row in rows if row["n"]}
    assert counts == {("ATL", 9): 3, ("BOS", 9): 2, ("ATL", 33): 2}


def test_of_two_cells_that_begin_at_once_the_first_in_the_input_counts() -> None:
    view = make_view(Count("n"), cells=1, entity=Entity("dest", domain=["ATL", "BOS"]))
    events = make_events(
        ("a", 9.0, "BOS"), ("a", 9.0, "ATL"), ("b", 9.0, "BOS"), ("b", 9.0, "ATL"), names=("plane", "at", "dest")
    )
    assert [row["n"] for row in solve(view, events) if row["n"] is not None] == [0, 2]


def test_a_null_value_takes_its_event_and_its_cell() -> None:
    view = make_view(Count("n"), Mean("delay", clip=(0, 100)), cells=1, each=1)
    events = make_events(("a", 9.0, None), ("a", 9.1, 40.0), ("a", 10.0, 50.0), ("b", 9.0, math.nan), ("b", 10.0, 60.0))
    rows = solve(view, events)
    assert (hour(rows, 9)["n"], hour(rows, 9)["delay_mean"]) == (2, None)
    assert (hour(rows, 10)["n"], hour(rows, 10)["delay_mean"]) == (None, None)


def test_an_event_without_client_time_or_known_key_takes_nothing() -> None:
    view = make_view(Count("n"), cells=1, each=1, entity=Entity("gate", domain=[7]))
    events = make_events(
        ("a", 9.0, None), ("a", 9.1, 8), ("a", None, 7), (None, 9.2, 7), ("a", 9.3, 7), ("b", 9.0, 7),
        names=("plane", "at", "gate"),
    )  # fmt: skip
    assert hour(solve(view, events), 9)["n"] == 2


def test_nan_is_null_before_a_predicate_and_infinity_is_a_number() -> None:
    view = make_view(
        Rate("late", where="delay > 15"),
        Rate("known", where="delay IS NOT NULL"),
        Rate("open", where="delay > 15 OR delay IS NULL"),
    )
    events = make_events(("a", 9, math.nan), ("a", 9, None), ("a", 9, 15.0), ("b", 9, math.inf), ("b", 9, -math.inf))
    nine = hour(solve(view, events), 9)
    assert (nine["late"], nine["known"], nine["open"]) == (1 / 3, 3 / 5, 3 / 5)


def test_numbers_compare_as_float64() -> None:
    view = make_view(Rate("above", where="big > 9007199254740992"), Rate("tenth", where="small = 0.1"))
    events = make_events(
        ("a", 9, 2**53 + 1, 0.1), ("b", 9, 2**53 + 2, 0.1),
        names=("plane", "at", "big", "small"), big=pa.int64(), small=pa.float32(),
    )  # fmt: skip
    assert (hour(solve(view, events), 9)["above"], hour(solve(view, events), 9)["tenth"]) == (0.5, 0.0)


def test_an_edge_belongs_to_the_cell_above_it() -> None:
    view = make_view(
        Histogram("delay", edges=[0, 15]),
        Histogram("delay", edges=[0, 15], nulls=True, name="with_nulls"),
        Rate("late", where="delay >= 15", derive=True),
        Rate("early", where="delay < 0", derive=True),
        Count("n", derive=True),
    )
    below = math.nextafter(15.0, 0.0)
    values = (-math.inf, -0.5, 0.0, -0.0, below, 15.0, 400.0, math.inf, math.nan, None)
    nine = hour(solve(view, make_events(*(("ab"[i % 2], 9, x) for i, x in enumerate(values)))), 9)
    assert (nine["delay_hist"], nine["with_nulls"]) == ([2, 3, 3], [2, 3, 3, 2])
    assert (nine["late"], nine["early"], nine["n"]) == (3 / 8, 2 / 8, 10)


def test_a_value_is_clipped_then_rounded_half_up_to_the_resolution() -> None:
    def mean_of(x: float, clip: tuple[float, float], resolution: float | None) -> float:
        view = make_view(Mean("delay", clip=clip, resolution=resolution))
        value = hour(solve(view, make_events(("a", 9, x), ("b", 9, None))), 9)["delay_mean"]
        assert isinstance(value, float)
        return value

    assert mean_of(0.25, (0, 1), 0.1) == 0.1 * 3  # 0.25/0.1 is 2.5 in float64, and a half rounds up
    assert mean_of(-59.5, (-60, 180), 1) == -59.0
    assert mean_of(-59.51, (-60, 180), 1) == -60.0
    assert mean_of(math.inf, (0, 100), 30) == 90.0  # 100/30 + ½ = 3.83: three steps
    assert mean_of(-math.inf, (-60, 180), 1) == -60.0
    assert mean_of(10.1, (-60, 180), None) == 10.125  # steps of 1/8, the largest power of two ≤ 0.24
    assert mean_of(0.3, (0, 1000), None) == 0.0  # steps of 1, as 2⁰ ≤ 1


def test_a_mean_is_the_low_plus_the_step_times_the_average_q() -> None:
    view = make_view(Mean("delay", clip=(0, 1), resolution=0.1))
    events = make_events(("a", 9, 0.1), ("a", 9, 0.2), ("b", 9, 0.2))
    assert hour(solve(view, events), 9)["delay_mean"] == 0.0 + 0.1 * (5 / 3)


def test_a_window_sums_opened_panes_and_is_null_below_its_coverage() -> None:
    view = make_view(
        Count("n"), ClientCount("planes"), Mean("delay", clip=(0, 100), resolution=1), Histogram("delay", edges=[50]),
        pane="1d", windows=["2d", "4d"], min_coverage=0.5,
    )  # fmt: skip
    events = make_events(
        ("a", 1, 10.0), ("b", 1, 20.0),  # the first day: open
        ("a", 25, 90.0),  # the second: one client, so a void
        ("a", 49, 60.0), ("b", 49, None), ("b", 49, 70.0),  # the third: open
    )  # fmt: skip
    rows = solve(view, events, days=(DAY, DAY + 1, DAY + 2))
    assert [row["n"] for row in rows] == [2, None, 3]
    assert [row["planes"] for row in rows] == [2, None, 2]
    assert [row["delay_hist"] for row in rows] == [[2, 0], None, [0, 2]]
    assert [row["coverage_2d"] for row in rows] == [0.5, 0.5, 0.5]
    assert [row["n_2d"] for row in rows] == [2, 2, 3]
    assert [row["delay_mean_2d"] for row in rows] == [15.0, 15.0, 65.0]
    assert [row["coverage_4d"] for row in rows] == [0.25, 0.25, 0.5]
    assert [row["n_4d"] for row in rows] == [None, None, 5]
    assert [row["delay_mean_4d"] for row in rows] == [None, None, 40.0]
    assert [row["delay_hist_4d"] for row in rows] == [None, None, [2, 2]]
    assert "planes_2d" not in rows[0]


def test_days_that_do_not_close_are_not_opened_and_panes_can_be_opened_by_hand() -> None:
    view = make_view(Count("n"), pane="1d", windows=["3d"], min_coverage=0)
    events = make_events(("a", 1, 0.0), ("b", 1, 0.0), ("a", 25, 0.0), ("b", 25, 0.0), ("a", 49, 0.0))
    rows = solve(view, events, days=(DAY, DAY + 2))
    assert [(row["n"], row["n_3d"], row["coverage_3d"]) for row in rows] == [(2, 2, 1 / 3), (None, 2, 1 / 3)]
    rows = solve(view, events, days=(DAY, DAY + 1, DAY + 2), opened={(DAY + 2) * DAY_US})
    assert [(row["n"], row["n_3d"]) for row in rows] == [(None, 0), (None, 0), (1, 1)]


def test_the_same_id_on_two_sites_is_two_clients_with_bounds_of_their_own() -> None:
    view = make_view(Count("n"), ClientCount("planes"), each=1)
    events = make_events(
        ("a", "ua", 9), ("a", "dl", 9), ("a", "ua", 9.5), ("a", "ua", 10), ("A", "ua", 11), ("a", "ua", 11),
        names=("plane", "site", "at"),
    )  # fmt: skip
    rows = solve(view, events)
    assert [(hour(rows, h)["n"], hour(rows, h)["planes"]) for h in (9, 10, 11)] == [(2, 2), (None, None), (2, 2)]


def test_only_events_that_the_bounds_keep_help_to_open_a_pane() -> None:
    view = make_view(Count("n"), cells=1, each=1)
    events = make_events(("a", 9, 0.0), ("a", 10, 0.0), ("b", 9, 0.0), ("b", 10, 0.0), ("c", 10, 0.0))
    rows = solve(view, events)
    assert (hour(rows, 9)["n"], hour(rows, 10)["n"]) == (2, None)


def test_zoned_times_are_converted_over_a_change_of_clocks_and_naive_times_are_utc() -> None:
    view = make_view(Count("n"), each=1)
    hours = (6.999, 7.0)  # 01:59 EST and, as clocks go forward, 03:00 EDT
    zoned = pa.timestamp("us", "America/New_York")
    rows = solve(view, make_events(*((plane, h, 0.0) for plane in "ab" for h in hours), at=zoned))
    assert [row["n"] for row in rows][5:9] == [None, 2, 2, None]
    assert rows == solve(view, make_events(*((plane, h, 0.0) for plane in "ab" for h in hours)))


def test_panes_and_days_are_cut_downwards_before_1970() -> None:
    view = make_view(Count("n"), cells=1, pane="15m")
    at = pa.array([-1, 0, -1, 0], pa.timestamp("s"))
    rows = solve(view, pa.table({"plane": ["a", "a", "b", "b"], "at": at}), days=(-1, 0))
    assert [(row["pane_start"], row["n"]) for row in rows if row["n"]] == [(-900_000_000, 2), (0, 2)]


def test_nanoseconds_decide_which_event_came_first() -> None:
    view = make_view(Mean("delay", clip=(0, 100), resolution=1), each=1)
    at = pa.array([DAY * DAY_US * 1000 + ns for ns in (999, 1, 2)], pa.timestamp("ns"))
    events = pa.table({"plane": ["a", "a", "b"], "at": at, "delay": [10.0, 20.0, None]})
    assert hour(solve(view, events), 0)["delay_mean"] == 20.0


def test_a_view_can_name_its_own_time_column() -> None:
    view = make_view(Count("n"), time="landed")
    events = make_events(("a", 9, 0.0), ("b", 9, 0.0))
    events = events.append_column("landed", pa.array([DAY * DAY_US + 3_600_000_000 * 4] * 2, pa.timestamp("us")))
    assert [row["n"] for row in solve(view, events)][3:6] == [None, 2, None]


def test_ids_that_look_alike_are_different_clients_and_keys() -> None:
    view = make_view(ClientCount("planes"), entity=Entity("dest", domain=["Zo\u00eb", "Zoe\u0308"]))
    events = make_events(
        ("Zo\u00eb", 9, "Zo\u00eb"),
        ("Zoe\u0308", 9, "Zo\u00eb"),
        ("zoe", 9, "Zoe\u0308"),
        names=("plane", "at", "dest"),
    )
    planes = {row["dest"]: row["planes"] for row in solve(view, events) if row["planes"] is not None}
    assert planes == {"Zo\u00eb": 2, "Zoe\u0308": 1}


def test_without_events_every_pane_is_a_void_and_still_a_row() -> None:
    view = make_view(Count("n"), windows=["2h"], entity=Entity("dest", domain=["BOS", "ATL"]))
    events = make_events(names=("plane", "at", "dest"), dest=pa.string())
    rows = solve(view, events)
    assert [row["dest"] for row in rows] == ["ATL"] * 24 + ["BOS"] * 24
    assert {(row["n"], row["n_2h"], row["coverage_2h"]) for row in rows} == {(None, None, 0.0)}


def test_suppression_is_not_for_the_oracle() -> None:
    view = make_view(ClientCount("planes"), privacy=Privacy(rho=0.1, min_clients=2, suppress_below=5))
    with pytest.raises(ValueError, match="does not compute suppress_below"):
        solve(view, make_events(("a", 9, 0.0)))
