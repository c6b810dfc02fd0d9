"""Measurements of the lab and the benchmarks: seconds by one clock, medians of turns, steps, memory, and a last line of JSON."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

Clock = Callable[[], float]
THREAD: Final[Clock] = time.thread_time
"""CPU seconds of this thread. Other threads and other processes do not count."""
PROCESS: Final[Clock] = time.process_time
"""CPU seconds of all threads of this process."""
WALL: Final[Clock] = time.perf_counter
"""Wall seconds, with waiting."""
TURNS: Final = 9
_RESET_PEAK: Final = Path("/proc/self/clear_refs")

_T = TypeVar("_T")


def timed(work: Callable[[], _T], clock: Clock = PROCESS) -> tuple[_T, float]:
    """Run the work; return its result and its seconds."""
    start = clock()
    result = work()
    return result, clock() - start


def medians(*work: Callable[[], object], clock: Clock = THREAD, turns: int = TURNS) -> list[float]:
    """Return the median seconds of each piece of work over some turns, after one turn that does not count.

    The pieces take turns, so load on the machine affects all of them equally.
    """
    taken: list[list[float]] = [[] for _ in work]
    for turn in range(turns + 1):
        for piece, seconds in zip(work, taken, strict=True):
            _, took = timed(piece, clock)
            if turn:
                seconds.append(took)
    return [statistics.median(seconds) for seconds in taken]


@dataclass
class Watch:
    """A stopwatch: seconds by step. The time of an inner step counts only for the inner step."""

    clock: Clock = THREAD
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inner: list[float] = field(default_factory=lambda: [0.0], repr=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the work inside."""
        start = self.clock()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = self.clock() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + took - self._inner.pop()
            self._inner[-1] += took


def peak_bytes(process: int | None = None) -> int:
    """Return the peak resident memory of a process (default: this one); 0 if the system does not report it."""
    return _memory("VmHWM", process) or 0


def start_of_peak() -> int | None:
    """Reset the peak of this process and return its resident bytes; None if the system does not report them."""
    with suppress(OSError):
        _RESET_PEAK.write_text("5")
    return _memory("VmRSS")


def peak_since(start: int | None) -> int | None:
    """Return how far the memory of this process has risen above `start`; None if the system does not report it."""
    peak = _memory("VmHWM")
    return None if start is None or peak is None else max(0, peak - start)


def _memory(name: str, process: int | None = None) -> int | None:
    """Return the bytes of a line such as `VmHWM:  123 kB` in Linux's /proc."""
    with suppress(OSError):
        status = Path(f"/proc/{process or 'self'}/status").read_text(encoding="ascii", errors="replace")
        for line in status.splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None


def load_average() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 1)


def print_figures(figures: Mapping[str, Any]) -> None:
    """Print the last line of a benchmark: its figures and the load of the machine, as one JSON object."""
    print(json.dumps({**figures, "load_average": load_average()}))  # noqa: T201 - the output of a benchmark
