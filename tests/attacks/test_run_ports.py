"""A `covey run` on a machine with other users: on none of its ports can they start anything or read stored data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from deployment.local.processes import MARK
from tests.attacks.evil import packed, write_evil_app
from tests.attacks.nobody import as_nobody, needs_root
from tests.covey.conftest import VIEWS, make_events
from tests.waiting import wait_until

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")

OWN = "COVEY_TEST_PID"


def of_the_run() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if MARK in environment and environment.get(OWN) == str(os.getpid()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def ports_of_the_run() -> dict[int, str]:
    """Every port on which a process of the run listens, with the command of that process."""
    found = {}
    for process in of_the_run():
        try:
            command = " ".join(process.cmdline())
            for one in process.net_connections("tcp"):
                if one.status == psutil.CONN_LISTEN:
                    found[one.laddr.port] = command
        except psutil.Error:
            continue
    return found


@needs_root
def test_another_user_starts_nothing_in_a_run_and_reads_nothing_of_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), project / "events.parquet")
    evil = write_evil_app(tmp_path / "evil", tmp_path / "marker", project / "store" / "unfinished" / "keys")
    (tmp_path / "evil.fab").write_bytes(packed(evil))
    command = [
        sys.executable, "-m", "covey", "run", str(project / "views.py"), "--events", str(project / "events.parquet"),
        "--client-column", "who", "--time-column", "at", "--sites", "2", "--store", str(project / "store"), "--budget", "1",
    ]  # fmt: skip
    environment = {**os.environ, OWN: str(os.getpid())}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: run.poll() is not None or any("raylet" in one for one in ports_of_the_run().values()), 240)
        assert run.poll() is None, run.communicate()[1]
        for process in of_the_run():
            if "leader" in process.cmdline():
                process.suspend()  # the run must not end meanwhile
        time.sleep(2)  # Ray's workers start
        ports = ports_of_the_run()
        assert sum("gcs_server" in command for command in ports.values()) == 1
        told = as_nobody("start-run", *(f"127.0.0.1:{port}" for port in ports), file=tmp_path / "evil.fab")
        assert all(line.startswith("refused: ") for line in told), dict(zip(ports.values(), told, strict=True))
        told = as_nobody("read-ray", *(f"127.0.0.1:{port}" for port in ports if "gcs_server" in ports[port]))
        assert all(line.startswith("refused: AuthenticationError") for line in told), told
        assert not any("dashboard.py" in command for command in ports.values())
        folders = {one.environ()["RAY_TMPDIR"] for one in of_the_run() if "RAY_TMPDIR" in one.environ()}
        for folder in map(Path, folders):
            assert oct(folder.stat().st_mode & 0o777) == "0o700"
            assert oct((folder / "token").stat().st_mode & 0o777) == "0o600"
        assert folders
        assert not (tmp_path / "marker").exists()
    finally:
        run.send_signal(signal.SIGINT)
        for process in of_the_run():
            process.resume()
        run.communicate(timeout=180)
    assert of_the_run() == []
