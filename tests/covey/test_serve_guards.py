"""`covey serve` with keys, limits and several workers, as processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest

from base.tls.roles import TlsRole
from featurestore.publish.publish import Publisher
from featurestore.server.api_keys import FILE, Consumers
from featurestore.server.supervisor import MAX_DEATHS
from featurestore.server.throttle import Limits
from tests.base.tls_world import operator
from tests.featurestore.making import DAY, HOUR, a_release, fill
from tests.featurestore.server.odd_bodies import KEYS, VIEW

from .test_serve import ROUTE, serving, until

PATIENCE_S = 60
BODY = json.dumps({"features": ["delays:flights"], "entities": KEYS}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    fill(tmp_path, VIEW, 2)
    return tmp_path


def ask(
    host: str, port: int, method: str = "POST", path: str = ROUTE, key: str | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    headers = {} if key is None else {"X-API-Key": key}
    connection.request(method, path, BODY if method == "POST" else None, headers)
    response = connection.getresponse()
    try:
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def add(store: Path, name: str) -> str:
    return Consumers(store).add(name, Limits(), 0, os.urandom)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The running workers of a server."""
    return [child for child in psutil.Process(process.pid).children(recursive=True) if runs(child)]


def runs(worker: psutil.Process) -> bool:
    """Whether a process has not ended and is no zombie."""
    try:
        return worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids_of(process: subprocess.Popen[str]) -> set[int]:
    return {worker.pid for worker in workers_of(process)}


def rows_counted(host: str, port: int) -> float:
    """The sum of all row counters in /metrics."""
    text = ask(host, port, "GET", "/metrics")[2].decode()
    (line,) = [one for one in text.splitlines() if one.startswith("covey_rows_total ")]
    return float(line.split()[1])


def spoken(address: str, version: ssl.TLSVersion) -> str | None:
    """The version of TLS that a server speaks with a client of this version; None: it refuses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.maximum_version = version
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), 30) as plain, context.wrap_socket(plain) as connection:
            return connection.version()
    except (ssl.SSLError, ConnectionError):
        return None


def refuse_to_serve(store: Path, *options: str) -> tuple[int, str]:
    """(exit code, stderr) of a server that does not start."""
    command = [sys.executable, "-m", "covey", "serve", "--store", str(store), "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


class TestKeys:
    def test_on_loopback_no_key_is_needed(self, store: Path) -> None:
        with serving(store) as (_, host, port):
            assert ask(host, port)[0] == 200
            assert ask(host, port, "GET", "/metrics")[0] == 200

    def test_where_keys_are_used_they_come_and_go_without_a_restart(self, store: Path) -> None:
        key = add(store, "one")
        with serving(store, "--keys") as (_, host, port):
            assert ask(host, port)[0] == 401
            assert ask(host, port, key=key)[0] == 200
            assert ask(host, port, "GET", "/health")[0] == 200
            other = add(store, "two")
            until(lambda: ask(host, port, key=other)[0] == 200)
            Consumers(store).remove("one")
            until(lambda: ask(host, port, key=key)[0] == 401)
            assert ask(host, port, key=other)[0] == 200

    def test_on_another_address_one_is_needed_and_its_absence_refused(self, store: Path) -> None:
        code, err = refuse_to_serve(store, "--host", "0.0.0.0", "--behind-proxy")
        assert code == 2
        (line,) = err.strip().splitlines()
        assert "no authentication of readers" in line
        assert f"covey consumers add NAME --store {store}" in line
        add(store, "other")
        code, err = refuse_to_serve(store, "--host", "0.0.0.0", "--behind-proxy", "--no-keys")
        assert (code, "no authentication of readers" in err) == (2, True)
        key = add(store, "one")
        with serving(store, "--host", "0.0.0.0", "--behind-proxy") as (_, _, port):
            assert ask("127.0.0.1", port)[0] == 401
            assert ask("127.0.0.1", port, key=key)[0] == 200

    def test_a_file_that_others_may_read_is_refused_at_the_start(self, store: Path) -> None:
        add(store, "one")
        (store / FILE).chmod(0o644)
        code, err = refuse_to_serve(store)
        assert (code, "mode 600" in err) == (1, True)


@pytest.fixture(scope="class")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str], str, int]]:
    """A running server with two workers."""
    store = tmp_path_factory.mktemp("together")
    fill(store, VIEW, 2)
    with serving(store, "--workers", "2") as (process, host, port):
        until(lambda: len(workers_of(process)) == 2, PATIENCE_S)
        yield store, process, host, port


class TestTls:
    """The certificates themselves are tested in tests/featurestore/server/test_tls.py."""

    def test_another_address_needs_tls_and_keys_and_its_refusal_has_both_commands(self, store: Path) -> None:
        code, err = refuse_to_serve(store, "--host", "0.0.0.0")
        assert code == 2
        (line,) = err.strip().splitlines()
        assert "the server has no TLS and no authentication of readers" in line
        assert f"`covey keys tls --project {store} --role server --name HOST`" in line
        assert f"`covey consumers add NAME --store {store}`" in line
        operator(store / "keys", TlsRole.SERVER)
        code, err = refuse_to_serve(store, "--host", "0.0.0.0")
        assert (code, "the server has no authentication of readers" in err) == (2, True)

    def test_every_worker_has_the_projects_certificate_on_another_address(self, store: Path) -> None:
        operator(store / "keys", TlsRole.SERVER)
        key, context = add(store, "one"), ssl.create_default_context(cafile=str(store / "keys" / "tls" / "ca.crt"))
        with serving(store, "--host", "0.0.0.0", "--workers", "2") as (_, _, port):
            for _ in range(8):
                connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
                connection.request("POST", ROUTE, BODY, {"X-API-Key": key})
                assert connection.getresponse().status == 200
                connection.close()

    def test_on_the_loopback_it_is_used_if_an_operator_says_so(self, store: Path) -> None:
        operator(store / "keys", TlsRole.SERVER)
        with serving(store) as (_, host, port):
            assert ask(host, port)[0] == 200
        context = ssl.create_default_context(cafile=str(store / "keys" / "tls" / "ca.crt"))
        with serving(store, "--tls", "--grpc-port", "0") as (process, host, port):
            connection = http.client.HTTPSConnection(host, port, timeout=30, context=context)
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
            connection.close()
            assert process.stderr is not None
            (line,) = (line for line in islice(process.stderr, 2) if "grpcs://" in line)
            for address in (f"{host}:{port}", line.partition("grpcs://")[2].split()[0]):
                assert spoken(address, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
                assert spoken(address, ssl.TLSVersion.TLSv1_2) is None

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--tls"], "covey keys tls"),
            (["--tls-certificate", "x.crt"], "--tls-certificate goes with --tls-key"),
            (["--tls", "--behind-proxy"], "--behind-proxy is for a server in clear text"),
        ],
    )
    def test_options_that_do_not_fit_are_named(self, store: Path, options: list[str], says: str) -> None:
        code, err = refuse_to_serve(store, *options)
        assert code in (2, 5)
        assert says in err.strip().splitlines()[-1]


class TestWorkers:
    def test_it_is_the_workers_that_answer_and_metrics_are_those_of_all(self, two_workers: Any) -> None:
        _, process, host, port = two_workers
        assert process.pid not in pids_of(process)
        assert {ask(host, port)[0] for _ in range(30)} == {200}
        assert {rows_counted(host, port) for _ in range(10)} == {30.0}

    def test_one_that_is_killed_is_replaced_while_the_other_answers_and_no_count_falls(self, two_workers: Any) -> None:
        _, process, host, port = two_workers
        before = rows_counted(host, port)
        for victim in workers_of(process):
            (other,) = pids_of(process) - {victim.pid}
            victim.kill()
            assert ask(host, port)[0] == 200
            until(lambda gone=victim.pid: len(pids := pids_of(process)) == 2 and gone not in pids, PATIENCE_S)
            assert other in pids_of(process)
            before += 1
        assert ask(host, port)[0] == 200
        assert rows_counted(host, port) == before + 1

    def test_each_sees_a_new_release(self, two_workers: Any) -> None:
        store, _, host, port = two_workers
        with Publisher(store, lambda: DAY) as publisher:
            publisher.publish([a_release(VIEW, 2 * HOUR, 30)])

        def values() -> set[float]:
            return {json.loads(ask(host, port)[2])["results"][1]["values"][0] for _ in range(20)}

        until(lambda: values() == {30.0}, PATIENCE_S)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_all_of_them_and_frees_the_port(self, store: Path, number: int) -> None:
        with serving(store, "--workers", "2") as (process, host, port):
            assert ask(host, port)[0] == 200
            until(lambda: len(workers_of(process)) == 2, PATIENCE_S)
            workers = workers_of(process)
            process.send_signal(number)
            _, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0
            assert "serving" not in err  # `serving` has read that line; there is no second one
            assert err.strip().splitlines()[-1].endswith(" server: stopped")
            assert "Traceback" not in err
        assert not any(map(runs, workers))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), timeout=5)

    def test_a_killed_supervisor_leaves_no_worker_behind(self, store: Path) -> None:
        with serving(store, "--workers", "2") as (process, host, port):
            assert ask(host, port)[0] == 200
            until(lambda: len(workers_of(process)) == 2, PATIENCE_S)
            workers = workers_of(process)
            process.kill()
            process.wait()
            until(lambda: not any(map(runs, workers)), PATIENCE_S)

    def test_workers_that_die_again_and_again_end_the_server(self, store: Path) -> None:
        with serving(store, "--workers", "2") as (process, _, _):
            killed: set[int] = set()
            while process.poll() is None and len(killed) <= 3 * MAX_DEATHS:
                for worker in workers_of(process):
                    if worker.pid not in killed:
                        killed.add(worker.pid)
                        worker.kill()
            _, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 1
            assert len(killed) <= MAX_DEATHS + 4
            assert err.strip().splitlines()[-1].startswith("error: worker")
