"""The runs that a console has started. Each is a child process, which goes on when the page is gone and ends when the console does.

The runs are kept in memory. The lock of the store decides which collection may run; here a second run is only refused earlier.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition, Lock, Thread, Timer
from typing import Any, Final, Literal

from pydantic import ValidationError

from base.errors import INTERRUPTED
from covey.errors import RunUnderWay, UnknownRun

from .live import EventLog
from .run_request import MAX_LINE, RunEvent, RunRequest

KEPT: Final = 50
"""Runs that are kept; the oldest that has ended is forgotten first."""
GRACE_S: Final = 30.0
"""Time that a run has to end after it was interrupted: it deletes its temporary files."""
CHILD: Final = (sys.executable, "-P", "-m", "covey.console.run")
"""`-P`: the working folder is not on the import path, whatever files are there."""

RunStatus = Literal["running", "done", "failed", "cancelled"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSnapshot:
    """What is known of a run.

    Attributes:
        views: their names.
        command: the command that does the same.
        started_us, ended_us: wall clock; None: it runs.
        progress: the newest progress of each step of each view, in the order of the steps.
        result: of a run that is done; failure: of one that has failed.
    """

    id: str
    views: tuple[str, ...]
    command: str
    started_us: int
    ended_us: int | None
    status: RunStatus
    progress: tuple[Mapping[str, Any], ...]
    result: Mapping[str, Any] | None
    failure: Mapping[str, Any] | None


class Run:
    """One run and its child process.

    Attributes:
        log: its events: `progress`, and at the end `done`, `failed` or `cancelled`.
    """

    def __init__(
        self,
        run_id: str,
        views: tuple[str, ...],
        command: str,
        clock: Callable[[], int],
        process: subprocess.Popen[bytes],
    ) -> None:
        self.id, self.views, self.command = run_id, views, command
        self.log = EventLog()
        self._clock, self._process = clock, process
        self._started_us = clock()
        self._ended_us: int | None = None
        self._cancelled = False
        self._progress: dict[tuple[object, object], Mapping[str, Any]] = {}
        self._end: tuple[RunStatus, Mapping[str, Any]] | None = None
        self._changed = Condition()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._end is None

    def snapshot(self) -> RunSnapshot:
        """What is known of it now."""
        with self._changed:
            status, data = self._end or ("running", {})
            return RunSnapshot(
                self.id,
                self.views,
                self.command,
                self._started_us,
                self._ended_us,
                status,
                tuple(self._progress.values()),
                data if status == "done" else None,
                data if status == "failed" else None,
            )

    def cancel(self) -> None:
        """Interrupt it. Published releases stay, and a repeated run continues."""
        with self._changed:
            if not self.runs or self._cancelled:
                return
            self._cancelled = True
            self._process.send_signal(signal.SIGTERM)  # SIGINT may be ignored; see `run`
        killer = Timer(GRACE_S, self._kill)
        killer.daemon = True
        killer.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; returns whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.runs, timeout_s)

    def follow(self) -> None:
        """Read the child's lines until it ends; runs in a thread of its own."""
        assert self._process.stdout is not None
        last: RunEvent | None = None
        with self._process.stdout as lines:
            while line := lines.readline(MAX_LINE):
                try:
                    last = RunEvent.model_validate_json(line)
                except ValidationError:
                    _log.error("a run wrote a line of %d bytes that is no event", len(line))
                    self._process.kill()
                    break
                if last.event == "progress":
                    self._add_progress(last.data)
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._finish(*self._outcome(last, code))

    def _add_progress(self, data: Mapping[str, Any]) -> None:
        with self._changed:
            self._progress[data.get("view"), data.get("step")] = data
        self.log.append("progress", data)

    def _outcome(self, last: RunEvent | None, code: int) -> tuple[RunStatus, Mapping[str, Any]]:
        match last:
            case RunEvent(event="done"):
                return "done", last.data
            case RunEvent(event="failed"):
                return "failed", last.data
            case _ if self._cancelled or code == INTERRUPTED:
                return "cancelled", {}
            case _:
                return "failed", _died(code)

    def _finish(self, status: RunStatus, data: Mapping[str, Any]) -> None:
        with self._changed:
            self._ended_us, self._end = self._clock(), (status, data)
            self.log.append(status, data)  # before anybody sees that it has ended
            self.log.close()
            self._changed.notify_all()

    def _kill(self) -> None:
        if self.runs:
            self._process.kill()


class RunRegistry:
    """The runs of one console.

    Args:
        clock: wall clock, µs since the epoch. randomness: random bytes, so that a page does not take a run of an earlier
            console for its own.
        child: the command line of a child.
    """

    def __init__(
        self, clock: Callable[[], int], randomness: Callable[[int], bytes], child: Sequence[str] = CHILD
    ) -> None:
        self._clock, self._randomness, self._child = clock, randomness, child
        self._runs: dict[str, Run] = {}
        self._number = 0
        self._lock = Lock()

    def start(self, request: RunRequest, views: tuple[str, ...], command: str) -> Run:
        """Start a run.

        Raises:
            RunUnderWay: another one runs.
        """
        with self._lock:
            self.require_idle()
            process = subprocess.Popen(  # noqa: S603 - this program itself; the request is data on its stdin
                self._child,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C reaches the console only, whose end interrupts the run
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
            self._number += 1
            run = Run(f"{self._number}-{self._randomness(4).hex()}", views, command, self._clock, process)
            self._runs[run.id] = run
            self._forget()
        Thread(target=run.follow, name=f"run-{run.id}", daemon=True).start()
        _send(process, request)
        return run

    def require_idle(self) -> None:
        """Return if no run is under way. Raises RunUnderWay."""
        for run in self.all():
            if run.runs:
                raise RunUnderWay(run.id, run.views)

    def all(self) -> tuple[Run, ...]:
        """All runs, the newest first."""
        return tuple(reversed(tuple(self._runs.values())))

    def get(self, run_id: str) -> Run:
        """A run. Raises UnknownRun."""
        if (run := self._runs.get(run_id)) is None:
            raise UnknownRun(run_id)
        return run

    def _forget(self) -> None:
        ended = [run_id for run_id, run in self._runs.items() if not run.runs]
        for run_id in ended[: max(0, len(self._runs) - KEPT)]:
            del self._runs[run_id]


def _send(process: subprocess.Popen[bytes], request: RunRequest) -> None:
    """Send the request. stdin stays open: its end interrupts the run."""
    assert process.stdin is not None
    try:
        process.stdin.write(request.model_dump_json().encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it ended at once, and `Run.follow` reports how


def _died(code: int) -> Mapping[str, Any]:
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return {
        "code": "RUN_DIED",
        "detail": f"the run ended {how}, without a result",
        "mend": "the console's log has its last lines; a repeated run continues",
    }
