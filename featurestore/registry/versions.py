"""The names of a registry: their versions, definitions, collections and schedule. All of its SQL is in this file.

Every method that writes is called inside a transaction.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from itertools import groupby

from base.sqlite import snapshot
from featurestore.define.definitions import FeatureView
from featurestore.define.records import RegisteredView, Scheduled, Version
from featurestore.define.wire import collection_hash, definition_hash, view_from_bytes, view_to_bytes
from featurestore.errors import StoreCorrupt

from .lineage import Lineage


class Versions:
    """Reads and writes the tables of names.

    Args:
        lock: of the connection; see `base.sqlite.snapshot`.
    """

    def __init__(self, database: sqlite3.Connection, lock: AbstractContextManager[object]) -> None:
        self._db, self._lock = database, lock
        self._views: dict[bytes, FeatureView] = {}
        """By hash, the definitions that were read: a large domain takes long to parse."""

    def lineages(self, name: str | None = None) -> list[Lineage]:
        """The versions of every name, or of one; none if it is unknown."""
        with snapshot(self._db, self._lock):
            return self._lineages(name)

    def _lineages(self, name: str | None) -> list[Lineage]:
        schedule: dict[int, list[Scheduled]] = {}
        for view_id, *entry in self._db.execute(
            "SELECT view_id, place, from_us, until_us, served_since FROM schedule WHERE name = ifnull(?, name) ORDER BY place",
            (name,),
        ):
            schedule.setdefault(view_id, []).append(Scheduled(*entry))
        definitions: dict[int, list[bytes]] = {}
        for view_id, digest in self._db.execute(
            "SELECT view_id, definitions.hash FROM definitions JOIN versions ON versions.id = view_id "
            "WHERE name = ifnull(?, name) ORDER BY place",
            (name,),
        ):
            definitions.setdefault(view_id, []).append(digest)
        rows = self._db.execute(
            "SELECT versions.name, versions.id, version, collection_id, collections.hash, definition_hash, applied_at, "
            "deprecated_at, last_seq FROM versions JOIN collections ON collections.id = collection_id "
            "WHERE versions.name = ifnull(?, versions.name) ORDER BY versions.name, version",
            (name,),
        ).fetchall()
        return [
            Lineage(
                tuple(
                    Version(
                        RegisteredView(view_id, version, self._view(digest), collection_id),
                        collection,
                        tuple(definitions[view_id]),
                        applied_at,
                        tuple(schedule.get(view_id, ())),
                        *deprecated,
                    )
                    for _, view_id, version, collection_id, collection, digest, applied_at, *deprecated in of_name
                )
            )
            for _, of_name in groupby(rows, lambda row: row[0])
        ]

    def definition(self, digest: bytes) -> FeatureView:
        """The definition with this hash, which a version has or had."""
        return self._view(digest)

    def _view(self, digest: bytes) -> FeatureView:
        if digest not in self._views:
            row = self._db.execute("SELECT data FROM definitions WHERE hash = ?", (digest,)).fetchone()
            if row is None:
                raise StoreCorrupt(
                    f"the definition with hash {digest.hex()} is missing, and a version of a view needs it"
                )
            self._views[digest] = view_from_bytes(row[0])
        return self._views[digest]

    def add(self, view: FeatureView, now: int) -> int:
        """Add the next version of a name, without a place in the schedule; returns its number in the registry."""
        (version,) = self._db.execute(
            "SELECT 1 + coalesce(max(version), 0) FROM versions WHERE name = ?", (view.name,)
        ).fetchone()
        self._db.execute(
            "INSERT INTO versions (name, version, collection_id, definition_hash, applied_at) VALUES (?, ?, ?, ?, ?)",
            (view.name, version, self._collection_id(view), definition_hash(view), now),
        )
        (view_id,) = self._db.execute("SELECT last_insert_rowid()").fetchone()
        self._define(int(view_id), view)
        return int(view_id)

    def annotate(self, view_id: int, view: FeatureView) -> None:
        """Give a version another definition of the same meaning. It keeps the earlier ones."""
        self._db.execute("DELETE FROM definitions WHERE hash = ?", (definition_hash(view),))  # it becomes the newest
        self._define(view_id, view)

    def replace(self, view_id: int, view: FeatureView) -> None:
        """Give a version that nothing refers to another definition, and forget the earlier one."""
        self._db.execute("DELETE FROM definitions WHERE view_id = ?", (view_id,))
        self._define(view_id, view)
        self._db.execute("UPDATE versions SET collection_id = ? WHERE id = ?", (self._collection_id(view), view_id))
        self._db.execute("DELETE FROM collections WHERE id NOT IN (SELECT collection_id FROM versions)")

    def _define(self, view_id: int, view: FeatureView) -> None:
        digest = definition_hash(view)
        self._db.execute(
            "INSERT INTO definitions (hash, view_id, data) VALUES (?, ?, ?)", (digest, view_id, view_to_bytes(view))
        )
        self._db.execute("UPDATE versions SET definition_hash = ? WHERE id = ?", (digest, view_id))

    def _collection_id(self, view: FeatureView) -> int:
        key = (view.name, collection_hash(view))
        self._db.execute("INSERT OR IGNORE INTO collections (name, hash) VALUES (?, ?)", key)
        (number,) = self._db.execute("SELECT id FROM collections WHERE name = ? AND hash = ?", key).fetchone()
        return int(number)

    def schedule(self, name: str, view_id: int, from_us: int, until_us: int | None, served_since: int | None) -> None:
        """Add the last entry of a name's schedule."""
        self._db.execute(
            "INSERT INTO schedule (name, view_id, from_us, until_us, served_since) VALUES (?, ?, ?, ?, ?)",
            (name, view_id, from_us, until_us, served_since),
        )

    def end(self, place: int, until_us: int) -> None:
        """Set the end of an entry of the schedule."""
        self._db.execute("UPDATE schedule SET until_us = ? WHERE place = ?", (until_us, place))

    def serve(self, place: int, now: int) -> None:
        """Move a name to the version of an entry of its schedule."""
        self._db.execute("UPDATE schedule SET served_since = ? WHERE place = ?", (now, place))

    def deprecate(self, view_id: int, now: int | None, last_seq: int | None) -> None:
        """Mark a version as deprecated since `now`, or take the mark away (None)."""
        self._db.execute("UPDATE versions SET deprecated_at = ?, last_seq = ? WHERE id = ?", (now, last_seq, view_id))
