"""Times that can be compared: pieces of work in turns, so that what else the machine does hits all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

TURNS: Final = 9


def medians(*work: Callable[[], object]) -> list[float]:
    """CPU seconds of each piece of work: the median of TURNS turns, after one that does not count."""
    taken: list[list[float]] = [[] for _ in work]
    for turn in range(TURNS + 1):
        for piece, seconds in zip(work, taken, strict=True):
            start = time.thread_time()
            piece()
            if turn:
                seconds.append(time.thread_time() - start)
    return [statistics.median(seconds) for seconds in taken]
