"""Child processes of one run. They carry a mark in their environment, so that their own children are ended with them.

Ray and Flower start processes in sessions of their own, which outlive a signal to their parent's group. Every process of a
run carries `COVEY_RUN=<id>`, inherited by all of its children, and `stop` ends each process that has it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from base.private_files import open_private, private_folder
from deployment.errors import ProcessFailed

MARK: Final = "COVEY_RUN"
GRACE_SECONDS: Final = 3.0
STOP_SECONDS: Final = 30.0
"""How long `stop` kills processes that another program keeps starting."""
QUIET_LOOKS: Final = 3
SAID_BYTES: Final = 2**16


class Processes:
    """A context manager that ends every process started in it, and their children.

    Args:
        logs: the folder of the log files, one for each process.
        mark: marks the processes, so that a later process with this mark can end those that an earlier one left. Default: a
            random mark.
        keeps_logs: a process that is started again appends to its log.
    """

    def __init__(self, logs: Path, *, mark: str | None = None, keeps_logs: bool = False) -> None:
        self._logs, self._opening = logs, os.O_WRONLY | os.O_APPEND | (0 if keeps_logs else os.O_TRUNC)
        self._mark = secrets.token_hex(16) if mark is None else mark
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._begins: dict[str, int] = {}
        private_folder(logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Start a process in the background; returns its pid. The terminal's Ctrl-C does not reach it: `stop` ends it.

        Raises:
            OSError. NotPrivate: its log.
        """
        private_folder(self._logs)  # somebody may have removed it since the last start
        with os.fdopen(open_private(self.log(name), self._opening), "ab") as log:
            self._begins[name] = log.tell()
            self._children[name] = subprocess.Popen(  # noqa: S603 - our own commands, never a text from outside
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {}), MARK: self._mark},
                start_new_session=True,
            )
        return self._children[name].pid

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self._logs / f"{name}.log"

    def exit_status(self, name: str) -> int | None:
        """The exit status of a process, None while it runs."""
        return self._children[name].poll()

    def require_running(self, name: str) -> None:
        """Return if a process runs. Raises ProcessFailed, with the last line of its log, if it has ended."""
        if (status := self.exit_status(name)) is not None:
            raise ProcessFailed(f"{name} ended with status {status}: {self.last_line(name)} (log: {self.log(name)})")

    def last_line(self, name: str) -> str:
        """The last line that a process wrote, without the lines that draw a box around it. A lost log has no line."""
        try:
            lines = self.said(name).strip().splitlines()
        except OSError:
            lines = []
        if lines and lines[-1].startswith("╰"):
            top = max((number for number, line in enumerate(lines) if line.startswith("╭")), default=len(lines) - 1)
            lines = [" ".join(line.strip(" │") for line in lines[top + 1 : -1])]
        return lines[-1] if lines else "(no output)"

    def said(self, name: str) -> str:
        """What a process has written since its start, at most the last `SAID_BYTES`. Raises OSError."""
        with self.log(name).open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            begin = self._begins.get(name, 0)
            log.seek(max(begin if begin <= end else 0, end - SAID_BYTES))  # a log that was emptied begins at 0
            return log.read().decode(errors="replace")

    def end(self, names: Sequence[str], seconds: float) -> None:
        """End some processes, each with SIGTERM, and with SIGKILL after so many seconds. `stop` ends their children."""
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.terminate()
        last = time.monotonic() + seconds
        for child in children:
            try:
                child.wait(max(0.0, last - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def wait_for_port(self, name: str, port: int, seconds: float) -> None:
        """Wait until a process listens on a loopback port. Raises ProcessFailed if it ends, or on a timeout."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.require_running(name)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise ProcessFailed(f"{name} did not listen on port {port} within {seconds:.0f} s (log: {self.log(name)})")

    def stop(self) -> None:
        """End every process of the run, including children of children: first SIGTERM, then SIGKILL.

        Ray's processes do not end with their parents, so waiting for them alone would take the whole grace period.

        Raises:
            ProcessFailed: another program keeps starting some.
        """
        last = time.monotonic() + STOP_SECONDS
        marked = self.marked()
        for process in marked:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(marked, timeout=GRACE_SECONDS)
        quiet = 0
        while quiet < QUIET_LOOKS:  # a process shows no environment for a moment during its exec
            alive = self.marked()
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(alive, timeout=GRACE_SECONDS)
            quiet = 0 if alive else quiet + 1
            if alive and time.monotonic() > last:
                pids = ", ".join(str(process.pid) for process in alive)
                raise ProcessFailed(
                    f"processes of this run are started again and again, and were killed for {STOP_SECONDS:.0f} s; the last were "
                    f"{pids}. End the program that starts them: {MARK} in their environment is {self._mark}"
                )
            time.sleep(0.1)
        for child in self._children.values():
            child.wait()

    def marked(self) -> list[psutil.Process]:
        """Every running process of this user that carries this run's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == os.getpid() or process.environ().get(MARK) != self._mark:
                    continue
                if process.uids().real == os.getuid():  # root sees the processes of all users
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
                continue
        return found


def script(name: str) -> str:
    """The path of a command that is installed beside this Python."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise ProcessFailed(f"the command {name} is not installed beside {sys.executable}; pip install 'covey[demo]'")
    return str(path)
