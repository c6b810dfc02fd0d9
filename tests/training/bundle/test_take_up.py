from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from training.bundle import take_up
from training.bundle.take_up import wait_until_served
from training.errors import VersionNotServed


class FakeServer:
    """Answers the index with the given answers, one after the other; the last one is repeated."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v2/repository/index"
                status, value = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    made = FakeServer()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def entry(version: int, state: str, reason: str = "", name: str = "late") -> dict[str, str]:
    return {"name": name, "version": str(version), "state": state, "reason": reason}


def test_it_waits_until_every_version_in_force_is_ready(fake: FakeServer) -> None:
    fake.answers = [
        (503, b""),
        (200, b"no JSON"),
        (200, {}),
        (200, [entry(1, "READY"), entry(3, "READY", name="other")]),
        (200, [entry(1, "READY"), entry(3, "LOADING")]),
        (200, [entry(1, "READY"), entry(3, "READY")]),
    ]
    assert wait_until_served(fake.address, "late", (1, 3)) == f"late v1, v3 answers at {fake.address}"
    assert len(fake.answers) == 1


def test_a_version_that_cannot_be_loaded_is_named_with_the_reason(fake: FakeServer) -> None:
    fake.answers = [(200, [entry(1, "READY"), entry(2, "UNAVAILABLE", "its file differs")])]
    with pytest.raises(VersionNotServed, match="does not answer with late@v2, which is in force: its file differs"):
        wait_until_served(fake.address, "late", (2,))


def test_it_does_not_wait_for_ever(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_up, "TAKE_UP_S", 0.0)
    fake.answers = [(200, [])]
    with pytest.raises(VersionNotServed, match="it is not loaded after 0 s"):
        wait_until_served(fake.address, "late", (2,))


def test_a_server_for_others_is_not_asked() -> None:
    assert wait_until_served("192.0.2.1:6566", "late", (2,)) is None
