"""`covey console` as a process: what it prints, whom it answers, and what it shows of an odd store."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from covey.cli import call
from covey.console.openapi import document
from deployment.project.init import make
from featurestore.publish.publish import Publisher
from featurestore.server.api_keys import Consumers
from featurestore.server.roles import Role
from featurestore.server.throttle import Limits
from federation.ledger.state import Budget
from tests.featurestore.making import fill
from tests.featurestore.server.odd_bodies import VIEW
from tests.waiting import wait_until

from .asking import API, Api, Running, console_of, running_console


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("store")
    fill(directory, VIEW, 2)
    return directory


@pytest.fixture(scope="module")
def running(store: Path) -> Iterator[Running]:
    with running_console(store) as made:
        yield made


def ask(running: Running, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    """A raw request, whose path and headers no client corrects."""
    where = urlsplit(running.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_printed_url_makes_an_operator_and_any_other_page_a_reader(running: Running) -> None:
    with running.client() as client:
        assert client.get(f"{API}/about").json()["role"] == "operator"
    with httpx.Client(base_url=running.url.removesuffix("/console/"), timeout=60) as reader:
        assert reader.post(f"{API}/session", json={}).json()["role"] == "reader"


def test_requests_to_another_name_and_from_pages_of_other_sites_are_refused(running: Running) -> None:
    for path in ("/console/", f"{API}/about"):
        assert ask(running, "GET", path, host="evil.example")[0] == 421
        assert ask(running, "GET", path, origin="https://evil.example")[0] == 403
    assert ask(running, "POST", f"{API}/session", origin="http://127.0.0.1:1")[0] == 403  # another port is another site


def test_refusals_and_redirects_carry_the_policy_of_the_page_too(running: Running) -> None:
    with httpx.Client(base_url=running.url.removesuffix("/console/"), timeout=60) as client:
        redirect = client.get("/console")
        answers = [redirect, client.get("/console/", headers={"Host": "evil.example"})]
        answers += [client.request(method, "/console") for method in ("POST", "TRACE")]
        at_first = client.get("/")
        answers.append(client.get(f"{API}/about", headers={"Origin": "https://evil.example"}))
    assert [one.status_code for one in answers] == [308, 421, 308, 308, 403]
    assert redirect.headers["location"] == "/console/"
    assert (at_first.status_code, at_first.headers["location"]) == (307, "/console/")
    for one in (*answers, at_first):
        assert "default-src 'none'" in one.headers["content-security-policy"]
        assert one.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/console/../../etc/passwd",
        "/console/..%2f..%2fetc/passwd",
        "/console/%2e%2e/assets.py",
        "/console//etc/passwd",
        "/console/assets/../../console.py",
        "/console/assets/%00",
        "/console/assets\\..\\assets.py",
        "/console/" + "a" * 5_000,
    ],
)
def test_a_path_reaches_no_file_beside_the_page(running: Running, path: str) -> None:
    status, body = ask(running, "GET", path)
    assert status == 404
    assert b"root:" not in body
    assert b"import" not in body


def test_the_feature_server_answers_beside_the_console(running: Running) -> None:
    with httpx.Client(base_url=running.url.removesuffix("/console/"), timeout=60) as client:
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/console").headers["location"].endswith("/console/")


def test_the_token_is_in_no_log(store: Path) -> None:
    with running_console(store) as running:
        with running.client() as client:
            client.get(f"{API}/about")
        log = running.end()
    assert running.token
    assert running.token not in log
    assert "stopped" in log
    assert running.process.returncode == 0


def test_ctrl_c_ends_a_console_while_a_page_follows_events(store: Path) -> None:
    with (
        running_console(store) as running,
        running.client() as client,
        client.stream("GET", f"{API}/fleet/events") as events,
        contextlib.suppress(httpx.RemoteProtocolError),
    ):
        assert events.headers["content-type"].startswith("text/event-stream")
        assert next(events.iter_lines()) == ": open"
        log = running.end()
    assert "Traceback" not in log
    assert log.rstrip().endswith("stopped")
    assert running.process.returncode == 0


def test_with_keys_a_consumer_has_its_role_and_one_limit_until_it_is_removed(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "copy")
    directory = tmp_path / "copy"
    key = Consumers(directory).add("ana", Limits(), 0, os.urandom, Role.AUTHOR)
    greedy = Consumers(directory).add("greedy", Limits(rows=1), 0, os.urandom)
    with running_console(directory, "--keys") as running:
        with running.client(key=greedy) as client:
            assert client.get(f"{API}/about").status_code == 200
            rows = {"features": ["none:none"], "entities": {"area": ["NYC"] * 5_000}}
            client.post("/get-online-features", json=rows, headers={"X-API-Key": greedy})
            answer = client.get(f"{API}/about")  # the same consumer, with the same limit
            assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_REQUESTS")
            assert int(answer.headers["retry-after"]) > 1_000
        assert running.token == ""
        with httpx.Client(base_url=running.url.removesuffix("/console/"), timeout=60) as client:
            assert client.post(f"{API}/session", json={}).json()["code"] == "KEY_NEEDED"
        with running.client(key=key) as client:
            assert client.get(f"{API}/about").json()["role"] == "author"
            Consumers(directory).remove("ana")
            wait_until(lambda: client.get(f"{API}/about").status_code == 401)


def test_a_project_without_a_store_has_a_console(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make(project, None, ["1", "2"], 100, Budget(1_000))
    with running_console(project) as running, running.client() as client:
        about = client.get(f"{API}/about").json()
    assert (about["has_project"], about["has_views"]) == (True, True)


def test_a_folder_that_is_no_project_is_named_with_the_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["console", "--project", str(tmp_path)]) == 5
    assert f"`covey init {tmp_path}` makes a project" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--views", "none.py"), "no file none.py"),
        (("--lab", "none"), "no folder none"),
        (("--trust-views",), "--trust-views runs the views file"),
        (("--events", "x.parquet"), "--events goes with --client-column and --time-column"),
        (("--time-column", "t"), "--time-column goes with --events"),
        (("--host", "0.0.0.0"), "no TLS and no authentication of readers"),
    ],
)
def test_an_option_that_cannot_be_is_named(
    store: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["console", "--store", str(store), "--port", "0", *options]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert "http" not in printed.out


def test_a_store_that_disappears_or_is_damaged_leaves_named_problems(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "copy")
    directory = tmp_path / "copy"
    with console_of(directory) as console:
        api = Api(console)
        paths = [path for path in api_paths() if "{" not in path]
        assert len(paths) > 5
        files = [file for file in (directory / "store").rglob("*") if file.suffix in (".parquet", ".json", ".block")]
        assert {file.suffix for file in files} >= {".parquet", ".json"}
        for file in files:
            file.write_bytes(b"\x00damaged" * 3)
        damaged = {path: api.ask("GET", path) for path in paths}
        shutil.rmtree(directory)
        gone = {path: api.ask("GET", path) for path in paths}
        assert api.client.get("/console/").status_code in (200, 503)
    problems = [answer for status, answer in (*damaged.values(), *gone.values()) if status >= 400]
    for answer in problems:
        assert {"code", "detail", "mend"} <= answer.keys()
        assert answer["code"] != "DEFECT"
    assert gone["/releases"][1]["code"] == "STORE_REPLACED"


def api_paths() -> list[str]:
    """The routes that read and answer with JSON. Streams of events have no end."""
    gets = {path: item["get"] for path, item in document()["paths"].items() if "get" in item}
    return [
        path.removeprefix(API)
        for path, get in gets.items()
        if "application/json" in get["responses"]["200"].get("content", {})
    ]


def test_the_document_of_the_api_depends_on_the_code_alone() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "covey.console.openapi"], capture_output=True, check=True, timeout=300
    )
    assert json.loads(printed.stdout) == document()


def test_operations_have_names_of_their_own() -> None:
    names = [one["operationId"] for item in document()["paths"].values() for one in item.values()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not name.isalnum() or not name[0].islower()] == []


def test_an_empty_store_has_a_console(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0):
        pass
    with console_of(tmp_path) as console:
        assert Api(console).get("/about")["has_project"] is False
