"""Token buckets over requests and rows: a pair for each consumer, and a pair that all readers share.

A bucket may go into debt. A request is admitted while any token is left, before its body is read, and takes tokens for its
rows once their number is known. Later requests wait until the debt is paid. So in the long run no consumer gets more than the
limit, and no request is too large to be admitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from featurestore.errors import ConsumerInvalid

BURST_S: Final = 1.0
"""A bucket holds the tokens of this time."""
MAX_RATE: Final = 10**9


@dataclass(frozen=True)
class Limits:
    """The limits of a consumer, a second; None: no limit. Raises ConsumerInvalid."""

    rows: int | None = None
    requests: int | None = None

    def __post_init__(self) -> None:
        for what, limit in (("rows", self.rows), ("requests", self.requests)):
            if limit is not None and (type(limit) is not int or not 1 <= limit <= MAX_RATE):
                raise ConsumerInvalid(f"{what} a second: a whole number from 1 to {MAX_RATE:,}, not {str(limit)[:40]}")

    def or_else(self, default: Limits) -> Limits:
        """These limits, completed by those of `default`."""
        return Limits(
            default.rows if self.rows is None else self.rows,
            default.requests if self.requests is None else self.requests,
        )


NO_LIMITS: Final = Limits()


@dataclass(frozen=True)
class ServerLimits:
    """The limits of a server.

    Attributes:
        each: of a consumer without limits of its own.
        together: of all readers together.
        connections: the most open connections, and the most calls over gRPC at a time.
    """

    each: Limits = NO_LIMITS
    together: Limits = NO_LIMITS
    connections: int = 1_000

    def share(self, workers: int) -> int:
        """The connections of one of several workers."""
        return max(1, self.connections // workers)


class Bucket:
    """A token bucket that fills at `rate` tokens a second. Times are seconds of a monotonic clock."""

    __slots__ = ("_at", "_full", "_level", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._full, self._at = rate, rate * BURST_S, now
        self._level = self._full

    def wait_s(self, now: float) -> int:
        """0 if a token is left; otherwise the whole seconds until one is."""
        level = self._level + (now - self._at) * self._rate
        if level > self._full:
            level = self._full
        self._level, self._at = level, now
        return 0 if level > 0 else int(-level / self._rate) + 1

    def take(self, tokens: int) -> None:
        """Take tokens, also into debt."""
        self._level -= tokens


class Buckets:
    """A bucket of rows and one of requests; None: no limit."""

    __slots__ = ("requests", "rows")

    def __init__(self, limits: Limits, workers: int, now: float) -> None:
        self.rows = None if limits.rows is None else Bucket(limits.rows / workers, now)
        self.requests = None if limits.requests is None else Bucket(limits.requests / workers, now)

    def wait_s(self, now: float) -> int:
        """0 if both have a token left; otherwise the whole seconds until both have one."""
        wait = 0 if self.rows is None else self.rows.wait_s(now)
        return wait if self.requests is None else max(wait, self.requests.wait_s(now))


class Wait(NamedTuple):
    """How long a refused reader waits.

    Attributes:
        seconds: whole seconds.
        together: whether all readers together are over their limit; otherwise this consumer is.
    """

    seconds: int
    together: bool


class Allowance:
    """The buckets of one consumer, and those of all readers. An admitted request takes tokens of both."""

    __slots__ = ("_clock", "_own", "_together")

    def __init__(self, own: Buckets, together: Buckets, clock: Callable[[], float]) -> None:
        self._own, self._together, self._clock = own, together, clock

    def admit(self) -> Wait | None:
        """Admit a request, or return how long to wait. A refused request takes no token."""
        now = self._clock()
        own, together = self._own, self._together
        if wait := own.wait_s(now):
            return Wait(wait, together=False)
        if wait := together.wait_s(now):
            return Wait(wait, together=True)
        if own.requests is not None:
            own.requests.take(1)
        if together.requests is not None:
            together.requests.take(1)
        return None

    def charge(self, rows: int) -> None:
        """Take the rows of an admitted request."""
        if self._own.rows is not None:
            self._own.rows.take(rows)
        if self._together.rows is not None:
            self._together.rows.take(rows)


class Throttle:
    """The allowances of one worker: an equal share of each limit.

    Args:
        limits: the limits of the server.
        workers: how many workers share the limits.
    """

    def __init__(self, limits: ServerLimits, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._each, self._workers, self._clock = limits.each, workers, clock
        self._together = Buckets(limits.together, workers, clock())
        self._allowances: dict[str, Allowance] = {}

    def allowance(self, ident: str, limits: Limits) -> Allowance:
        """The allowance of a consumer, by an id that stands for the same limits always."""
        known = self._allowances.get(ident)
        if known is None:
            own = Buckets(limits.or_else(self._each), self._workers, self._clock())
            known = Allowance(own, self._together, self._clock)
            self._allowances[ident] = known
        return known
