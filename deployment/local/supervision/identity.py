"""The identity of a process. A pid alone is not one: after a restart of the machine, another process may have it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that no other one is equal to.

    Attributes:
        began: the boot of the machine and the tick of the process's start; where /proc is missing, the time of its start.
    """

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a running process; None: there is no such process."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            state, *fields = stat.rpartition(")")[2].split()
            return None if state == "Z" else cls(pid, f"{boot}/{fields[18]}")
        except (FileNotFoundError, ProcessLookupError):
            if Path("/proc/self").exists():
                return None
        try:
            return cls(pid, f"{psutil.Process(pid).create_time():.2f}")
        except psutil.NoSuchProcess:
            return None

    @property
    def runs(self) -> bool:
        """Whether this very process runs."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.runs:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, seconds: float) -> None:
        """End it by SIGTERM, and by SIGKILL if it still runs after some seconds. It waits as long again at most."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.send(number)
            if self._ends_within(seconds):
                return

    def _ends_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.runs:
                return True
            time.sleep(_LOOK_S)
        return False
