"""What was found in event files that have not changed, kept in a site's memory from one plan to the next.

Each plan looks at all of a site's files, of which few are new. A file is known by its identity on disk: device, inode, size, and
the times of its last write and change. A file that changed within `SETTLED_NS` may change again without showing it, because these
times have a resolution, so it is read each time. What is kept is as private as the files: it ends with the process, and with its
file.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

MOST_BYTES: Final = 2**27
MOST_OF_A_FILE: Final = 32
"""Most that is kept of one file: drafts and plans of several views each read other columns, and count other panes."""
SETTLED_NS: Final = 2 * 10**9
_Identity = tuple[int, int, int, int, int]


class Sized(Protocol):
    """What can be kept."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        ...


_Kept = TypeVar("_Kept", bound=Sized)


class EventCache(Generic[_Kept]):
    """What was found last, up to a number of bytes.

    Args:
        clock: wall clock, ns since the epoch, as the file system has it.
    """

    def __init__(self, clock: Callable[[], int], most_bytes: int = MOST_BYTES) -> None:
        self._clock, self._most = clock, most_bytes
        self._kept: dict[Path, tuple[_Identity, dict[Hashable, _Kept]]] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"EventCache({len(self._kept)} files: redacted)"

    @property
    def files(self) -> Sequence[Path]:
        """The files of which something is kept."""
        return list(self._kept)

    def read(self, file: Path, what: Hashable, read: Callable[[Path], _Kept]) -> _Kept:
        """What `read` finds in a file.

        Args:
            what: names what `read` looks for.
            read: reads a file. Its errors, such as OSError, are raised.
        """
        before, settled = self._identity(file)
        identity, tables = self._drop(file)
        if identity != before:
            tables = {}
        found = tables.get(what)
        if found is None:
            found = read(file)
            if not settled or self._identity(file)[0] != before:
                return found
        others = [(each, one) for each, one in tables.items() if each != what]
        self._kept[file] = before, dict([*others, (what, found)][-MOST_OF_A_FILE:])  # the newest is the last
        self._bytes += _bytes(self._kept[file][1])
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))
        return found

    def forget_all_but(self, files: Iterable[Path]) -> None:
        """Drop all other files: one that an operator has deleted leaves the memory, too."""
        for gone in self._kept.keys() - set(files):
            self._drop(gone)

    def _drop(self, file: Path) -> tuple[_Identity | None, dict[Hashable, _Kept]]:
        identity, tables = self._kept.pop(file, (None, {}))
        self._bytes -= _bytes(tables)
        return identity, tables

    def _identity(self, file: Path) -> tuple[_Identity, bool]:
        found = file.stat()
        identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        return identity, max(found.st_mtime_ns, found.st_ctime_ns) + SETTLED_NS < self._clock()


def _bytes(kept: Mapping[Hashable, Sized]) -> int:
    return sum(one.nbytes for one in kept.values())
