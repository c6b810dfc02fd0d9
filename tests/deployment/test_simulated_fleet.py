"""The process of a run's coordinator and sites ends when Flower's simulation runtime fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")

_FAILING = """
import threading, time
from deployment.local import simulated_fleet

def run_simulation(*what, **how):
    threading.Thread(target=time.sleep, args=(600,)).start()  # as the coordinator's thread waits for its sites
    raise RuntimeError("Ray is gone")

simulated_fleet.run_simulation = run_simulation
simulated_fleet.Job.load = lambda path: type("Job", (), {"sites": 1})()
simulated_fleet.server_app = lambda job: None
simulated_fleet.main("job.json", "edge_client.flower_app:app")
"""


def test_repro_a_runtime_that_fails_ends_the_process_though_the_coordinator_still_waits() -> None:
    command = [sys.executable, "-c", _FAILING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "Ray is gone" in done.stderr
