"""Bounds what clients can make the server write into its log: a client without a key can send any number of invalid requests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 60.0
"""A warning of the same words is written again after this time."""


class SeldomWarnings(logging.Filter):
    """A filter of a logger that lets each warning through once a period, with the number of those between.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written. Texts are compared before their values are filled in, so there are few."""
        if record.levelno != logging.WARNING:
            return True
        now, words = self._clock(), str(record.msg)
        since, left_out = self._last.get(words, (-PERIOD_S, 0))
        if now - since < PERIOD_S:
            self._last[words] = since, left_out + 1
            return False
        self._last[words] = now, 0
        if left_out:
            record.msg = f"{words} ({left_out:,} more since the last such line)"
        return True
