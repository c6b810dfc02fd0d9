"""A pane whose client-day has no budget left: the store serves the last value, marked as stale on every path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.define.decoded import Status
from featurestore.define.definitions import FeatureView
from featurestore.define.release import BUDGET_SPENT, Release, Void
from featurestore.errors import ReleaseRefused
from featurestore.online.blocks import open_blocks
from featurestore.publish.publish import Publisher
from featurestore.registry.staleness import SpentPanes
from featurestore.server.app import FeatureServer
from featurestore.store import Store
from tests.examples import examples

from .making import DAY, HOUR, a_release, a_view, a_void, fill

VIEW = a_view(min_coverage=0)
REFS = ["delays:flights", "delays:flights_3h", "delays:late"]


def spent(start: int, released_at: int | None = None, view: FeatureView = VIEW) -> Void:
    void = a_void(view, start, BUDGET_SPENT)
    return void if released_at is None else replace(void, released_at=released_at)


def publish(directory: Path, *items: Release | Void, view: FeatureView = VIEW) -> None:
    with Publisher(directory, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish(items)


def joined(directory: Path, *times: int, refs: Sequence[str] = REFS) -> list[dict[str, Any]]:
    labels = pa.table({"dest": ["ATL"] * len(times), "t": pa.array(times, pa.timestamp("us"))})
    with Store.open(directory) as store:
        rows: list[dict[str, Any]] = store.join(labels, refs, "t").read_all().to_pylist()
        return rows


def over_http(directory: Path, now: int) -> dict[str, Any]:
    """The feature server's answer for one key: name → (value, Feast's status)."""
    names = [f"delays:{name}" for name in ("flights", "flights__status", "flights_3h", "late", "late__se", "late__n")]

    async def ask() -> httpx.Response:
        server = FeatureServer(Store.open(directory, clock=lambda: now))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server), base_url="http://test") as client:
            body = {"features": names, "entities": {"dest": ["ATL"]}}
            return await client.post("/get-online-features", json=body)

    data = json.loads(asyncio.run(ask()).content)
    return {
        name: (column["values"][0], column["statuses"][0])
        for name, column in zip(data["metadata"]["feature_names"], data["results"], strict=True)
    }


def test_every_path_serves_the_last_value_as_stale(store_dir: Path) -> None:
    publish(store_dir, a_release(VIEW, 0, 4), a_release(VIEW, HOUR, 6), spent(2 * HOUR))
    with Store.open(store_dir, clock=lambda: 9 * HOUR) as store:
        (got,) = store.get(REFS, {"dest": ["ATL"]}).to_pylist()
        history = store.history("delays").filter(pa.compute.field("dest") == "ATL").to_pylist()
    (seen,) = joined(store_dir, 9 * HOUR)
    for row in (got, seen, history[-1]):
        assert (row["flights"], row["flights_3h"], row["late"], row["late__n"]) == (6, 10, 1.0, 6)
        assert {row[f"{ref.split(':')[1]}__status"] for ref in REFS} == {"STALE_BUDGET"}
        assert row["late__se"] == 0.0
    assert [row["flights__status"] for row in history] == ["OK", "STALE_BUDGET"]  # hour 0 is no longer served
    assert over_http(store_dir, 9 * HOUR) == {
        "dest": ("ATL", "PRESENT"),
        "flights": (6.0, "PRESENT"),
        "flights__status": ("STALE_BUDGET", "PRESENT"),
        "flights_3h": (10.0, "PRESENT"),
        "late": (1.0, "PRESENT"),
        "late__se": (0.0, "PRESENT"),
        "late__n": (6.0, "PRESENT"),
    }
    rows = open_blocks(store_dir).snapshot.find("delays").rows({"dest": ["ATL", "LAX"]}, 2)
    assert (rows.status[rows.place] == Status.STALE_BUDGET).all()
    assert rows.header.pane_end == 2 * HOUR


def test_a_value_is_stale_for_labels_from_the_voids_release_until_the_next_row(store_dir: Path) -> None:
    later = a_release(VIEW, 2 * HOUR, 9)
    publish(store_dir, a_release(VIEW, 0, 4), spent(HOUR, 3 * HOUR), later)
    times = (3 * HOUR - 1, 3 * HOUR, later.released_at - 1, later.released_at)
    rows = joined(store_dir, *times)
    assert [row["flights"] for row in rows] == [4, 4, 4, 9]
    assert [row["flights__status"] for row in rows] == ["OK", "STALE_BUDGET", "STALE_BUDGET", "OK"]


def test_only_ok_and_rough_values_become_stale(store_dir: Path) -> None:
    view = a_view()
    first = a_release(view, 0, 60, noise="discrete-gaussian")
    publish(store_dir, first, view=view)
    assert {row["late__status"] for row in joined(store_dir, 9 * HOUR)} == {"ROUGH_SE"}
    publish(store_dir, spent(HOUR, view=view), view=view)
    (row,) = joined(store_dir, 9 * HOUR)
    assert (row["late__status"], row["late__n"]) == ("STALE_BUDGET", 60)
    assert (row["flights_3h__status"], row["flights_3h"]) == ("LOW_COVERAGE", None)


def test_ttl_counts_from_the_rows_own_pane_end(store_dir: Path) -> None:
    view = a_view(ttl="5h")
    publish(store_dir, a_release(view, 0, 4), spent(4 * HOUR, view=view), view=view)
    assert [row["flights__status"] for row in joined(store_dir, 6 * HOUR, 6 * HOUR + 1)] == [
        "STALE_BUDGET",
        "OUTSIDE_MAX_AGE",
    ]
    for now, status in ((6 * HOUR, "STALE_BUDGET"), (6 * HOUR + 1, "OUTSIDE_MAX_AGE")):
        with Store.open(store_dir, clock=lambda now=now: now) as store:  # type: ignore[misc]
            assert store.get(REFS, {"dest": ["ATL"]}).to_pylist()[0]["flights__status"] == status
        assert over_http(store_dir, now)["flights__status"][0] == status


def test_windows_of_later_panes_count_it_as_not_opened(store_dir: Path) -> None:
    publish(store_dir, a_release(VIEW, 0, 1), spent(HOUR), a_release(VIEW, 2 * HOUR, 4))
    with Store.open(store_dir) as store:
        row = store.history("delays").to_pylist()[-1]
        assert store.history("delays").num_rows == 4
    assert (row["flights_3h"], row["coverage_3h"], row["flights__status"]) == (5, 2 / 3, "OK")


def test_its_pane_is_published_listed_and_refuses_another_content(store_dir: Path) -> None:
    publish(store_dir, a_release(VIEW, 0), spent(HOUR))
    with Publisher(store_dir, lambda: 0) as publisher:
        assert publisher.opened(VIEW).tolist() == [0, HOUR]
        report = publisher.publish([spent(HOUR)])
        assert (report.published, report.repeated) == (0, 1)
        with pytest.raises(ReleaseRefused, match="other content"):
            publisher.publish([a_release(VIEW, HOUR)])
    with Store.open(store_dir) as store:
        listed = store.releases("delays").to_pylist()
    assert [(pane["state"], pane["reason"]) for pane in listed] == [("opened", None), ("void", BUDGET_SPENT)]


def test_a_first_pane_without_budget_is_no_row_yet_and_the_next_one_is_ok(store_dir: Path) -> None:
    publish(store_dir, spent(0), spent(HOUR))
    for _ in range(2):
        with Store.open(store_dir, clock=lambda: 9 * HOUR) as store:
            (row,) = store.get(REFS, {"dest": ["ATL"]}).to_pylist()
            assert store.history("delays").num_rows == 0
            assert store.releases("delays").num_rows == 2
        assert (row["flights"], row["flights__status"]) == (None, "NOT_FOUND")
        assert [seen["flights__status"] for seen in joined(store_dir, 0, 9 * HOUR)] == ["NOT_FOUND"] * 2
        assert over_http(store_dir, 0)["flights"] == (None, "NOT_FOUND")
        before = (store_dir / "store" / "blocks" / "CURRENT.json").read_bytes()
        Publisher(store_dir, lambda: 0).close()  # there is nothing to heal
        assert (store_dir / "store" / "blocks" / "CURRENT.json").read_bytes() == before
    publish(store_dir, a_release(VIEW, 2 * HOUR, 7))
    assert [(row["flights"], row["flights__status"]) for row in joined(store_dir, 9 * HOUR)] == [(7, "OK")]
    publish(store_dir, a_release(VIEW, 3 * HOUR, 8))
    assert over_http(store_dir, 0)["flights"] == (8.0, "PRESENT")


def test_a_late_row_before_the_void_is_stale_and_one_after_it_is_not(store_dir: Path) -> None:
    publish(store_dir, spent(2 * HOUR))
    publish(store_dir, a_release(VIEW, HOUR, 6, released_at=9 * HOUR))
    assert [row["flights__status"] for row in joined(store_dir, 9 * HOUR - 1, 9 * HOUR)] == [
        "NOT_FOUND",
        "STALE_BUDGET",
    ]
    assert over_http(store_dir, 0)["flights__status"][0] == "STALE_BUDGET"
    publish(store_dir, a_release(VIEW, 3 * HOUR, 9, released_at=10 * HOUR))
    assert [row["flights__status"] for row in joined(store_dir, 10 * HOUR)] == ["OK"]
    assert over_http(store_dir, 0)["flights__status"][0] == "OK"


def test_a_crash_before_the_online_rows_is_healed(store_dir: Path) -> None:
    class CrashBeforeOnline(Publisher):
        def _newest(self, *_: Any) -> Any:
            raise KeyboardInterrupt

    fill(store_dir, VIEW, 2)
    publisher = CrashBeforeOnline(store_dir, lambda: DAY)
    with pytest.raises(KeyboardInterrupt):
        publisher.publish([spent(2 * HOUR)])
    publisher.close()
    assert over_http(store_dir, 0)["flights__status"][0] == "OK"
    Publisher(store_dir, lambda: 0).close()
    assert over_http(store_dir, 0)["flights__status"][0] == "STALE_BUDGET"


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["row", "void", "spent"]), st.integers(0, 12)), min_size=1),
    st.data(),
)
@settings(max_examples=examples(20), deadline=None)
def test_get_and_a_join_after_all_releases_agree_after_every_publication(
    new_store: Callable[[], Path], drawn: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    directory = new_store()
    panes = {number: (kind, late) for number, kind, late in drawn}
    items: list[Release | Void] = []
    for number, (kind, late) in panes.items():
        start = number * HOUR
        released_at = start + HOUR + late * HOUR // 2
        if kind == "row":
            items.append(a_release(VIEW, start, number + 1, released_at=released_at))
        else:
            items.append(
                replace(a_void(VIEW, start, BUDGET_SPENT if kind == "spent" else "TOO_FEW"), released_at=released_at)
            )
    while items:
        size = data.draw(st.integers(1, len(items)))
        publish(directory, *items[:size])
        items = items[size:]
        with Store.open(directory) as store:
            (online,) = store.get(REFS, {"dest": ["ATL"]}).to_pylist()
        (offline,) = joined(directory, 100 * HOUR)
        http = over_http(directory, 0)
        for name in ("flights", "flights_3h", "late"):
            for column in (name, f"{name}__se", f"{name}__status"):
                assert online[column] == offline[column], column
            assert http[name][0] == online[name]
        assert http["flights__status"][0] == online["flights__status"]


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-9, 9))), st.integers(-10, 10), st.integers(-9, 9))
def test_stale_is_that_a_later_pane_was_void_by_then(voids: list[tuple[int, int]], time: int, end: int) -> None:
    starts, released = (np.array([void[i] for void in voids], dtype=np.int64) for i in (0, 1))
    found = SpentPanes.of(VIEW, starts * HOUR, released)
    is_stale = any(start * HOUR + HOUR > end * HOUR and at <= time for start, at in voids)
    assert found.stale_at(np.array([time]), np.array([end * HOUR])).tolist() == [is_stale]
    assert found.is_stale(end * HOUR) == any(start + 1 > end for start, _ in voids)
