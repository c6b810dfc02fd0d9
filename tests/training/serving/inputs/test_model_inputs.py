from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployment.errors import ModelOutdated
from featurestore.define.decoded import Status
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Rate
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import Feature, Input, on_demand
from featurestore.define.release import BUDGET_SPENT
from featurestore.errors import BadReference, RequestTooLarge, UnknownFeature
from featurestore.online.settings import OnlineSettings
from featurestore.publish.publish import Publisher
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from tests.featurestore.making import DAY, a_release, a_view, a_void
from training.errors import InputRefused
from training.serving.arrays import Arrays
from training.serving.ask import Ask, Keyed, Raw
from training.serving.inputs.input_plan import Filled
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.signature import ModelSignature

DESTS = ["ATL", "LAX", "SFO"]
NOW = 12 * DAY
FEATURES = ("busy@v1:late", "busy@v1:delay", "weighed:risk", "area@v1:flights", "weighed:sum")
COLUMNS = ("distance", "holiday")
MODEL = RegisteredModel("late", 3, Path(), {}, {}, 0)


NAMES = ("busy@v1:late", *(f"busy@v1:delay[{cell}]" for cell in range(4)), *FEATURES[2:], *COLUMNS)
SIGNATURE = ModelSignature(FEATURES, COLUMNS, {"area": "NYC"}, NAMES, None)


@on_demand(outputs=["risk", "sum"])
def weighed(
    late: Annotated[np.ndarray, Feature("busy:late")],
    area: Annotated[np.ndarray, Feature("area:flights")],
    hour: Annotated[np.ndarray, Input("int64")],
    load: Annotated[np.ndarray, Input("float64")],
    kind: Annotated[np.ndarray, Input("string")],
) -> dict[str, np.ndarray]:
    scale = np.where(kind == "cargo", 2.0, 1.0) * np.where(hour >= 18, 1.3, 1.0)
    return {"risk": late * scale, "sum": np.where(hour == 13, np.nan, area + load)}


def busy(**more: Any) -> FeatureView:
    features = [
        Count("flights"),
        Rate("late", where="delay >= 15"),
        Histogram("delay", edges=[0, 15, 60], name="delay"),
    ]
    return a_view("busy", entity=Entity("dest", domain=DESTS), features=features, pane="1d", windows=[], **more)


def area() -> FeatureView:
    return a_view("area", entity=Entity("area", domain=["NYC"]), features=[Count("flights")], pane="1d", windows=[])


def make_store(directory: Path, settings: OnlineSettings) -> None:
    """A store whose keys have values, and one of them none."""
    rng = np.random.default_rng(5)
    view = busy(ttl="3d")
    layout = layout_of(view)
    with Publisher(directory, lambda: 20 * DAY, settings) as publisher:
        publisher.register(view)
        publisher.register(area())
        slots = rng.integers(10_000, 20_000, (len(DESTS), layout.slots_per_key))
        slots[1] = 0
        publisher.publish([replace(a_release(view, 10 * DAY), slots=slots)])
        publisher.publish([a_release(area(), 10 * DAY, 7)])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    directory = tmp_path_factory.mktemp("inputs")
    make_store(directory, OnlineSettings())
    with Store.open(directory, on_demand=[weighed], clock=lambda: NOW) as opened:
        yield opened


@pytest.fixture(scope="module")
def inputs(store: Store) -> ModelInputs:
    return ModelInputs.of(MODEL, SIGNATURE, store)


def a_row(**changes: Any) -> dict[str, Any]:
    return {
        "dest": "ATL", "hour": 7, "load": 1.5, "kind": "cargo", "distance": 1400.25, "holiday": False, **changes
    }  # fmt: skip


def an_ask(*rows: dict[str, Any]) -> Ask:
    rows = rows or (a_row(),)
    return Ask("late", None, Keyed({name: [row[name] for row in rows] for name in rows[0]}), len(rows))


def raw(rows: int, seed: int = 0) -> Ask:
    rng = np.random.default_rng(seed)
    shape = (rows, len(NAMES))
    arrays = Arrays(
        rng.normal(size=shape).astype(np.float32), rng.random(shape) < 0.5, rng.random(shape).astype(np.float32)
    )
    return Ask("late", None, Raw(arrays), rows)


def old_way(store: Store, ask: Ask) -> Arrays:
    """The arrays from `Reader.read`, stacked."""
    assert isinstance(ask.given, Keyed)
    entities = {name: list(values) for name, values in ask.given.entities.items() if name not in COLUMNS}
    entities["area"] = ["NYC"] * ask.rows
    entities["load"] = [None if one is None else float(one) for one in entities["load"]]
    vectors = store.reader(FEATURES).read(entities)
    columns = np.array([ask.given.entities[name] for name in COLUMNS], np.float64).T
    mask = np.hstack((vectors.mask, ~np.isnan(columns)))
    x, se = np.hstack((vectors.values, columns)), np.hstack((vectors.se, np.zeros_like(columns)))
    with np.errstate(over="ignore"):
        return Arrays(np.where(mask, x, 0).astype(np.float32), mask, np.where(mask, se, 0).astype(np.float32))


def part_of(filled: Filled, at: int) -> Arrays:
    return Arrays(*(array[filled.places[at]] for array in filled.arrays))


def assert_same(one: Arrays, other: Arrays) -> None:
    for name, a, b in zip(Arrays._fields, one, other, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes(), name


ROWS = st.fixed_dictionaries(
    {
        "dest": st.sampled_from([*DESTS, "???", "", None]),
        "hour": st.one_of(st.none(), st.sampled_from([7, 13, 18, -(2**63), 2**63 - 1])),
        "load": st.one_of(st.none(), st.integers(-(2**70), 2**70), st.floats(-1e300, 1e300)),
        "kind": st.sampled_from(["cargo", "mail", "é", None]),
        "distance": st.one_of(st.none(), st.just(math.nan), st.integers(-1000, 2**70), st.floats(-1e38, 1e38)),
        "holiday": st.sampled_from([None, True, False, 0.5]),
    }
)


@settings(max_examples=60, deadline=None)
@given(batch=st.lists(st.one_of(st.lists(ROWS, min_size=1, max_size=4), st.integers(1, 3)), min_size=1, max_size=6))
def test_a_batch_of_requests_has_the_bits_of_each_request_alone(
    store: Store, inputs: ModelInputs, batch: list[Any]
) -> None:
    asks = [raw(one, seed=one) if isinstance(one, int) else an_ask(*one) for one in batch]
    assert [inputs.require(ask.given) for ask in asks] == [ask.rows for ask in asks]
    plan = inputs.plan(store.blocks.require())
    together = plan.fill(asks, NOW)
    for at, ask in enumerate(asks):
        alone = plan.fill([ask], NOW)
        assert_same(part_of(together, at), alone.arrays)
        mine, own = together.used(at), alone.used(0)
        for name in ("values", "se", "status"):
            assert getattr(mine, name).tobytes() == getattr(own, name).tobytes()
        if isinstance(ask.given, Keyed):
            assert_same(alone.arrays, old_way(store, ask))


def test_large_integers_of_one_request_do_not_fail_another_one(store: Store, inputs: ModelInputs) -> None:
    asks = [an_ask(a_row(load=2**70)), an_ask(a_row(load=2**53 + 1)), an_ask(a_row(load=0.5)), an_ask(a_row(load=None))]
    plan = inputs.plan(store.blocks.require())
    filled = plan.fill(asks, NOW)
    for at, ask in enumerate(asks):
        assert_same(part_of(filled, at), plan.fill([ask], NOW).arrays)
    assert filled.used(0).values[0, 7] == 7 + 2.0**70
    assert filled.used(3).status[0, 7] == Status.NOT_FOUND


@pytest.mark.parametrize(
    ("now", "statuses"),
    [(NOW, [Status.OK, Status.DROWNED, Status.OK]), (NOW + 10 * DAY, [Status.OUTSIDE_MAX_AGE] * 3)],
)
def test_after_the_ttl_a_feature_is_null(
    store: Store, inputs: ModelInputs, monkeypatch: pytest.MonkeyPatch, now: int, statuses: list[Status]
) -> None:
    ask = an_ask(*(a_row(dest=dest) for dest in [*DESTS, "???", None]))
    monkeypatch.setattr(store, "clock", lambda: now)
    filled = inputs.plan(store.blocks.require()).fill([ask], now)
    assert_same(filled.arrays, old_way(store, ask))
    late = filled.used(0).status[:, 0]
    assert late.tolist() == [*statuses, Status.NOT_FOUND, Status.NOT_FOUND]
    assert filled.arrays.mask[:, 0].tolist() == (late == Status.OK).tolist()


def test_views_on_a_disk_give_the_same_bits(tmp_path: Path, store: Store, inputs: ModelInputs) -> None:
    make_store(tmp_path, OnlineSettings(block_mib=0))
    (tmp_path / "covey.toml").write_text("[online]\nblock_mib = 0\n")
    asks = [an_ask(*(a_row(dest=dest) for dest in [*DESTS, "???", None])), raw(1), an_ask(a_row(dest="SFO"))]
    expected = inputs.plan(store.blocks.require()).fill(asks, NOW)
    with Store.open(tmp_path, on_demand=[weighed]) as on_disk:
        snapshot = on_disk.blocks.require()
        assert snapshot.find("busy").blocking
        found = ModelInputs.of(MODEL, SIGNATURE, on_disk).plan(snapshot).fill(asks, NOW)
    assert_same(found.arrays, expected.arrays)
    for at in (0, 2):
        for name in ("values", "se", "status"):
            np.testing.assert_array_equal(getattr(found.used(at), name), getattr(expected.used(at), name))


def test_a_prediction_can_name_the_features_that_it_used(store: Store, inputs: ModelInputs) -> None:
    ask = an_ask(a_row(), a_row(dest="???", distance=None))
    filled = inputs.plan(store.blocks.require()).fill([raw(2), ask], NOW)
    used = filled.used(1)
    assert used.names == NAMES
    assert used.values.shape == used.se.shape == (2, 10)
    assert used.status.shape == (2, 8)
    vectors = store.reader(FEATURES).read(
        {"dest": ["ATL", "???"], "hour": [7] * 2, "load": [1.5] * 2, "kind": ["cargo"] * 2, "area": ["NYC"] * 2}
    )
    np.testing.assert_array_equal(used.values[:, :8], vectors.values)
    np.testing.assert_array_equal(used.se[:, :8], vectors.se)
    np.testing.assert_array_equal(used.status, vectors.status)
    np.testing.assert_array_equal(used.values[:, 8:], [[1400.25, 0], [np.nan, 0]])
    assert np.isnan(used.se[:, 8:]).all()
    assert filled.epoch == store.blocks.require().epoch
    releases = {one.view: one for one in used.releases}
    assert releases.keys() == {"busy", "area"}
    newest = store.published("busy", 0)[-1]
    assert (releases["busy"].release, releases["busy"].pane_end) == (newest.release_id.hex(), newest.pane_end)
    assert filled.used(0).releases == ()
    assert filled.used(0).status.shape == (2, 0)


def test_null_and_stale_features_are_counted(store: Store, inputs: ModelInputs) -> None:
    plan = inputs.plan(store.blocks.require())
    counts = plan.fill([an_ask(a_row(), a_row(dest="???", distance=None))], NOW).counts()
    assert (counts.all, counts.stale) == (20, 0)
    assert (
        counts.null == 5 + 2 + 1
    )  # of the unknown key: the view's five and what is computed of them; and the distance


def test_stale_features_are_counted(tmp_path: Path) -> None:
    view = a_view("busy", entity=Entity("dest", domain=DESTS), features=[Count("flights")], pane="1d", windows=[])
    with Publisher(tmp_path, lambda: 20 * DAY) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 9 * DAY, 5)])
        publisher.publish([a_void(view, 10 * DAY, BUDGET_SPENT)])
    signature = ModelSignature(("busy@v1:flights",), (), {}, ("busy@v1:flights",), None)
    with Store.open(tmp_path) as opened:
        plan = ModelInputs.of(MODEL, signature, opened).plan(opened.blocks.require())
    keys = Keyed({"dest": ["ATL", "???", "LAX"]})
    assert plan.fill([Ask("late", None, keys, 3)], NOW).counts() == (3, 1, 2)


def test_a_join_key_and_an_input_may_be_plain_columns_too(store: Store) -> None:
    signature = ModelSignature(("weighed:risk",), ("hour", "load"), {"area": "NYC"}, ("risk", "hour", "load"), None)
    inputs = ModelInputs.of(MODEL, signature, store)
    assert (inputs.types["hour"], inputs.types["load"]) == ("int64", "float64")
    row = {"dest": ["ATL"] * 2, "hour": [7, None], "load": [None, 2], "kind": ["mail"] * 2}
    given = Keyed(row)
    assert inputs.require(given) == 2
    filled = inputs.plan(store.blocks.require()).fill([Ask("late", None, given, 2)], NOW)
    np.testing.assert_array_equal(filled.used(0).values[:, 1:], [[7, np.nan], [np.nan, 2]])
    for changes in ({"hour": [7.5, 1.0]}, {"load": [True, False]}):
        with pytest.raises(BadReference):
            inputs.require(Keyed(row | changes))
    with pytest.raises(ModelOutdated, match="its plain column 'dest' is a text now"):
        ModelInputs.of(MODEL, replace(signature, columns=("dest",)), store)


def test_a_model_says_what_it_takes(inputs: ModelInputs) -> None:
    assert dict(inputs.types) == {
        "dest": "string", "hour": "int64", "load": "float64", "kind": "string", "distance": "float64", "holiday": "float64"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"dest": [5]}, BadReference, "'dest' is string, but the request holds int"),
        ({"hour": [True]}, BadReference, "'hour' is int64, but the request holds bool"),
        ({"hour": [7.5]}, BadReference, "'hour' is int64, but the request holds float"),
        ({"load": ["x"]}, BadReference, "'load' is float64, but the request holds str"),
        ({"distance": ["far"]}, BadReference, "'distance' is float64, but the request holds str"),
        ({"dest": "ATL"}, BadReference, "'dest' takes a list of values"),
        ({"distance": None}, BadReference, "'distance' takes a list of values"),
        (
            {"more": [1]},
            BadReference,
            "model late@v3: 'more' is no input of it; it takes: hour, load, kind, dest, distance, holiday",
        ),
        ({"area": ["NYC"]}, BadReference, "'area' is always the same for this model"),
        ({"distance": [math.inf]}, InputRefused, "'distance' is infinite or beyond float32"),
        ({"distance": [-1e39]}, InputRefused, "'distance' is infinite or beyond float32"),
        ({"distance": [10**400]}, InputRefused, "'distance' is infinite or beyond float32"),
        ({"hour": [2**63]}, InputRefused, "'hour' is beyond int64"),
        ({"load": [10**400]}, InputRefused, "'load' is beyond float64"),
        ({"kind": ["\ud800"]}, InputRefused, "'kind' is not valid Unicode"),
        ({"dest": ["ATL", "LAX"]}, InputRefused, "must have one length, one entry a row; dest has 2, hour has 1"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(
    inputs: ModelInputs, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    row = {name: [value] for name, value in a_row().items()} | changes
    many = {name: values * 40 if isinstance(values, list) else values for name, values in row.items()}
    for entities in (row, many):
        with pytest.raises(error) as found:
            inputs.require(Keyed(entities))
        assert says.partition(";")[0] in str(found.value)
    with pytest.raises(error, match=re.escape(says)):
        inputs.require(Keyed(row))


def test_a_missing_input_no_row_and_too_many_rows_are_refused(store: Store, inputs: ModelInputs) -> None:
    row = {name: [value] for name, value in a_row().items()}
    with pytest.raises(BadReference, match=r"model late@v3 needs 'dest'; it takes: hour, load, kind, dest"):
        inputs.require(Keyed({name: values for name, values in row.items() if name != "dest"}))
    with pytest.raises(InputRefused, match="no row"):
        inputs.require(Keyed({name: [] for name in row}))
    few = ModelInputs.of(MODEL, SIGNATURE, store, most_rows=2)
    assert few.require(Keyed({name: values * 2 for name, values in row.items()})) == 2
    with pytest.raises(RequestTooLarge, match="3 rows; model late@v3 takes at most 2"):
        few.require(Keyed({name: values * 3 for name, values in row.items()}))
    with pytest.raises(RequestTooLarge):
        few.require(raw(3).given)


def test_a_model_without_inputs_predicts_one_row(store: Store) -> None:
    signature = ModelSignature(("area@v1:flights",), (), {"area": "NYC"}, ("area@v1:flights",), None)
    inputs = ModelInputs.of(MODEL, signature, store)
    assert inputs.types == {}
    assert inputs.require(Keyed({})) == 1
    filled = inputs.plan(store.blocks.require()).fill([Ask("late", None, Keyed({}), 1)], NOW)
    assert filled.arrays.x.tolist() == [[7.0]]


def test_raw_arrays_must_fit(inputs: ModelInputs) -> None:
    good = raw(2).given
    assert isinstance(good, Raw)
    x, mask, se = good.arrays
    every = np.ones_like(mask)
    for arrays, says in (
        (Arrays(x[:, :3], mask, se), "takes rows of 10 features, but x has the shape (2, 3)"),
        (Arrays(x[0], mask, se), "x has the shape (10,)"),
        (Arrays(x, mask[:1], se), "mask is bool of the shape (1, 10)"),
        (Arrays(x, mask, se.astype(np.float64)), "se is float64"),
        (Arrays(np.where(x > 0, np.nan, x).astype(np.float32), every, se), "not finite"),
        (Arrays(x, every, -se), "negative or infinite"),
    ):
        with pytest.raises(InputRefused) as found:
            inputs.require(Raw(arrays))
        assert says in str(found.value)
    assert (
        inputs.require(Raw(Arrays(np.where(mask, x, np.nan).astype(np.float32), mask, np.full_like(se, np.nan)))) == 2
    )


def test_what_is_under_no_mask_does_not_reach_the_model(store: Store, inputs: ModelInputs) -> None:
    ask = raw(2)
    assert isinstance(ask.given, Raw)
    mask = ask.given.arrays.mask
    filled = inputs.plan(store.blocks.require()).fill([ask], NOW)
    assert not filled.arrays.x[~mask].any()
    assert not filled.arrays.se[~mask].any()
    np.testing.assert_array_equal(filled.used(0).values[mask], ask.given.arrays.x[mask])


def test_a_store_without_the_features_and_features_of_another_width_are_refused(store: Store) -> None:
    with pytest.raises(UnknownFeature):
        ModelInputs.of(MODEL, replace(SIGNATURE, features=("busy@v1:nothing",)), store)
    inputs = ModelInputs.of(MODEL, replace(SIGNATURE, names=("one",)), store)
    with pytest.raises(ModelOutdated, match="its 1 inputs are 10 columns now"):
        inputs.plan(store.blocks.require())
