"""The routes of Models: what they show, and what they change after a question, for whom, and from which state."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("libcst")

from covey.cli import call
from covey.console.api import models as models_module
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.covey.console.asking import API, Api, console_of
from training.serving.statistics.latencies import Bucket, StageLatency
from training.serving.statistics.remote_statistics import Served

HOSTILE = '<img src=x onerror="alert(1)">'
NOW = 9_000_000
REPORT = {
    "metrics": {
        "model": {
            "auc": {"value": 0.7, "low": 0.6, "high": 0.8},
            "loss": {"value": float("nan"), "low": None, "high": 10**400},
        }
    }
}
LINEAGE = {
    "kind": HOSTILE,
    "features": ["delays@v1:mean", 3],
    "views": [{"name": "delays", "version": 1}, "no view"],
    "labels": {"file": "labels.parquet", "sha256": "ab" * 32, "rows": 10**30},
    "seed": "\ud800",
}


STATISTICS = (
    '{"model_stats": [{"name": "late", "version": "1", "inference_count": 1, "execution_count": 1, "inference_stats": '
    '{"success": {"count": 1}, "fail": {"count": 0}, "queue": {"count": 1, "ns": NS}, "compute_input": {"count": 0, "ns": 0}, '
    '"compute_infer": {"count": 0, "ns": 0}}}]}'
)


@contextmanager
def answering(text: str) -> Iterator[str]:
    """The URL of a server that answers every GET with a text, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A store with three versions of `late`, the first of them in force."""
    with Publisher(tmp_path, lambda: 5) as publisher:
        for _ in range(2):
            publisher.register_model("late", {"model.bin": b"m"}, "{}")
        files = {"model.bin": b"m", "report.json": json.dumps(REPORT).encode()}
        publisher.register_model("late", files, json.dumps(LINEAGE))
    assert call(["models", "promote", "late", "v1", "--store", str(tmp_path)]) == 0
    return tmp_path


@pytest.fixture
def api(directory: Path) -> Iterator[Api]:
    with console_of(directory, now=NOW) as console:
        yield Api(console)


def model(api: Api) -> dict[str, Any]:
    """The only model."""
    (found,) = api.get("/models")["models"]
    return dict(found)


def in_force(api: Api) -> list[tuple[int, float]]:
    return [(one["version"], one["share"]) for one in model(api)["in_force"]]


def test_commands_of_the_page_name_the_store_of_the_console_and_are_quoted(tmp_path: Path) -> None:
    store = tmp_path / "a store; of mine"
    with Publisher(store, lambda: 5) as publisher:
        publisher.register_model("late", {"model.bin": b"m"}, "{}")
    with console_of(store, now=NOW) as console:
        found = Api(console).get("/models")
    (late,) = found["models"]
    assert shlex.split(late["serve_command"]) == ["covey", "serve", "--models", "late", "--store", str(store)]
    assert shlex.split(found["train_command"]) == ["covey", "train", "CONFIG.toml", "--store", str(store)]


def test_a_version_shows_its_lineage_and_metrics_whatever_they_hold(api: Api) -> None:
    newest, *older = model(api)["versions"]
    assert (newest["version"], [one["version"] for one in older]) == (3, [2, 1])
    assert newest["kind"] == HOSTILE  # a text, which the page shows as text
    assert newest["features"] == ["delays@v1:mean", "3"]
    assert newest["views"] == ["delays@v1"]
    assert newest["labels"] == {"file": "labels.parquet", "sha256": "ab" * 32, "rows": None}
    assert newest["seed"] == "�"
    assert newest["metrics"] == [
        {"of": "model", "name": "auc", "value": 0.7, "low": 0.6, "high": 0.8},
        {"of": "model", "name": "loss", "value": None, "low": None, "high": None},
    ]


def test_a_report_that_cannot_be_read_is_named_beside_the_version(api: Api, directory: Path) -> None:
    (directory / "store" / "models" / "late" / "v3" / "report.json").write_text("{")
    newest, *older = model(api)["versions"]
    assert "report.json differs from the registered file" in newest["damaged"]
    assert [one["damaged"] for one in older] == [None, None]


def test_a_promotion_shows_what_it_would_change_and_then_does_what_its_command_does(api: Api, directory: Path) -> None:
    shown = api.get("/models/late/promotion", versions=["v1=3", "v3=1"])
    assert in_force(api) == [(1, 1.0)]
    body = {"versions": ["v1=3", "v3=1"], "seen": model(api)["stamp"], "confirmed": True}
    assert api.post("/models/late/promotion", body) == shown
    assert in_force(api) == [(1, 0.75), (3, 0.25)]
    assert model(api)["promotions"][0] == {"at": NOW, "serving": "v1=0.75 v3=0.25", "rollback": False}
    assert api.post("/models/late/rollback", {"seen": model(api)["stamp"], "confirmed": True})["after"] == [
        {"version": 1, "share": 1.0}
    ]
    program, *words = shlex.split(shown["command"])
    assert (program, call(words)) == ("covey", 0)
    with Store.open(directory) as store:
        assert str(store.in_force("late")) == "v1=0.75 v3=0.25"


def test_newest_is_a_promotion_too(api: Api) -> None:
    body = {"versions": ["newest"], "seen": model(api)["stamp"], "confirmed": True}
    assert api.post("/models/late/promotion", body)["after"] == [{"version": 3, "share": 1.0}]
    assert model(api)["newest"]


def test_a_deletion_shows_which_versions_go(api: Api, directory: Path) -> None:
    shown = api.get("/models/late/deletion", version=2)
    params = {"version": 2, "seen": model(api)["stamp"], "confirmed": True}
    assert api.ask("DELETE", "/models/late", params=params) == (200, shown)
    assert shown["versions"] == ["late@v2"]
    assert not (directory / "store" / "models" / "late" / "v2").exists()
    assert api.get("/models/late/deletion")["versions"] == ["late@v1", "late@v3"]


def test_who_decides_second_is_told_and_changes_nothing(api: Api) -> None:
    seen = model(api)["stamp"]
    api.post("/models/late/promotion", {"versions": ["v2"], "seen": seen, "confirmed": True})
    for method, path, given in (
        ("POST", "/models/late/promotion", {"json": {"versions": ["v3"], "seen": seen, "confirmed": True}}),
        ("POST", "/models/late/rollback", {"json": {"seen": seen, "confirmed": True}}),
        ("DELETE", "/models/late", {"params": {"version": 3, "seen": seen, "confirmed": True}}),
    ):
        status, problem = api.ask(method, path, **given)
        assert (status, problem["code"]) == (409, "MODEL_CHANGED"), path
        assert "v2 is in force now" in problem["detail"]
    assert in_force(api) == [(2, 1.0)]
    assert len(model(api)["versions"]) == 3


def test_nothing_changes_without_a_confirmation(api: Api) -> None:
    seen = model(api)["stamp"]
    for method, path, given in (
        ("POST", "/models/late/promotion", {"json": {"versions": ["v3"], "seen": seen}}),
        ("POST", "/models/late/rollback", {"json": {"seen": seen}}),
        ("DELETE", "/models/late", {"params": {"version": 3, "seen": seen}}),
    ):
        status, problem = api.ask(method, path, **given)
        assert (status, problem["code"]) == (409, "NOT_CONFIRMED"), path
    assert model(api)["stamp"] == seen


def test_a_reader_looks_and_changes_nothing(directory: Path) -> None:
    with console_of(directory) as console:
        api = Api(console, role="reader")
        seen = model(api)["stamp"]
        assert api.get("/models/late/promotion", versions=["v2"])["after"] == [{"version": 2, "share": 1.0}]
        for method, path, given in (
            ("POST", "/models/late/promotion", {"json": {"versions": ["v3"], "seen": seen, "confirmed": True}}),
            ("POST", "/models/late/rollback", {"json": {"seen": seen, "confirmed": True}}),
            ("DELETE", "/models/late", {"params": {"version": 3, "seen": seen, "confirmed": True}}),
        ):
            status, problem = api.ask(method, path, **given)
            assert (status, problem["code"]) == (403, "ROLE_TOO_SMALL"), path
        assert model(api)["stamp"] == seen


@pytest.mark.parametrize(
    ("versions", "status", "code"),
    [
        (["v9"], 404, "UNKNOWN_MODEL"),
        (["v1=0.5", "v1=0.5"], 422, "PROMOTION_INVALID"),
        ([HOSTILE], 422, "PROMOTION_INVALID"),
        (["v" * 41], 422, "REQUEST_INVALID"),
    ],
)
def test_a_promotion_that_cannot_be_is_refused_with_its_reason(
    api: Api, versions: list[str], status: int, code: str
) -> None:
    found, problem = api.ask("GET", "/models/late/promotion", params={"versions": versions})
    assert (found, problem["code"]) == (status, code)


def test_statistics_are_those_of_the_server_of_models(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = StageLatency("queue", 10, 0.5, Bucket(0.25, 0.5), Bucket(2_500.0, None))
    served = Served("late", 1, 10, 1, 40, 8, 0.5, None, 2.0, (queue,))
    monkeypatch.setattr(models_module, "read_statistics", {"http://models": [served]}.__getitem__)
    with console_of(directory, serving="http://models") as console:
        found = Api(console).get("/models/statistics")
    assert found["url"] == "http://models"
    assert found["versions"] == json.loads(json.dumps([served.to_json()]))


def test_a_server_of_models_that_is_away_is_named_beside_the_models(directory: Path) -> None:
    with console_of(directory, serving="http://127.0.0.1:1") as console:
        api = Api(console)
        found = api.get("/models/statistics")
        assert found["versions"] == []
        assert "127.0.0.1:1" in found["problem"]
        assert model(api)["name"] == "late"


@pytest.mark.parametrize("ns", ["1e999", "9" * 400, "[" * 2_000 + "]" * 2_000])
def test_statistics_that_are_no_numbers_are_named_beside_the_models(directory: Path, ns: str) -> None:
    with answering(STATISTICS.replace("NS", ns)) as url, console_of(directory, serving=url) as console:
        found = Api(console).get("/models/statistics")
    assert (found["versions"], "has no statistics of models" in found["problem"]) == ([], True)


def test_a_server_of_models_that_hangs_holds_up_no_other_request(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Event()
    monkeypatch.setattr(models_module, "read_statistics", lambda _: (answers.wait(), [])[1])

    async def ask(api: Api) -> tuple[httpx.Response, list[httpx.Response]]:
        transport = httpx.ASGITransport(api.client.app)
        cookies = dict(api.client.cookies)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies) as client:
            waiting = [asyncio.create_task(client.get(f"{API}/models/statistics")) for _ in range(60)]
            try:
                other = await asyncio.wait_for(client.get(f"{API}/about"), 20)
            finally:
                answers.set()
            return other, await asyncio.gather(*waiting)

    with console_of(directory, serving="http://models") as console:
        other, statistics = asyncio.run(ask(Api(console)))
    assert {one.status_code for one in (other, *statistics)} == {200}


def test_without_a_server_of_models_there_are_no_statistics(api: Api) -> None:
    assert api.get("/models/statistics") == {"url": None, "versions": [], "problem": None}
