from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.define.entities import Entity
from featurestore.errors import BadReference
from featurestore.join.labels import JOIN_BATCH
from featurestore.join.memory import Memory
from featurestore.join.point_in_time import visible_issues
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, MINUTE, a_release, a_view, a_void, fill, limited_to

VIEW = a_view(ttl="2h")
RELEASED = HOUR + 30 * MINUTE


def labels_at(
    times: list[int | None], kind: pa.DataType | None = None, keys: list[str | None] | None = None
) -> pa.Table:
    return pa.table({"dest": keys or ["ATL"] * len(times), "t": pa.array(times, kind or pa.timestamp("us"))})


def joined(
    directory: Path, labels: Any, refs: tuple[str, ...] = ("delays:flights",), **options: Any
) -> list[dict[str, Any]]:
    with Store.open(directory) as store:
        rows: list[dict[str, Any]] = store.join(labels, list(refs), "t", **options).read_all().to_pylist()
        return rows


def statuses(directory: Path, labels: pa.Table) -> list[str]:
    return [row["flights__status"] for row in joined(directory, labels)]


def test_a_label_sees_a_release_from_its_own_microsecond_on(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    assert statuses(tmp_path, labels_at([RELEASED - 1, RELEASED, None])) == ["NOT_FOUND", "OK", "NOT_FOUND"]


def test_ttl_is_counted_from_the_pane_end_and_its_edge_is_served(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    assert statuses(tmp_path, labels_at([3 * HOUR, 3 * HOUR + 1])) == ["OK", "OUTSIDE_MAX_AGE"]


def test_ttl_is_tested_after_the_join_and_no_older_row_steps_in(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, 0, 1), a_release(VIEW, HOUR, 2, released_at=9 * HOUR)])
    assert statuses(tmp_path, labels_at([9 * HOUR])) == ["OUTSIDE_MAX_AGE"]


def test_an_older_pane_released_later_does_not_hide_a_newer_one(tmp_path: Path) -> None:
    view = a_view(windows=[])
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, HOUR, 2, released_at=3 * HOUR), a_release(view, 0, 1, released_at=5 * HOUR)])
    assert [row["flights"] for row in joined(tmp_path, labels_at([3 * HOUR, 5 * HOUR, 9 * HOUR]))] == [2, 2, 2]


def test_a_late_pane_changes_windows_from_its_release_on_and_not_before(tmp_path: Path) -> None:
    view = a_view(min_coverage=0)
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, HOUR, 2, released_at=3 * HOUR)])
        publisher.publish([a_release(view, 0, 1, released_at=5 * HOUR)])
    rows = joined(tmp_path, labels_at([5 * HOUR - 1, 5 * HOUR]), ("delays:flights_3h",))
    assert [row["flights_3h"] for row in rows] == [2, 3]


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("s"), pa.timestamp("ms", "Asia/Kolkata"), pa.timestamp("ns"), pa.timestamp("us", "UTC")],
    ids=str,
)
def test_times_of_any_unit_and_zone_are_instants(tmp_path: Path, kind: pa.DataType) -> None:
    fill(tmp_path, VIEW, 2)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    early, due = ((seconds * per_second) for seconds in (RELEASED // 10**6 - 1, RELEASED // 10**6))
    assert statuses(tmp_path, labels_at([early, due, None], kind)) == ["NOT_FOUND", "OK", "NOT_FOUND"]


def test_a_nanosecond_before_the_release_is_before_it(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    assert statuses(tmp_path, labels_at([RELEASED * 1000 - 1, RELEASED * 1000], pa.timestamp("ns"))) == [
        "NOT_FOUND",
        "OK",
    ]


def test_dates_and_times_at_the_end_of_int64_are_taken(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    assert statuses(tmp_path, labels_at([0, 1], pa.date32())) == ["NOT_FOUND", "OUTSIDE_MAX_AGE"]
    with Store.open(tmp_path) as store:
        table = store.join(labels_at([-(2**62), 2**62], pa.timestamp("s")), ["delays:flights"], "t").read_all()
    assert table.column("flights__status").to_pylist() == ["NOT_FOUND", "OUTSIDE_MAX_AGE"]


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.float64()], ids=str)
def test_a_time_column_of_another_type_is_named_before_anything_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    fill(tmp_path, VIEW, 1)
    with Store.open(tmp_path) as store, pytest.raises(BadReference, match=f"'t'.*{kind}"):
        store.join(pa.table({"dest": ["ATL"], "t": pa.nulls(1, kind)}), ["delays:flights"], "t")


def test_labels_keep_their_order_and_columns_over_many_batches(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 24)
    random = np.random.default_rng(0)
    count = JOIN_BATCH * 2 + 7
    times, keys = random.integers(0, 2 * DAY, count), random.integers(0, 3, count)
    labels = pa.table(
        {
            "row": np.arange(count),
            "dest": np.array(["ATL", "LAX", "XXX"])[keys],
            "t": pa.array(times, pa.timestamp("us")),
        }
    )
    with Store.open(tmp_path) as store:
        batches = list(store.join(labels, ["delays:flights"], "t"))
    assert max(batch.num_rows for batch in batches) <= JOIN_BATCH
    table = pa.Table.from_batches(batches)
    assert table.select(labels.column_names).equals(labels)
    panes = np.minimum((times - 30 * MINUTE) // HOUR, 24)
    expected = np.where((keys < 2) & (panes > 0), panes, 0)
    assert table.column("flights").fill_null(0).to_numpy().tolist() == expected.tolist()


def as_csv(folder: Path, labels: pa.Table) -> Path:
    import pyarrow.csv as csv

    csv.write_csv(labels, folder / "labels.csv")
    return folder / "labels.csv"


def as_parquet(folder: Path, labels: pa.Table) -> str:
    pq.write_table(labels, folder / "labels.parquet")
    return str(folder / "labels.parquet")


@pytest.mark.parametrize(
    "form", [as_csv, as_parquet, lambda _, labels: labels.to_reader()], ids=["csv", "parquet", "reader"]
)
def test_labels_come_from_files_and_readers_too(tmp_path: Path, form: Callable[[Path, pa.Table], Any]) -> None:
    view = a_view(entity=Entity("code", domain=["007", "8"]))
    fill(tmp_path, view, 1)
    labels = pa.table({"code": ["007", "7", "8"], "t": pa.array([RELEASED] * 3, pa.timestamp("us"))})
    assert [row["flights"] for row in joined(tmp_path, form(tmp_path, labels))] == [1, None, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pa.table({"dest": ["ATL"]}), "no column 't'"),
        (labels_at([0]).drop_columns("dest"), "no column 'dest'"),
        (labels_at([0]).append_column("flights", [[1]]), "full names"),
        (labels_at([0]).append_column("flights__status", [["x"]]), "full names"),
        ("/no/such.parquet", "no labels file"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_the_mend(tmp_path: Path, labels: Any, message: str) -> None:
    fill(tmp_path, VIEW, 1)
    with Store.open(tmp_path) as store, pytest.raises(BadReference, match=message):
        store.join(labels, ["delays:flights"], "t")


def test_references_keep_their_order_across_views_and_no_labels_give_no_rows(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 2)
    fill(tmp_path, a_view("area", entity=Entity("area", value="NYC")), 3)
    refs = ("area:flights", "delays:late", "area:late", "delays:flights")
    row = joined(tmp_path, labels_at([DAY]), refs, full_names=True)[0]
    assert [name for name in row if name.count("__") == 1] == [ref.replace(":", "__") for ref in refs]
    assert (row["area__flights"], row["delays__flights"]) == (3, 2)
    assert joined(tmp_path, labels_at([]), refs, full_names=True) == []


def test_what_is_visible_rises_in_both_times() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        pane, released, seq = random.integers(0, 6, size=(3, 20))
        chosen = visible_issues(pane, released, seq)
        assert (np.diff(released[chosen]) > 0).all()
        assert (np.diff(pane[chosen]) >= 0).all()
        for t in range(7):
            known = [(pane[i], released[i], seq[i]) for i in range(20) if released[i] <= t]
            seen = [(pane[i], released[i], seq[i]) for i in chosen if released[i] <= t]
            assert seen[-1:] == [max(known)][: len(known)] if known else not seen


def test_two_late_panes_of_one_publication_are_seen_each_from_its_own_release_on(tmp_path: Path) -> None:
    view = a_view(min_coverage=0)
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 2 * HOUR, 4, released_at=3 * HOUR)])
        publisher.publish([a_release(view, 0, 1, released_at=7 * HOUR), a_release(view, HOUR, 2, released_at=5 * HOUR)])
    rows = joined(tmp_path, labels_at([4 * HOUR, 5 * HOUR, 7 * HOUR]), ("delays:flights_3h",))
    assert [row["flights_3h"] for row in rows] == [4, 6, 7]


def test_a_join_of_one_clock_sees_the_releases_of_that_clock_only(tmp_path: Path) -> None:
    view = a_view(windows=[])
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 1), a_release(view, HOUR, 2, released_at=9 * HOUR)])
        publisher.publish([a_release(view, 2 * HOUR, 3), a_void(view, 3 * HOUR, "BUDGET_SPENT")])
    labels = labels_at([2 * HOUR, 9 * HOUR])
    for options, expected in (
        ({}, [(1, "OK"), (3, "STALE_BUDGET")]),
        ({"clock": "replay"}, [(1, "OK"), (3, "STALE_BUDGET")]),
        ({"clock": "live"}, [(None, "NOT_FOUND"), (2, "OK")]),
    ):
        assert [(row["flights"], row["flights__status"]) for row in joined(tmp_path, labels, **options)] == expected
        with limited_to(Memory(rows=1, batch=1)):
            assert [row["flights"] for row in joined(tmp_path, labels, **options)] == [value for value, _ in expected]
    with Store.open(tmp_path) as store:
        assert store.clocks(["delays:flights", "delays:late"]) == {"delays": {"live": 1, "replay": 2}}
        with pytest.raises(BadReference, match=r"'now'.*'live'"):
            store.join(labels, ["delays:flights"], "t", clock="now")  # type: ignore[arg-type]


def test_labels_are_taken_from_a_pandas_data_frame_without_its_index(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    labels = labels_at([RELEASED - 1, RELEASED, 2 * HOUR])
    frame = labels.to_pandas()
    with Store.open(tmp_path) as store:
        expected = store.join(labels[1:], ["delays:flights"], "t").read_all()
        joined = store.join(frame[1:], ["delays:flights"], "t").read_all()
        assert joined.column_names == expected.column_names
        assert joined.to_pylist() == expected.to_pylist()
        assert joined.to_pandas()["flights"].tolist() == [1, 1]
        subclass = type("Labels", (type(frame),), {})
        assert store.join(subclass(frame), ["delays:flights"], "t").read_all().num_rows == 3
        frame["mixed"] = [1, "a", b"b"]
        with pytest.raises(BadReference, match="mixed"):
            store.join(frame, ["delays:flights"], "t")
