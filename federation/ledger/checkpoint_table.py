"""The newest checkpoint of a ledger, in two tables of its file.

checkpoint  one row: the number of its entry in the chain, and its manifest
pieces      SHA-256 → bytes; only the pieces that changed since the last checkpoint are written
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import Final

from .checkpoint import FORM, Checkpoint, state_of
from .entries import CheckpointEntry, Head, entry_from_line
from .state import LedgerState

EVERY: Final = 512
"""How many entries apart checkpoints are. So many entries are read in about 30 ms when a ledger is opened; to make the bytes of
a checkpoint takes 8 ms after 43,200 plans."""
TABLES: Final = (
    "CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, manifest BLOB NOT NULL)",
    "CREATE TABLE pieces (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID",
)


def add_tables(database: sqlite3.Connection) -> None:
    """The migration of a ledger from version 3 to 4, in which checkpoints came. The chain stays as it is."""
    for statement in TABLES:
        database.execute(statement)


@dataclass(frozen=True)
class Loaded:
    """A state that was read from a checkpoint, and the head after the entry of the checkpoint."""

    state: LedgerState
    head: Head


def load(database: sqlite3.Connection, first: Head, role: str) -> Loaded | None:
    """The state of the stored checkpoint; None if there is none that the chain vouches for.

    Args:
        first: the head of the empty ledger.
        role: see `LedgerState`.
    """
    found = database.execute("SELECT seq, manifest FROM checkpoint ORDER BY seq DESC LIMIT 1").fetchone()
    if found is None:
        return None
    seq, manifest = found
    rows = database.execute("SELECT seq, line, head FROM entries WHERE seq <= ? ORDER BY seq DESC LIMIT 2", (seq,))
    (at, line, digest), *before = rows.fetchall() or [(None, "", b"")]
    try:
        head = (Head(before[0][0], before[0][2]) if before else first).next(line, seq)
        entry = entry_from_line(line)
        if (at, digest) != (seq, head.digest) or not isinstance(entry, CheckpointEntry) or entry.form != FORM:
            return None
        if hashlib.sha256(manifest).digest() != entry.digest:
            return None
        state = state_of(manifest, lambda piece: _piece(database, piece), role)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    state.apply(entry)
    return Loaded(state, head)


def store(database: sqlite3.Connection, seq: int, checkpoint: Checkpoint) -> None:
    """Replace the stored checkpoint, in the caller's transaction."""
    database.execute("DELETE FROM checkpoint")
    database.execute("INSERT INTO checkpoint VALUES (?, ?)", (seq, checkpoint.manifest))
    kept = {digest for (digest,) in database.execute("SELECT digest FROM pieces")}
    new = [(digest, data) for digest, data in checkpoint.pieces.items() if digest not in kept]
    database.executemany("INSERT INTO pieces VALUES (?, ?)", new)
    database.executemany("DELETE FROM pieces WHERE digest = ?", [(one,) for one in kept - checkpoint.pieces.keys()])


def _piece(database: sqlite3.Connection, digest: bytes) -> bytes:
    found = database.execute("SELECT bytes FROM pieces WHERE digest = ?", (digest,)).fetchone()
    if found is None:
        raise KeyError(digest)
    return bytes(found[0])
