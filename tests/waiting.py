"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SHORTEST, LONGEST = 0.005, 0.25
"""Seconds between two looks."""
PAUSE: Final = 5
"""A pause is so many times as long as the look before it, so that waiting leaves the cores to those who are waited for."""


def wait_until(happened: Callable[[], object], seconds: float = 180) -> None:
    """Wait until something has happened; on a busy machine for long."""
    begin = look = time.monotonic()
    while not happened():
        now = time.monotonic()
        assert now < begin + seconds, "it never happened"
        time.sleep(min(max(SHORTEST, PAUSE * (now - look)), LONGEST))
        look = time.monotonic()
