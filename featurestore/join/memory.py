"""The memory of a join: a limit on the whole process, and how the join divides the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from featurestore.errors import MemoryLimitTooSmall, MemoryLimitUnreadable

OVERHEAD: Final = 80 * 2**20
"""For decoding and encoding a batch, and for memory that allocators keep."""
MINIMUM: Final = OVERHEAD + 32 * 2**20
"""The memory that a join needs beyond what the process uses already."""
_UNITS: Final = {
    "": 1,
    "k": 10**3,
    "ki": 2**10,
    "m": 10**6,
    "mi": 2**20,
    "g": 10**9,
    "gi": 2**30,
    "t": 10**12,
    "ti": 2**40,
}
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(|[kmgt]i?)b?", re.IGNORECASE)


@dataclass(frozen=True)
class Memory:
    """The memory of a join, in bytes.

    Attributes:
        rows: for the rows of views: all rows, or a part at a time.
        batch: for a batch of labels and the values joined to it.
    """

    rows: int
    batch: int

    @classmethod
    def within(cls, limit: int | str | None, fixed: int = 0) -> Self:
        """Divide a limit on this process's resident memory.

        Args:
            limit: bytes, or a text such as "1GiB"; None: the memory in use plus half of the machine's available memory.
            fixed: bytes that the join needs in any case.

        Raises:
            MemoryLimitTooSmall, MemoryLimitUnreadable.
        """
        import psutil

        used = psutil.Process().memory_info().rss
        most = used + psutil.virtual_memory().available // 2 if limit is None else size_in_bytes(limit)
        spare = most - used - fixed
        if spare < MINIMUM:
            raise MemoryLimitTooSmall(most, used + fixed + MINIMUM)
        shared = spare - OVERHEAD
        return cls(rows=shared // 4 * 3, batch=shared // 8)


def size_in_bytes(size: int | str) -> int:
    """Parse a size, such as 1073741824, "1GiB", "800 MB" or "1.5g", to bytes.

    Raises:
        MemoryLimitUnreadable.
    """
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    match = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match is None:
        raise MemoryLimitUnreadable(size)
    return int(float(match[1]) * _UNITS[match[2].lower()])
