"""Two versions of one view, wherever features are read: each pin gets its own rows, and the plain name those of the newest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from base.times import from_us
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import Feature, on_demand
from featurestore.define.privacy import Privacy
from featurestore.define.services import FeatureService
from featurestore.define.wire import definition_hash
from featurestore.errors import BadReference, UnknownFeature, UnknownVersion, UnknownView
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.verify import check_store
from featurestore.server.app import FeatureServer
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view
from .server.test_remote import Served, opened, serving

OLD = a_view()
NEW = a_view(
    features=[Count("flights"), Mean("delay", clip=(0, 60)), Rate("late", where="delay >= 15")],
    windows=["3h", "6h"],
    privacy=Privacy(rho=0.1, min_clients=2),
)
"""It carries the flights and rates of OLD, which it prices lower, and adds a mean and a window."""
NOW, MIDNIGHT = 10 * DAY + 5 * HOUR, 11 * DAY
NOISY = "discrete-gaussian"
BOTH = ["delays@v1:flights", "delays@v2:flights", "delays@v1:late_3h", "delays@v2:late_3h", "delays@v2:delay_mean"]
COLUMNS = [ref.replace(":", "__") for ref in BOTH]
KEYS = {"dest": ["LAX", "???", "ATL"]}


@on_demand(outputs=["change"])
def growth(
    before: Annotated[np.ndarray, Feature("delays@v1:flights_3h")],
    now: Annotated[np.ndarray, Feature("delays@v2:flights_3h")],
) -> np.ndarray:
    return now - before


def begin(directory: Path) -> None:
    """A whole day and five hours of OLD; then NEW is applied, and OLD is collected until midnight."""
    with Publisher(directory, lambda: NOW) as publisher:
        publisher.register(OLD)
        publisher.publish([a_release(OLD, 9 * DAY + i * HOUR, 40 + i, noise=NOISY) for i in range(29)])
        publisher.apply([NEW])
        publisher.publish([a_release(OLD, 10 * DAY + i * HOUR, 70 + i, noise=NOISY) for i in range(5, 24)])


def hand_over(directory: Path) -> None:
    """The first five hours of NEW."""
    with Publisher(directory, lambda: MIDNIGHT + 6 * HOUR) as publisher:
        publisher.publish([a_release(NEW, MIDNIGHT + i * HOUR, 500 + i, view_version=2, noise=NOISY) for i in range(5)])


def open_store(directory: Path) -> Store:
    return Store.open(directory, on_demand=[growth], clock=lambda: MIDNIGHT + 6 * HOUR)


@pytest.fixture
def both(store_dir: Path) -> Path:
    begin(store_dir)
    hand_over(store_dir)
    return store_dir


def test_get_has_the_rows_of_each_version_side_by_side(both: Path) -> None:
    with open_store(both) as store:
        got = store.get(BOTH, KEYS, full_names=True)
        assert [got[name].to_pylist() for name in COLUMNS[:2]] == [[93, None, 93], [504, None, 504]]
        assert got["delays@v1__pane_end"][0].as_py() == from_us(MIDNIGHT)
        assert got["delays@v2__pane_end"][0].as_py() == from_us(MIDNIGHT + 5 * HOUR)
        plain = store.get(["delays:flights", "delays:delay_mean"], KEYS)
        pinned = store.get(["delays@v2:flights", "delays@v2:delay_mean"], KEYS)
        assert plain.rename_columns([name.replace("delays__", "delays@v2__") for name in plain.column_names]) == pinned
        mixed = store.get(["delays:flights", "delays@v2:flights", "delays@v1:flights"], KEYS, full_names=True)
        assert mixed["delays__flights"] == mixed["delays@v2__flights"] != mixed["delays@v1__flights"]


def test_two_versions_of_a_feature_need_full_names(both: Path) -> None:
    with open_store(both) as store:
        for refs in (BOTH[:2], ["delays:flights", "delays@v1:flights"]):
            with pytest.raises(BadReference, match="full names"):
                store.get(refs, KEYS)


def test_a_feature_that_a_version_does_not_have_is_unknown_there_and_so_is_a_version_that_does_not_exist(
    both: Path,
) -> None:
    labels = pa.table({"dest": ["ATL"], "at": pa.array([from_us(MIDNIGHT)], pa.timestamp("us", "UTC"))})
    with open_store(both) as store:
        for refs in (["delays@v1:delay_mean"], ["delays@v1:flights_6h"]):
            for ask in (lambda refs: store.get(refs, KEYS), lambda refs: store.join(labels, refs, "at")):
                with pytest.raises(UnknownFeature, match="delays"):
                    ask(refs)
        for ask in (lambda refs: store.get(refs, KEYS), lambda refs: store.join(labels, refs, "at")):
            with pytest.raises(UnknownVersion, match=r"no view delays@v3.*delays@v1, delays@v2"):
                ask(["delays@v3:flights"])
            with pytest.raises(UnknownView, match=r"no view 'other(@v1)?'"):
                ask(["other@v1:flights"])
        for zeros in ("delays@v0", "delays@v01"):
            with pytest.raises(BadReference, match=f"'{zeros}:flights' is not a feature reference"):
                store.get([f"{zeros}:flights"], KEYS)
            with pytest.raises(UnknownView, match=f"no view '{zeros}'"):
                store.view(zeros)
        for look in (store.history, store.view, store.releases):
            with pytest.raises(UnknownVersion):
                look("delays@v3")


def test_the_history_of_a_version_has_what_it_carries_with_the_noise_of_each_pane(both: Path) -> None:
    sigma = {view: layout_of(view).groups_of(view.features[0])[0].opened_variance ** 0.5 for view in (OLD, NEW)}
    with open_store(both) as store:
        old, new, plain = (
            [row for row in store.history(name).to_pylist() if row["dest"] == "ATL"]
            for name in ("delays@v1", "delays@v2", "delays")
        )
    assert plain == new
    assert (len(old), len(new)) == (48, 53)
    for one, other in zip(old, new, strict=False):  # the panes of v1 in both
        assert [one[name] for name in ("pane_start", "flights", "late", "flights_3h", "late_3h")] == [
            other[name] for name in ("pane_start", "flights", "late", "flights_3h", "late_3h")
        ]
        assert one["flights__se"] == pytest.approx(sigma[OLD])
        assert other["flights__se"] == pytest.approx(sigma[OLD])
        assert other["delay_mean__status"] == "VOID"
    assert [row["view_version"] for row in new] == [2] * 53
    assert new[-1]["flights__se"] == pytest.approx(sigma[NEW])
    first = new[48]
    assert first["flights_3h"] == 92 + 93 + 500
    assert first["flights_3h__se"] == pytest.approx((2 * sigma[OLD] ** 2 + sigma[NEW] ** 2) ** 0.5)
    assert first["delay_mean_3h__status"] == "LOW_COVERAGE"
    assert new[-1]["delay_mean_6h__status"] != "LOW_COVERAGE"  # five of six


def test_a_reader_has_the_numbers_of_get(both: Path) -> None:
    refs = [*BOTH, "delays:flights"]
    with open_store(both) as store:
        got, read = store.get(refs, KEYS, full_names=True), store.reader(refs, intervals=True).read(KEYS)
    assert read.names == tuple(ref.replace(":", "__") for ref in refs)
    assert read.intervals is not None
    for i, name in enumerate(read.names):
        for numbers, suffix in ((read.values, ""), (read.se, "__se"), (read.intervals[0], "__lo")):
            due = got[name + suffix].to_pylist()
            assert [None if number != number else number for number in numbers[:, i].tolist()] == due


def test_an_on_demand_view_may_compare_two_versions(both: Path) -> None:
    at = pa.array([from_us(MIDNIGHT + 6 * HOUR), from_us(10 * DAY)], pa.timestamp("us", "UTC"))
    with open_store(both) as store:
        got = store.get(["growth:change", "delays@v1:flights_3h"], KEYS)
        assert got["change"].to_pylist() == [502 + 503 + 504 - 91 - 92 - 93, None, 502 + 503 + 504 - 91 - 92 - 93]
        joined = store.join(pa.table({"dest": ["ATL", "LAX"], "at": at}), ["growth:change"], "at").read_all()
        assert joined["change"].to_pylist() == [502 + 503 + 504 - 91 - 92 - 93, 0]


def test_a_join_has_the_row_of_each_version_at_each_time(both: Path) -> None:
    times = [9 * DAY + i * 20 * 60_000_000 for i in range(3, 170)]
    labels = pa.table({"dest": ["LAX"] * len(times), "at": pa.array(times, pa.timestamp("us", "UTC"))})
    with open_store(both) as store:
        joined = store.join(labels, [*BOTH, "delays:flights"], "at", full_names=True).read_all().to_pylist()
        histories = {name: _of_lax(store.history(name)) for name in ("delays@v1", "delays@v2", "delays")}
        assert store.clocks(BOTH) == {
            "delays@v1": {"live": 0, "replay": 48},
            "delays@v2": {"live": 0, "replay": 53},
        }
    for time, got in zip(times, joined, strict=True):
        for ref in (*BOTH, "delays:flights"):
            view, _, feature = ref.partition(":")
            seen = [row for row in histories[view] if row["released_at"] <= from_us(time)]
            expected = (seen[-1][feature], seen[-1][f"{feature}__status"]) if seen else (None, "NOT_FOUND")
            name = f"{view}__{feature}"
            assert (got[name], got[f"{name}__status"]) == expected


def _of_lax(history: pa.Table) -> list[dict[str, Any]]:
    return [row for row in history.to_pylist() if row["dest"] == "LAX"]


def test_a_service_may_pin_a_version_and_another_may_follow_the_name(both: Path) -> None:
    services = [FeatureService("pinned", ["delays@v1:flights"]), FeatureService("newest", ["delays:flights"])]
    with Publisher(both, lambda: MIDNIGHT + 6 * HOUR) as publisher:
        publisher.register_services(services)
    with open_store(both) as store:
        assert [store.get(store.service(name), KEYS)["flights"][0].as_py() for name in ("pinned", "newest")] == [
            93,
            504,
        ]


def test_a_store_that_is_open_follows_the_name_with_the_first_release_and_never_before(store_dir: Path) -> None:
    begin(store_dir)
    with open_store(store_dir) as store:
        reader = store.reader(["delays:flights"])
        assert store.get(["delays:flights"], KEYS)["flights"].to_pylist() == [93, None, 93]
        assert reader.read(KEYS).values[0, 0] == 93
        assert store.get(["delays@v2:flights"], KEYS)["flights"].to_pylist() == [93, None, 93]  # carried
        with pytest.raises(UnknownFeature):
            store.get(["delays:delay_mean"], KEYS)
        assert [view.windows for view in store.views()] == [("3h",)]
        hand_over(store_dir)
        assert store.get(["delays:flights"], KEYS)["flights"].to_pylist() == [504, None, 504]
        assert reader.read(KEYS).values[0, 0] == 504
        assert store.get(["delays:delay_mean"], KEYS)["delay_mean__status"].to_pylist()[1] == "NOT_FOUND"
        assert [view.windows for view in store.views()] == [("3h", "6h")]
        assert store.get(["delays@v1:flights"], KEYS)["flights"].to_pylist() == [93, None, 93]


def test_a_rebuilt_store_has_the_same_rows_of_both_and_a_check_finds_no_damage(both: Path) -> None:
    with open_store(both) as store:
        before = store.get(BOTH, KEYS, full_names=True)
    assert check_store(both).damaged == ()
    rebuild_online(both)
    with open_store(both) as store:
        assert store.get(BOTH, KEYS, full_names=True) == before
    assert check_store(both).damaged == ()


class TestOverTheNetwork:
    @pytest.fixture(scope="class")
    @staticmethod
    def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
        directory = tmp_path_factory.mktemp("versions")
        begin(directory)
        hand_over(directory)
        with serving(directory) as running:
            yield running

    @pytest.mark.parametrize("protocol", ["http", "grpc"])
    def test_a_remote_store_has_the_answers_of_a_local_one(self, served: Served, protocol: str) -> None:
        times = [9 * DAY + i * HOUR for i in range(60)]
        labels = pa.table({"dest": ["LAX"] * len(times), "at": pa.array(times, pa.timestamp("us", "UTC"))})
        with opened(getattr(served, protocol)) as remote:
            assert remote.get(BOTH, KEYS, full_names=True) == served.local.get(BOTH, KEYS, full_names=True)
            theirs, ours = (store.reader(BOTH).read(KEYS) for store in (remote, served.local))
            assert theirs.names == ours.names
            assert theirs.values.tobytes() == ours.values.tobytes()
            for name in ("delays", "delays@v1", "delays@v2"):
                assert remote.history(name) == served.local.history(name)
                assert remote.releases(name) == served.local.releases(name)
                assert remote.published(name, 0) == served.local.published(name, 0)
                assert remote.view(name) == served.local.view(name)
            assert definition_hash(remote.view("delays@v1")) == definition_hash(OLD)
            assert remote.views() == served.local.views()
            assert definition_hash(remote.view("delays")) == definition_hash(NEW)
            joined = [
                store.join(labels, BOTH, "at", full_names=True).read_all().combine_chunks()
                for store in (remote, served.local)
            ]
            assert joined[0] == joined[1]
            assert remote.clocks(BOTH) == served.local.clocks(BOTH)
            for ask in (lambda of: of.get(["delays@v3:flights"], KEYS), lambda of: of.history("delays@v3")):
                with pytest.raises(UnknownVersion) as told:
                    ask(remote)
                with pytest.raises(UnknownVersion) as expected:
                    ask(served.local)
                assert str(told.value) == str(expected.value)

    def test_feasts_wire_names_each_version(self, served: Served) -> None:
        body = {
            "features": [*BOTH, "delays:flights"],
            "entities": KEYS,
            "full_feature_names": True,
            "include_feature_view_version_metadata": True,
        }
        answer = httpx.post(f"{served.http}/get-online-features", json=body, timeout=60).json()
        assert answer["metadata"]["feature_names"] == ["dest", *COLUMNS, "delays__flights"]
        versions = [(one["name"], one["version"]) for one in answer["metadata"]["feature_view_metadata"]]
        assert versions == [("delays", 1), ("delays", 2)]
        values = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        assert values["delays@v1__flights"]["values"] == [93.0, None, 93.0]
        assert values["delays@v2__flights"]["values"] == values["delays__flights"]["values"] == [504.0, None, 504.0]
        assert values["delays@v1__flights"]["event_timestamps"][0] == "1970-01-12T00:00:00Z"
        assert values["delays@v2__flights"]["event_timestamps"][0] == "1970-01-12T05:00:00Z"

    def test_arrow_is_the_table_of_get(self, served: Served) -> None:
        body = {"features": [*BOTH, "delays:flights"], "entities": KEYS, "full_feature_names": True}
        kind = {"Accept": "application/vnd.apache.arrow.stream"}
        answer = httpx.post(f"{served.http}/get-online-features", json=body, headers=kind, timeout=60)
        got = pa.ipc.open_stream(answer.content).read_all()
        assert got.to_pydict() == served.local.get([*BOTH, "delays:flights"], KEYS, full_names=True).to_pydict()


def test_a_server_that_runs_follows_the_name_without_a_mixed_row(store_dir: Path) -> None:
    begin(store_dir)
    store = open_store(store_dir)
    server = FeatureServer(store)
    body = {"features": ["delays:flights", "delays:flights_3h"], "entities": KEYS}

    async def ask() -> Any:
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.post("/get-online-features", content=json.dumps(body))).json()["results"]

    def row() -> list[float]:
        return [result["values"][0] for result in asyncio.run(ask())[1:]]

    assert row() == [93, 91 + 92 + 93]
    hand_over(store_dir)
    store.blocks.refresh()
    assert row() == [504, 502 + 503 + 504]


def test_a_version_with_another_domain_has_its_own_keys(store_dir: Path) -> None:
    wider = a_view(entity=Entity("dest", domain=["ATL", "LAX", "SFO"]))
    with Publisher(store_dir, lambda: NOW) as publisher:
        publisher.register(OLD)
        publisher.publish([a_release(OLD, 9 * DAY, 7)])
        publisher.apply([wider])
        publisher.publish([a_release(wider, MIDNIGHT, 9, view_version=2)])
    with open_store(store_dir) as store:
        got = store.get(["delays@v1:flights", "delays@v2:flights"], {"dest": ["SFO", "ATL"]}, full_names=True)
        assert got["delays@v1__flights"].to_pylist() == [None, 7]
        assert got["delays@v2__flights"].to_pylist() == [9, 9]
        assert store.history("delays@v2").num_rows == 3  # nothing is carried
        assert store.key_types(["delays@v1:flights"]) == store.key_types(["delays:flights"])
