"""A circuit breaker: while a server is away, one call at a time probes it, and all others fail at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.1
LONGEST_S: Final = 5.0
"""The wait after a failed call doubles from the first to the longest; a random part of up to a half is subtracted."""


class Breaker:
    """A breaker for any thread. Ask `wait_s` before each call, and report `passed` or `failed` after it.

    Args:
        probe_s: how long an admitted call may take; if its result is not reported by then, the next call is admitted.
        clock: a monotonic clock, in seconds.
        chance: gives random numbers, uniform in [0, 1).
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
        """0: the call is admitted; otherwise how many seconds to wait. After the wait one of several calls is admitted."""
        with self._lock:
            if not self._failures:
                return 0.0
            now = self._clock()
            if now < self._until:
                return self._until - now
            self._until = now + self._probe_s
            return 0.0

    def passed(self) -> bool:
        """Report an answered call: every call is admitted. True: the server was away before."""
        with self._lock:
            was_away, self._failures = self._failures > 0, 0
            return was_away

    def failed(self) -> bool:
        """Report an unanswered call. True: the server was not away before."""
        with self._lock:
            self._failures += 1
            longest = min(LONGEST_S, FIRST_S * 2 ** min(self._failures - 1, 16))
            self._until = self._clock() + longest * (1 - self._chance() / 2)
            return self._failures == 1
