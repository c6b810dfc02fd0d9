"""`covey serve` as a process, read by the newest unmodified Feast client and by plain HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.release import Release
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests import quick_feast
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, fill, manifest_of
from tests.featurestore.server.odd_bodies import AREA, KEYS, ODD, VIEW

ROUTE = "/get-online-features"
MANY = a_view(
    "many",
    entity=Entity("id", domain=range(-600, 600)),
    features=[ClientCount("planes"), Mean("delay", clip=(-60, 180)), Histogram("delay", edges=[0, 15])],
)
PAIRS = a_view("pairs", entity=Entity(["dest", "hub"], product(["ATL", "é ü", "LAX"], [False, True])))


@contextmanager
def serving(store: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """(process, host, port) of a running `covey serve`."""
    command = [sys.executable, "-m", "covey", "serve", "--store", str(store), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if ": serving " in line:
                host, port = line.split("://")[1].strip().rsplit(":", 1)
                yield process, host.strip("[]"), int(port)
                break
        else:
            pytest.fail("".join(lines))
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def ask(connection: http.client.HTTPConnection, body: bytes | dict[str, Any]) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", ROUTE, content)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noised views of 1,200 integer keys and of composite keys (one pane void), a plain and a constant one."""
    directory = tmp_path_factory.mktemp("served")
    layout, random = layout_of(MANY), np.random.default_rng(2)
    slots = random.integers(-300, 300, size=(4, layout.keys, layout.slots_per_key))
    terms = manifest_of(MANY, "discrete-gaussian")
    with Publisher(directory, lambda: DAY) as publisher:
        for view in (MANY, PAIRS):
            publisher.register(view)
        publisher.publish(
            [Release(terms, i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0, "live", one) for i, one in enumerate(slots)]
        )
        publisher.publish([a_release(PAIRS, 0), a_release(PAIRS, HOUR), a_void(PAIRS, 2 * HOUR)])
    fill(directory, VIEW, 2)
    fill(directory, AREA, 2)
    return directory


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[tuple[str, int]]:
    with serving(store) as (_, host, port):
        yield host, port


@pytest.fixture
def connection(server: tuple[str, int]) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection(*server, timeout=30)
    yield opened
    opened.close()


class TestFeastClient:
    """Feast's own `FeatureStore` with its remote online store, unmodified from the package registry."""

    @pytest.fixture(scope="class")
    @staticmethod
    def client(server: tuple[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        connect = socket.socket.connect

        def only_here(self: socket.socket, address: Any) -> None:
            if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
                pytest.fail(f"a connection to {address}")
            connect(self, address)

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FEAST_USAGE", "False")
            patch.setattr(socket.socket, "connect", only_here)
            quick_feast.load()
            from feast import FeatureStore, RepoConfig
            from feast.permissions.client.http_auth_requests_wrapper import HttpSessionManager

            config = RepoConfig(
                project="covey",
                provider="local",
                registry=str(tmp_path_factory.mktemp("feast") / "registry.db"),
                online_store={"type": "remote", "path": f"http://{server[0]}:{server[1]}"},
                entity_key_serialization_version=3,
            )
            yield FeatureStore(config=config)
            HttpSessionManager.close_session()

    @pytest.mark.parametrize("rows", [1, 10, 100, 1000])
    def test_it_reads_rows_as_get_does(self, client: Any, store: Path, rows: int) -> None:
        ids = np.random.default_rng(rows).integers(-700, 700, rows).tolist()
        names = ["delay_mean_3h", "planes", "delay_hist_3h", "delay_mean_3h__se", "delay_mean__n", "coverage_3h"]
        got = client.get_online_features([f"many:{name}" for name in names], [{"id": i} for i in ids]).to_dict()
        assert list(got) == ["id", *names]
        assert got["id"] == ids
        with Store.open(store) as opened:
            table = opened.get(
                ["many:delay_mean_3h", "many:planes", "many:delay_hist_3h", "many:delay_mean"], {"id": ids}
            )
        for name in names[:-1]:
            assert got[name] == table.column(name).to_pylist(), name
        assert got["coverage_3h"] == [1.0 if -600 <= i < 600 else None for i in ids]
        if rows >= 100:
            statuses = set(table.column("delay_mean_3h__status").to_pylist())
            assert statuses == {"OK", "ROUGH_SE", "DROWNED", "NOT_FOUND"}

    def test_it_reads_composite_keys_missing_keys_and_nulls(self, client: Any) -> None:
        keys = {"dest": ["ATL", "é ü", "ATL", "XXX"], "hub": [True, False, True, True]}
        response = client.get_online_features(["pairs:flights", "pairs:flights_3h", "pairs:flights__status"], keys)
        assert response.to_dict() == {
            **keys,
            "flights": [None] * 4,
            "flights_3h": [None] * 4,
            "flights__status": ["VOID"] * 3 + ["NOT_FOUND"],
        }
        from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

        statuses = [list(column.statuses) for column in response.proto.results]
        present, null, missing = FieldStatus.PRESENT, FieldStatus.NULL_VALUE, FieldStatus.NOT_FOUND
        assert statuses == [
            [present] * 4,
            [present] * 4,
            [null, null, null, missing],
            [null, null, null, missing],
            [present] * 4,
        ]

    @pytest.mark.parametrize("full", [False, True])
    def test_names_are_short_or_full_and_keep_the_requested_order(self, client: Any, full: bool) -> None:
        refs = ["delays:late_3h", "area:late", "delays:flights", "delays:delay_hist", "area:flights"]
        if not full:
            refs = refs[:1] + refs[2:4]
        got = client.get_online_features(refs, [{"dest": "LAX"}], full_feature_names=full).to_dict()
        assert list(got) == ["dest", *(ref.replace(":", "__") if full else ref.split(":")[1] for ref in refs)]

    def test_a_constant_entity_needs_no_key(self, client: Any) -> None:
        assert client.get_online_features(["area:flights"], [{}]).to_dict() == {"flights": [2.0]}

    def test_errors_are_feasts_own(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from feast import errors

        waits = list[object]()
        monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *given: waits.append(given))
        for refs, rows, kind, says in (
            (["none:x"], [{"dest": "ATL"}], errors.FeatureViewNotFoundException, "no view 'none'"),
            (["delays:x"], [{"dest": "ATL"}], errors.FeastObjectNotFoundException, "serves no feature 'x'"),
            (["delays:late"] * 2, [{"dest": "ATL"}], errors.FeatureNameCollisionError, "full names"),
            (["delays:late"], [{"des": "ATL"}], errors.FeastError, "needs the join key"),
            (["delays:late"], [{"dest": 1}], errors.FeastError, "is string"),
            (["delays:late"], [{"dest": "ATL"}] * 10_001, errors.FeastError, "at most 10,000"),
        ):
            with pytest.raises(kind, match=says) as raised:
                client.get_online_features(refs, rows)
            assert type(raised.value) is kind
            assert waits == []  # the client waits and tries again after a 5xx


class TestHttp:
    def test_odd_bodies_are_4xx_on_one_connection_that_is_kept(self, connection: http.client.HTTPConnection) -> None:
        good = {"features": ["delays:flights"], "entities": KEYS}
        assert ask(connection, good)[0] == 200
        kept = connection.sock
        assert len(ODD) >= 30
        for body, status, kind, _ in ODD:
            got, text = ask(connection, body)
            assert (got, json.loads(text)["class"]) == (status, kind)
            assert connection.sock is kept
        connection.request("GET", ROUTE)
        response = connection.getresponse()
        assert (response.status, json.loads(json.loads(response.read()))["module"]) == (405, "feast.errors")
        status, answer = ask(connection, good)
        assert (status, answer["results"][1]["values"]) == (200, [2.0])
        assert connection.sock is kept

    def test_health_and_docs_stand_beside_it(self, connection: http.client.HTTPConnection) -> None:
        for path, says in (("/health", '"status":"ok"'), ("/docs", ROUTE), ("/openapi.json", ROUTE)):
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200
            assert says in response.read().decode()


def test_new_releases_and_new_views_appear_without_a_restart(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    with serving(tmp_path) as (process, host, port):
        connection = http.client.HTTPConnection(host, port, timeout=30)

        def flights(view: str = "delays") -> Any:
            status, answer = ask(connection, {"features": [f"{view}:flights"], "entities": KEYS})
            return answer["results"][1]["values"][0] if status == 200 else status

        assert flights() == 1.0
        assert flights("later") == 404
        for pane in range(1, 4):
            with Publisher(tmp_path, lambda: DAY) as publisher:
                publisher.publish([a_release(VIEW, pane * HOUR, 10 * pane)])
            until(lambda pane=pane: flights() == 10.0 * pane)
        fill(tmp_path, a_view("later"), 1)
        until(lambda: flights("later") == 1.0)
        current = tmp_path / "store" / "blocks" / "CURRENT.json"
        whole = current.read_bytes()
        current.write_bytes(whole[:50])
        time.sleep(0.3)
        assert flights() == 30.0
        current.write_bytes(whole)
        assert process.poll() is None
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_0_and_frees_the_port(tmp_path: Path, number: int) -> None:
    fill(tmp_path, VIEW, 1)
    with serving(tmp_path) as (process, host, port):
        connection = http.client.HTTPConnection(host, port, timeout=30)
        assert ask(connection, {"features": ["delays:flights"], "entities": KEYS})[0] == 200
        process.send_signal(number)
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0
        assert err.strip().splitlines()[-1].endswith(" server: stopped")
        assert "Traceback" not in err
        connection.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=5)
    Publisher(tmp_path, lambda: DAY).close()


def test_after_kill_9_the_next_one_serves_the_same(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    for _ in range(2):
        with serving(tmp_path) as (process, host, port):
            connection = http.client.HTTPConnection(host, port, timeout=30)
            assert ask(connection, {"features": ["delays:flights"], "entities": KEYS})[1]["results"][1]["values"] == [
                1.0
            ]
            connection.close()
            process.kill()


def test_the_pages_python_and_curl_work_as_written(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    fill(tmp_path, a_view("dest_delay", windows=["7d"], min_coverage=0.0), 2)
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    (body,) = re.findall(r"-d '(.*?)'", page, flags=re.S)
    names = re.findall(r"^\| `dest_delay:(\w+)`", page, flags=re.M)
    with serving(tmp_path) as (_, host, port):
        connection = http.client.HTTPConnection(host, port, timeout=30)
        assert ask(connection, body.encode())[0] == 200
        features = [f"dest_delay:{name}" for name in names]
        assert ask(connection, {"features": features, "entities": KEYS})[0] == 200
        connection.close()
        script = script.replace("http://127.0.0.1:6566", f"http://{host}:{port}")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "late_7d" in done.stdout


class TestUsage:
    def run(self, *arguments: Any) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "covey", "serve", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COLUMNS": "300"},
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    def test_a_port_in_use_is_one_line_and_exit_1(self, store: Path, server: tuple[str, int]) -> None:
        code, err = self.run("--store", store, "--port", server[1])
        assert code == 1
        (line,) = err.strip().splitlines()
        assert line.startswith(f"error: cannot listen on 127.0.0.1:{server[1]}: Address already in use; choose another")

    def test_a_host_that_is_not_ours_is_one_line_and_exit_1(self, store: Path) -> None:
        code, err = self.run("--store", store, "--host", "192.0.2.1", "--port", 0)
        assert (code, len(err.strip().splitlines())) == (1, 1)

    def test_no_store_is_exit_5_and_a_wrong_port_exit_2(self, store: Path, tmp_path: Path) -> None:
        code, err = self.run("--store", tmp_path / "nowhere")
        assert code == 5
        assert "no store at" in err
        assert self.run("--store", store, "--port", 70_000)[0] == 2

    def test_ipv6_has_brackets_in_its_url(self, store: Path) -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        with serving(store, "--host", "::1") as (_, host, port):
            connection = http.client.HTTPConnection(host, port, timeout=30)
            assert ask(connection, {"features": ["area:flights"]})[0] == 200
            connection.close()

    def test_help_waits_for_no_server(self) -> None:
        code = "import sys; from covey.cli import call; call(['serve','--help']); print(sorted({'fastapi','uvicorn','orjson','pyarrow','rocksdict'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith("[]")
