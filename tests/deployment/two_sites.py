"""A deployment of two sites, as the tests of lost days and of release times start it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from deployment.local.processes import Processes
from tests.deployment.deployed import start_superlink, words
from tests.deployment.test_deployment import kill, start_services
from tests.waiting import wait_until

Covey = Callable[..., tuple[int, str, str]]
SITES = {"1": "x", "2": "y"}


class Deployment:
    """A project whose roles run, with two sites that can be stopped and started."""

    def __init__(self, covey: Covey, project: Path, processes: Processes) -> None:
        self.covey, self.project, self.processes = covey, project, processes
        self.at = ["--project", str(project)]
        self.ports = start_services(project, processes)
        self.link = start_superlink(project, processes)
        self.pids: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.starts = 0

    def start(self, *sites: str) -> None:
        for site in sites:
            self.starts += 1
            name = self.names[site] = f"site-{site}-{self.starts}"
            options = ["--superlink", self.link, "--source", str(self.project / f"events-{site}.parquet")]
            options += ["--client-column", "who", "--time-column", "at"]
            self.pids[site] = self.processes.start(name, words("start", "site", site, *self.at, *options))

    def wait_until_registered(self) -> None:
        """Wait until each site that was started has registered."""
        end = time.monotonic() + 180
        for name in self.names.values():
            while "registered as node" not in self.processes.log(name).read_text():
                self.processes.require_running(name)
                assert time.monotonic() < end
                time.sleep(0.05)

    def restart_services(self) -> None:
        """Stop leader and helper and start them again, which read the project file then."""
        for name in ("leader", "helper"):
            os.kill(self.processes._children[name].pid, signal.SIGKILL)
            while self.processes.exit_status(name) is None:
                time.sleep(0.05)
        self.ports = start_services(self.project, self.processes)

    def kill(self, *sites: str) -> None:
        for site in sites:
            os.kill(self.pids.pop(site), signal.SIGKILL)

    @contextmanager
    def stopped_once_planned(self, site: str) -> Iterator[None]:
        """The site stops when the coordinator keeps a plan, after the preflight and before it is announced; then it is killed."""
        plan = self.project / "roles" / "coordinator" / "unfinished" / "job.json"

        def stop() -> None:
            wait_until(plan.is_file)
            os.kill(self.pids[site], signal.SIGSTOP)

        thread = threading.Thread(target=stop)
        thread.start()
        yield
        thread.join()
        self.kill(site)

    @contextmanager
    def superlink_killed_between(self, first: str, second: str) -> Iterator[None]:
        """The SuperLink is killed and started again when the one site has answered the plan, and the other one has not."""
        kept, failed = self.project / "roles" / "coordinator" / "unfinished", list[BaseException]()

        def restart() -> None:
            try:
                wait_until((kept / "job.json").is_file)
                os.kill(self.pids[second], signal.SIGSTOP)
                wait_until((kept / "progress.jsonl").is_file)
                answered = [json.loads(line)["site"] for line in (kept / "progress.jsonl").read_text().splitlines()]
                kill(self.processes, "superlink", self.processes._children["superlink"].pid)
                start_superlink(self.project, self.processes, port=int(self.link.rpartition(":")[2]))
                assert answered == [first]
            except BaseException as error:  # noqa: BLE001 - raised in the test
                failed.append(error)
            finally:
                os.kill(self.pids[second], signal.SIGCONT)

        thread = threading.Thread(target=restart)
        thread.start()
        yield
        thread.join()
        if failed:
            raise failed[0]

    def collect(
        self, day: date | str, *, seconds: int = 60, days: int = 1, until: str | None = None
    ) -> tuple[int, dict[str, Any], str]:
        """Collect some days, or a part of one: (exit code, result, what is printed for people)."""
        code, out, err = self.covey(*self.collecting(day, seconds=seconds, days=days, until=until))
        return code, json.loads(out) if out else {}, err

    def collecting(self, day: date | str, *, seconds: int = 60, days: int = 1, until: str | None = None) -> list[str]:
        """The command that collects some days, or a part of one."""
        command = (
            "start", "coordinator", self.project / "views.py", *self.at, "--noise", "off", "--json",
            "--leader", f"127.0.0.1:{self.ports['leader']}", "--helper", f"127.0.0.1:{self.ports['helper']}",
            "--from", day, "--to", until or date.fromisoformat(str(day)) + timedelta(days), "--seconds", seconds,
        )  # fmt: skip
        return list(map(str, command))


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def states(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {site: (one["state"], one["code"]) for site, one in result["sites"].items() if site in SITES}
