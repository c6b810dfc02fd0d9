"""`python -m covey.console.run`: the child process of a run, which the console starts.

It reads one line, a request, from stdin, and writes its progress as lines of JSON to stdout. Views arrive as data: the text of
a views file is parsed by the console, and is never executed here or there. stdin stays open as long as the console lives: its
end interrupts the run, which a repeated run continues.
"""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD, hide_pandas

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)
    hide_pandas()

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any, BinaryIO, Final

from base.errors import DONE, FAILURE, INTERRUPTED, NOTHING_RELEASED, CoveyError, exit_code

from .run_request import MAX_REQUEST, EventName, RunEvent, RunRequest

EVERY_US: Final = 100_000
"""Time between two reports of progress of one step."""


class Lines:
    """Writes the events of a run."""

    def __init__(self, out: BinaryIO, clock: Callable[[], int]) -> None:
        self._out, self._clock = out, clock
        self._lock = Lock()
        self._last: tuple[str, str, int] = "", "", 0

    def write(self, event: EventName, data: dict[str, Any]) -> None:
        """Write one line."""
        line = RunEvent(event=event, data=data).model_dump_json().encode() + b"\n"
        with self._lock:
            self._out.write(line)
            self._out.flush()

    def progress(self, view: str, step: str, done: int, total: int) -> None:
        """Report a step of a view: its first and last progress, and others at intervals. Called by many threads."""
        now = self._clock()
        with self._lock:
            last_view, last_step, last_us = self._last
            if (view, step) == (last_view, last_step) and done < total and now - last_us < EVERY_US:
                return
            self._last = view, step, now
        self.write("progress", {"view": view, "step": step, "done": done, "total": total})


def collect(request: RunRequest, lines: Lines) -> int:
    """Run the request, register the services, and report the result or the error. Returns the exit code."""
    from base.times import wall_clock
    from deployment.printing.run_report import published_voids, run_to_json
    from deployment.run import run

    try:
        views = request.declared()
        of_text = request.services.read(views)
        of_text.require(Path(request.store))  # before the run charges anything
        report = run(
            views,
            request.events,
            store=request.store,
            client_column=request.client_column,
            time_column=request.time_column,
            site_column=request.site_column,
            start=request.start,
            end=request.end,
            noise=request.noise,
            budget=request.budget,
            in_process=True,
            progress=lines.progress,
        )
        services = of_text.register(report.store, wall_clock)
    except (CoveyError, OSError) as error:
        lines.write("failed", failure_of(error))
        return exit_code(error) or FAILURE
    lines.write("done", run_to_json(report, published_voids(report), services))
    return DONE if report.opened or report.already_open else NOTHING_RELEASED


def failure_of(error: CoveyError | OSError) -> dict[str, Any]:
    """An error for the page: its code, its text and its mend."""
    from covey.cli.mends import mend_of

    return {
        "code": error.code if isinstance(error, CoveyError) else type(error).__name__,
        "detail": str(error),
        "mend": mend_of(error),
    }


def main() -> int:
    """Read the request, and run it until it ends or the console does."""
    from covey.cli import interrupt

    interrupt.install()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no line of ours
    try:
        data = sys.stdin.buffer.readline(MAX_REQUEST)
        request = RunRequest.model_validate_json(data)
        Thread(target=_end_with_console, daemon=True).start()
        return collect(request, Lines(out, lambda: time.monotonic_ns() // 1_000))
    except (KeyboardInterrupt, BrokenPipeError):
        return INTERRUPTED


def _end_with_console() -> None:
    """Wait for the end of stdin, then interrupt the run.

    With SIGTERM: a console that a script started in the background, and so its child, ignores SIGINT.
    """
    while os.read(sys.stdin.fileno(), 4_096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from base.start_up import end_quickly

    code = main()
    end_quickly()
    sys.exit(code)
