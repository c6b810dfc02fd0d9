"""The columns of event files that have not changed, kept in a site's memory from one plan to the next.

Each plan reads all of a site's files, of which few are new. A file is known by its identity on disk: device, inode, size, and the
times of its last write and change. A file that changed within `SETTLED_NS` may change again without showing it, because these times
have a resolution, so it is read each time. What is kept is as private as the files are, and ends with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Final

import pyarrow as pa

MOST_BYTES: Final = 2**28
MOST_FILES: Final = 20_000
"""Twice the most files of a source: each is read for a draft, which needs its columns only, and for a plan."""
SETTLED_NS: Final = 2 * 10**9
_Identity = tuple[str, int, int, int, int, int]


class EventCache:
    """The tables that were read last, up to a number of bytes.

    Args:
        clock: wall clock, ns since the epoch, as the file system has it.
    """

    def __init__(self, clock: Callable[[], int], most_bytes: int = MOST_BYTES) -> None:
        self._clock, self._most = clock, most_bytes
        self._kept: dict[tuple[_Identity, Hashable], pa.Table] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"EventCache({len(self._kept)} files: redacted)"

    def read(self, file: Path, columns: Hashable, read: Callable[[Path], pa.Table]) -> pa.Table:
        """The table of a file.

        Args:
            columns: names what `read` reads of a file.
            read: reads a file. Its errors, such as OSError, are raised.
        """
        before, settled = self._identity(file)
        kept = self._kept.pop((before, columns), None)
        if kept is None:
            kept = read(file)
            if not settled or self._identity(file)[0] != before:
                return kept
            self._bytes += kept.nbytes
        self._kept[before, columns] = kept  # the newest is the last
        while self._bytes > self._most or len(self._kept) > MOST_FILES:
            self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        return kept

    def _identity(self, file: Path) -> tuple[_Identity, bool]:
        found = file.stat()
        identity = str(file), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        return identity, max(found.st_mtime_ns, found.st_ctime_ns) + SETTLED_NS < self._clock()
