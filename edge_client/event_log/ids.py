"""The ids of a log's events, by which an event that is sent twice is recognised.

The log stores a keyed hash of each id, as long as it has the event. Text, bytes and whole numbers are different ids, also where
they look alike: 7 is not "7". An event without an id cannot be recognised, so it is kept each time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import EventColumnError

_HASH_BYTES: Final = 16
_AT_ONCE: Final = 500
"""Ids of one SELECT. SQLite allows at least 999 parameters."""
_IN: Final = f"SELECT id FROM ids WHERE id IN ({','.join('?' * _AT_ONCE)})"


def id_hashes(column: str, values: pa.Array, key: bytes) -> list[bytes | None]:
    """The hashes of ids; None where an event has none.

    Raises:
        EventColumnError: the ids are neither text, nor bytes, nor whole numbers.
    """
    kind = values.type
    if pa.types.is_large_string(kind):
        use = b"text"
    elif pa.types.is_large_binary(kind):
        use = b"bytes"
    elif pa.types.is_integer(kind):
        use, values = b"whole", values.cast(pa.large_string())
    elif pa.types.is_null(kind):
        return [None] * len(values)
    else:
        raise EventColumnError(column, f"ids of events must be text, bytes or whole numbers, not {kind}")
    return [
        None if one is None else blake2b(one, digest_size=_HASH_BYTES, key=key, person=use).digest()
        for one in values.cast(pa.large_binary()).to_pylist()
    ]


def take_new(database: sqlite3.Connection, hashes: Sequence[bytes | None]) -> npt.NDArray[np.bool_] | None:
    """Store the hashes of a batch, inside a transaction. Returns which events are new, the first of each id; None: all.

    Most batches have no duplicate. So all are stored, and the database is asked which ones it had only if it had some.
    """
    known = [one for one in hashes if one is not None]
    database.execute("SAVEPOINT ids")
    if _insert(database, known) == len(known):
        database.execute("RELEASE ids")
        return None
    database.execute("ROLLBACK TO ids")
    database.execute("RELEASE ids")
    seen: set[bytes | None] = set()
    for start in range(0, len(known), _AT_ONCE):
        some = known[start : start + _AT_ONCE]
        seen.update(row[0] for row in database.execute(_IN, some + some[-1:] * (_AT_ONCE - len(some))))
    new = np.ones(len(hashes), dtype=np.bool_)
    fresh = []
    for at, one in enumerate(hashes):
        if one is not None:
            if one in seen:
                new[at] = False
            else:
                seen.add(one)
                fresh.append(one)
    _insert(database, fresh)
    return new


def forget(database: sqlite3.Connection, hashes: Sequence[bytes | None]) -> None:
    """Erase the hashes of events that are erased, inside a transaction."""
    database.executemany("DELETE FROM ids WHERE id = ?", ((one,) for one in sorted(filter(None, hashes))))


def _insert(database: sqlite3.Connection, hashes: list[bytes]) -> int:
    """Store hashes, sorted, so that each page of the table is changed once. Returns how many were not there."""
    return database.executemany("INSERT OR IGNORE INTO ids VALUES (?)", ((one,) for one in sorted(hashes))).rowcount
