"""The tables of the registry, and the change from those of the version before.

collections   a name and what is collected of it; panes belong to a collection
versions      the numbered versions of a name; files and online rows belong to a version
definitions   every definition that a version ever had, under its hash
schedule      from when to when each version's collection is collected, and since when the name is served by the version
renewals      the versions whose rows a publication wrote anew without a pane, because their definition or schedule changed
running       the sums of a version's windows after its newest pane, and the publication after which they hold (publish/running.py)
expiries      the UTC midnight before which the rows of a name have left, because they were older than its `retention`
models        the versions of models; a deleted one keeps its row, so that its number is never given again
promotions    which versions of a model were put in force, one after the other: `"newest"`, or the share of each version
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Final

from base.sqlite import Format
from featurestore.define.records import FIRST_MOMENT
from featurestore.define.release import BUDGET_SPENT
from featurestore.define.wire import collection_hash, view_from_bytes

SCHEMA_VERSION: Final = 7

_VERSIONS: Final = """
CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, UNIQUE (name, hash));
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, collection_id INTEGER NOT NULL REFERENCES collections,
    definition_hash BLOB NOT NULL, applied_at INTEGER NOT NULL, deprecated_at INTEGER, last_seq INTEGER,
    UNIQUE (name, version));
CREATE TABLE definitions (
    place INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, view_id INTEGER NOT NULL REFERENCES versions, data BLOB NOT NULL);
CREATE TABLE schedule (
    place INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, view_id INTEGER NOT NULL REFERENCES versions,
    from_us INTEGER NOT NULL, until_us INTEGER, served_since INTEGER);
CREATE TABLE renewals (
    seq INTEGER NOT NULL REFERENCES publications, view_id INTEGER NOT NULL REFERENCES versions,
    PRIMARY KEY (view_id, seq)) WITHOUT ROWID;
CREATE TABLE expiries (name TEXT PRIMARY KEY, before_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE running (view_id INTEGER PRIMARY KEY REFERENCES versions, seq INTEGER NOT NULL, sums BLOB NOT NULL);
"""
_PANES: Final = f"""
CREATE TABLE panes (
    collection_id INTEGER NOT NULL REFERENCES collections, pane_start INTEGER NOT NULL, tombstone INTEGER NOT NULL,
    release_id BLOB NOT NULL, opened INTEGER NOT NULL, reason TEXT, content BLOB NOT NULL, released_at INTEGER NOT NULL,
    published_at INTEGER NOT NULL, clock TEXT NOT NULL, signature BLOB NOT NULL, seq INTEGER NOT NULL REFERENCES publications,
    manifest_id INTEGER NOT NULL REFERENCES manifests,
    PRIMARY KEY (collection_id, pane_start, tombstone), UNIQUE (release_id, tombstone)) WITHOUT ROWID;
CREATE INDEX panes_by_publication ON panes (collection_id, seq);
CREATE INDEX panes_without_budget ON panes (collection_id, pane_start) WHERE reason = '{BUDGET_SPENT}';
CREATE TABLE files (
    path TEXT PRIMARY KEY, view_id INTEGER NOT NULL REFERENCES versions, day INTEGER NOT NULL,
    rows INTEGER NOT NULL, bytes INTEGER NOT NULL, seq INTEGER NOT NULL REFERENCES publications);
CREATE INDEX files_by_day ON files (view_id, day);
"""
_PROMOTIONS: Final = """
CREATE INDEX models_deleted ON models (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE TABLE promotions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, weights TEXT NOT NULL, newest INTEGER NOT NULL,
    is_rollback INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE INDEX promotions_by_name ON promotions (name, id);
"""


def migrate_5_to_6(database: sqlite3.Connection) -> None:
    """Give every view of a registry of format 5 its first version and its collection, inside a transaction.

    A view keeps its number, so its online rows stay valid; its collection gets the same number.

    Raises:
        ViewMalformed: the definition of a view is damaged.
    """
    for table in ("panes", "files"):
        database.execute(f"ALTER TABLE {table} RENAME TO {table}_5")
    database.execute("DROP INDEX files_by_day")
    _run(database, _VERSIONS)
    _run(database, _PANES)
    first = dict(
        database.execute(
            "SELECT view_id, min(publications.published_at) FROM panes_5 JOIN publications USING (seq) GROUP BY view_id"
        )
    )
    views = database.execute("SELECT id, name, version, definition, definition_hash FROM views").fetchall()
    for view_id, name, version, data, digest in views:
        at = first.get(view_id, 0)
        database.execute(
            "INSERT INTO collections VALUES (?, ?, ?)", (view_id, name, collection_hash(view_from_bytes(data)))
        )
        database.execute(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", (view_id, name, version, view_id, digest, at)
        )
        database.execute("INSERT INTO definitions (hash, view_id, data) VALUES (?, ?, ?)", (digest, view_id, data))
        database.execute(
            "INSERT INTO schedule (name, view_id, from_us, until_us, served_since) VALUES (?, ?, ?, NULL, ?)",
            (name, view_id, FIRST_MOMENT, at),
        )
    database.execute(
        "INSERT INTO panes SELECT view_id, pane_start, tombstone, release_id, opened, reason, content, released_at, published_at, "
        "clock, signature, seq, manifest_id FROM panes_5"
    )
    database.execute("INSERT INTO files SELECT path, view_id, day, rows, bytes, seq FROM files_5")
    for table in ("panes_5", "files_5", "views"):
        database.execute(f"DROP TABLE {table}")


def migrate_6_to_7(database: sqlite3.Connection) -> None:
    """Let versions of models be deleted and promoted, inside a transaction. Without a promotion each name serves its newest one."""
    database.execute("ALTER TABLE models ADD COLUMN deleted_at INTEGER")
    _run(database, _PROMOTIONS)


def _run(database: sqlite3.Connection, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        database.execute(statement)


FORMAT: Final = Format(
    application_id=0x434F5659,  # "COVY"
    version=SCHEMA_VERSION,
    schema=f"""
{_VERSIONS}
CREATE TABLE services (name TEXT PRIMARY KEY, refs TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE models (
    name TEXT NOT NULL, version INTEGER NOT NULL, files TEXT NOT NULL, lineage TEXT NOT NULL, registered_at INTEGER NOT NULL,
    deleted_at INTEGER, PRIMARY KEY (name, version));
{_PROMOTIONS}
CREATE TABLE publications (seq INTEGER PRIMARY KEY, published_at INTEGER NOT NULL);
CREATE TABLE manifests (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, json TEXT NOT NULL);
{_PANES}
CREATE TABLE evidence (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
""",
    migrations={5: migrate_5_to_6, 6: migrate_6_to_7},
)

_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "collections": ("id", "name", "hash"),
    "versions": ("id", "name", "version", "collection_id", "definition_hash", "applied_at", "deprecated_at", "last_seq"),
    "definitions": ("place", "hash", "view_id", "data"),
    "schedule": ("place", "name", "view_id", "from_us", "until_us", "served_since"),
    "renewals": ("seq", "view_id"),
    "expiries": ("name", "before_us"),
    "running": ("view_id", "seq", "sums"),
    "services": ("name", "refs"),
    "models": ("name", "version", "files", "lineage", "registered_at", "deleted_at"),
    "promotions": ("id", "name", "weights", "newest", "is_rollback", "at"),
    "publications": ("seq", "published_at"),
    "manifests": ("id", "hash", "json"),
    "panes": ("collection_id", "pane_start", "tombstone", "release_id", "opened", "reason", "content", "released_at",
              "published_at", "clock", "signature", "seq", "manifest_id"),
    "files": ("path", "view_id", "day", "rows", "bytes", "seq"),
    "evidence": ("hash", "data"),
}  # fmt: skip


def missing(database: sqlite3.Connection) -> Iterator[str]:
    """The missing tables and columns of a registry, one a line."""
    for table, columns in _TABLES.items():
        found = [row[0] for row in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        if not found:
            yield f"the table {table!r} is missing"
        elif tuple(found) != columns:
            yield f"the table {table!r} has the columns {', '.join(found)[:120]}, not {', '.join(columns)}"
