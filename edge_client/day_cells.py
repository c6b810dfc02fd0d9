"""The used cells of client-days, in a table beside the entries of a ledger: a site's, or that of runs in one process.

The bounds hold for a client and a UTC day. So each answer to a plan that takes a day in part stores the cells that it used, and a
later answer for the same day uses what is left: `max_cells` holds over all plans of the day, in any order. A plan that takes
a whole day stores no cells of it, because no later plan can take panes of that day.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US
from featurestore.define.wire import collection_hash
from federation.plan import PlannedView

from .compute import Contributions, UsedCells

NAME_BYTES: Final = 32
CELLS_TABLE: Final = """CREATE TABLE IF NOT EXISTS cells (plan BLOB, collection BLOB, day INTEGER, names BLOB NOT NULL,
    cells BLOB NOT NULL, PRIMARY KEY (plan, collection, day)) WITHOUT ROWID"""
ODD_ROW: Final = (ValueError, TypeError, AttributeError, OverflowError, sqlite3.OperationalError)
"""Errors of reading a row whose values were replaced by another type or by malformed text."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DayCells:
    """The cells of one view and UTC day that one answer used, by client. Privacy-sensitive.

    Attributes:
        names: the clients' stable names, 32 bytes each.
        cells: int64[len(names)], at least 1 each.
    """

    collection: bytes
    day: int
    names: pa.FixedSizeBinaryArray
    cells: Ints

    def __repr__(self) -> str:
        return f"DayCells({len(self.names)} clients: redacted)"


def days_in_part(planned: PlannedView) -> list[int]:
    """The UTC days of which a plan has some panes but not all. Only these days can be shared with other answers."""
    days, panes = np.unique(planned.pane_starts // DAY_US, return_counts=True)
    found: list[int] = days[panes < planned.view.panes_per_day].tolist()
    return found


def cells_of(planned: PlannedView, made: Contributions, clients: Callable[[], Sequence[bytes]]) -> list[DayCells]:
    """The cells that an answer uses of each day that the plan takes in part.

    Args:
        made: the contributions to these panes; those to other panes are ignored.
        clients: the stable names of the clients, by index. Not called for whole days.
    """
    days = days_in_part(planned)
    if not days:
        return []
    asked = np.isin(made.pane_start, planned.pane_starts)
    collection, names, found = collection_hash(planned.view), names_array(clients()), []
    for day in days:
        of_day = asked & (made.pane_start // DAY_US == day)
        cells = np.bincount(made.client[of_day], made.cells[of_day], len(names)).astype(np.int64)
        (who,) = np.nonzero(cells)
        found.append(DayCells(collection, day, names.take(pa.array(who)), cells[who]))
    return found


def used_cells(
    clients: Sequence[bytes], collection: bytes, days: Sequence[int], held: Iterable[DayCells]
) -> npt.NDArray[np.int64]:
    """int64[len(days), len(clients)]: the cells of a view that these answers used, by day and client.

    Args:
        clients: the stable names of the clients, by index. Cells of other clients are ignored.
    """
    used = np.zeros((len(days), len(clients)), np.int64)
    at_day = {day: at for at, day in enumerate(days)}
    names = names_array(clients)
    for one in held:
        if one.collection == collection and one.day in at_day:
            at = pc.index_in(one.names, names).fill_null(-1).to_numpy(zero_copy_only=False)
            np.add.at(used[at_day[one.day]], at[at >= 0], one.cells[at >= 0])
    return used


def as_used(days: Sequence[int], cells: npt.NDArray[np.int64]) -> UsedCells:
    """The nonzero entries of int64[len(days), clients]."""
    at_day, client = np.nonzero(cells)
    return UsedCells(client.astype(np.int32), np.array(days, np.int64)[at_day], cells[at_day, client])


def by_day(cells: Iterable[DayCells]) -> dict[tuple[bytes, int], list[DayCells]]:
    """Cells by collection and day."""
    found: dict[tuple[bytes, int], list[DayCells]] = {}
    for one in cells:
        found.setdefault((one.collection, one.day), []).append(one)
    return found


def names_array(names: Sequence[bytes]) -> pa.FixedSizeBinaryArray:
    """Stable names of clients as an Arrow array."""
    return pa.array(names, pa.binary(NAME_BYTES))


def write_cells(db: sqlite3.Connection, plan: bytes, cells: Iterable[DayCells]) -> None:
    """Store the cells of an answer, in the caller's transaction. They replace those of an earlier, unfinished answer."""
    db.execute("DELETE FROM cells WHERE plan = ?", (plan,))
    db.executemany(
        "INSERT INTO cells VALUES (?, ?, ?, ?, ?)",
        ((plan, one.collection, one.day, names_blob(one.names), one.cells.astype("<i8").tobytes()) for one in cells),
    )


def read_cells(db: sqlite3.Connection, plan: bytes) -> list[DayCells]:
    """The stored cells of an answer, by collection and day.

    Raises:
        ODD_ROW: one of these errors; a row was edited.
    """
    rows = db.execute(
        "SELECT collection, day, names, cells FROM cells WHERE plan = ? ORDER BY collection, day", (plan,)
    )
    return [cells_of_blobs(*row) for row in rows]


def cells_digest(about: bytes, cells: Sequence[DayCells]) -> bytes:
    """The hash of an answer's cells, by collection and day, and of what else the answer has.

    Args:
        about: a hash of the rest of the answer.
    """
    parts = hashlib.sha256(b"covey-1 site answer" + about)
    for one in sorted(cells, key=lambda one: (one.collection, one.day)):
        parts.update(one.collection + one.day.to_bytes(8, "big", signed=True) + len(one.names).to_bytes(8, "big"))
        parts.update(names_blob(one.names) + one.cells.astype("<i8").tobytes())
    return parts.digest()


def cells_of_blobs(collection: bytes, day: int, names: bytes, cells: bytes) -> DayCells:
    """The cells of a stored row. Raises ODD_ROW."""
    return DayCells(collection, day, _from_blob(names), np.frombuffer(cells, "<i8"))


def names_blob(names: pa.FixedSizeBinaryArray) -> bytes:
    """Names one after the other."""
    return b"".join(names.to_pylist())


def _from_blob(blob: bytes) -> pa.FixedSizeBinaryArray:
    count, rest = divmod(len(blob), NAME_BYTES)
    if rest:
        raise ValueError(f"{len(blob):,} bytes are no names of {NAME_BYTES} bytes")
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(NAME_BYTES), count, [None, pa.py_buffer(blob)])
