"""The feature server in several processes: one listening socket, and a supervisor that answers no requests.

The supervisor opens the socket and every worker accepts from it. A port in use is then an error (with SO_REUSEPORT it is
not), and if a worker dies, its waiting connections go to another one. Workers are separate programs, not forks, because the
libraries have threads and open files that a fork must not inherit. If the supervisor ends for any reason, each worker reads
the end of a pipe and ends.

uvicorn's own workers are not used. They outlive a killed supervisor, a failing worker is restarted without end, and a worker
does not know its number, by which a replacement continues the counts of its predecessor.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from featurestore.errors import WorkersFailing

from .metrics import ROW_BYTES, Counts
from .settings import GRACE_S, ServerSettings, WorkerFiles

MAX_DEATHS: Final = 5
"""More deaths than this within `DEATHS_S` end the server, because another worker would die, too."""
DEATHS_S: Final = 60.0

_LOOK_S: Final = 0.05
_KILL_AFTER_S: Final = GRACE_S + 5
"""How long a worker may take to end after SIGTERM before it is killed."""


class WorkerProgram(NamedTuple):
    """The program of a worker.

    Attributes:
        module: its module.
        more: arguments after those of every worker.
        count_bytes: how many bytes a worker has in the file of further counters.
    """

    module: str
    more: tuple[str, ...] = ()
    count_bytes: int = 0


FEATURES: Final = WorkerProgram("featurestore.server.worker")
"""A worker that serves features only."""


class _Workers:
    """The running workers, by their number."""

    def __init__(self, settings: ServerSettings, files: WorkerFiles, program: WorkerProgram) -> None:
        self._settings, self._files, self._program = settings, files, program
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        """Start a worker, or a replacement for one that ended."""
        program = self._program
        arguments = (self._settings.to_json(), self._files.to_json(), str(number), *program.more)
        self._running[number] = subprocess.Popen(  # noqa: S603 - this program itself, with its own arguments
            [
                sys.executable,
                "-P",
                "-m",
                program.module,
                *arguments,
            ],  # -P: do not import from the working directory
            pass_fds=self._files.descriptors,
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches only the supervisor, which then ends all workers
        )

    def ended(self) -> Iterator[tuple[int, int]]:
        """(number, exit code) of the workers that ended."""
        for number, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                yield number, code

    def stop(self) -> None:
        """End all workers: SIGTERM to each by its pid, then SIGKILL to those that do not end."""
        try:
            for process in self._running.values():
                process.terminate()
            end = time.monotonic() + _KILL_AFTER_S
            for process in self._running.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, end - time.monotonic()))
        finally:
            for process in self._running.values():
                process.kill()
                process.wait()


def run_server(settings: ServerSettings, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM raises KeyboardInterrupt, in this process or in `settings.workers` processes.

    Raises:
        WorkersFailing.
    """
    if settings.workers == 1:
        from .worker import run_worker  # a supervisor with workers answers no request, and starts without this

        run_worker(settings, Counts(), listening)
    else:
        serve_with_workers(settings, listening, say)


def serve_with_workers(
    settings: ServerSettings, listening: socket.socket, say: Callable[[str], None], program: WorkerProgram = FEATURES
) -> None:
    """Run `settings.workers` workers until KeyboardInterrupt, which is raised again after all workers ended.

    Args:
        say: receives a line about each worker that died.

    Raises:
        WorkersFailing: the workers die again and again.
    """
    with contextlib.ExitStack() as stack:
        counts = stack.enter_context(tempfile.TemporaryFile(prefix="covey-counts-"))
        counts.truncate(settings.workers * ROW_BYTES)
        more_counts = stack.enter_context(tempfile.TemporaryFile(prefix="covey-counts-"))
        more_counts.truncate(settings.workers * program.count_bytes)
        alive, held = os.pipe()
        stack.callback(os.close, held)
        stack.callback(os.close, alive)
        files = WorkerFiles(listening.fileno(), counts.fileno(), alive, more_counts.fileno())
        workers = _Workers(settings, files, program)
        stack.callback(workers.stop)
        for number in range(settings.workers):
            workers.start(number)
        deaths: deque[float] = deque(maxlen=MAX_DEATHS + 1)
        while True:
            time.sleep(_LOOK_S)
            for number, code in workers.ended():
                deaths.append(time.monotonic())
                if len(deaths) > MAX_DEATHS and deaths[-1] - deaths[0] < DEATHS_S:
                    raise WorkersFailing(
                        f"worker {number} ended with {code}, as {MAX_DEATHS} did in the last {DEATHS_S:.0f} s; "
                        "see their output above"
                    )
                say(f"worker {number} ended with {code}; another worker replaces it")
                workers.start(number)
