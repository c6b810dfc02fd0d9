from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from base.ports import free_port
from deployment.errors import ProcessFailed
from deployment.local import processes as processes_module
from deployment.local.processes import Processes
from tests.waiting import wait_until

_FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"], start_new_session=True)
time.sleep(600)
"""


def test_all_that_a_process_started_is_ended_too_even_what_ignores_sigterm(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("family", [sys.executable, "-c", _FAMILY])
        wait_until(lambda: len(processes.marked()) == 2)
        living = processes.marked()
    assert not any(psutil.pid_exists(process.pid) and process.is_running() for process in living)


_WRITES_WHEN_ASKED = """
import signal, subprocess, sys, time
child = '''
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1], "asked").touch(), sys.exit()))
pathlib.Path(sys.argv[1], "ready").touch()
time.sleep(600)
'''
subprocess.Popen([sys.executable, "-c", child, sys.argv[1]], start_new_session=True)
time.sleep(600)
"""


def test_what_a_process_started_is_asked_before_it_is_killed(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("family", [sys.executable, "-c", _WRITES_WHEN_ASKED, str(tmp_path)])
        wait_until((tmp_path / "ready").exists)
    assert (tmp_path / "asked").exists()


def test_a_process_that_ends_early_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("short", [sys.executable, "-c", "print('no such plan'); raise SystemExit(3)"])
        with pytest.raises(ProcessFailed, match=r"short ended with status 3: no such plan"):
            processes.wait_for_port("short", free_port(), 180)


def test_the_last_words_of_a_box_are_the_text_in_it(tmp_path: Path) -> None:
    box = "Using it\n╭─ Error ───╮\n│ Nobody is │\n│ there.    │\n╰───────────╯"
    with Processes(tmp_path) as processes:
        processes.start("boxed", [sys.executable, "-c", f"import sys; sys.stdout.buffer.write({box.encode()!r})"])
        with pytest.raises(ProcessFailed, match=r"status 0: Nobody is there\. \(log"):
            processes.wait_for_port("boxed", free_port(), 180)


def test_a_port_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    code = f"import socket, time; s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(); time.sleep(600)"
    with Processes(tmp_path) as processes:
        processes.start("server", [sys.executable, "-c", code])
        processes.wait_for_port("server", port, 180)
        with pytest.raises(ProcessFailed, match="did not listen"):
            processes.wait_for_port("server", free_port(), 0.2)


def test_a_lost_log_has_no_last_line_and_the_next_start_makes_it_again(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    with Processes(logs, keeps_logs=True) as processes:
        for _ in range(2):
            processes.start("short", [sys.executable, "-c", "print('here')"])
            while processes.exit_status("short") is None:
                time.sleep(0.01)
            assert processes.last_line("short") == "here"
            shutil.rmtree(logs)
            assert processes.last_line("short") == "(no output)"


_RESPAWNS = """
import subprocess, sys, time
while True:
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], env={"COVEY_RUN": sys.argv[1]}).wait()
"""


def test_processes_that_another_program_starts_again_and_again_are_named_and_not_killed_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(tmp_path, mark="again")
    with subprocess.Popen([sys.executable, "-c", _RESPAWNS, "again"]) as other:
        wait_until(lambda: bool(processes.marked()))
        with monkeypatch.context() as patched:
            patched.setattr(
                processes_module, "STOP_SECONDS", 1.0
            )  # the last stop has the usual time: a loaded machine is slow
            with pytest.raises(ProcessFailed, match="started again and again, and were killed for 1 s"):
                processes.stop()
        other.kill()
    processes.stop()


def test_a_process_of_another_user_is_not_of_this_run(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root starts processes of another user")
    code = ["/bin/sleep", "600"]
    with Processes(tmp_path, mark="mine") as processes:
        mine = processes.start("mine", code)
        with subprocess.Popen(code, env={**os.environ, "COVEY_RUN": "mine"}, user=65534) as other:
            wait_until(lambda: psutil.Process(other.pid).environ().get("COVEY_RUN") == "mine")
            found = [one.pid for one in processes.marked()]
            other.kill()
        assert found == [mine]
