"""A circuit breaker: while a server is away, one call now and then asks whether it is back, and all others fail at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.1
LONGEST_S: Final = 5.0
"""The wait after a failed call: it doubles from the first to the longest, less up to a half of it by chance."""


class Breaker:
    """For any thread. Each call is admitted first, and then told to have passed or failed.

    Args:
        probe_s: how long an admitted call may take; the next one is admitted then, if nothing was heard of it.
        clock: steady, in seconds.
        chance: evenly in [0, 1).
    """

    def __init__(
        self,
        probe_s: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._probe_s, self._clock, self._chance = probe_s, clock, chance
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def wait_s(self) -> float:
        """0: go ahead; otherwise in how many seconds to ask again. Of several calls after the wait, one goes ahead."""
        with self._lock:
            if not self._failures:
                return 0.0
            now = self._clock()
            if now < self._until:
                return self._until - now
            self._until = now + self._probe_s
            return 0.0

    def passed(self) -> bool:
        """A call was answered: every call goes ahead. True if that is news."""
        with self._lock:
            was_away, self._failures = self._failures > 0, 0
            return was_away

    def failed(self) -> bool:
        """A call was not answered. True if that is news."""
        with self._lock:
            self._failures += 1
            longest = min(LONGEST_S, FIRST_S * 2 ** min(self._failures - 1, 16))
            self._until = self._clock() + longest * (1 - self._chance() / 2)
            return self._failures == 1
