"""The monitor's HTTP server, over real sockets: what it answers, and what it refuses."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from base.metrics import REPORTS, Meters, Role, Sample
from base.probes import Probe
from deployment.errors import UsageError
from deployment.monitor import http
from deployment.monitor.http import MAX_HEAD, THREADS, WAITING, serve_monitor
from deployment.monitor.monitor import monitored
from deployment.monitor.watched import Counted, Watched
from featurestore.errors import AddressUnavailable
from tests.waiting import wait_until


class Waiting:
    """The state of a role that waits for what a test says."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.meters = Meters()
        self.broken = False

    def waits_for(self) -> str | None:
        return self.reason

    def samples(self) -> Iterable[Sample]:
        if self.broken:
            raise RuntimeError("secret detail")
        return self.meters.samples()


@contextmanager
def monitor(tmp_path: Path, state: Waiting | Counted) -> Iterator[tuple[str, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listening.getsockname()
    with serve_monitor(Watched(Role.HELPER, tmp_path, state), listening):
        yield address


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    """The whole answer to some bytes."""
    with socket.create_connection(address, 60) as link:
        parts = []
        try:
            link.sendall(request)
            while part := link.recv(65_536):
                parts.append(part)
        except (ConnectionResetError, BrokenPipeError):  # the server closed with bytes unread
            pass
        return b"".join(parts)


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: 127.0.0.1:9301", *headers, "", "")).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_metrics_health_and_readiness_are_answered(tmp_path: Path) -> None:
    state = Waiting()
    state.meters.add(REPORTS, "accepted", by=7)
    with monitor(tmp_path, state) as (host, port):
        url = f"http://{host}:{port}"
        text = httpx.get(f"{url}/metrics", timeout=60)
        assert text.headers["content-type"].startswith("text/plain")
        lines = text.text.splitlines()
        assert {'covey_reports_total{verdict="accepted"} 7.0', "covey_ready 1.0"} <= set(lines)
        assert any(line.startswith('covey_build_info{role="helper",version=') for line in lines)
        assert httpx.get(f"{url}/healthz", timeout=60).json() == {"status": "ok"}
        assert httpx.get(f"{url}/readyz", timeout=60).json() == {"ready": True, "role": "helper"}
        state.reason = "the superlink at 127.0.0.1:8000"
        waiting = httpx.get(f"{url}/readyz", timeout=60)
        assert waiting.status_code == 503
        assert waiting.json() == {"ready": False, "role": "helper", "waits_for": state.reason}
        assert Probe.from_json(waiting.content) == Probe(Role.HELPER, state.reason)
        assert "covey_ready 0.0" in httpx.get(f"{url}/metrics?now=1", timeout=60).text.splitlines()
        assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200


def test_head_has_no_body_and_other_methods_are_refused(tmp_path: Path) -> None:
    with monitor(tmp_path, Waiting()) as address:
        head, _, body = exchange(address, get("/healthz", method="HEAD")).partition(b"\r\n\r\n")
        assert (status(head), body) == (200, b"")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"):
            assert status(exchange(address, get("/metrics", method=method))) == 405


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (get("/nothing"), 404),
        (get("/metrics/../healthz"), 404),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 421),
        (b"GET /metrics HTTP/1.1\r\nHost: a.example\r\n\r\n", 421),
        (b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: a.example\r\n\r\n", 421),
        (get("/metrics", "Origin: http://a.example"), 403),
        (get("/metrics", "Transfer-Encoding: chunked"), 403),
        (b"GET /met rics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"\x16\x03\x01 hello\r\n\r\n", 400),
        (b"GET /metrics SPDY/3\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (get("/metrics", "X: " + "a" * MAX_HEAD), 431),
    ],
)
def test_odd_requests_get_a_status_and_nothing_of_themselves(
    tmp_path: Path, request_bytes: bytes, expected: int
) -> None:
    with monitor(tmp_path, Waiting()) as address:
        answer = exchange(address, request_bytes)
        assert status(answer) == expected
        assert b"example" not in answer
        assert b"rics" not in answer
        assert status(exchange(address, get("/healthz"))) == 200


def test_a_defect_is_an_answer_without_its_text_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = Waiting()
    state.broken = True
    with monitor(tmp_path, state) as address:
        answer = exchange(address, get("/metrics"))
        assert status(answer) == 500
        assert b"secret" not in answer
        assert "the monitor has a defect" in caplog.text
        state.broken = False
        assert status(exchange(address, get("/metrics"))) == 200


def test_a_client_that_sends_slowly_is_answered_408_and_holds_one_thread_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 1.0)
    start, answer = time.monotonic(), b""
    with monitor(tmp_path, Waiting()) as address, socket.create_connection(address) as slow:
        slow.settimeout(60)
        slow.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert status(exchange(address, get("/healthz"))) == 200
        while not answer and time.monotonic() - start < 60:  # a byte now and then does not extend the time
            slow.sendall(b"x")
            slow.settimeout(0.2)
            try:
                answer = slow.recv(100)
            except TimeoutError:
                continue
        assert status(answer) == 408
        assert time.monotonic() - start >= 1.0


def test_more_connections_than_there_is_room_for_are_closed_and_the_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 60.0)
    with monitor(tmp_path, Waiting()) as address:
        idle = [socket.create_connection(address) for _ in range(THREADS + WAITING)]
        assert exchange(address, get("/healthz")) == b""
        for link in idle:
            link.close()
        wait_until(lambda: exchange(address, get("/healthz")) != b"")


class Exhausted(socket.socket):
    """A listening socket of a process that has too many open files for a while."""

    failures = 2

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_connection_that_cannot_be_accepted_does_not_end_the_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http, "ACCEPT_AGAIN_S", 0.05)
    listening = Exhausted()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    with serve_monitor(Watched(Role.HELPER, tmp_path, Waiting()), listening):
        assert status(exchange(listening.getsockname(), get("/healthz"))) == 200
    assert listening.failures == 0
    assert caplog.text.count("the monitor cannot accept a connection: ") == 2


def test_a_monitor_ends_with_its_block_and_frees_its_port(tmp_path: Path) -> None:
    with monitor(tmp_path, Waiting()) as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@pytest.mark.parametrize("address", ["9301", ":9301", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ""])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="write HOST:PORT"), monitored(address, Role.LEADER, tmp_path, Waiting()):
        pass


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressUnavailable), monitored(address, Role.LEADER, tmp_path, Waiting()):
            pass


def test_a_role_without_the_option_has_no_monitor(tmp_path: Path) -> None:
    with monitored(None, Role.LEADER, tmp_path / "missing", Waiting()):
        pass


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"ready": true}', b'{"ready": false, "role": "leader"}', b'{"ready": 1, "role": "leader"}',
        b'{"ready": true, "role": "leader", "waits_for": "x"}', b'{"ready": true, "role": "mallory"}',
        json.dumps({"ready": False, "role": "leader", "waits_for": "x" * 5_000}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_readyz_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's and our own
        Probe.from_json(body)
