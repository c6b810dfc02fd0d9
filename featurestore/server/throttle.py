"""Token buckets over requests and rows, one pair a consumer.

A bucket may go into debt. A request is admitted while any token is left, before its body is read, and takes tokens for its
rows once their number is known. Later requests wait until the debt is paid. So in the long run no consumer gets more than the
limit, and no request is too large to be admitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

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


class Bucket:
    """A token bucket that fills at `rate` tokens a second. Times are seconds of a monotonic clock."""

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._level, self._at = rate, rate * BURST_S, now

    def wait_s(self, now: float) -> int:
        """0 if a token is left; otherwise the whole seconds until one is."""
        self._level = min(self._level + (now - self._at) * self._rate, self._rate * BURST_S)
        self._at = now
        return 0 if self._level > 0 else int(-self._level / self._rate) + 1

    def take(self, tokens: int) -> None:
        """Take tokens, also into debt."""
        self._level -= tokens


class Allowance:
    """The buckets of one consumer."""

    __slots__ = ("_clock", "_requests", "_rows")

    def __init__(self, rows: Bucket | None, requests: Bucket | None, clock: Callable[[], float]) -> None:
        self._rows, self._requests, self._clock = rows, requests, clock

    def admit(self) -> int:
        """Admit a request and return 0, or return the whole seconds to wait."""
        now = self._clock()
        wait = 0 if self._rows is None else self._rows.wait_s(now)
        if self._requests is not None:
            wait = max(wait, self._requests.wait_s(now))
            if not wait:
                self._requests.take(1)
        return wait

    def charge(self, rows: int) -> None:
        """Take the rows of an admitted request."""
        if self._rows is not None:
            self._rows.take(rows)


class Throttle:
    """The allowances of one worker: an equal share of each limit.

    Args:
        default: the limits of a consumer without own limits.
        workers: how many workers share the limits.
    """

    def __init__(self, default: Limits, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._default, self._workers, self._clock = default, workers, clock
        self._allowances: dict[str, Allowance] = {}

    def allowance(self, ident: str, limits: Limits) -> Allowance:
        """The allowance of a consumer, by an id that stands for the same limits always."""
        known = self._allowances.get(ident)
        if known is None:
            effective = limits.or_else(self._default)
            known = Allowance(self._bucket(effective.rows), self._bucket(effective.requests), self._clock)
            self._allowances[ident] = known
        return known

    def _bucket(self, limit: int | None) -> Bucket | None:
        return None if limit is None else Bucket(limit / self._workers, self._clock())
