from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from base.ports import free_port
from tests.waiting import wait_until
from training.bundle.server_control import start_server, stop_server
from training.bundle.server_files import ServerFolder, ServerSettings, ServerState
from training.errors import ServeAddressTaken, ServerNotRunning, ServerNotStarted

PROGRAM = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"ready": true, "role": "server"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

print("starts", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ServerFolder]:
    made = ServerFolder(tmp_path, "late")
    yield made
    with suppress(ServerNotRunning):
        stop_server(made)


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    (tmp_path / "program.py").write_text(PROGRAM)
    port = free_port()
    return ServerSettings((sys.executable, str(tmp_path / "program.py"), str(port)), f"127.0.0.1:{port}")


def running(folder: ServerFolder) -> ServerState:
    state = ServerState.running(folder)
    assert state is not None
    return state


def test_a_server_is_started_again_when_it_dies_and_stopped_for_good(
    folder: ServerFolder, settings: ServerSettings
) -> None:
    first = start_server(folder, settings)
    assert first.is_ready
    assert first.address == settings.address
    assert first.pid is not None
    assert (folder.path.stat().st_mode & 0o777, folder.logs.stat().st_mode & 0o777) == (0o700, 0o700)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: running(folder).restarts == 1 and running(folder).is_ready)
    assert running(folder).pid != first.pid
    stop_server(folder)
    assert ServerState.running(folder) is None
    assert not folder.processes().marked()
    with pytest.raises(ServerNotRunning, match="no server of model 'late' runs"):
        stop_server(folder)


@pytest.mark.long  # the first test starts and stops a server, too
def test_a_second_start_replaces_the_server_at_the_same_address(folder: ServerFolder, settings: ServerSettings) -> None:
    first = start_server(folder, settings)
    second = start_server(folder, settings)
    assert first.supervisor != second.supervisor
    assert not first.supervisor.runs
    assert (folder.logs / "server.log").read_text() == "starts\nstarts\n"


@pytest.mark.long  # the first test starts and stops a server, too
def test_a_server_whose_supervisor_was_killed_is_stopped_too(folder: ServerFolder, settings: ServerSettings) -> None:
    first = start_server(folder, settings)
    first.supervisor.send(signal.SIGKILL)
    wait_until(lambda: not first.supervisor.runs)
    assert ServerState.running(folder) is None
    stop_server(folder)
    assert not folder.processes().marked()


def test_a_server_that_does_not_start_is_named_with_its_last_line_and_not_started_again(
    folder: ServerFolder, settings: ServerSettings
) -> None:
    broken = ServerSettings((sys.executable, "-c", "raise SystemExit('error: no model')"), settings.address)
    with pytest.raises(ServerNotStarted, match=r"does not start: .*error: no model.*\(log: .*/roles/deploy/late/logs"):
        start_server(folder, broken)
    assert ServerState.running(folder) is None


def test_an_address_of_another_process_is_named(folder: ServerFolder, settings: ServerSettings, tmp_path: Path) -> None:
    other = ServerFolder(tmp_path, "other")
    start_server(other, settings)
    try:
        with pytest.raises(ServeAddressTaken, match=r"is in use by process \d+ .* write another port under \[serve\]"):
            start_server(folder, settings)
    finally:
        stop_server(other)


def test_the_state_of_another_machines_start_counts_for_nothing(folder: ServerFolder, settings: ServerSettings) -> None:
    state = start_server(folder, settings)
    stop_server(folder)
    assert not state.supervisor.runs
    for content in ("", "{}", '{"supervisor": 1}', "[]"):
        (folder.path / "state.json").write_text(content)
        assert ServerState.running(folder) is None
