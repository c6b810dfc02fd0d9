from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from deployment.coordinator import flower_app
from deployment.coordinator.job import Job

WAITS = """
import sys
from pathlib import Path
from deployment.coordinator.job import Job
print("waits", flush=True)
with Job.load(Path(sys.argv[1])).alone():
    print("alone", flush=True)
"""


def a_job(folder: Path) -> Path:
    job = Job(b"plan", folder, "127.0.0.1:1", "127.0.0.1:2", folder, 1, 1.0, folder / "job.result", folder / "progress")
    job.save(folder / "job.json")
    return folder / "job.json"


def test_a_second_attempt_waits_for_the_first_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    path = a_job(tmp_path)
    with Job.load(path).alone():
        other = subprocess.Popen([sys.executable, "-c", WAITS, str(path)], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "waits\n"
        try:
            other.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
        else:
            raise AssertionError("it did not wait")
    assert other.communicate(timeout=120)[0] == "alone\n"
    killed = subprocess.Popen(
        [sys.executable, "-c", WAITS + "    import time; time.sleep(60)", str(path)], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    assert [killed.stdout.readline() for _ in range(2)] == ["waits\n", "alone\n"]
    killed.kill()
    killed.communicate(timeout=120)
    with Job.load(path).alone():
        pass


def test_an_attempt_that_finds_the_result_does_nothing(tmp_path: Path) -> None:
    path = a_job(tmp_path)
    Job.load(path).finish({"views": {}})
    grid: Any = None
    flower_app.run(Job.load(path), grid)
    assert not Job.load(path).failure.exists()
