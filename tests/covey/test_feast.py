"""Feast on top of a store: `feast apply` of the output of `covey views --feast`, Feast's SDK and server, and Feast's client."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from featurestore.define.entities import Entity
from featurestore.define.on_demand import Feature, on_demand
from featurestore.define.services import FeatureService
from featurestore.online.blocks import open_blocks
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests import quick_feast
from tests.featurestore.making import DAY, HOUR, a_release, a_view
from tests.featurestore.whole_store import AREA, REFS, VIEW, fill

from .test_serve import serving

if not quick_feast.INSTALLED:  # not imported here, because that takes seconds in every worker
    pytest.skip("Feast is not installed: it is one of the `dev` extras, and no dependency", allow_module_level=True)

KEYS = {
    "delays": {"dest": ["ATL", "XXX", "LAX", "ATL"]},
    "many": {"id": [0, 7, 299, 300, -1], "hub": [True, False, True, True, False]},
    "empty": {"dest": ["ATL"]},
    "area": {},
}
NO_KEYS = {"any": [0]}
"""The constant join column: Feast cannot read a view without a join column."""


@on_demand(outputs=["risk"])
def late_risk(late: Annotated[np.ndarray, Feature("delays:late")]) -> np.ndarray:
    return late


def feast(repo: Path, *arguments: str) -> subprocess.Popen[str]:
    """Feast's own command, as its users call it."""
    command = quick_feast.command("-c", str(repo), *arguments)
    own = {"FEAST_USAGE": "False", "HOME": str(repo), "PYTHONPATH": str(quick_feast.ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=os.environ | own, **pipes)


def call(repo: Path, *arguments: str) -> str:
    process = feast(repo, *arguments)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module", autouse=True)
def _feast() -> None:
    quick_feast.load()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("flights ü")
    fill(directory)
    return directory


@pytest.fixture(scope="module")
def covey_server(store: Path) -> Iterator[str]:
    with serving(store) as (_, host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="module")
def repo(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `covey views --feast`, applied by Feast."""
    from covey.feast_repo import write_repo

    folder = tmp_path_factory.mktemp("feast") / "repo"
    assert [path.name for path in write_repo(store, folder)] == ["feature_store.yaml", "covey_views.py"]
    assert "Applying changes" in call(folder, "apply")
    return folder


@pytest.fixture
def sdk(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FEAST_USAGE", "False")
    from feast import FeatureStore

    return FeatureStore(repo)


@pytest.fixture
def copy(repo: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Path]:
    """A copy of the store for tests that publish, and Feast over it."""
    monkeypatch.setenv("FEAST_USAGE", "False")
    from feast import FeatureStore

    shutil.copytree(store, tmp_path / "store")
    shutil.copytree(repo, tmp_path / "repo", ignore=shutil.ignore_patterns(".*"))
    settings = tmp_path / "repo" / "feature_store.yaml"
    settings.write_text(re.sub("path: .*", "path: ../store", settings.read_text(encoding="utf-8")), encoding="utf-8")
    return FeatureStore(tmp_path / "repo"), tmp_path / "store"


def ours(store: Path, view: str) -> dict[str, list[Any]]:
    """Every column of a view for its keys, as `Store.get` and the snapshot return them."""
    rows = open_blocks(store).snapshot.find(view)
    keys = KEYS[view] or {}
    count = len(next(iter(keys.values()))) if keys else 1
    names = [column.name for column in rows.header.columns if column.kind in ("value", "list")]
    with Store.open(store) as opened:
        table = opened.get([f"{view}:{name}" for name in names], keys)
    found = {
        column.name: table.column(column.name).to_pylist()
        for column in rows.header.columns
        if column.kind != "coverage"
    }
    place = rows.rows(keys, count)
    for column in rows.header.columns:
        if column.kind == "coverage":
            numbers = place.numbers[place.place, column.start].tolist()
            found[column.name] = [None if number != number else number for number in numbers]
    return found


class TestSdk:
    @pytest.mark.parametrize("view", list(KEYS))
    def test_every_column_is_ours_bit_by_bit(self, sdk: Any, store: Path, view: str) -> None:
        want = ours(store, view)
        got = sdk.get_online_features([f"{view}:{name}" for name in want], KEYS[view] or NO_KEYS).to_dict()
        assert {name: got[name] for name in want} == want
        values = [value for name in want for value in want[name]]
        assert any(value is None for value in values) or view == "area"
        assert any(type(value) is float for value in values) or view == "empty"

    def test_several_views_and_the_service_are_read_at_once(self, sdk: Any, store: Path) -> None:
        keys = {"dest": ["LAX", "ATL"], "id": [7, 7], "hub": [True, False]}
        got = sdk.get_online_features(sdk.get_feature_service("model"), keys, full_feature_names=True).to_dict()
        with Store.open(store) as opened:
            table = opened.get(opened.service("model"), keys, full_names=True)
        names = [ref.replace(":", "__") for ref in REFS]
        assert got == keys | {name: table.column(name).to_pylist() for name in names}

    def test_times_and_statuses_are_the_rows_own(self, sdk: Any, store: Path) -> None:
        response = sdk.get_online_features(["many:delay_mean", "many:delay_mean__status"], KEYS["many"])
        from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

        present, missing = FieldStatus.PRESENT, FieldStatus.NOT_FOUND
        by_name = dict(zip(response.proto.metadata.feature_names.val, response.proto.results, strict=True))
        mean, status = by_name["delay_mean"], by_name["delay_mean__status"]
        assert list(mean.statuses) == [present] * 3 + [missing] * 2
        assert list(status.statuses) == [present] * 5
        assert [time.ToMicroseconds() for time in mean.event_timestamps] == [4 * HOUR] * 3 + [0] * 2

    def test_an_answer_over_several_views_is_of_one_epoch(
        self, copy: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from covey.feast import CoveyOnlineStore

        sdk, directory = copy
        views, panes, read = (VIEW, AREA), iter(range(40, 60)), CoveyOnlineStore.online_read

        def published_before(*given: Any, **named: Any) -> Any:
            pane = next(panes)
            with Publisher(directory, lambda: DAY) as publisher:
                publisher.publish([a_release(view, pane * HOUR, pane) for view in views])
            return read(*given, **named)

        monkeypatch.setattr(CoveyOnlineStore, "online_read", published_before)
        for expected in (None, 41.0, 43.0):  # two publications for each answer
            got = sdk.get_online_features(
                ["delays:flights", "area:flights"], [{"dest": "ATL"}], full_feature_names=True
            )
            found = got.to_dict()
            assert found["delays__flights"] == [expected]
            assert found["area__flights"] == [3.0 if expected is None else expected]

    def test_what_the_store_does_not_have_is_feasts_not_found(self, repo: Path, tmp_path: Path, sdk: Any) -> None:
        from feast import FeatureView, Field
        from feast.errors import FeastObjectNotFoundException
        from feast.types import Float64

        from covey.feast import CoveyOnlineStore, ReadRefused

        online = CoveyOnlineStore()
        for name, feature, says in (("none", "x", "no view 'none'"), ("delays", "x", "serves no feature 'x'")):
            table = FeatureView(name=name, schema=[Field(name=feature, dtype=Float64)])
            with pytest.raises(FeastObjectNotFoundException, match=says):
                online.online_read(sdk.config, table, [])
        with pytest.raises(ReadRefused, match="needs the join key"):
            online.online_read(sdk.config, sdk.get_feature_view("delays"), [_key(des="ATL")])
        with pytest.raises(ReadRefused, match="'dest' is string"):
            online.online_read(sdk.config, sdk.get_feature_view("delays"), [_key(dest=1)])
        found = online.online_read(sdk.config, sdk.get_feature_view("delays"), [_key(dest=None)], ["flights"])
        assert found == [(None, None)]

    def test_writing_is_refused_and_what_feast_tears_down_stays(self, sdk: Any, store: Path) -> None:
        from covey.feast import WriteRefused

        before = ours(store, "delays")
        with pytest.raises(WriteRefused, match="cannot write to view 'delays'"):
            sdk._get_provider().online_write_batch(sdk.config, sdk.get_feature_view("delays"), [], None)
        online = sdk._get_provider().online_store
        online.update(sdk.config, [sdk.get_feature_view("delays")], [], [], [], False)
        online.teardown(sdk.config, [sdk.get_feature_view("delays")], [])
        assert ours(store, "delays") == before

    def test_new_releases_are_read_at_once_by_a_relative_path(self, copy: tuple[Any, Path]) -> None:
        sdk, directory = copy
        assert sdk.config.online_store.path == "../store"
        assert sdk.get_online_features(["delays:flights"], [{"dest": "ATL"}]).to_dict()["flights"] == [None]
        with Publisher(directory, lambda: 0) as publisher:
            publisher.publish([a_release(VIEW, 40 * HOUR, 41)])
        assert sdk.get_online_features(["delays:flights"], [{"dest": "ATL"}]).to_dict()["flights"] == [41.0]


def _key(**parts: Any) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    values = [
        Value() if v is None else Value(string_val=v) if type(v) is str else Value(int64_val=v) for v in parts.values()
    ]
    return EntityKey(join_keys=list(parts), entity_values=values)


class TestServer:
    """`feast serve`, Feast's own HTTP server, over a Covey store."""

    @pytest.fixture(scope="class")
    @staticmethod
    def ask(repo: Path) -> Iterator[Callable[[dict[str, Any]], tuple[int, Any]]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = feast(repo, "serve", "--host", "127.0.0.1", "--port", str(port), "--no-access-log")

        try:
            end = time.monotonic() + 120
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, process.communicate()[0]
                    assert time.monotonic() < end
                    time.sleep(0.1)
            yield lambda body: answer_of(f"http://127.0.0.1:{port}", body)
        finally:
            process.terminate()
            process.communicate(timeout=180)

    @pytest.mark.parametrize("view", list(KEYS))
    def test_its_answers_are_those_of_covey_serve(self, ask: Any, covey_server: str, store: Path, view: str) -> None:
        names = list(ours(store, view))
        body = {"features": [f"{view}:{name}" for name in names], "entities": KEYS[view] or NO_KEYS}
        status, theirs = ask(body)
        assert status == 200, theirs
        mine = answer_of(covey_server, body)[1]
        for name in names:
            theirs_of, mine_of = _result(theirs, name), _result(mine, name)
            assert theirs_of["values"] == mine_of["values"], name
            assert theirs_of["event_timestamps"] == mine_of["event_timestamps"], name
            missing = [one == "NOT_FOUND" for one in mine_of["statuses"]]
            assert [one == "NOT_FOUND" for one in theirs_of["statuses"]] == missing, name

    def test_a_service_is_read_by_its_name(self, ask: Any, store: Path) -> None:
        keys = {"dest": ["LAX"], "id": [7], "hub": [True]}
        status, answer = ask({"feature_service": "model", "entities": keys, "full_feature_names": True})
        assert status == 200, answer
        with Store.open(store) as opened:
            table = opened.get(opened.service("model"), keys, full_names=True)
        for ref in REFS:
            name = ref.replace(":", "__")
            assert _result(answer, name)["values"] == table.column(name).to_pylist()


def answer_of(url: str, body: dict[str, Any]) -> tuple[int, Any]:
    content = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/get-online-features", json.dumps(body).encode(), content)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _result(answer: Any, name: str) -> Any:
    return answer["results"][answer["metadata"]["feature_names"].index(name)]


def test_feasts_unmodified_client_reads_a_feature_service_from_covey_serve(
    repo: Path, store: Path, covey_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEAST_USAGE", "False")
    from feast import FeatureStore, RepoConfig
    from feast.permissions.client.http_auth_requests_wrapper import HttpSessionManager

    keys = {"dest": ["LAX", "ATL"], "id": [7, 1000], "hub": [True, False]}
    client = FeatureStore(
        config=RepoConfig(
            project="covey",
            provider="local",
            registry=str(repo / "registry.db"),
            online_store={"type": "remote", "path": covey_server},
            entity_key_serialization_version=3,
        )
    )
    service = client.get_feature_service("model")
    got = client.get_online_features(service, keys, full_feature_names=True).to_dict()
    HttpSessionManager.close_session()
    with Store.open(store) as opened:
        table = opened.get(opened.service("model"), keys, full_names=True)
    names = [ref.replace(":", "__") for ref in REFS]
    assert got == keys | {name: table.column(name).to_pylist() for name in names}


def test_the_pages_commands_and_python_work_as_written(tmp_path: Path) -> None:
    page = (quick_feast.ROOT / "docs" / "feast.md").read_text(encoding="utf-8")
    ((commands,), (python,)) = (re.findall(rf"```{kind}\n(.*?)```", page, flags=re.S) for kind in ("sh", "python"))
    view = a_view("dest_delay", pane="1d", windows=["7d"])
    with Publisher(tmp_path / "store", lambda: 9 * DAY) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, day * DAY, day + 1) for day in range(8)])
    (tmp_path / "script.py").write_text(python)
    said = ""
    own = {"FEAST_USAGE": "False", "HOME": str(tmp_path), "PYTHONPATH": str(quick_feast.ROOT)}
    for line in [*commands.splitlines(), "python script.py"]:
        name, *rest = line.split()
        covey = [sys.executable, "-m", "covey", *rest]
        command = {"covey": covey, "python": quick_feast.script(rest[0]), "feast": quick_feast.command(*rest)}[name]
        done = subprocess.run(command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)
        said = done.stdout
    assert "'late_7d': [1.0, 1.0]" in said.replace('"', "'")
    settings = (tmp_path / "repo" / "feature_store.yaml").read_text(encoding="utf-8")
    assert all(line in page for line in settings.splitlines() if line.startswith(("online_store", "  type")))


class TestRepository:
    def test_odd_names_and_types_are_applied_as_well(self, tmp_path: Path) -> None:
        odd = ['a "b"\\', "ü", "class", "dest"]
        views = [
            a_view("one", entity=Entity(odd, product(["x"], ["y"], ["z"], ["w"])), ttl="2h"),
            a_view("two", entity=Entity(["dest", "class"], product([1, 2], [True]))),
            a_view("three", entity=Entity("area", value="NYC")),
        ]
        with Publisher(tmp_path, lambda: 0) as publisher:
            for view in views:
                publisher.register(view)
            publisher.publish([a_release(views[1], 0, 4)])
            publisher.register_services([FeatureService("class", ["two:late", "three:flights", "two:flights"])])
        from covey.feast_repo import write_repo

        write_repo(tmp_path, tmp_path / "repo")
        call(tmp_path / "repo", "apply")
        from feast import FeatureStore

        sdk = FeatureStore(tmp_path / "repo")
        assert {view.name for view in sdk.list_feature_views()} == {"one", "two", "three"}
        assert sdk.get_feature_view("one").ttl.total_seconds() == 7200
        got = sdk.get_online_features(["two:flights"], {"dest": [1, 3], "class": [True, True]}).to_dict()
        assert got["flights"] == [4.0, None]

    def test_it_is_written_anew_but_nothing_of_anybody_else_is_overwritten(self, store: Path, tmp_path: Path) -> None:
        from covey.feast_repo import write_repo
        from deployment.errors import UsageError

        write_repo(store, tmp_path)
        (tmp_path / "feature_store.yaml").write_text("project: mine")
        assert [path.name for path in write_repo(store, tmp_path)] == ["covey_views.py"]
        assert (tmp_path / "feature_store.yaml").read_text() == "project: mine"
        (tmp_path / "covey_views.py").write_text("mine = 1")
        with pytest.raises(UsageError, match="was not written by"):
            write_repo(store, tmp_path)

    def test_what_is_computed_on_demand_is_named_and_left_out(self, tmp_path: Path) -> None:
        from covey.feast_repo import write_repo

        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(VIEW)
            publisher.register_services(
                [FeatureService("both", ["late_risk:risk", "delays:late"]), FeatureService("only", ["late_risk:risk"])],
                [late_risk],
            )
        write_repo(tmp_path, tmp_path / "repo")
        text = (tmp_path / "repo" / "covey_views.py").read_text(encoding="utf-8")
        for name in ("both", "only"):
            assert f"# {name}, without its on-demand features, which a VIEWS.py computes: late_risk:risk" in text
        call(tmp_path / "repo", "apply")
        from feast import FeatureStore

        (service,) = FeatureStore(tmp_path / "repo").list_feature_services()
        assert service.name == "both"
        assert [field.name for field in service.feature_view_projections[0].features] == ["late"]
