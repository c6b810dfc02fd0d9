from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from base.times import from_us
from featurestore.define.entities import Entity
from featurestore.define.kinds import Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.release import Release
from featurestore.errors import BadReference, UnknownFeature, UnknownVersion, UnknownView
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_view, a_void, fill, manifest_of

VIEW = a_view(ttl="2h")


def test_values_come_with_their_companions_in_the_order_of_references_and_keys(store_dir: Path) -> None:
    fill(store_dir, VIEW, 3)
    with Store.open(store_dir, clock=lambda: 3 * HOUR) as store:
        table = store.get(["delays:late_3h", "delays:flights"], {"dest": ["LAX", None, "XXX", "LAX"]})
    assert table.column_names == [
        *("dest", "late_3h", "late_3h__se", "late_3h__lo", "late_3h__hi", "late_3h__n", "late_3h__status"),
        *("flights", "flights__se", "flights__lo", "flights__hi", "flights__status"),
        *("delays__pane_end", "delays__released_at"),
    ]
    assert table.column("flights").to_pylist() == [3, None, None, 3]
    assert table.column("late_3h__n").to_pylist() == [6, None, None, 6]
    assert table.column("flights__status").to_pylist() == ["OK", "NOT_FOUND", "NOT_FOUND", "OK"]
    assert table.column("delays__pane_end").to_pylist() == [from_us(3 * HOUR), None, None, from_us(3 * HOUR)]


@pytest.mark.parametrize(("age", "status"), [(0, "OK"), (2 * HOUR, "OK"), (2 * HOUR + 1, "OUTSIDE_MAX_AGE")])
def test_a_row_is_served_until_it_is_older_than_its_ttl(store_dir: Path, age: int, status: str) -> None:
    fill(store_dir, VIEW, 1)
    with Store.open(store_dir, clock=lambda: HOUR + age) as store:
        row = store.get(["delays:flights"], {"dest": ["ATL"]}).to_pylist()[0]
    assert row["flights__status"] == status
    assert (row["flights"] is None) == (row["flights__se"] is None) == (status != "OK")


def test_a_constant_entity_needs_no_key(store_dir: Path) -> None:
    fill(store_dir, a_view(entity=Entity("area", value="NYC")), 1)
    with Store.open(store_dir) as store:
        assert store.get(["delays:flights"]).column("flights").to_pylist() == [1]
        assert store.key_types(["delays:flights"]) == {}


def test_get_equals_the_last_row_of_history(store_dir: Path) -> None:
    view = a_view(features=[*VIEW.features, Histogram("delay", edges=[0, 15]), Mean("delay", clip=(-60, 180))])
    layout, random = layout_of(view), np.random.default_rng(1)
    items = [
        Release(manifest_of(view, "discrete-gaussian"), i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0, "live", slots)
        for i, slots in enumerate(random.integers(-50, 300, size=(9, layout.keys, layout.slots_per_key)))
    ]
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish(items[::-1])
    with Store.open(store_dir) as store:
        last = store.history("delays").slice(16)
        names = [name for name in last.column_names if f"{name}__status" in last.column_names]
        got = store.get([f"delays:{name}" for name in names], {"dest": ["ATL", "LAX"]})
    for name in got.column_names[:-2]:
        assert got.column(name).to_pylist() == last.column(name).to_pylist(), name


def test_clamping_holds_counts_and_cells_at_0_and_rates_in_0_to_1(store_dir: Path) -> None:
    view = a_view(features=[*VIEW.features, Histogram("delay", edges=[0])], windows=[])
    slots = np.tile(np.array([-5, -70, 60, -1, 4]), (2, 1))
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([Release(manifest_of(view), 0, HOUR, HOUR, 0, "live", slots)])
    with Store.open(store_dir) as store:
        refs = ["delays:flights", "delays:late", "delays:delay_hist"]
        raw, held = (store.get(refs, {"dest": ["ATL"]}, clamp=clamp).to_pylist()[0] for clamp in (False, True))
    assert (raw["flights"], raw["late"], raw["delay_hist"]) == (-5, -10 / 120, [-1, 4])
    assert (held["flights"], held["late"], held["delay_hist"]) == (0, 0.0, [0, 4])


@pytest.mark.parametrize(
    ("refs", "keys", "error", "message"),
    [
        (["delays"], {"dest": ["ATL"]}, BadReference, "view:feature"),
        ("delays:late", {"dest": ["ATL"]}, BadReference, "list"),
        ([], {"dest": ["ATL"]}, BadReference, "no feature"),
        (["delay:late"], {"dest": ["ATL"]}, UnknownView, "delays"),
        (["delays@v2:late"], {"dest": ["ATL"]}, UnknownVersion, "@v1"),
        (["delays:lates"], {"dest": ["ATL"]}, UnknownFeature, "late_3h"),
        (["delays:late", "delays@v1:late"], {"dest": ["ATL"]}, BadReference, "full names"),
        (["delays:late"], {}, BadReference, "'dest' is missing"),
        (["delays:late"], {"dest": "ATL"}, BadReference, "list"),
        (["delays:late"], {"dest": [1]}, BadReference, "cannot be read"),
        (["delays:late"], pa.table({"dest": [1]}), BadReference, "'dest' is string"),
        (["delays:late"], pa.table({"dest": ["ATL"], "late": [1]}), BadReference, "full names"),
    ],
)
def test_a_bad_question_is_answered_with_the_mend(
    store_dir: Path, refs: Any, keys: Any, error: type[Exception], message: str
) -> None:
    fill(store_dir, VIEW, 1)
    with Store.open(store_dir) as store, pytest.raises(error, match=message):
        store.get(refs, keys)


def test_full_names_tell_equal_features_of_two_views_apart(store_dir: Path) -> None:
    fill(store_dir, VIEW, 1)
    fill(store_dir, a_view("others"), 2)
    refs = ["delays:flights", "others:flights"]
    with Store.open(store_dir, clock=lambda: HOUR) as store:
        with pytest.raises(BadReference, match="full names"):
            store.get(refs, {"dest": ["ATL"]})
        row = store.get(refs, {"dest": ["ATL"]}, full_names=True).to_pylist()[0]
    assert (row["delays__flights"], row["others__flights"]) == (1, 2)


def test_history_is_cut_by_pane_start(store_dir: Path) -> None:
    fill(store_dir, VIEW, 30)
    with Store.open(store_dir) as store:
        table = store.history("delays", from_us(23 * HOUR), from_us(25 * HOUR))
        assert table.column("flights").to_pylist() == [24, 24, 25, 25]
        assert table.column("dest").to_pylist() == ["ATL", "LAX"] * 2
        assert "slots" not in table.column_names
        assert store.history("delays", from_us(99 * DAY)).num_rows == 0


def test_a_void_has_no_pane_features_and_its_windows_are_summed_all_the_same(store_dir: Path) -> None:
    view = a_view(min_coverage=0.5)
    fill(store_dir, view, 2)
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.publish([a_void(view, 2 * HOUR)])
    with Store.open(store_dir) as store:
        row = store.history("delays").to_pylist()[-1]
        released = store.releases("delays").to_pylist()
    assert (row["flights"], row["flights__status"]) == (None, "VOID")
    assert (row["flights_3h"], row["coverage_3h"]) == (3, 2 / 3)
    assert [(pane["state"], pane["reason"]) for pane in released[1:]] == [("opened", None), ("void", "BATCH_TOO_SMALL")]


def test_a_store_is_read_from_several_threads(store_dir: Path) -> None:
    fill(store_dir, VIEW, 3)
    rows: list[int] = []
    with Store.open(store_dir) as store:
        threads = [threading.Thread(target=lambda: rows.append(store.history("delays").num_rows)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert rows == [6] * 4


def test_a_view_without_a_release_has_no_rows(store_dir: Path) -> None:
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.register(a_view(features=[Rate("late", where="x")]))
    with Store.open(store_dir) as store:
        assert store.history("delays").num_rows == store.releases("delays").num_rows == 0
        assert store.get(["delays:late"], {"dest": ["ATL"]}).column("late__status").to_pylist() == ["NOT_FOUND"]


def test_keys_are_a_list_of_rows_too(store_dir: Path) -> None:
    fill(store_dir, VIEW, 1)
    with Store.open(store_dir) as store:
        rows = [{"dest": "LAX"}, {"dest": None}, {"dest": "ATL"}]
        expected = store.get(["delays:flights"], {"dest": ["LAX", None, "ATL"]})
        assert store.get(["delays:flights"], rows).equals(expected)
        wrong: list[tuple[list[Any], str]] = [
            ([{"dest": "LAX"}, {"to": "ATL"}], "row 1 has the keys to, row 0 has dest"),
            ([{"dest": "LAX"}, "ATL"], "the keys of row 1 are 'ATL'"),
            (["ATL"], "the keys of row 0 are 'ATL'"),
            ([], "the join key 'dest' is missing; given: none"),
            ([{"dest": "LAX"}, {"dest": 1}], "cannot be read"),
        ]
        for keys, message in wrong:
            with pytest.raises(BadReference, match=message):
                store.get(["delays:flights"], keys)
