"""The routes of Features: the same values as `Store` reads, in columns; what a label saw; files; named problems."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("libcst")

from covey.cli import call
from covey.console.api.features import charts
from covey.console.api.features.chart_forms import HeatMap, SeriesForm
from covey.console.api.features.listing_forms import FeatureList, ViewForm
from covey.console.api.features.look_forms import Look
from featurestore.define.entities import Entity
from featurestore.define.on_demand import Feature, Input, on_demand
from featurestore.define.values import served_features
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.covey.console.asking import API, Api, console_of
from tests.featurestore import whole_store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, fill

HOSTILE = ['<img src=x onerror="alert(1)">', "=1+1", "-2", "@sum", "plain", "c,d=e"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a store with an example of everything, and of a view whose keys are HTML and formulas."""
    made = tmp_path_factory.mktemp("features")
    whole_store.fill(made)
    fill(made, a_view("shops", entity=Entity("shop", domain=HOSTILE), description="<b>bold</b>"), panes=3)
    return made


@pytest.fixture(scope="module")
def api(directory: Path) -> Iterator[Api]:
    """The API on that store, two days after the epoch."""
    with console_of(directory, now=2 * DAY) as console:
        yield Api(console)


@pytest.fixture(scope="module")
def store(directory: Path) -> Iterator[Store]:
    """That store."""
    with Store.open(directory) as opened:
        yield opened


def column_of(rows: list[dict[str, Any]], name: str, cell: int | None) -> list[float | None]:
    """A column of history rows; one cell of lists."""
    return [row[name] if row[name] is None or cell is None or "__se" in name else row[name][cell] for row in rows]


def series_of(api: Api, view: str, feature: str, **params: Any) -> dict[str, Any]:
    """A series, checked against its model."""
    found = api.get(f"/features/{view}/series", feature=feature, **params)
    SeriesForm.model_validate(found, strict=False)
    return dict(found)


@pytest.mark.parametrize(
    ("view", "keys"), [("delays", ["LAX", "ATL"]), ("many", ["[299, true]", "[0, false]"]), ("area", [])]
)
def test_a_series_has_the_values_of_history(api: Api, store: Store, view: str, keys: list[str]) -> None:
    definition, history = store.view(view), store.history(view).to_pylist()
    for served in served_features(definition):
        cell = 1 if served.is_list else None
        found = series_of(api, view, served.name, key=keys, cell=cell or 0)
        assert (found["every"], found["cell"]) == (1, cell)
        for one in found["keys"]:
            parts = (json.loads(one["key"]) if one["key"].startswith("[") else [one["key"]]) if keys else ["NYC"]
            own = [row for row in history if [row[name] for name in definition.entity.keys] == parts]
            assert found["moments"] == [int(row["pane_start"].timestamp() * 1e6) for row in own]
            assert found["releases"] == [row["release_id"] for row in own]
            name = served.name
            assert [found["statuses"][code] for code in one["status"]] == [row[f"{name}__status"] for row in own]
            for field, column in (
                ("value", name),
                ("se", f"{name}__se"),
                ("low", f"{name}__lo"),
                ("high", f"{name}__hi"),
            ):
                assert one[field] == column_of(own, column, cell), (name, field)
            assert one["n"] == (column_of(own, f"{name}__n", None) if served.has_n else None)
        assert [one["key"] for one in found["keys"]] == (keys or ["NYC"])


def test_voids_and_retractions_are_in_the_answer_with_their_reasons(api: Api) -> None:
    gaps = series_of(api, "delays", "flights", key="ATL")["gaps"]
    assert [(gap["start"], gap["state"], gap["reason"]) for gap in gaps] == [
        (25 * HOUR, "retracted", "RETRACTED: broken"),
        (26 * HOUR, "void", "BATCH_TOO_SMALL"),
    ]
    assert series_of(api, "delays", "flights", key="ATL", to=25 * HOUR)["gaps"] == []
    (spent,) = series_of(api, "area", "flights")["gaps"]
    assert spent["reason"] == "BUDGET_SPENT"


def test_a_time_range_limits_a_series(api: Api) -> None:
    found = series_of(api, "delays", "flights", **{"key": "ATL", "from": 3 * HOUR, "to": 5 * HOUR})
    assert found["moments"] == [3 * HOUR, 4 * HOUR]


def test_a_long_series_is_thinned_and_says_so(api: Api) -> None:
    whole = series_of(api, "delays", "flights", key="ATL")
    thin = series_of(api, "delays", "flights", key="ATL", at_most=10)
    assert (thin["every"], thin["panes"]) == (3, 27)
    assert len(thin["moments"]) == 9
    assert thin["moments"] == whole["moments"][2::3]
    assert thin["keys"][0]["value"] == whole["keys"][0]["value"][2::3]
    assert thin["moments"][-1] == whole["moments"][-1]


def test_a_heat_map_has_every_key_and_pane(api: Api, store: Store) -> None:
    found = api.get("/features/many/heat", feature="delay_mean", first=590, keys=500)
    HeatMap.model_validate(found)
    assert (found["first"], found["total"], len(found["keys"]), len(found["moments"])) == (590, 600, 10, 4)
    rows = store.history("many").to_pylist()
    by_key = [[row["delay_mean"] for row in rows[590 + k :: 600]] for k in range(10)]
    flat = [value for values in by_key for value in values]
    assert [value is None for value in found["value"]] == [value is None for value in flat]
    assert np.allclose([v for v in found["value"] if v is not None], [v for v in flat if v is not None], rtol=1e-6)
    assert len(found["se"]) == len(found["status"]) == 40
    assert found["keys"][0] == "[295, false]"


def test_a_heat_map_beyond_the_keys_is_of_the_last_one(api: Api) -> None:
    found = api.get("/features/delays/heat", feature="late", first=99)
    assert (found["first"], found["keys"]) == (1, ["LAX"])


def test_a_heat_map_has_at_most_its_number_of_cells(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "MOST_CELLS", 20)
    found = api.get("/features/delays/heat", feature="flights")
    assert (found["every"], found["panes"]) == (3, 27)
    assert len(found["value"]) == 18


def test_the_list_has_every_view_with_its_state(api: Api, store: Store) -> None:
    found = FeatureList.model_validate(api.get("/features"))
    assert [one.name for one in found.views] == [view.name for view in store.views()]
    views = {one.name: one for one in found.views}
    assert views["empty"].freshness == "empty"
    assert views["delays"].freshness == "replayed"
    assert views["many"].freshness == "late"  # it was collected live, until hours ago
    assert (views["delays"].opened, views["delays"].void) == (25, 2)
    assert views["many"].keys == 600
    assert views["area"].constant
    histogram = next(one for one in views["many"].features if one.name == "delay_hist_3h")
    assert (histogram.window, histogram.cells) == ("3h", ("below 0", "0 to 15", "15 and above"))
    assert [service.name for service in found.services] == ["model"]


def test_a_view_can_be_late_or_expired(tmp_path: Path) -> None:
    view = a_view("fresh", ttl="2h")
    with Publisher(tmp_path, lambda: 2 * HOUR) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 1, released_at=HOUR)])
    for now, state in ((2 * HOUR, "fresh"), (3 * HOUR, "late"), (4 * HOUR, "expired")):
        with console_of(tmp_path, now=now) as console:
            assert ViewForm.model_validate(Api(console).get("/features/fresh")).freshness == state


def test_a_pinned_version_is_read_by_its_name(api: Api) -> None:
    assert (
        series_of(api, "delays@v1", "flights", key="ATL")["keys"]
        == series_of(api, "delays", "flights", key="ATL")["keys"]
    )
    pinned, newest = (ViewForm.model_validate(api.get(f"/features/{name}")) for name in ("delays@v1", "delays"))
    assert (pinned.version, pinned.due_at) == (1, None)  # nothing follows a pinned version
    assert newest.due_at is not None


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/features/nothing", {}, 404, "UNKNOWN_VIEW"),
        ("/features/nothing/series", {"feature": "x"}, 404, "UNKNOWN_VIEW"),
        ("/features/delays@v9/series", {"feature": "late", "key": "ATL"}, 404, "UNKNOWN_VERSION"),
        ("/features/delays@v9", {}, 404, "UNKNOWN_VERSION"),
        ("/features/delays/series", {"feature": "nothing", "key": "ATL"}, 404, "UNKNOWN_FEATURE"),
        ("/features/delays/heat", {"feature": "nothing"}, 404, "UNKNOWN_FEATURE"),
        ("/features/delays/usage", {"feature": "nothing"}, 404, "UNKNOWN_FEATURE"),
        ("/features/delays/series", {"feature": "late", "key": "<script>"}, 404, "UNKNOWN_KEY"),
        ("/features/many/series", {"feature": "delay_mean", "key": "[1, 2]"}, 404, "UNKNOWN_KEY"),
        ("/features/many/series", {"feature": "delay_mean", "key": "[" * 3000}, 404, "UNKNOWN_KEY"),
        ("/features/delays/export", {"key": "nothing"}, 404, "UNKNOWN_KEY"),
        ("/features/many/series", {"feature": "delay_hist", "key": "[0, true]", "cell": 3}, 422, "BAD_REFERENCE"),
        ("/features/delays/series", {"feature": "late"}, 422, "BAD_REFERENCE"),
        ("/features/delays/series", {"feature": "late", "key": ["ATL"] * 9}, 422, "REQUEST_INVALID"),
        ("/features/delays/series", {"feature": "late", "key": "ATL", "from": 2**60}, 422, "REQUEST_INVALID"),
        ("/features/delays/export", {"format": "exe"}, 422, "REQUEST_INVALID"),
    ],
)
def test_what_does_not_exist_is_a_named_problem(
    api: Api, path: str, params: dict[str, Any], status: int, code: str
) -> None:
    found, problem = api.ask("GET", path, params=params)
    assert (found, problem["code"]) == (status, code)


def test_keys_are_found_by_prefix_first_and_are_bounded(api: Api) -> None:
    assert api.get("/features/delays/keys", text="l") == {"keys": ["LAX", "ATL"], "more": False, "total": 2}
    found = api.get("/features/many/keys", text="[29", most=3)
    assert found["keys"] == ["[29, false]", "[29, true]", "[290, false]"]
    assert found["more"]
    assert api.get("/features/shops/keys", text="<IMG")["keys"] == [HOSTILE[0]]
    assert api.get("/features/many/keys")["total"] == 600


def test_names_that_are_html_stay_text(api: Api) -> None:
    for key in HOSTILE:
        assert series_of(api, "shops", "flights", key=key)["keys"][0]["key"] == key
    assert next(one for one in api.get("/features")["views"] if one["name"] == "shops")["description"] == "<b>bold</b>"


def look_at(api: Api, **body: Any) -> Look:
    """A look, checked against its model."""
    return Look.model_validate(api.post("/features/look", body))


def test_a_look_is_the_join_with_its_panes(api: Api, store: Store) -> None:
    moment = 26 * HOUR + HOUR // 2
    found = look_at(api, service="model", rows=[{"dest": "ATL", "id": "7", "hub": "true"}], moment=moment)
    labels = pa.table(
        {"dest": ["ATL"], "id": [7], "hub": [True], "at": pa.array([moment]).cast(pa.timestamp("us", "UTC"))}
    )
    (row,) = store.join(labels, store.service("model"), "at", full_names=True).read_all().to_pylist()
    for value in found.rows[0].values:
        column = value.ref.replace(":", "__")
        assert (value.value, value.status) == (row[column], row[f"{column}__status"])
        assert (value.low, value.high) == (row[f"{column}__lo"], row[f"{column}__hi"])
        assert value.pane is not None
        assert value.pane.end <= value.pane.released <= moment
        assert value.pane.age == moment - value.pane.end
    assert store.release(bytes.fromhex(found.rows[0].values[0].pane.release)).pane_start == 25 * HOUR  # type: ignore[union-attr]


def test_a_join_key_may_have_the_name_of_the_column_of_time(tmp_path: Path) -> None:
    view = a_view(entity=Entity("moment", domain=["ATL", "LAX"]))
    with Publisher(tmp_path, lambda: 30 * HOUR) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 1)])
    with console_of(tmp_path) as console:
        found = look_at(Api(console), features=["delays:flights"], rows=[{"moment": "ATL"}], moment=20 * DAY)
    assert found.labels.startswith("moment,moment_\nATL,")
    assert "--time moment_ " in found.command


def test_a_look_before_the_first_release_sees_nothing(api: Api) -> None:
    (row,) = look_at(api, features=["delays:late"], rows=[{"dest": "ATL"}], moment=0).rows
    assert (row.values[0].status, row.values[0].pane) == ("NOT_FOUND", None)


def test_the_command_of_a_look_joins_the_same_values(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    rows = [{"dest": "ATL"}, {"dest": "LAX"}]
    found = look_at(api, features=["delays:late_3h", "area:flights"], rows=rows, moment=5 * HOUR)
    (tmp_path / "labels.csv").write_text(found.labels)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(found.command)
    assert words[0] == "covey"
    assert call(words[1:]) == 0
    joined = pq.read_table(tmp_path / "joined.parquet").to_pylist()
    for row, seen in zip(joined, found.rows, strict=True):
        assert [row["delays__late_3h"], row["area__flights"]] == [value.value for value in seen.values]


def test_needed_columns_are_the_join_keys(api: Api) -> None:
    found = api.post("/features/needed", {"service": "model"})
    assert [(one["name"], one["type"], one["is_input"]) for one in found["columns"]] == [
        ("dest", "string", False),
        ("id", "int64", False),
        ("hub", "bool", False),
    ]


def test_a_look_computes_on_demand_features(directory: Path) -> None:
    @on_demand(outputs=["high"])
    def risk(
        flights: Annotated[np.ndarray, Feature("delays:flights")], hour: Annotated[np.ndarray, Input("int64")]
    ) -> np.ndarray:
        return flights * hour

    with console_of(directory) as console, Store.open(directory, on_demand=[risk]) as store:
        api = Api(replace(console, store=store))
        columns = api.post("/features/needed", {"features": ["risk:high"]})["columns"]
        assert {one["name"]: (one["type"], one["is_input"]) for one in columns} == {
            "hour": ("int64", True),
            "dest": ("string", False),
        }
        rows = [{"dest": "ATL", "hour": "7"}]
        (seen,) = look_at(api, features=["risk:high"], rows=rows, moment=5 * HOUR).rows[0].values
        assert api.get("/features")["on_demand"] == [
            {"name": "risk", "outputs": ["high"], "features": ["delays:flights"], "inputs": {"hour": "int64"}}
        ]
    assert (seen.value, seen.se, seen.status, seen.pane) == (21.0, None, "OK", None)


def test_a_join_key_is_no_input_although_another_function_has_an_input_of_its_name(directory: Path) -> None:
    @on_demand(outputs=["shown"])
    def elsewhere(
        flights: Annotated[np.ndarray, Feature("area:flights")], dest: Annotated[np.ndarray, Input("int64")]
    ) -> np.ndarray:
        return flights * dest

    with console_of(directory) as console, Store.open(directory, on_demand=[elsewhere]) as store:
        api = Api(replace(console, store=store))
        found = [api.post("/features/needed", {"features": [ref]}) for ref in ("delays:late", "elsewhere:shown")]
    assert [[(one["name"], one["is_input"]) for one in each["columns"]] for each in found] == [
        [("dest", False)],
        [("dest", True)],
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"features": ["delays:late"], "rows": [{}], "moment": 0}, "BAD_REFERENCE"),
        ({"features": ["delays:late"], "rows": [{"dest": "ATL", "more": "x"}], "moment": 0}, "BAD_REFERENCE"),
        ({"features": ["delays:late"], "service": "model", "rows": [{}], "moment": 0}, "BAD_REFERENCE"),
        ({"features": [], "rows": [{}], "moment": 0}, "BAD_REFERENCE"),
        ({"features": ["many:delay_mean"], "rows": [{"id": "x", "hub": "true"}], "moment": 0}, "BAD_REFERENCE"),
        ({"features": ["many:delay_mean"], "rows": [{"id": "9" * 30, "hub": "true"}], "moment": 0}, "BAD_REFERENCE"),
        ({"features": ["x:y"], "rows": [{}], "moment": 0}, "UNKNOWN_VIEW"),
        ({"service": "nothing", "rows": [{}], "moment": 0}, "UNKNOWN_FEATURE_SERVICE"),
        ({"features": ["delays:late"], "rows": [], "moment": 0}, "REQUEST_INVALID"),
    ],
)
def test_a_look_that_cannot_be_is_a_named_problem(api: Api, body: dict[str, Any], code: str) -> None:
    status, problem = api.ask("POST", "/features/look", json=body)
    assert (problem["code"], status) in ((code, 422), (code, 404))


def exported(api: Api, view: str, **params: Any) -> bytes:
    """The bytes of an export."""
    answer = api.client.get(f"{API}/features/{view}/export", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{view}.{params["format"]}"'
    return answer.content


def test_an_exported_parquet_file_is_the_history(api: Api, store: Store) -> None:
    table = pq.read_table(io.BytesIO(exported(api, "many", format="parquet")))
    assert table.to_pylist() == store.history("many").to_pylist()
    some = pq.read_table(
        io.BytesIO(exported(api, "many", **{"format": "parquet", "key": ["[9, true]", "[2, false]"], "from": HOUR}))
    )
    assert [(row["id"], row["hub"]) for row in some.to_pylist()] == [(2, False), (9, True)] * 3


def test_an_exported_csv_file_has_no_formula(api: Api, store: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(api, "shops", format="csv").decode())))
    history = store.history("shops").to_pylist()
    assert len(rows) == len(history)
    for row, own in zip(rows, history, strict=True):
        quoted = f"'{own['shop']}" if own["shop"][0] in "=-@" else own["shop"]
        assert row["shop"] == quoted
        assert int(row["flights"]) == own["flights"]


def test_an_empty_view_exports_its_columns(api: Api) -> None:
    assert exported(api, "empty", format="csv").decode().startswith('"dest","pane_start"')
    assert pq.read_table(io.BytesIO(exported(api, "empty", format="parquet"))).num_rows == 0


def test_a_chart_without_keys_has_no_command_that_reads_the_newest_values(api: Api) -> None:
    assert api.get("/features/delays/usage", feature="flights")["get"] is None


def test_the_commands_of_a_chart_read_the_same_values(
    api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = {"feature": "flights", "key": ["ATL", "LAX"], "from": 3 * HOUR}
    found = api.get("/features/delays/usage", **params)
    monkeypatch.chdir(tmp_path)
    assert call(shlex.split(found["history"])[1:]) == 0
    rows = pq.read_table(tmp_path / "delays.parquet").to_pylist()
    assert rows[0]["pane_start"].hour == 3
    capsys.readouterr()
    assert call([*shlex.split(found["get"])[1:], "--json"]) == 0
    assert [row["dest"] for row in json.loads(capsys.readouterr().out)] == ["ATL", "LAX"]


@pytest.mark.parametrize(
    ("view", "feature", "keys"),
    [
        ("delays", "late", ["ATL"]),
        ("many", "delay_hist_3h", ["[7, true]"]),
        ("area", "flights", []),
        ("shops", "flights", HOSTILE),
        ("shops", "flights", []),
        ("empty", "late", ["ATL"]),
    ],
)
def test_the_python_of_a_chart_draws_the_same_values(
    api: Api, store: Store, view: str, feature: str, keys: list[str]
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    given: dict[str, Any] = {"feature": feature, "key": keys, "cell": 1, "from": 0, "to": 3 * HOUR}
    found = api.get(f"/features/{view}/usage", **given)
    plt.figure()
    exec(compile(found["notebook"], "cell", "exec"), {})
    lines = plt.gca().get_lines()
    if not keys and view == "shops":
        assert [line.get_label() for line in lines] == [min(HOSTILE)]  # the first of the domain
    else:
        one = series_of(api, view, feature, **{name: given[name] for name in given if name != "feature"})
        for line, series in zip(lines, one["keys"], strict=True):
            assert np.array_equal(
                np.asarray(line.get_ydata(), dtype=float), np.array(series["value"], dtype=float), equal_nan=True
            )
    plt.close()


def test_commands_between_parts_of_seconds_read_the_panes_of_the_chart(api: Api) -> None:
    between = {"from": 3 * HOUR + 1, "to": 5 * HOUR + 1}
    found = api.get("/features/delays/usage", feature="flights", key="ATL", **between)
    assert "--from 1970-01-01T03:00:01Z --to 1970-01-01T05:00:01Z" in found["history"]
    assert "start=datetime(1970, 1, 1, 3, 0, 1, tzinfo=UTC), end=datetime(1970, 1, 1, 5, 0, 1" in found["notebook"]
    assert series_of(api, "delays", "flights", key="ATL", **between)["moments"] == [4 * HOUR, 5 * HOUR]


def test_a_store_that_changes_is_read_anew(tmp_path: Path) -> None:
    view = a_view()
    fill(tmp_path, view, panes=2)
    with console_of(tmp_path, now=DAY) as console:
        api = Api(console)
        assert series_of(api, "delays", "flights", key="ATL")["keys"][0]["value"] == [1, 2]
        with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
            publisher.publish([a_release(view, 2 * HOUR, 7), a_release(view, 40 * DAY, 9)])
        assert series_of(api, "delays", "flights", key="ATL")["keys"][0]["value"] == [1, 2, 7, 9]
        assert api.get("/features/delays")["opened"] == 4


def test_versions_of_a_view_are_compared(tmp_path: Path) -> None:
    first, second = a_view(), a_view(windows=["3h", "6h"])
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(first)
        publisher.publish([a_release(first, i * HOUR, i) for i in range(4)])
        publisher.apply([second])
    with console_of(tmp_path, now=DAY) as console:
        api = Api(console)
        view = ViewForm.model_validate(api.get("/features/delays"))
        pinned = ViewForm.model_validate(api.get("/features/delays@v1"))
        assert view.versions == pinned.versions == (1, 2)
        assert (pinned.version, pinned.windows) == (1, ("3h",))
        assert view.elsewhere == tuple(f"{one}@v1" for one in ("flights", "late", "flights_3h", "late_3h"))
        assert set(pinned.elsewhere) >= {"flights_6h@v2", "late@v2"}
        assert series_of(api, "delays@v1", "flights", key="ATL")["keys"][0]["value"] == [0, 1, 2, 3]
        assert api.ask("GET", "/features/delays@v1/series", params={"feature": "flights_6h", "key": "ATL"})[0] == 404
        assert series_of(api, "delays@v2", "flights_6h", key="ATL")["keys"][0]["key"] == "ATL"


@pytest.mark.parametrize("path", ["/features", "/features/delays/series?feature=late&key=ATL", "/releases", "/fleet"])
def test_a_store_that_was_deleted_or_replaced_is_a_named_problem_until_it_is_back(tmp_path: Path, path: str) -> None:
    fill(tmp_path / "own", a_view(), panes=2)
    fill(tmp_path / "other", a_view(), panes=1)
    own, other, kept = (tmp_path / name / "store" for name in ("own", "other", "kept"))
    kept.parent.mkdir()
    with console_of(tmp_path / "own") as console:
        api = Api(console)
        own.rename(kept)
        deleted = api.ask("GET", path)
        other.rename(own)
        replaced = api.ask("GET", path)
        shutil.rmtree(own)
        kept.rename(own)
        back = api.ask("GET", path)
    assert [(status, problem["code"]) for status, problem in (deleted, replaced)] == [(503, "STORE_REPLACED")] * 2
    assert back[0] == 200


def test_a_damaged_file_is_a_named_problem(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), panes=2)
    (file,) = (tmp_path / "store" / "offline").rglob("*.parquet")
    file.write_bytes(b"PAR1 nothing")
    with console_of(tmp_path) as console:
        status, problem = Api(console).ask("GET", "/features/delays/series", params={"feature": "late", "key": "ATL"})
    assert (status, problem["code"]) == (500, "STORE_CORRUPT")
    assert "covey store verify" in problem["mend"]


def test_a_reader_may_look(directory: Path) -> None:
    with console_of(directory) as console:
        body = {"features": ["area:flights"], "rows": [{}], "moment": 5 * HOUR}
        assert Api(console, "reader").post("/features/look", body)["rows"][0]["values"][0]["value"] == 3


def test_panes_in_a_row_with_one_reason_are_one_gap(tmp_path: Path) -> None:
    view = a_view()
    reasons = ["A", "A", "B", "B", "B"]
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(view)
        publisher.publish([a_void(view, i * HOUR, reason) for i, reason in enumerate(reasons)])
        publisher.publish([a_void(view, 7 * HOUR, "B")])
    with console_of(tmp_path) as console:
        gaps = series_of(Api(console), "delays", "late", key="ATL")["gaps"]
    assert [(gap["start"] // HOUR, gap["end"] // HOUR, gap["panes"], gap["reason"]) for gap in gaps] == [
        (0, 2, 2, "A"),
        (2, 5, 3, "B"),
        (7, 8, 1, "B"),
    ]


def test_gaps_are_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("MOST_GAPS", "MOST_GAP_PANES"):
        with monkeypatch.context() as patch:
            patch.setattr(charts, bound, 1)
            found = series_of(api, "delays", "flights", key="ATL")
            assert (len(found["gaps"]), found["more_gaps"]) == (1, True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_export_of_a_damaged_file_is_a_named_problem(tmp_path: Path, kind: str) -> None:
    fill(tmp_path, a_view(), panes=2)
    (file,) = (tmp_path / "store" / "offline").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    with console_of(tmp_path, now=DAY) as console:
        status, problem = Api(console).ask("GET", "/features/delays/export", params={"format": kind})
    assert (status, problem["code"]) == (500, "STORE_CORRUPT")
