"""The processes of a deployment, as tests start them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from base.ports import free_port
from deployment.local.processes import Processes


def words(*arguments: str) -> list[str]:
    """The command line of a command in a process of its own."""
    return [sys.executable, "-m", "covey", *arguments]


def start_superlink(project: Path, processes: Processes, *options: str, port: int | None = None) -> str:
    """Start the SuperLink. Returns the address for sites once it listens. Without a port, it gets a free one."""
    port = free_port() if port is None else port
    processes.start("superlink", words("start", "superlink", "--project", str(project), "--port", str(port), *options))
    end = time.monotonic() + 60
    while "superlink: listens" not in processes.log("superlink").read_text():
        processes.require_running("superlink")
        assert time.monotonic() < end
        time.sleep(0.05)
    return f"127.0.0.1:{port}"
