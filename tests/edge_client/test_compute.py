from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from edge_client.compute import UsedCells, compute, days_with_events
from edge_client.errors import EventsError
from edge_client.events import make_events
from edge_client.sources.files.reading import read_events
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.errors import BadReference

from .used_after import used_after

HOUR, DAY = 3_600 * 10**6, 86_400 * 10**6


def view(*features: ViewFeature, cells: int = 2, events: int = 1, **changes: Any) -> FeatureView:
    settings: dict[str, Any] = {"entity": Entity("k", domain=["a", "b", "c"]), "pane": "1h"} | changes
    return FeatureView(
        "v", features=features or (Count("n"),), bounds=Bounds(cells, events), privacy=Privacy(rho=0.1), **settings
    )


def events(*rows: tuple[Any, ...], columns: str = "who t k x") -> Any:
    names = columns.split()
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    return make_events(table.set_column(1, "t", table["t"].cast(pa.timestamp("us"))), "who", "t")


def dense(made: Any) -> list[tuple[int, int, list[int]]]:
    """(hour, client, slots) of each report."""
    out = []
    for i in range(len(made.client)):
        row = np.zeros(made.slots.length, dtype=int)
        a, b = made.slots.indptr[i : i + 2]
        row[made.slots.columns[a:b]] = made.slots.values[a:b]
        out.append((int(made.pane_start[i] // HOUR), int(made.client[i]), row.tolist()))
    return out


def test_the_first_cells_of_the_day_are_kept_in_order_of_time_not_of_input() -> None:
    made = compute(view(), events(("p", 5 * HOUR, "a", 1.0), ("p", 1 * HOUR, "b", 1.0), ("p", 3 * HOUR, "c", 1.0)))
    assert dense(made) == [(1, 0, [0, 1, 0]), (3, 0, [0, 0, 1])]
    assert made.dropped.over_bounds == 1


def test_ties_keep_the_order_of_the_input() -> None:
    made = compute(view(cells=1), events(("p", 7, "b", 1.0), ("p", 7, "a", 1.0)))
    assert dense(made) == [(0, 0, [0, 1, 0])]


def test_of_each_cell_the_first_events_are_kept_and_a_null_value_takes_its_place() -> None:
    made = compute(
        view(Count("n"), Mean("x", clip=(0, 10), resolution=1), events=2),
        events(("p", 1, "a", None), ("p", 2, "a", 4.0), ("p", 3, "a", 9.0)),
    )
    assert dense(made) == [(0, 0, [2, 4, 1, 0, 0, 0, 0, 0, 0])]
    assert made.dropped.over_bounds == 1


def test_a_day_is_a_utc_day_and_each_has_its_own_bounds() -> None:
    made = compute(view(cells=1), events(("p", DAY - 1, "a", 1.0), ("p", DAY, "a", 1.0), ("p", -1, "a", 1.0)))
    assert [hour for hour, _, _ in dense(made)] == [-1, 23, 24]
    assert made.cells.tolist() == [1, 1, 1]


def test_what_earlier_panes_of_the_day_used_is_not_there_again() -> None:
    first = compute(view(), events(("p", 0, "a", 1.0)), interval=(0, HOUR))
    late = events(("p", 1, "b", 1.0), ("p", HOUR, "b", 1.0), ("p", 2 * HOUR, "c", 1.0))
    second = compute(view(), late, used_after(UsedCells.none(), first), (HOUR, DAY))
    assert dense(second) == [
        (1, 0, [0, 1, 0])
    ]  # one cell was used before, one is left; the event of hour 0 came too late
    assert second.cells.tolist() == [1]
    assert dense(compute(view(), late, UsedCells.none(), (HOUR, DAY))) == [(1, 0, [0, 1, 0]), (2, 0, [0, 0, 1])]


def test_every_kind_of_slot() -> None:
    features = [
        ClientCount("c"),
        Histogram("x", edges=[0, 10], nulls=True),
        Rate("r", where="x >= 10"),
        Mean("x", clip=(-1, 1), resolution=0.5),
    ]
    rows = [
        ("p", i, "a", x) for i, x in enumerate([-0.1, 0.0, 9.9, 10.0, float("nan"), None, float("inf"), float("-inf")])
    ]
    made = compute(view(*features, events=10, entity=Entity("area", value="x")), events(*rows))
    #                            c  <0 <10 >=10 null  true false   Σq: 2+2+4+4+4+0, n
    assert dense(made)[0][2] == [1, 2, 2, 2, 2, 2, 4, 2 + 2 + 4 + 4 + 4 + 0, 6]


def test_rounding_is_half_up_on_the_grid() -> None:
    rows = [("p", 0, "a", 0.5), ("p", HOUR, "a", 1.5), ("p", 2 * HOUR, "a", 0.4999999)]
    made = compute(view(Mean("x", clip=(0, 3), resolution=1), cells=9), events(*rows))
    assert [slots[0] for _, _, slots in dense(made)] == [1, 2, 0]


def test_dropped_events_are_counted_by_reason() -> None:
    made = compute(
        view(),
        events(
            (None, 0, "a", 1.0), ("p", None, "a", 1.0), ("p", 0, None, 1.0), ("p", 0, "zz", 1.0), ("p", 0, "a", 1.0)
        ),
    )
    assert (made.dropped.null_client, made.dropped.null_time, made.dropped.null_key, made.dropped.unknown_key) == (
        1,
        1,
        1,
        1,
    )
    assert made.dropped.over_bounds == 0


def test_the_views_own_time_column_goes_first() -> None:
    table = pa.table(
        {"who": ["p"], "t": pa.array([0], pa.timestamp("us")), "k": ["a"], "seen": pa.array([DAY], pa.timestamp("us"))}
    )
    made = make_events(table, "who", "t")
    assert days_with_events(view(time="seen"), made).tolist() == [1]
    assert compute(view(time="seen"), made).pane_start.tolist() == [DAY]


def test_columns_are_required_and_typed_by_schema() -> None:
    with pytest.raises(EventsError, match="no column 'x'"):
        compute(view(Mean("x", clip=(0, 1))), events(("p", 0, "a"), columns="who t k"))
    with pytest.raises(BadReference, match="join key 'k' is string"):
        compute(view(), events(("p", 0, 1), columns="who t k"))


def test_only_the_panes_asked_for_are_computed_and_accounted_for() -> None:
    made = compute(
        view(),
        events(
            *((who, day * DAY, key, 1.0) for day in range(3) for who, key in (("p", "a"), (None, "a"), ("p", "zz")))
        ),
        panes=np.array([0, 2]) * DAY,
    )
    assert [hour for hour, _, _ in dense(made)] == [0, 48]
    assert (made.dropped.null_client, made.dropped.unknown_key) == (2, 2)


def test_text_of_a_csv_file_that_is_no_key_is_an_unknown_key(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("k,t\n7,1970-01-01\nx,1970-01-01\n,1970-01-01\n")
    numbered = view(entity=Entity("k", domain=[7, 8]))
    made = compute(numbered, make_events(read_events(tmp_path / "e.csv", [numbered], "k", "t", None), "k", "t"))
    assert dense(made) == [(0, 0, [1, 0])]
    assert (made.dropped.unknown_key, made.dropped.null_client) == (1, 1)


def test_a_time_far_out_is_a_null_time() -> None:
    made = compute(view(), events(("p", 0, "a", 1.0), ("p", 2**62, "a", 1.0), ("p", -(2**63), "a", 1.0)))
    assert dense(made) == [(0, 0, [1, 0, 0])]
    assert made.dropped.null_time == 2


@pytest.mark.parametrize("nulls", [False, True])
def test_a_wide_histogram_counts_as_a_naive_one_does(nulls: bool) -> None:
    rng = np.random.default_rng(5)
    edges = [-1.5, -0.0, 0.1, *range(1, 200)]
    values = [*rng.uniform(-3, 220, 300), *edges, *(np.nextafter(e, -9) for e in edges), None, float("nan")]
    values += [float("inf"), float("-inf"), 0.0, 1.0, 1.0, 1.0]
    histogram = Histogram("x", edges=edges, nulls=nulls)
    made = compute(
        view(Count("n"), histogram, Count("m"), events=10**4, entity=Entity("area", value="x")),
        events(*(("p", i, "a", x) for i, x in enumerate(values))),
    )
    expected = [0] * (len(edges) + 1 + nulls)
    for x in values:
        if x is None or x != x:
            expected[-1] += nulls
        else:
            expected[sum(x >= edge for edge in edges)] += 1
    assert dense(made)[0][2] == [len(values), *expected, len(values)]
    assert (made.slots.values > 0).all()
    assert (np.diff(made.slots.columns) > 0).all()


def test_a_histogram_of_a_thousand_cells_costs_no_more_than_its_events() -> None:
    """`test_repro`: one SQL aggregate and one dense column for each cell took 3 GB and 20 s for 300 cells and 400,000 events."""
    count = 20_000
    table = pa.table(
        {
            "who": np.arange(count),
            "t": pa.array(np.zeros(count, np.int64), pa.timestamp("us")),
            "k": pa.array(["a"] * count),
            "x": np.arange(count) % 1000 + 0.5,
        }
    )
    wide = view(Histogram("x", edges=list(range(1, 1000))))
    made_events = make_events(table, "who", "t")
    tracemalloc.start()
    made = compute(wide, made_events)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made.slots.values) == count
    assert peak < 40 * 2**20  # a dense int64[20,000, 1,000] alone is 153 MiB


def test_no_events_give_no_reports() -> None:
    made = compute(view(), events(("p", 0, "a", 1.0)), interval=(DAY, 2 * DAY))
    assert dense(made) == []
    assert len(made.slots) == 0


def test_odd_column_names_reach_no_sql() -> None:
    table = pa.table(
        {"who": ["p"], "t": pa.array([0], pa.timestamp("us")), "k": ["a"], 'x"; DROP': [5.0], "rowid": [1.0]}
    )
    made = compute(
        view(Mean('x"; DROP', clip=(0, 9), resolution=1, name="m"), Rate("r", where="rowid = 1")),
        make_events(table, "who", "t"),
    )
    assert dense(made)[0][2][:4] == [5, 1, 1, 0]


def test_repr_tells_no_value() -> None:
    made = compute(view(), events(("secret", 0, "a", 1.0)))
    assert "secret" not in repr(made)
    assert "array" not in repr(made)
    assert "array" not in repr(used_after(UsedCells.none(), made))
