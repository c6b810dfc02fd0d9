"""Another user of the machine reads the files of a run, while it runs and after it failed.

The attacker has an account on the machine and may enter the folder that contains the store.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from deployment.local.processes import MARK
from tests.covey.conftest import VIEWS, make_events
from tests.file_modes import assert_modes, assert_unfinished

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")

NOBODY = 65534
FOR_MANY_READERS = ("views.py", "store/store/")


@pytest.fixture(scope="module")
def killed() -> Iterator[Path]:
    """A folder that everybody may enter, with a killed run over real processes in it. Its umask is 0."""
    folder = Path(tempfile.mkdtemp(prefix="covey-attack-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), folder / "events.parquet")
    (folder / "events.parquet").chmod(0o600)
    (folder / "scratch").mkdir(mode=0o700)
    command = [
        sys.executable, "-m", "covey", "run", "views.py", "--events", "events.parquet", "--client-column", "who",
        "--time-column", "at", "--site-column", "site", "--store", "store", "--noise", "off", "--min-clients", "2",
        "--budget", "1",
    ]  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(folder / "scratch")}
    process = subprocess.Popen(command, cwd=folder, env=environment, umask=0, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 240
        while not list(folder.rglob("roles/leader/state.db")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        mark = _mark_of_children(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        _kill(mark)
    yield folder
    shutil.rmtree(folder)


def _mark_of_children(process: subprocess.Popen[bytes]) -> set[str]:
    children = psutil.Process(process.pid).children(recursive=True)
    return {child.environ().get(MARK, "") for child in children} - {""}


def _kill(marks: set[str]) -> None:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) in marks:
                process.kill()
                process.wait(10)
        except (psutil.Error, OSError):
            continue


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_reads_and_changes_nothing_but_what_is_for_many_readers(killed: Path) -> None:
    script = 'for f; do head -c 1 "$f" >/dev/null 2>&1 && echo "r $f"; [ -w "$f" ] && echo "w $f"; done; true'
    find = ["find", str(killed), "-type", "f", "-exec", "sh", "-c", script, "sh", "{}", "+"]
    done = subprocess.run(find, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False)
    found = [line.split(" ", 1) for line in done.stdout.splitlines()]
    readable = {str(Path(name).relative_to(killed)) for kind, name in found if kind == "r"}
    assert {name for name in readable if not name.startswith(FOR_MANY_READERS)} == set()
    assert "store/store/registry.db" in readable  # the search did read the store


def test_whatever_the_umask_a_killed_run_leaves_private_files_beside_the_store_and_none_in_it(killed: Path) -> None:
    unfinished = assert_unfinished(killed / "store.unfinished")
    assert {"job.json", "sites/x.parquet", "sites/x.toml", "keys/leader.key", "roles/leader/state.db"} <= unfinished
    stored = assert_modes(killed / "store", 0)
    assert not [name for name in stored if name.endswith(".parquet")]


def test_a_run_that_is_given_up_leaves_no_event(killed: Path) -> None:
    command = [sys.executable, "-m", "covey", "run", "--give-up", "--store", "store"]
    done = subprocess.run(command, cwd=killed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nothing was charged" in done.stderr
    assert not (killed / "store.unfinished").exists()
    assert_modes(killed / "store", 0)
    again = subprocess.run(command, cwd=killed, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "has no unfinished run" in again.stderr
