"""Growing columns of numbers. A ledger keeps its plans in such columns: about 150 bytes a plan, however old it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

HASH_BYTES: Final = 32
_ROOM: Final = 64
_UNSORTED: Final = 4_096
"""How many new hashes are held in a dictionary before they are sorted in; an eighth of all if that is more."""

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class Column:
    """One number, or one row of `width` numbers, for each row of a table. Appending takes constant time on average.

    Args:
        fill: the number of rows that `grow_to` adds.
    """

    def __init__(self, dtype: str, width: int | None = None, fill: int = 0) -> None:
        self._fill, self._rows = fill, 0
        self._shape = () if width is None else (width,)
        self._held: Array = np.full((0, *self._shape), fill, dtype)

    def __len__(self) -> int:
        return self._rows

    @property
    def values(self) -> Array:
        """All rows: a view, valid until the next change."""
        return self._held[: self._rows]

    def append(self, *rows: Any) -> None:
        """Add rows at the end."""
        self.extend(np.array(rows, self._held.dtype))

    def extend(self, rows: Array) -> None:
        """Add rows at the end."""
        first = self._rows
        self.grow_to(first + len(rows))
        self._held[first : self._rows] = rows

    def grow_to(self, rows: int) -> None:
        """Add filled rows until there are this many."""
        if rows > len(self._held):
            more = max(_ROOM, rows, len(self._held) * 3 // 2) - len(self._held)
            filled = np.full((more, *self._shape), self._fill, self._held.dtype)
            self._held = np.concatenate((self._held, filled))
        self._rows = max(self._rows, rows)

    def insert(self, at: Ints, rows: Array) -> None:
        """Insert rows before these places, as numpy does. At the end it takes constant time."""
        if (at == self._rows).all():
            self.extend(rows)
        else:
            self.load(np.insert(self.values, at, rows, axis=0))

    def load(self, rows: Array) -> None:
        """Replace all rows."""
        self._held, self._rows = np.array(rows, self._held.dtype).reshape(-1, *self._shape), len(rows)


class HashIndex:
    """Hashes of 32 bytes in the order in which they came, and the row of each."""

    def __init__(self) -> None:
        self.column = Column("u1", HASH_BYTES)
        self._recent: dict[bytes, int] = {}
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._rows: Ints = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.column)

    def __iter__(self) -> Iterator[bytes]:
        return (row.tobytes() for row in self.column.values)

    def at(self, row: int) -> bytes:
        """The hash of a row."""
        found: bytes = self.column.values[row].tobytes()
        return found

    def find(self, one: bytes) -> int | None:
        """The row of a hash, if it is there."""
        if (row := self._recent.get(one)) is not None:
            return row
        prefix = np.uint64(int.from_bytes(one[:8], "big"))
        first, last = (int(np.searchsorted(self._sorted, prefix, side)) for side in ("left", "right"))
        return next((row for row in self._rows[first:last].tolist() if self.at(row) == one), None)

    def add(self, one: bytes) -> int:
        """The row of a hash; a new row if it is not there."""
        if (row := self.find(one)) is not None:
            return row
        row = len(self.column)
        self.column.extend(np.frombuffer(one, np.uint8).reshape(1, HASH_BYTES))
        self._recent[one] = row
        if len(self._recent) > max(_UNSORTED, len(self.column) // 8):
            self.sort()
        return row

    def sort(self) -> None:
        """Sort all hashes by their first 8 bytes."""
        prefixes = np.ascontiguousarray(self.column.values[:, :8]).view(">u8").reshape(-1).astype(np.uint64)
        self._rows = np.argsort(prefixes, kind="stable")
        self._sorted, self._recent = prefixes[self._rows], {}
