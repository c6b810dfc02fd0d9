from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from base.times import from_us
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import NO_ON_DEMAND
from featurestore.define.privacy import Privacy
from featurestore.define.release import CountedSites, Release
from featurestore.online.blocks import Snapshot, open_blocks
from featurestore.publish.publish import Publisher
from featurestore.read.messages import MAX_ROWS
from featurestore.read.request import Reading
from featurestore.server import app as app_module
from featurestore.server.app import FeatureServer
from featurestore.server.feast_wire import AnswerPlans, render
from featurestore.server.request import parse_request
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, fill, manifest_of

from .odd_bodies import AREA, KEYS, ODD, VIEW

TIME = "1970-01-01T02:00:00Z"
NEVER = "1970-01-01T00:00:00Z"

Post = Callable[..., httpx.Response]


def server_of(directory: Path, now: int = 2 * HOUR) -> FeatureServer:
    return FeatureServer(Store.open(directory, clock=lambda: now))


def request(server: FeatureServer, method: str, path: str, **given: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **given)

    return asyncio.run(ask())


def read(server: FeatureServer, features: list[str], entities: dict[str, Any] | None = None, **more: Any) -> Any:
    """The answer as name → (values, statuses, timestamps). NaN in it is an error."""
    body = {"features": features, "entities": entities or {}, **more}
    response = request(server, "POST", "/get-online-features", json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    data = json.loads(response.content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return {
        name: (column["values"], column["statuses"], column["event_timestamps"])
        for name, column in zip(data["metadata"]["feature_names"], data["results"], strict=True)
    }


def refuse(server: FeatureServer, body: bytes | dict[str, Any]) -> tuple[int, str, str]:
    """(status, Feast's class, message) of an error in Feast's form."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = request(server, "POST", "/get-online-features", content=content)
    assert response.headers["content-type"] == "application/json"
    detail = json.loads(response.json())
    assert sorted(detail) == ["class", "message", "module"]
    assert detail["module"] == "feast.errors"
    return response.status_code, detail["class"], detail["message"]


@pytest.fixture(scope="module")
def server(new_store: Callable[[], Path]) -> FeatureServer:
    """Two hours of `delays` and one of the constant `area`."""
    directory = new_store()
    fill(directory, VIEW, 2)
    fill(directory, AREA, 2)
    return server_of(directory)


def test_the_answer_is_these_bytes(server: FeatureServer) -> None:
    body = (
        b'{"entities": {"dest": ["LAX", "JFK"]}, "features": ["delays:delay_hist", "delays:flights"], '
        b'"full_feature_names": false, "include_feature_view_version_metadata": false}'
    )
    response = request(server, "POST", "/get-online-features", content=body)
    assert response.content == (
        b'{"metadata":{"feature_names":["dest","delay_hist","flights"]},"results":['
        b'{"values":["LAX","JFK"],"statuses":["PRESENT","PRESENT"],'
        b'"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]},'
        b'{"values":[[2.0,2.0],null],"statuses":["PRESENT","NOT_FOUND"],'
        b'"event_timestamps":["1970-01-01T02:00:00Z","1970-01-01T00:00:00Z"]},'
        b'{"values":[2.0,null],"statuses":["PRESENT","NOT_FOUND"],'
        b'"event_timestamps":["1970-01-01T02:00:00Z","1970-01-01T00:00:00Z"]}]}'
    )


def test_join_keys_come_first_then_the_features_in_the_order_asked_for(server: FeatureServer) -> None:
    features = ["delays:late_3h", "area:flights", "delays:flights", "delays:late"]
    got = read(server, features, {"dest": ["ATL", "LAX"]}, full_feature_names=True)
    assert list(got) == ["dest", "delays__late_3h", "area__flights", "delays__flights", "delays__late"]
    assert got["dest"] == (["ATL", "LAX"], ["PRESENT"] * 2, [NEVER] * 2)
    assert got["area__flights"] == ([2.0, 2.0], ["PRESENT"] * 2, [TIME] * 2)
    short = read(server, ["delays:late_3h", "delays:flights"], {"dest": ["ATL"]})
    assert list(short) == ["dest", "late_3h", "flights"]


def test_companions_coverage_and_status_are_features(server: FeatureServer) -> None:
    names = ["flights__se", "late__se", "late__n", "late__status", "late_3h__n", "coverage_3h", "delay_hist__se"]
    names += ["flights__lo", "late__hi", "delay_hist__lo", "delay_hist__hi"]
    got = read(server, [f"delays:{name}" for name in names], {"dest": ["ATL", "JFK"]})
    values = {name: column[0] for name, column in got.items()}
    assert values == {
        "dest": ["ATL", "JFK"],
        "flights__se": [0.0, None],
        "late__se": [0.0, None],
        "late__n": [2.0, None],
        "late__status": ["OK", "NOT_FOUND"],
        "late_3h__n": [3.0, None],
        "coverage_3h": [2 / 3, None],
        "delay_hist__se": [0.0, None],
        "flights__lo": [2.0, None],  # without noise an interval is the value
        "late__hi": [1.0, None],
        "delay_hist__lo": [[2.0, 2.0], None],
        "delay_hist__hi": [[2.0, 2.0], None],
    } | {name: values[name] for name in ("late__se", "late_3h__n")}
    assert got["coverage_3h"][1] == ["PRESENT", "NOT_FOUND"]
    assert got["delay_hist__lo"][1] == ["PRESENT", "NOT_FOUND"]
    assert got["late__status"][1:] == (["PRESENT"] * 2, [TIME, NEVER])


def test_a_constant_entity_needs_no_key_and_no_entities_give_one_row(server: FeatureServer) -> None:
    assert read(server, ["area:flights"])["flights"] == ([2.0], ["PRESENT"], [TIME])
    response = request(server, "POST", "/get-online-features", json={"features": ["area:flights"]})
    assert response.json()["results"][0]["values"] == [2.0]
    assert read(server, ["area:flights"], {"city": ["NYC", "BOS"]})["flights"][1] == ["PRESENT", "NOT_FOUND"]
    assert read(server, ["area:flights"], {"dest": ["ATL"] * 3})["flights"][0] == [2.0] * 3


def test_no_rows_are_an_answer_and_null_keys_are_not_found(server: FeatureServer) -> None:
    assert read(server, ["delays:flights", "delays:delay_hist"], {"dest": []}) == {
        "dest": ([], [], []),
        "flights": ([], [], []),
        "delay_hist": ([], [], []),
    }
    got = read(server, ["delays:flights"], {"dest": [None, "ATL"]})
    assert got["dest"] == ([None, "ATL"], ["NULL_VALUE", "PRESENT"], [NEVER] * 2)
    assert got["flights"] == ([None, 2.0], ["NOT_FOUND", "PRESENT"], [NEVER, TIME])


@pytest.mark.parametrize("rows", [1, 2, 999, 1_000, 1_001, MAX_ROWS])
def test_any_number_of_rows_gives_columns_of_that_length(server: FeatureServer, rows: int) -> None:
    keys = (["ATL", "LAX", "JFK"] * rows)[:rows]
    got = read(server, ["delays:flights", "delays:delay_hist", "area:flights"], {"dest": keys}, full_feature_names=True)
    assert all(len(part) == rows for column in got.values() for part in column)
    assert got["delays__flights"][0] == [None if key == "JFK" else 2.0 for key in keys]
    assert got["delays__delay_hist"][1] == ["NOT_FOUND" if key == "JFK" else "PRESENT" for key in keys]
    assert got["area__flights"] == ([2.0] * rows, ["PRESENT"] * rows, [TIME] * rows)


def test_unknown_fields_are_accepted_and_versions_are_told_when_asked(server: FeatureServer) -> None:
    body = {
        "features": ["delays@v1:flights", "area:flights"],
        "entities": {"dest": ["ATL"]},
        "full_feature_names": True,
        "include_feature_view_version_metadata": True,
        "a_field_of_the_future": [{}],
    }
    data = request(server, "POST", "/get-online-features", json=body).json()
    assert data["metadata"] == {
        "feature_names": ["dest", "delays@v1__flights", "area__flights"],
        "feature_view_metadata": [{"name": "delays", "version": 1}, {"name": "area", "version": 1}],
    }


def random_store(directory: Path) -> FeatureView:
    """A composite view with every kind of feature and, over nine hours with noise, most statuses."""
    view = a_view(
        entity=Entity(["dest", "hour", "hub"], product(["ATL", 'a\x00é"\\'], [-5, 2**62], [False, True])),
        features=[
            ClientCount("planes"),
            Count("flights"),
            Mean("delay", clip=(-60, 180)),
            Rate("late", where="delay >= 15"),
            Histogram("delay", edges=[0, 15]),
        ],
        windows=["3h", "9h"],
        privacy=Privacy(rho=0.5, min_clients=2, suppress_below=30),
        min_coverage=1.0,
    )
    layout, random = layout_of(view), np.random.default_rng(5)
    terms = manifest_of(view, "discrete-gaussian")
    slots = random.integers(-40, 120, size=(9, layout.keys, layout.slots_per_key))
    items: list[Any] = [
        Release(terms, i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0, "live", one)
        for i, one in enumerate(slots)
        if i != 3
    ]
    with Publisher(directory, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([*items, a_void(view, 3 * HOUR)])
    return view


def test_every_value_and_status_is_what_get_returns(store_dir: Path) -> None:
    view = random_store(store_dir)
    random = np.random.default_rng(9)
    rows = [view.entity.domain[i] for i in random.integers(0, len(view.entity.domain), 40)]
    rows += [("ATL", 0, True), (None, -5, True), ("ATL", None, None), ("", -5, False)]
    keys = {name: [row[i] for row in rows] for i, name in enumerate(view.entity.keys)}
    server = server_of(store_dir)
    with Store.open(store_dir) as store:
        features = [
            c for c in store.history("delays").column_names if f"{c}__status" in store.history("delays").column_names
        ]
        table = store.get([f"delays:{name}" for name in features], keys)
    names = [name for name in table.column_names if name not in keys and "delays__" not in name]
    got = read(server, [f"delays:{name}" for name in names], keys)
    wire = {"OK": "PRESENT", "ROUGH_SE": "PRESENT", "NOT_FOUND": "NOT_FOUND"}
    seen = set()
    for name in names:
        values, statuses, times = got[name]
        expected = table.column(name).to_pylist()
        assert values == [list(map(float, v)) if isinstance(v, list) else v for v in expected], name
        feature = name.partition("__")[0]
        reasons = table.column(f"{feature}__status").to_pylist()
        seen |= set(reasons)
        if name.endswith("__status"):
            assert statuses == ["PRESENT"] * len(rows)
        elif name.endswith("__n"):
            assert statuses == [wire.get(r, "PRESENT" if r == "DROWNED" else "NULL_VALUE") for r in reasons]
            assert [value is not None for value in values] == [status == "PRESENT" for status in statuses]
        else:
            assert statuses == [wire.get(reason, "NULL_VALUE") for reason in reasons], name
        assert times == ["1970-01-01T09:00:00Z"] * 40 + [NEVER] * 4
    assert seen == {"OK", "ROUGH_SE", "NOT_FOUND", "LOW_COVERAGE", "DROWNED", "SUPPRESSED"}


@pytest.mark.parametrize(
    ("status", "word"),
    [("OK", "PRESENT"), ("ROUGH_SE", "PRESENT"), ("STALE_BUDGET", "PRESENT"), ("DROWNED", "NULL_VALUE"),
     ("SUPPRESSED", "NULL_VALUE"), ("VOID", "NULL_VALUE"), ("LOW_COVERAGE", "NULL_VALUE")],
)  # fmt: skip
def test_each_status_of_a_row_has_its_word_and_a_value_if_it_is_present(
    store_dir: Path, status: str, word: str
) -> None:
    rate, clients = Rate("late", where="delay >= 15"), ClientCount("planes")
    privacy = Privacy(rho=0.5, min_clients=2, suppress_below=30 if status == "SUPPRESSED" else None)
    view = a_view(features=[rate, clients], windows=["3h"], privacy=privacy)
    value = {"DROWNED": 1, "ROUGH_SE": 60}.get(status, 10_000)
    items: list[Any] = [a_release(view, 0, value, noise="discrete-gaussian")]
    if status == "SUPPRESSED":
        items[0].slots[:, 2] = 29
    if status == "VOID":
        items.append(a_void(view, HOUR))
    if status == "STALE_BUDGET":
        items.append(a_void(view, HOUR, "BUDGET_SPENT"))
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish(items)
    name = "late_3h" if status == "LOW_COVERAGE" else "late"
    asked = [name, f"{name}__se", f"{name}__n", f"{name}__status"]
    got = read(server_of(store_dir), [f"delays:{one}" for one in asked], {"dest": ["ATL", "LAX"]})
    assert got[f"{name}__status"][:2] == ([status] * 2, ["PRESENT"] * 2)
    for one in asked[:2]:
        assert got[one][1] == [word] * 2
        assert [value is not None for value in got[one][0]] == [word == "PRESENT"] * 2
    assert got[asked[2]][1] == ["PRESENT" if status == "DROWNED" else word] * 2


@pytest.mark.parametrize(("age", "old"), [(0, False), (2 * HOUR, False), (2 * HOUR + 1, True)])
def test_a_row_older_than_its_ttl_is_outside_max_age_at_the_time_of_the_request(
    store_dir: Path, age: int, old: bool
) -> None:
    fill(store_dir, a_view(ttl="2h", features=VIEW.features), 2)
    fill(store_dir, AREA, 2)
    features = [
        f"delays:{name}" for name in ("flights", "flights__se", "late__n", "delay_hist", "coverage_3h", "late__status")
    ]
    got = read(
        server_of(store_dir, 2 * HOUR + age),
        [*features, "area:flights"],
        {"dest": ["ATL", "JFK"]},
        full_feature_names=True,
    )
    assert got["area__flights"][1] == ["PRESENT"] * 2
    for name, (values, statuses, times) in got.items():
        if not name.startswith("delays"):
            continue
        assert times == [TIME, NEVER]
        if name == "delays__late__status":
            assert values == ["OUTSIDE_MAX_AGE" if old else "OK", "NOT_FOUND"]
        else:
            assert statuses == ["OUTSIDE_MAX_AGE" if old else "PRESENT", "NOT_FOUND"]
            assert (values[0] is None) == old
            assert values[1] is None


def test_a_void_is_null_and_a_view_without_a_release_is_not_found(store_dir: Path) -> None:
    with Publisher(store_dir, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.register(AREA)
        publisher.publish([a_void(VIEW, 0)])
    server = server_of(store_dir)
    assert read(server, ["delays:delay_hist"], {"dest": ["ATL"]})["delay_hist"] == (
        [None], ["NULL_VALUE"], ["1970-01-01T01:00:00Z"],
    )  # fmt: skip
    assert read(server, ["area:flights", "area:late"])["flights"] == ([None], ["NOT_FOUND"], [NEVER])


def test_negative_huge_and_whole_numbers_are_json_floats(store_dir: Path) -> None:
    for name, value in (("minus", -7), ("huge", 2**60), ("zero", 0)):
        view = a_view(name, features=[Count("flights")])
        with Publisher(store_dir, lambda: 0) as publisher:
            publisher.register(view)
            publisher.publish([a_release(view, 0, value)])
    body = {
        "features": ["minus:flights", "huge:flights", "zero:flights"],
        "entities": {"dest": ["ATL"]},
        "full_feature_names": True,
    }
    text = request(server_of(store_dir), "POST", "/get-online-features", json=body).text
    for value in (-7.0, float(2**60), 0.0):
        assert any(f'"values":[{spelled}]' in text for spelled in (repr(value), f"{value:.1f}", f"{value:e}")), value
    numbers = [column["values"][0] for column in json.loads(text)["results"][1:]]
    assert all(isinstance(number, float) and math.isfinite(number) for number in numbers)


def test_an_answer_over_several_views_is_of_one_snapshot(store_dir: Path) -> None:
    others = a_view("others")
    for view in (VIEW, others):
        fill(store_dir, view, 1)
    blocks = open_blocks(store_dir)
    asked = parse_request(
        b'{"features":["delays:flights","others:flights"],"entities":{"dest":["ATL"]},"full_feature_names":true}'
    )

    def answer(snapshot: Snapshot) -> bytes:
        reading = Reading(snapshot, NO_ON_DEMAND, asked.entities, asked.rows, 0)
        return render(asked, AnswerPlans(NO_ON_DEMAND).find(asked, snapshot), reading)

    before = blocks.snapshot
    first = answer(before)
    with Publisher(store_dir, lambda: DAY) as publisher:
        publisher.publish([a_release(VIEW, HOUR, 5), a_release(others, HOUR, 5)])
    assert blocks.refresh()
    assert answer(before) == first
    values = [column["values"] for column in json.loads(answer(blocks.snapshot))["results"]]
    assert values == [["ATL"], [5.0], [5.0]]


@pytest.mark.parametrize(("body", "status", "kind", "says"), ODD)
def test_a_callers_mistake_is_a_4xx_in_feasts_form(
    server: FeatureServer, body: bytes | dict[str, Any], status: int, kind: str, says: str
) -> None:
    assert refuse(server, body)[:2] == (status, kind)
    message = refuse(server, body)[2]
    assert says in message
    assert len(message) < 400


def test_too_many_numbers_are_refused_before_anything_is_read(store_dir: Path) -> None:
    fill(store_dir, a_view(features=[Histogram("delay", edges=range(1_000))], windows=[]), 1)
    body = {"features": ["delays:delay_hist"], "entities": {"dest": ["ATL"] * 1_000}}
    assert refuse(server_of(store_dir), body)[:2] == (413, "FeastError")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(server: FeatureServer, method: str) -> None:
    response = request(server, method, "/get-online-features")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert json.loads(response.json())["class"] == "FeastError"


def test_a_defect_is_a_500_in_feasts_form_without_its_text(
    server: FeatureServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: Any) -> bytes:
        raise ZeroDivisionError("secret of the inside")

    monkeypatch.setattr(app_module, "_JSON", app_module._JSON._replace(render=defect))
    status, kind, message = refuse(server, {"features": ["delays:late"], "entities": KEYS})
    assert (status, kind) == (500, "FeastError")
    assert "secret" not in message
    assert "secret of the inside" in caplog.text


def test_a_client_that_goes_away_gets_no_answer(server: FeatureServer) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(server({"type": "http", "path": "/get-online-features", "method": "POST"}, receive, send))
    assert sent == []


def test_a_body_in_pieces_is_one_body(server: FeatureServer) -> None:
    body = json.dumps({"features": ["delays:flights"], "entities": KEYS}).encode()

    async def pieces() -> Any:
        for byte in body:
            yield bytes([byte])

    assert request(server, "POST", "/get-online-features", content=pieces()).json()["results"][1]["values"] == [2.0]


def test_health_names_what_is_served_and_says_when_it_is_stale(store_dir: Path) -> None:
    fill(store_dir, VIEW, 1)
    sites = CountedSites(counted=1, enrolled=3, missing=("b", "c"), clients=10, enrolled_clients=20)
    with Publisher(store_dir, lambda: 100 * DAY) as publisher:
        publisher.publish([a_release(VIEW, HOUR, 2, sites=sites)])
    store = Store.open(store_dir)
    blocks, server = store.blocks, FeatureServer(store)
    health = request(server, "GET", "/health").json()
    assert health == {
        "status": "ok",
        "problem": None,
        "epoch": blocks.snapshot.epoch,
        "views": [
            {
                "view": "delays",
                "version": 1,
                "keys": 2,
                "pane_end": 2 * HOUR,
                "released_at": 2 * HOUR + HOUR // 2,
                "sites": {"counted": 1, "of": 3, "missing": ["b", "c"]},
            }
        ],
    }
    (store_dir / "store" / "blocks" / "CURRENT.json").write_text("{")
    blocks.refresh()
    stale = request(server, "GET", "/health").json()
    assert (stale["status"], stale["views"]) == ("stale", health["views"])
    assert "CURRENT.json" in stale["problem"]


def test_the_probes_say_that_the_process_answers_and_when_it_serves_an_old_snapshot(store_dir: Path) -> None:
    fill(store_dir, VIEW, 1)
    store = Store.open(store_dir)
    server = FeatureServer(store)
    ready = request(server, "GET", "/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "role": "server"})
    (store_dir / "store" / "blocks" / "CURRENT.json").write_text("{")
    store.blocks.refresh()
    waiting = request(server, "GET", "/readyz")
    assert waiting.status_code == 503
    assert "CURRENT.json" in waiting.json()["waits_for"]
    assert request(server, "GET", "/healthz").json() == {"status": "ok"}


def test_the_documentation_describes_the_route_and_other_paths_are_404(server: FeatureServer) -> None:
    document = request(server, "GET", "/openapi.json").json()
    operation = document["paths"]["/get-online-features"]["post"]
    assert sorted(operation["responses"]) == [
        "200",
        "401",
        "403",
        "404",
        "405",
        "413",
        "421",
        "422",
        "429",
        "500",
        "503",
    ]
    assert "/health" in document["paths"]
    assert request(server, "GET", "/docs").status_code == 200
    assert request(server, "GET", "/nothing").status_code == 404


def test_times_are_those_of_the_row(server: FeatureServer) -> None:
    times = read(server, ["delays:flights"], {"dest": ["ATL"]})["flights"][2]
    assert times == [f"{from_us(2 * HOUR):%Y-%m-%dT%H:%M:%SZ}"]


def test_a_server_that_cannot_read_a_first_epoch_says_so_and_not_that_there_is_no_view(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    (tmp_path / "store" / "blocks" / "delays-v1-00000001.arrow").unlink()
    server = FeatureServer(Store.open(tmp_path))
    response = request(server, "POST", "/get-online-features", json={"features": ["delays:flights"], "entities": KEYS})
    assert response.status_code == 503
    assert "delays-v1-00000001.arrow" in response.text
    assert str(tmp_path) not in response.text + request(server, "GET", "/health").text
