"""How the laboratory and the benchmarks measure: seconds by one clock, medians of turns, steps, memory, and a last line of JSON."""

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
"""CPU seconds of this thread: what else the machine does does not count, nor what other threads do."""
PROCESS: Final[Clock] = time.process_time
"""CPU seconds of all threads of this process."""
WALL: Final[Clock] = time.perf_counter
"""Seconds that pass, waiting included."""
TURNS: Final = 9
_RESET_PEAK: Final = Path("/proc/self/clear_refs")

_T = TypeVar("_T")


def timed(work: Callable[[], _T], clock: Clock = PROCESS) -> tuple[_T, float]:
    """What the work gives, and its seconds."""
    start = clock()
    result = work()
    return result, clock() - start


def medians(*work: Callable[[], object], clock: Clock = THREAD, turns: int = TURNS) -> list[float]:
    """Seconds of each piece of work: the median of some turns, after one that does not count.

    The pieces take turns, so that load on the machine affects all of them alike.
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
    """A stopwatch: seconds by step. The time of a step inside another one counts for the inner step only."""

    clock: Clock = THREAD
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inner: list[float] = field(default_factory=lambda: [0.0], repr=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        start = self.clock()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = self.clock() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + took - self._inner.pop()
            self._inner[-1] += took


def peak_bytes(process: int | None = None) -> int:
    """The most resident memory that a process (default: this one) has had; 0 where the system does not say."""
    return _memory("VmHWM", process) or 0


def start_of_peak() -> int | None:
    """Forget the peak of this process, and return its resident bytes now; None where the system does not say."""
    with suppress(OSError):
        _RESET_PEAK.write_text("5")
    return _memory("VmRSS")


def peak_since(start: int | None) -> int | None:
    """How far the memory of this process has risen above `start_of_peak`; None where the system does not say."""
    peak = _memory("VmHWM")
    return None if start is None or peak is None else max(0, peak - start)


def _memory(name: str, process: int | None = None) -> int | None:
    """Bytes, of a line such as `VmHWM:  123 kB` in Linux's /proc."""
    with suppress(OSError):
        status = Path(f"/proc/{process or 'self'}/status").read_text(encoding="ascii", errors="replace")
        for line in status.splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None


def load_average() -> float:
    """Of the last minute."""
    return round(os.getloadavg()[0], 1)


def print_figures(figures: Mapping[str, Any]) -> None:
    """Print the last line of a benchmark: its figures and the load of the machine, as one JSON object."""
    print(json.dumps({**figures, "load_average": load_average()}))  # noqa: T201 - what a benchmark gives
