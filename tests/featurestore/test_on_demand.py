from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from base.times import from_us
from featurestore.define.decoded import Status
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import Feature, Input, OnDemandView, on_demand
from featurestore.define.release import Release
from featurestore.define.services import FeatureService
from featurestore.errors import (
    BadReference,
    NameCollision,
    OnDemandFailed,
    OnDemandInvalid,
    ServiceInvalid,
    UnknownFeature,
    UnknownFeatureService,
    UnknownView,
)
from featurestore.online.blocks import open_blocks
from featurestore.publish.publish import Publisher
from featurestore.server.app import FeatureServer
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, fill, manifest_of

Array = np.ndarray[Any, Any]
VIEW = a_view(
    entity=Entity(["dest", "hour"], product(["ATL", "LAX"], [0, 1])),
    features=[
        Count("flights"),
        ClientCount("planes"),
        Mean("delay", clip=(-60, 180)),
        Histogram("delay", edges=[0, 15], nulls=True),
        Rate("late", where="delay >= 15"),
    ],
    windows=["3h", "6h"],
)
STORED = [f"delays:{name}{window}" for window in ("", "_3h", "_6h")
          for name in ("flights", "delay_mean", "delay_hist", "late")] + ["delays:planes"]  # fmt: skip

LIMITS: dict[str, tuple[float, float]] = {"delay_mean": (-60, 180), "late": (0, 1)}


@on_demand(outputs=["odds", "spread"])
def risk(
    late: Annotated[Array, Feature("delays:late_6h")],
    cells: Annotated[Array, Feature("delays:delay_hist_3h")],
    flights: Annotated[Array, Feature("delays:flights")],
    distance: Annotated[Array, Input("float64")],
    hour: Annotated[Array, Input("int64")],
    carrier: Annotated[Array, Input("string")],
    hub: Annotated[Array, Input("bool")],
) -> dict[str, Array]:
    return {
        "odds": np.where(carrier == "UA", late / (1 - late), late) * np.sqrt(distance) + hub,
        "spread": np.log(cells.max(axis=1) / flights) + hour,
    }


COMPUTED = ["risk:odds", "risk:spread"]


def publish(directory: Path, panes: int) -> None:
    random = np.random.default_rng(7)
    layout = layout_of(VIEW)
    with Publisher(directory, lambda: 0) as publisher:
        publisher.register(VIEW)
        for i in range(panes):
            slots = random.integers(-40, 900, size=(layout.keys, layout.slots_per_key))
            manifest = manifest_of(VIEW, "discrete-gaussian")
            publisher.publish([Release(manifest, i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0, "live", slots)])


def asked(count: int) -> dict[str, list[Any]]:
    random = np.random.default_rng(11)
    return {
        "dest": random.choice(["ATL", "LAX", "XXX"], count).tolist(),
        "hour": random.choice([0, 1], count).tolist(),
        "distance": [None if x > 9 else x for x in random.uniform(-1, 10, count).tolist()],
        "carrier": random.choice(["UA", "DL"], count).tolist(),
        "hub": random.choice([True, False], count).tolist(),
    }


def test_training_and_serving_give_the_same_bits(store_dir: Path) -> None:
    """For every feature type, window and on-demand function, with the same keys and time."""
    publish(store_dir, 8)
    keys, refs = asked(300), [*STORED, *COMPUTED]
    now = 9 * HOUR
    labels = pa.table(keys | {"at": pa.array([from_us(now)] * 300)})
    with Store.open(store_dir, on_demand=[risk], clock=lambda: now) as store:
        joined = store.join(labels, refs, "at").read_all()
        got = store.get(refs, keys)
        read = store.reader(refs).read(keys)
    served = serve(store_dir, {"features": refs, "entities": keys}, clock=now).json()
    by_name = dict(zip(served["metadata"]["feature_names"], served["results"], strict=True))
    columns = iter(read.values.T)
    for ref in refs:
        name = ref.split(":")[1]
        assert joined.column(name).to_pylist() == got.column(name).to_pylist(), name
        assert joined.column(f"{name}__status").to_pylist() == got.column(f"{name}__status").to_pylist(), name
        offline = floats(joined.column(name))
        online = np.stack([next(columns) for _ in range(offline.shape[1])], axis=1)
        over_http = np.array(
            [[np.nan] * offline.shape[1] if v is None else np.reshape(v, -1) for v in by_name[name]["values"]]
        )
        assert offline.astype(np.float32).tobytes() == online.astype(np.float32).tobytes(), name
        assert np.array_equal(offline.astype(np.float32), over_http.astype(np.float32), equal_nan=True), name
    computed = got.column("odds__status").to_pylist()
    assert {"OK", "NOT_FOUND", "UNDEFINED"} <= set(computed)


def test_training_and_serving_give_the_same_bits_of_intervals(store_dir: Path) -> None:
    """For every feature type and window; the interval of an on-demand feature is unknown, as its standard error is."""
    publish(store_dir, 8)
    keys, refs = asked(300), [*STORED, "risk:odds"]
    now = 9 * HOUR
    labels = pa.table(keys | {"at": pa.array([from_us(now)] * 300)})
    with Store.open(store_dir, on_demand=[risk], clock=lambda: now) as store:
        joined, plain = (store.join(labels, refs, "at", intervals=one).read_all() for one in (True, False))
        got, clamped = store.get(refs, keys), store.get(refs, keys, clamp=True)
        read = store.reader(refs, intervals=True).read(keys)
        history, short = store.history("delays"), store.history("delays", intervals=False)
    ends = [f"{ref}__{end}" for ref in STORED for end in ("lo", "hi")]
    served = serve(store_dir, {"features": ends, "entities": keys}, clock=now).json()
    over_http = dict(zip(served["metadata"]["feature_names"], served["results"], strict=True))
    assert plain.column_names == [name for name in joined.column_names if not name.endswith(("__lo", "__hi"))]
    assert short.equals(history.select(short.column_names))
    assert len(history.column_names) == len(short.column_names) + len(ends)
    assert read.intervals is not None
    columns = iter(zip(*(end.T for end in read.intervals), strict=True))
    newest = history.filter(pc.equal(history["pane_end"], pc.max(history["pane_end"])))
    for ref in STORED:
        name = ref.split(":")[1]
        vectors = [next(columns) for _ in range(floats(got.column(name)).shape[1])]
        for i, end in enumerate(("lo", "hi")):
            column = f"{name}__{end}"
            expected = got.column(column).to_pylist()
            assert joined.column(column).to_pylist() == expected, column
            assert over_http[column]["values"] == expected, column
            there = [row for row in newest.column(column).to_pylist() if row is not None]
            assert {*map(str, there)} == {str(row) for row in expected if row is not None}, column
            online = np.stack([pair[i] for pair in vectors], axis=1)
            assert np.array_equal(online, floats(got.column(column)), equal_nan=True), column
            limits = LIMITS.get(name.removesuffix("_3h").removesuffix("_6h"), (0, None))
            assert np.array_equal(floats(clamped.column(column)), np.clip(online, *limits), equal_nan=True), column
    for table in (joined, got):
        assert table.column("odds__lo").null_count == table.column("odds__hi").null_count == 300


def floats(column: pa.ChunkedArray) -> Array:
    rows = column.to_pylist()
    width = column.type.list_size if pa.types.is_fixed_size_list(column.type) else 1
    return np.array([[np.nan] * width if row is None else np.reshape(row, -1) for row in rows], np.float64)


def serve(directory: Path, body: dict[str, Any], clock: int = DAY, views: list[OnDemandView] | None = None) -> Any:
    server = FeatureServer(Store.open(directory, on_demand=[risk] if views is None else views, clock=lambda: clock))

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://test") as client:
            return await client.post("/get-online-features", json=body)

    return asyncio.run(post())


class TestNulls:
    def of(self, tmp_path: Path, **given: Any) -> tuple[list[float | None], list[str]]:
        fill(tmp_path, a_view(), 1)

        @on_demand(outputs=["x"])
        def double(
            flights: Annotated[Array, Feature("delays:flights")], by: Annotated[Array, Input("float64")]
        ) -> Array:
            return np.where(by == 0, np.nan, flights * by)

        keys = {"dest": ["ATL"], "by": [2.0]} | given
        with Store.open(tmp_path, on_demand=[double]) as store:
            table = store.get(["double:x"], keys)
        return table.column("x").to_pylist(), table.column("x__status").to_pylist()

    def test_a_null_feature_gives_its_own_status(self, tmp_path: Path) -> None:
        assert self.of(tmp_path, dest=["ATL", "XXX"], by=[2.0, 2.0]) == ([2.0, None], ["OK", "NOT_FOUND"])

    def test_a_null_input_is_not_found(self, tmp_path: Path) -> None:
        assert self.of(tmp_path, by=[None]) == ([None], ["NOT_FOUND"])

    def test_nan_of_the_function_is_undefined(self, tmp_path: Path) -> None:
        assert self.of(tmp_path, by=[0.0]) == ([None], ["UNDEFINED"])

    def test_whole_numbers_are_floats_and_text_is_not(self, tmp_path: Path) -> None:
        assert self.of(tmp_path, by=[3])[0] == [3.0]
        with pytest.raises(BadReference, match="'by' is float64"):
            self.of(tmp_path, by=["3"])

    def test_a_missing_input_is_named(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 1)
        with (
            Store.open(tmp_path, on_demand=[risk]) as store,
            pytest.raises(BadReference, match="needs the input 'distance'"),
        ):
            store.get(COMPUTED, {"dest": ["ATL"], "hour": [0]})
        labels = pa.table({"dest": ["ATL"], "hour": [0], "at": [from_us(DAY)]})
        with (
            Store.open(tmp_path, on_demand=[risk]) as store,
            pytest.raises(BadReference, match="needs the input 'distance'"),
        ):
            store.join(labels, COMPUTED, "at")


class TestFailures:
    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (lambda x: x[:-1], "shape"),
            (lambda x: 3.0, "shape"),
            (lambda x: np.array(["a"] * len(x)), "not an array of numbers"),
            (lambda x: {"y": x}, "it returned the outputs y, but declares x"),
            (lambda x: 1 / 0, "ZeroDivisionError"),
        ],
    )
    def test_a_function_that_does_not_keep_its_word_is_named(self, tmp_path: Path, returned: Any, message: str) -> None:
        fill(tmp_path, a_view(), 1)

        @on_demand(outputs=["x"])
        def broken(flights: Annotated[Array, Feature("delays:flights")]) -> Array:
            result: Array = returned(flights)
            return result

        with Store.open(tmp_path, on_demand=[broken]) as store:
            with pytest.raises(OnDemandFailed, match=f"'broken'.*{message}"):
                store.get(["broken:x"], {"dest": ["ATL", "LAX"]})
            labels = pa.table({"dest": ["ATL", "LAX"], "at": [from_us(DAY)] * 2})
            with pytest.raises(OnDemandFailed, match="'broken'"):
                store.join(labels, ["broken:x"], "at").read_all()
        body = {"features": ["broken:x"], "entities": {"dest": ["ATL", "LAX"]}}
        response = serve(tmp_path, body, views=[broken])
        assert response.status_code == 500

    def test_a_declaration_that_cannot_be_is_refused(self) -> None:
        def bare(x: Array) -> Array:
            return x

        def no_ref(x: Annotated[Array, Feature("delays")]) -> Array:
            return x

        def odd(x: Annotated[Array, Input("date")]) -> Array:  # type: ignore[arg-type]
            return x

        def good(x: Annotated[Array, Input("bool")]) -> Array:
            return x

        for function, outputs, message in (
            (bare, ["x"], "argument 'x' needs"),
            (no_ref, ["x"], "'delays' is not a feature reference"),
            (odd, ["x"], "not 'date'"),
            (good, [], "one or more distinct names"),
            (good, ["x", "x"], "distinct names"),
            (good, ["X"], "'X' is not a valid name"),
        ):
            with pytest.raises(OnDemandInvalid, match=message):
                on_demand(outputs=outputs)(function)

    def test_two_views_of_one_name_are_refused(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 1)
        other = on_demand(outputs=["odds"], name="risk")(risk.function)
        with pytest.raises(OnDemandInvalid, match="two on-demand views have this name"):
            Store.open(tmp_path, on_demand=[risk, other])
        shadow = on_demand(outputs=["odds"], name="delays")(risk.function)
        with pytest.raises(OnDemandInvalid, match="the store has a feature view of this name"):
            Store.open(tmp_path, on_demand=[shadow])

    def test_unknown_outputs_and_clashes(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 1)
        labels = pa.table(asked(1) | {"at": [from_us(DAY)]})
        with Store.open(tmp_path, on_demand=[risk]) as store:
            for read in (lambda refs: store.get(refs, asked(1)), lambda refs: store.join(labels, refs, "at")):
                with pytest.raises(UnknownFeature, match="'risk' serves no feature 'x'; it has: odds, spread"):
                    read(["risk:x"])
                with pytest.raises(BadReference, match="odds"):
                    read(["risk:odds", "risk:odds"])
                with pytest.raises(UnknownView, match="'riks'"):
                    read(["riks:odds"])
            assert store.get(COMPUTED, asked(1), full_names=True).column_names[5:11:5] == ["risk__odds", "risk__spread"]
            with pytest.raises(NameCollision):
                store.get(["risk:odds", "risk:odds"], asked(1))


class TestServices:
    def test_a_service_is_served_joined_and_read_by_name(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 3)
        model = FeatureService("late_model", ["delays:flights", "risk:odds"])
        with Publisher(tmp_path, lambda: DAY) as publisher:
            publisher.register_services([model], [risk])
        keys = asked(5)
        labels = pa.table(keys | {"at": [from_us(DAY)] * 5})
        with Store.open(tmp_path, on_demand=[risk]) as store:
            assert store.services() == [model]
            assert store.service("late_model") == model
            assert store.get(model, keys).equals(store.get(model.refs, keys))
            assert store.join(labels, model, "at").read_all().equals(store.join(labels, model.refs, "at").read_all())
            assert store.reader(model).names == ("delays__flights", "risk__odds")
            with pytest.raises(UnknownFeatureService, match="'x' in this store; it has: late_model"):
                store.service("x")
        by_name = serve(tmp_path, {"feature_service": "late_model", "entities": keys})
        by_refs = serve(tmp_path, {"features": list(model.refs), "entities": keys})
        assert by_name.json() == by_refs.json()
        assert by_name.status_code == 200

    def test_without_its_function_the_error_says_what_is_missing(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 3)
        model = FeatureService("late_model", ["risk:odds"])
        with Publisher(tmp_path, lambda: DAY) as publisher:
            publisher.register_services([model], [risk])
        labels = pa.table(asked(1) | {"at": [from_us(DAY)]})
        with Store.open(tmp_path) as store:
            for read in (lambda: store.get(model, asked(1)), lambda: store.join(labels, model, "at")):
                with pytest.raises(UnknownView, match="needs the file that declares it"):
                    read()

    def test_it_is_known_in_a_new_epoch_and_may_change(self, tmp_path: Path) -> None:
        fill(tmp_path, a_view(), 1)
        blocks = open_blocks(tmp_path)
        for refs in (["delays:flights"], ["delays:flights", "delays:late"]):
            with Publisher(tmp_path, lambda: DAY) as publisher:
                publisher.register_services([FeatureService("m", refs)])
            assert blocks.refresh()
            assert blocks.snapshot.service("m") == tuple(refs)
        with Publisher(tmp_path, lambda: DAY) as publisher:
            publisher.publish([a_release(a_view(), HOUR)])
        assert blocks.refresh()
        assert blocks.snapshot.service("m") == ("delays:flights", "delays:late")

    def test_a_crash_before_the_epoch_is_healed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path, a_view(), 1)
        with Publisher(tmp_path, lambda: DAY) as publisher:
            monkeypatch.setattr(publisher._blocks, "switch", lambda _: None)
            publisher.register_services([FeatureService("m", ["delays:flights"])])
        assert open_blocks(tmp_path).snapshot.services == {}
        Publisher(tmp_path, lambda: DAY).close()
        assert open_blocks(tmp_path).snapshot.service("m") == ("delays:flights",)

    def test_one_that_names_nothing_is_refused_and_none_is_registered(self, tmp_path: Path) -> None:
        fill(tmp_path, a_view(), 1)
        with Publisher(tmp_path, lambda: DAY) as publisher:
            for refs, message in (
                (["delays:x"], "serves no feature 'x'"),
                (["nothing:x"], "no view 'nothing'"),
                (["risk:x"], "has no output 'x'"),
                (["risk:odds"], "serves no feature 'late_6h'"),
            ):
                with pytest.raises(ServiceInvalid, match=message):
                    publisher.register_services(
                        [FeatureService("good", ["delays:late"]), FeatureService("m", refs)], [risk]
                    )
        assert open_blocks(tmp_path).snapshot.services == {}

    @pytest.mark.parametrize(
        ("name", "refs"), [("M", ["a:b"]), ("", ["a:b"]), ("m", []), ("m", ["a"]), ("m", "a:b"), ("m", ["a:b", "a:b"])]
    )
    def test_what_cannot_be_a_service(self, name: str, refs: Any) -> None:
        with pytest.raises(ServiceInvalid):
            FeatureService(name, refs)


def test_a_row_that_is_too_old_stays_so_through_a_transformation(tmp_path: Path) -> None:
    view = a_view(ttl="2h")
    fill(tmp_path, view, 1)

    @on_demand(outputs=["x"])
    def double(flights: Annotated[Array, Feature("delays:flights")]) -> Array:
        return flights * 2

    now = 4 * HOUR
    with Store.open(tmp_path, on_demand=[double], clock=lambda: now) as store:
        online = store.get(["double:x"], {"dest": ["ATL"]}).column("x__status").to_pylist()
        labels = pa.table({"dest": ["ATL"], "at": [from_us(now)]})
        offline = store.join(labels, ["double:x"], "at").read_all().column("x__status").to_pylist()
    assert online == offline == [Status.OUTSIDE_MAX_AGE.name]
