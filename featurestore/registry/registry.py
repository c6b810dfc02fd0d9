"""The registry: views, services, models, publications, panes, manifests, evidence, the list of Parquet files; one SQLite file.

A publication counts once it is committed here. Readers take the list of files from here and never search folders.
A pane has one release or void; a retracted release also has a tombstone (`tombstone` = 1).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from base.sqlite import Format, Identity, connect, prepare, reporting_damage, transaction, version_of
from base.times import utc_text
from featurestore.define.definitions import FeatureView
from featurestore.define.earlier import other_forms
from featurestore.define.records import FileRecord, PaneRecord, RegisteredView
from featurestore.define.release import BUDGET_SPENT, Clock, Manifest, is_retraction
from featurestore.define.wire import definition_hash, view_from_bytes, view_to_bytes
from featurestore.errors import (
    RepriceRefused,
    StoreCorrupt,
    StoreNotFound,
    StoreOfAnotherVersion,
    UnknownEvidence,
    UnknownRelease,
    UnknownView,
    ViewChanged,
)
from featurestore.store_files import writing

from .watch import Published

SCHEMA_VERSION: Final = 5
_PANE_TYPES: Final = tuple(
    (int, bytes, int, reason, bytes, int, int, str, bytes, int, int) for reason in (str, type(None))
)
FORMAT: Final = Format(
    application_id=0x434F5659,  # "COVY"
    version=SCHEMA_VERSION,
    schema="""
CREATE TABLE views (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    definition BLOB NOT NULL, definition_hash BLOB NOT NULL);
CREATE TABLE services (name TEXT PRIMARY KEY, refs TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE models (
    name TEXT NOT NULL, version INTEGER NOT NULL, files TEXT NOT NULL, lineage TEXT NOT NULL, registered_at INTEGER NOT NULL,
    PRIMARY KEY (name, version));
CREATE TABLE publications (seq INTEGER PRIMARY KEY, published_at INTEGER NOT NULL);
CREATE TABLE manifests (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, json TEXT NOT NULL);
CREATE TABLE panes (
    view_id INTEGER NOT NULL REFERENCES views, pane_start INTEGER NOT NULL, tombstone INTEGER NOT NULL,
    release_id BLOB NOT NULL, opened INTEGER NOT NULL, reason TEXT, content BLOB NOT NULL, released_at INTEGER NOT NULL,
    published_at INTEGER NOT NULL, clock TEXT NOT NULL, signature BLOB NOT NULL, seq INTEGER NOT NULL REFERENCES publications,
    manifest_id INTEGER NOT NULL REFERENCES manifests,
    PRIMARY KEY (view_id, pane_start, tombstone), UNIQUE (release_id, tombstone)) WITHOUT ROWID;
CREATE TABLE files (
    path TEXT PRIMARY KEY, view_id INTEGER NOT NULL REFERENCES views, day INTEGER NOT NULL,
    rows INTEGER NOT NULL, bytes INTEGER NOT NULL, seq INTEGER NOT NULL REFERENCES publications);
CREATE INDEX files_by_day ON files (view_id, day);
CREATE TABLE evidence (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
""",
)
_BUSY_S: Final = 10.0


_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "views": ("id", "name", "version", "definition", "definition_hash"),
    "services": ("name", "refs"),
    "models": ("name", "version", "files", "lineage", "registered_at"),
    "publications": ("seq", "published_at"),
    "manifests": ("id", "hash", "json"),
    "panes": ("view_id", "pane_start", "tombstone", "release_id", "opened", "reason", "content", "released_at",
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


class Registry:
    """Reads and writes the registry file. A reader opens it read-only and sees whole publications."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        damaged = reporting_damage(lambda error: StoreCorrupt(f"{path} is damaged ({error})"))
        try:
            # SQLite itself serialises calls from several threads; a server reads from more than one.
            self._db = connect(path, private=False, read_only=read_only, busy_s=_BUSY_S, factory=damaged)
            try:
                self._open(read_only=read_only)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.DatabaseError as error:
            raise StoreCorrupt(f"{path} is not a registry of this version of covey ({error})") from None

    def _open(self, *, read_only: bool) -> None:
        if read_only:
            self._check(create=False)
            return
        with writing(self.path):
            prepare(self._db, "FULL", "foreign_keys=ON")
            self._check(create=True)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _check(self, *, create: bool) -> None:
        match FORMAT.recognised(self._db, self.path):
            case Identity.EMPTY if create:
                with self.transaction():
                    FORMAT.create(self._db.execute)
            case Identity.EMPTY:  # its first writer has not written anything yet
                raise StoreNotFound(str(self.path.parent))
            case Identity.FOREIGN:
                raise StoreCorrupt(f"{self.path} is not a registry of covey")
            case Identity.TOO_OLD:
                raise StoreOfAnotherVersion(str(self.path), version_of(self._db), SCHEMA_VERSION)
            case Identity.OURS:
                for problem in missing(self._db):
                    raise StoreCorrupt(f"{self.path} is damaged: {problem}; restore it from a backup")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the statements inside, or none. Raises StoreWriteFailed, for example on a full disk."""
        with writing(self.path), transaction(self._db):
            yield

    def register(self, view: FeatureView) -> RegisteredView:
        """Register a view, or find it. A view without a published pane, which no service names, takes another definition.

        A view that is registered in another form of the same definition keeps that form; see `reprice`.

        Raises:
            ViewChanged: a view of its name has another definition.
        """
        view = self.in_force(view)
        row = self._db.execute("SELECT definition_hash, id FROM views WHERE name = ?", (view.name,)).fetchone()
        if row is None:
            with self.transaction():
                self._db.execute(
                    "INSERT INTO views (name, version, definition, definition_hash) VALUES (?, 1, ?, ?)",
                    (view.name, view_to_bytes(view), definition_hash(view)),
                )
        elif row[0] != definition_hash(view):
            if self.last_seq(row[1]) or self._is_named(view.name):
                raise ViewChanged(view.name)
            with self.transaction():
                self._replace(row[1], view)
        return self.view(view.name)

    def in_force(self, view: FeatureView) -> FeatureView:
        """The form in which a view is collected: another form of the same definition if that is registered, else the view."""
        row = self._db.execute("SELECT definition_hash FROM views WHERE name = ?", (view.name,)).fetchone()
        if row is None or row[0] == definition_hash(view):
            return view
        return next((form for form in other_forms(view) if definition_hash(form) == row[0]), view)

    def reprice(self, view: FeatureView) -> RegisteredView:
        """Give a view that is registered in another form its own. It may not have published a pane.

        Raises:
            UnknownView. ViewChanged: another definition is registered. RepriceRefused: it has published panes.
        """
        registered, digest = self.view(view.name), definition_hash(view)
        if definition_hash(registered.view) == digest:
            return registered
        if registered.view not in other_forms(view):
            raise ViewChanged(view.name)
        if self.last_seq(registered.view_id):
            raise RepriceRefused(view.name)
        with self.transaction():
            self._replace(registered.view_id, view)
        return self.view(view.name)

    def _replace(self, view_id: int, view: FeatureView) -> None:
        self._db.execute(
            "UPDATE views SET definition = ?, definition_hash = ? WHERE id = ?",
            (view_to_bytes(view), definition_hash(view), view_id),
        )

    def view(self, name: str) -> RegisteredView:
        """A registered view. Raises UnknownView, which lists all views."""
        row = self._db.execute("SELECT id, version, definition FROM views WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise UnknownView(name, [known.view.name for known in self.views()], named=self._is_named(name))
        return RegisteredView(row[0], row[1], view_from_bytes(row[2]))

    def _is_named(self, view: str) -> bool:
        """Whether a feature service names a view."""
        return any(ref.startswith(f"{view}:") for refs in self.services().values() for ref in refs)

    def views(self) -> list[RegisteredView]:
        """All views, by name."""
        rows = self._db.execute("SELECT id, version, definition FROM views ORDER BY name").fetchall()
        return [RegisteredView(view_id, version, view_from_bytes(data)) for view_id, version, data in rows]

    def put_service(self, name: str, refs: Sequence[str]) -> None:
        """Store a feature service; a service of this name is replaced."""
        self._db.execute("INSERT OR REPLACE INTO services VALUES (?, ?)", (name, json.dumps(list(refs))))

    def services(self) -> dict[str, tuple[str, ...]]:
        """The references of every feature service, by name."""
        rows = self._db.execute("SELECT name, refs FROM services ORDER BY name")
        return {name: tuple(json.loads(refs)) for name, refs in rows}

    def put_model(self, name: str, version: int, files: Mapping[str, str], lineage: str, registered_at: int) -> None:
        """Store a version of a model: the SHA-256 of its files by name, and its lineage as JSON."""
        row = (name, version, json.dumps(dict(files)), lineage, registered_at)
        self._db.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?)", row)

    def models(self) -> list[tuple[str, int, dict[str, str], str, int]]:
        """(name, version, files, lineage, registered_at) of every model, by name and version; see `put_model`."""
        rows = self._db.execute(
            "SELECT name, version, files, lineage, registered_at FROM models ORDER BY name, version"
        )
        return [
            (name, version, json.loads(files), lineage, at) for name, version, files, lineage, at in rows.fetchall()
        ]

    def next_seq(self) -> int:
        """The number that the next publication gets."""
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM publications").fetchone()
        return int(last) + 1

    def last_seq(self, view_id: int) -> int:
        """The last publication with a pane of a view; 0: there is none."""
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM panes WHERE view_id = ?", (view_id,)).fetchone()
        return int(last)

    def published_since(self, registered: RegisteredView, seq: int) -> list[Published]:
        """The panes and tombstones of a view that later publications brought, in the order of publication."""
        rows = self._db.execute(
            "SELECT seq, release_id, pane_start, opened, tombstone, reason, released_at, published_at FROM panes "
            "WHERE view_id = ? AND seq > ? ORDER BY seq, pane_start, tombstone",
            (registered.view_id, seq),
        )
        view = registered.view
        return [
            Published(
                view.name,
                registered.version,
                number,
                release_id,
                start,
                start + view.pane_us,
                released_at,
                published_at,
                "retracted" if tombstone else "opened" if opened else "void",
                reason,
            )
            for number, release_id, start, opened, tombstone, reason, released_at, published_at in rows
        ]

    def has_published(self, view: str) -> bool:
        """Whether a view of this name has a pane here."""
        row = self._db.execute("SELECT id FROM views WHERE name = ?", (view,)).fetchone()
        return row is not None and self.last_seq(row[0]) > 0

    def pane_starts(self, view_id: int, start: int | None = None, end: int | None = None) -> npt.NDArray[np.int64]:
        """int64[P], the published panes of a view with start ≤ pane_start < end, increasing."""
        rows = self._db.execute(
            "SELECT pane_start FROM panes WHERE view_id = ? AND pane_start >= ? AND pane_start < ? AND NOT tombstone "
            "ORDER BY pane_start",
            (view_id, *_bounds(start, end)),
        )
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def last_row(self, view_id: int) -> int | None:
        """The newest pane of a view that makes rows; None: there is none."""
        (last,) = self._db.execute(
            "SELECT max(pane_start) FROM panes WHERE view_id = ? AND reason IS NOT ?", (view_id, BUDGET_SPENT)
        ).fetchone()
        return None if last is None else int(last)

    def clocks(self, view_id: int) -> dict[Clock, int]:
        """How many panes that make rows a view has of each clock."""
        counts: dict[Clock, int] = {"live": 0, "replay": 0}
        return counts | dict(
            self._db.execute(
                "SELECT clock, count(*) FROM panes WHERE view_id = ? AND reason IS NOT ? AND NOT tombstone GROUP BY clock",
                (view_id, BUDGET_SPENT),
            )
        )

    def spent_panes(
        self, view_id: int, clock: Clock | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(pane_start, released_at) of a view's BUDGET_SPENT voids, of one clock or both: int64[V] each, µs."""
        found = self._db.execute(
            "SELECT pane_start, released_at FROM panes WHERE view_id = ? AND reason = ? AND clock = ifnull(?, clock)",
            (view_id, BUDGET_SPENT, clock),
        ).fetchall()
        both = np.array(found, dtype=np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def panes(self, view_id: int, start: int | None = None, end: int | None = None) -> list[PaneRecord]:
        """The published panes of a view with start ≤ pane_start < end, in order."""
        chosen = (view_id, *_bounds(start, end))
        manifests: dict[int, Manifest] = {
            number: Manifest.from_json(text)
            for number, text in self._db.execute(
                "SELECT id, json FROM manifests WHERE id IN "
                "(SELECT manifest_id FROM panes WHERE view_id = ? AND pane_start >= ? AND pane_start < ?)",
                chosen,
            )
        }
        rows = self._db.execute(
            "SELECT pane_start, release_id, opened, reason, content, released_at, published_at, clock, signature, manifest_id, "
            "tombstone FROM panes WHERE view_id = ? AND pane_start >= ? AND pane_start < ? ORDER BY pane_start, tombstone",
            chosen,
        )
        found: dict[int, PaneRecord] = {}
        for row in rows:
            start, ident, opened, reason, content, released_at, published_at, clock, signature, manifest, tombstone = (
                row
            )
            times = (released_at, published_at)
            if tuple(map(type, row)) not in _PANE_TYPES or opened not in (0, 1) or manifest not in manifests:
                raise StoreCorrupt(
                    f"{self.path}: the row of pane {start!r} is not in the form that a publication writes; restore it from a backup"
                )
            one = PaneRecord(start, ident, bool(opened), reason, content, *times, clock, signature, manifests[manifest])
            before = found.get(one.pane_start)
            if bool(tombstone) != (before is not None) or bool(tombstone) != is_retraction(reason):
                raise StoreCorrupt(
                    f"{self.path}: the pane {utc_text(start)} has a tombstone without a release, or with the reason "
                    f"{reason!r}; restore it from a backup"
                )
            found[one.pane_start] = one if before is None else replace(before, tombstone=one)
        return list(found.values())

    def manifests(self) -> list[tuple[Manifest, int]]:
        """Every manifest of the published panes, with the start (µs) of its last pane."""
        rows = self._db.execute(
            "SELECT json, last FROM manifests JOIN (SELECT manifest_id, max(pane_start) AS last FROM panes GROUP BY manifest_id) "
            "ON manifests.id = manifest_id ORDER BY manifests.id"
        )
        return [(Manifest.from_json(text), int(last)) for text, last in rows.fetchall()]

    def contents(self, view_id: int) -> bytes:
        """SHA-256 over the contents of a view's published panes and tombstones."""
        rows = self._db.execute(
            "SELECT content FROM panes WHERE view_id = ? ORDER BY pane_start, tombstone", (view_id,)
        )
        return hashlib.sha256(b"".join(content for (content,) in rows)).digest()

    def find(self, release_id: bytes) -> tuple[RegisteredView, PaneRecord]:
        """The view and the published pane of a release id. Raises UnknownRelease."""
        row = self._db.execute(
            "SELECT name, pane_start FROM panes JOIN views ON views.id = view_id WHERE release_id = ?", (release_id,)
        ).fetchone()
        if row is None:
            raise UnknownRelease(release_id)
        registered = self.view(row[0])
        (record,) = self.panes(registered.view_id, row[1], row[1] + 1)
        return registered, record

    def evidence(self, digest: bytes) -> bytes:
        """The bytes with this SHA-256. Raises UnknownEvidence. StoreCorrupt: the stored bytes have another hash."""
        row = self._db.execute("SELECT data FROM evidence WHERE hash = ?", (digest,)).fetchone()
        if row is None:
            raise UnknownEvidence(digest)
        data = bytes(row[0])
        if hashlib.sha256(data).digest() != digest:
            raise StoreCorrupt(f"{self.path}: the evidence {digest.hex()} was changed")
        return data

    def all_evidence(self) -> Iterator[bytes]:
        """Every blob, in no order."""
        for (data,) in self._db.execute("SELECT data FROM evidence"):
            yield bytes(data)

    def keep_evidence(self, evidence: Iterable[bytes]) -> None:
        """Store blobs under their SHA-256, inside a transaction; a blob that is stored already stays."""
        self._db.executemany(
            "INSERT OR IGNORE INTO evidence (hash, data) VALUES (?, ?)",
            ((hashlib.sha256(data).digest(), data) for data in evidence),
        )

    def files(self, view_id: int, first_day: int | None = None, last_day: int | None = None) -> list[FileRecord]:
        """The Parquet files of a view for the days first_day … last_day, by day, then publication."""
        rows = self._db.execute(
            "SELECT path, day, rows, bytes FROM files WHERE view_id = ? AND day >= ? AND day <= ? ORDER BY day, seq",
            (view_id, -(2**63) if first_day is None else first_day, 2**63 - 1 if last_day is None else last_day),
        )
        return [FileRecord(*row) for row in rows]

    def all_paths(self) -> set[str]:
        """The paths of all listed files."""
        return {path for (path,) in self._db.execute("SELECT path FROM files")}

    def record(
        self,
        seq: int,
        published_at: int,
        panes: Sequence[tuple[int, PaneRecord]],
        files: Sequence[tuple[int, FileRecord]],
        replaced: Sequence[str],
    ) -> None:
        """Write one publication: its panes and files (each with its view's id), and remove the files that it replaces."""
        self._db.execute("INSERT INTO publications (seq, published_at) VALUES (?, ?)", (seq, published_at))
        ids: dict[int, int] = {}
        for _, pane in panes:
            if id(pane.manifest) not in ids:
                ids[id(pane.manifest)] = self._manifest_id(pane.manifest)
        self._db.executemany(
            "INSERT INTO panes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (view_id, p.pane_start, is_retraction(p.reason), p.release_id, p.opened, p.reason, p.content,
                 p.released_at, p.published_at, p.clock, p.signature, seq, ids[id(p.manifest)])
                for view_id, p in panes
            ),
        )  # fmt: skip
        self._db.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in replaced))
        self._db.executemany(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
            ((f.path, view_id, f.day, f.rows, f.bytes, seq) for view_id, f in files),
        )

    def _manifest_id(self, manifest: Manifest) -> int:
        text = manifest.to_json()
        digest = hashlib.sha256(text.encode()).digest()
        self._db.execute("INSERT OR IGNORE INTO manifests (hash, json) VALUES (?, ?)", (digest, text))
        row: tuple[Any, ...] = self._db.execute("SELECT id FROM manifests WHERE hash = ?", (digest,)).fetchone()
        return int(row[0])


def _bounds(start: int | None, end: int | None) -> tuple[int, int]:
    return -(2**63) if start is None else start, 2**63 - 1 if end is None else end
