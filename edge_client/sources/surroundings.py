"""What every open source needs besides its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from base.times import wall_clock


@dataclass(frozen=True)
class Surroundings:
    """What a source needs besides its settings.

    Attributes:
        site: the site's id.
        clock: wall clock, µs since the epoch. monotonic: seconds. wait: returns after so many seconds.
    """

    site: str
    clock: Callable[[], int] = wall_clock
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
