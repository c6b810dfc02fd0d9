"""The cells that all answers of a UTC day have used together, so that an answer need not read every earlier answer of its day.

A day of panes of 5 s has 17,280 answers. The total of a view and day is one row, which each answer of that day replaces. The `done`
entry of the answer covers the total's hash, so an edited total is noticed when it is read. A total counts while its answer is the
last one of the day, and no plan has taken panes again since. Otherwise the answers themselves are read, and the next one makes
a new total.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from .day_cells import DayCells, cells_of_blobs, names_array, names_blob

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS day_totals (collection BLOB, day INTEGER, plan BLOB NOT NULL, retaken INTEGER NOT NULL,
        names BLOB NOT NULL, cells BLOB NOT NULL, PRIMARY KEY (collection, day)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS answer_totals (plan BLOB, collection BLOB, day INTEGER, digest BLOB NOT NULL,
        PRIMARY KEY (plan, collection, day)) WITHOUT ROWID""",
)


@dataclass(frozen=True)
class DayAnswers:
    """What a ledger knows of a collection and UTC day without reading an answer.

    Attributes:
        answers: how many plans of the day this site has answered; last: the last of them.
        retaken: how often a later plan took panes of the day again.
    """

    collection: bytes
    day: int
    answers: int
    last: bytes
    retaken: int


def total_of(parts: Sequence[DayCells], collection: bytes, day: int) -> DayCells:
    """The sum of some answers' cells of one view and day, by client."""
    some = [one for one in parts if len(one.names)]
    if not some:
        return DayCells(collection, day, names_array([]), np.empty(0, np.int64))
    if len(some) == 1:  # most days; and to group a table takes milliseconds
        return some[0]
    table = pa.table(
        {
            "name": pa.chunked_array([one.names for one in some], pa.binary(32)),
            "cells": np.concatenate([one.cells for one in some]),
        }
    )
    summed = table.group_by("name").aggregate([("cells", "sum")]).sort_by("name").combine_chunks()
    names = summed["name"].combine_chunks()
    return DayCells(collection, day, names, summed["cells_sum"].to_numpy())


def write_total(db: sqlite3.Connection, plan: bytes, total: DayCells, retaken: int) -> None:
    """Replace the total of a view and day, in the caller's transaction."""
    names, cells = names_blob(total.names), total.cells.astype("<i8").tobytes()
    db.execute(
        "INSERT OR REPLACE INTO day_totals VALUES (?, ?, ?, ?, ?, ?)",
        (total.collection, total.day, plan, retaken, names, cells),
    )
    row = (plan, total.collection, total.day, _digest(names, cells))
    db.execute("INSERT OR REPLACE INTO answer_totals VALUES (?, ?, ?, ?)", row)


def read_total(db: sqlite3.Connection, of: DayAnswers) -> DayCells | None:
    """The total of a day, if it is that of its last answer, and its hash is the one that this answer stored.

    The caller checks the stored hashes against the chain (`totals_digest`).
    """
    select = "SELECT plan, retaken, names, cells FROM day_totals WHERE collection = ? AND day = ?"
    found = db.execute(select, (of.collection, of.day)).fetchone()
    if found is None or (found[0], found[1]) != (of.last, of.retaken):
        return None
    select = "SELECT digest FROM answer_totals WHERE plan = ? AND collection = ? AND day = ?"
    said = db.execute(select, (of.last, of.collection, of.day)).fetchone()
    if said is None or said[0] != _digest(found[2], found[3]):
        raise ValueError("the total of a day was edited")
    return cells_of_blobs(of.collection, of.day, found[2], found[3])


def totals_digest(db: sqlite3.Connection, plan: bytes, cells: bytes) -> bytes:
    """The hash of an answer's cells and of the totals that it stored; that of its cells if it stored none.

    Args:
        cells: the hash of the cells and the rest of the answer.
    """
    select = "SELECT collection, day, digest FROM answer_totals WHERE plan = ? ORDER BY collection, day"
    rows = db.execute(select, (plan,)).fetchall()
    if not rows:
        return cells
    parts = hashlib.sha256(b"covey-1 site answer with totals" + cells)
    for collection, day, digest in rows:
        parts.update(collection + day.to_bytes(8, "big", signed=True) + digest)
    return parts.digest()


def _digest(names: bytes, cells: bytes) -> bytes:
    return hashlib.sha256(len(names).to_bytes(8, "big") + names + cells).digest()
