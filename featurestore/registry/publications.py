"""The publications of a registry: panes, manifests, evidence and the list of Parquet files. All of its SQL is in this file.

A pane has one release or void in its collection; a retracted release also has a tombstone (`tombstone` = 1).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from base.sqlite import snapshot
from base.times import utc_text
from featurestore.define.records import FileRecord, PaneRecord, RegisteredView
from featurestore.define.release import BUDGET_SPENT, Clock, Manifest, is_retraction
from featurestore.errors import StoreCorrupt, UnknownEvidence

from .selection import Selection, bounds_of
from .tally import Tally
from .watch import Published

_PANE_TYPES: Final = tuple(
    (int, bytes, int, reason, bytes, int, int, str, bytes, int, int) for reason in (str, type(None))
)


@dataclass(frozen=True)
class PublishedPane:
    """A pane or tombstone of a collection; see `featurestore.registry.watch.Published`."""

    seq: int
    release_id: bytes
    pane_start: int
    opened: bool
    tombstone: bool
    reason: str | None
    released_at: int
    published_at: int

    def of(self, registered: RegisteredView) -> Published:
        """The same for a version whose rows use the pane."""
        return Published(
            registered.view.name,
            registered.version,
            self.seq,
            self.release_id,
            self.pane_start,
            self.pane_start + registered.view.pane_us,
            self.released_at,
            self.published_at,
            "retracted" if self.tombstone else "opened" if self.opened else "void",
            self.reason,
        )


class Publications:
    """Reads and writes the tables of publications.

    Args:
        path: of the database, for errors.
        lock: of the connection; see `base.sqlite.snapshot`.
    """

    def __init__(self, database: sqlite3.Connection, path: Path, lock: AbstractContextManager[object]) -> None:
        self._db, self._path, self._lock = database, path, lock

    def next_seq(self) -> int:
        """The number that the next publication gets."""
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM publications").fetchone()
        return int(last) + 1

    def last_seq(self, of: Selection) -> int:
        """The last publication with a pane of the selection, or that renewed the version; 0: there is none.

        A retraction in a deprecated version renews it.
        """
        query, given = of.panes_query
        # not max(), which reads all panes of several collections
        pane = self._db.execute(f"{query} SELECT seq FROM chosen ORDER BY seq DESC LIMIT 1", given).fetchone()
        (renewal,) = self._db.execute(
            "SELECT coalesce(max(seq), 0) FROM renewals WHERE view_id = ?", (of.view_id,)
        ).fetchone()
        return max(0 if pane is None else int(pane[0]), int(renewal))

    def has_panes(self, name: str) -> bool:
        """Whether a collection of this name has a published pane."""
        (found,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM panes JOIN collections ON collections.id = collection_id WHERE name = ?)",
            (name,),
        ).fetchone()
        return bool(found)

    def since(self, of: Selection, seq: int) -> list[PublishedPane]:
        """The panes and tombstones of later publications, in the order of publication."""
        query, given = of.query
        rows = self._db.execute(
            f"{query} SELECT seq, release_id, pane_start, opened, tombstone, reason, released_at, published_at FROM chosen "
            "WHERE seq > ? ORDER BY seq, pane_start, tombstone",
            (*given, seq),
        )
        return _published(rows)

    def not_opened(self, of: Selection, start: int | None, end: int | None, most: int) -> list[PublishedPane]:
        """The first voids and tombstones with start ≤ pane_start < end, by pane; at most `most`."""
        query, given = of.within(start, end).query
        rows = self._db.execute(
            f"{query} SELECT seq, release_id, pane_start, opened, tombstone, reason, released_at, published_at FROM chosen "
            "WHERE NOT opened AND pane_start >= ? AND pane_start < ? ORDER BY pane_start, tombstone LIMIT ?",
            (*given, *bounds_of(start, end), most),
        )
        return _published(rows)

    def newest_at(self, of: Selection, moment: int) -> PublishedPane | None:
        """The newest pane that makes rows among those that were released by a moment (µs), in its state of that moment."""
        query, given = of.query
        rows = self._db.execute(
            f"{query} SELECT seq, release_id, pane_start, opened, tombstone, reason, released_at, published_at FROM chosen "
            "WHERE released_at <= ? AND reason IS NOT ? ORDER BY pane_start DESC, tombstone DESC LIMIT 1",
            (*given, moment, BUDGET_SPENT),
        )
        return next(iter(_published(rows)), None)

    def pane_starts(self, of: Selection, start: int | None = None, end: int | None = None) -> npt.NDArray[np.int64]:
        """int64[P], the published panes with start ≤ pane_start < end, increasing."""
        query, given = of.within(start, end).query
        rows = self._db.execute(
            f"{query} SELECT pane_start FROM chosen WHERE pane_start >= ? AND pane_start < ? AND NOT tombstone ORDER BY pane_start",
            (*given, *bounds_of(start, end)),
        )
        return np.fromiter((row[0] for row in rows.fetchall()), dtype=np.int64)

    def places(self, of: Selection, start: int | None = None, end: int | None = None) -> list[tuple[int, int, int]]:
        """(pane_start, collection_id, whether it is a tombstone) of each with start ≤ pane_start < end, by start."""
        query, given = of.within(start, end).query
        return self._db.execute(
            f"{query} SELECT pane_start, collection_id, tombstone FROM chosen WHERE pane_start >= ? AND pane_start < ? "
            "ORDER BY pane_start, tombstone",
            (*given, *bounds_of(start, end)),
        ).fetchall()

    def last_opened(self, name: str) -> dict[int, int]:
        """The newest opened pane of each collection of a name that has one."""
        return dict(
            self._db.execute(
                "SELECT collection_id, max(pane_start) FROM panes JOIN collections ON collections.id = collection_id "
                "WHERE name = ? AND opened GROUP BY collection_id",
                (name,),
            )
        )

    def last_row(self, of: Selection) -> int | None:
        """The newest pane that makes rows; None: there is none."""
        query, given = of.panes_query
        last = self._db.execute(  # not max(), which reads all panes
            f"{query} SELECT pane_start FROM chosen WHERE reason IS NOT ? ORDER BY pane_start DESC LIMIT 1",
            (*given, BUDGET_SPENT),
        ).fetchone()
        return None if last is None else int(last[0])

    def opened(self, of: Selection) -> tuple[int, int | None]:
        """How many releases there are that were not retracted, and the pane of the last one; None: there is none."""
        query, given = of.query
        (count,) = self._db.execute(
            f"{query} SELECT count(*) FILTER (WHERE opened) - count(*) FILTER (WHERE tombstone) FROM chosen", given
        ).fetchone()
        last = self._db.execute(
            f"{query} SELECT pane_start FROM chosen GROUP BY pane_start HAVING max(opened) AND NOT max(tombstone) "
            "ORDER BY pane_start DESC LIMIT 1",
            given,
        ).fetchone()
        return int(count), None if last is None else int(last[0])

    def clocks(self, of: Selection) -> dict[Clock, int]:
        """How many panes that make rows there are of each clock."""
        query, given = of.query
        counts: dict[Clock, int] = {"live": 0, "replay": 0}
        return counts | dict(
            self._db.execute(
                f"{query} SELECT clock, count(*) FROM chosen WHERE reason IS NOT ? AND NOT tombstone GROUP BY clock",
                (*given, BUDGET_SPENT),
            )
        )

    def spent_panes(
        self, of: Selection, clock: Clock | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(pane_start, released_at) of the BUDGET_SPENT voids, of one clock or both: int64[V] each, µs."""
        query, given = of.spent_query
        found = self._db.execute(
            f"{query} SELECT pane_start, released_at FROM chosen WHERE clock = ifnull(?, clock)",
            (*given, clock),
        ).fetchall()
        both = np.array(found, dtype=np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def panes(self, of: Selection, start: int | None = None, end: int | None = None) -> list[tuple[int, PaneRecord]]:
        """(collection_id, pane) of the published panes with start ≤ pane_start < end, in order."""
        with snapshot(self._db, self._lock):
            return self._panes(of, start, end)

    def _panes(self, of: Selection, start: int | None, end: int | None) -> list[tuple[int, PaneRecord]]:
        query, given = of.within(start, end).query
        chosen = (*given, *bounds_of(start, end))
        manifests: dict[int, Manifest] = {
            number: Manifest.from_json(text)
            for number, text in self._db.execute(
                f"{query} SELECT id, json FROM manifests WHERE id IN "
                "(SELECT manifest_id FROM chosen WHERE pane_start >= ? AND pane_start < ?)",
                chosen,
            )
        }
        rows = self._db.execute(
            f"{query} SELECT collection_id, pane_start, release_id, opened, reason, content, released_at, published_at, clock, "
            "signature, manifest_id, tombstone FROM chosen WHERE pane_start >= ? AND pane_start < ? "
            "ORDER BY pane_start, tombstone",
            chosen,
        )
        found: dict[int, tuple[int, PaneRecord]] = {}
        for collection_id, *row in rows:
            one, tombstone = self._record(row, manifests)
            before = found.get(one.pane_start)
            if tombstone != (before is not None) or tombstone != is_retraction(one.reason):
                raise StoreCorrupt(
                    f"{self._path}: the pane {utc_text(one.pane_start)} has a tombstone without a release, or with the reason "
                    f"{one.reason!r}; restore it from a backup"
                )
            found[one.pane_start] = collection_id, one if before is None else replace(before[1], tombstone=one)
        return list(found.values())

    def _record(self, row: Sequence[Any], manifests: dict[int, Manifest]) -> tuple[PaneRecord, bool]:
        """A pane, and whether it is a tombstone. Raises StoreCorrupt."""
        start, ident, opened, reason, content, released_at, published_at, clock, signature, manifest, tombstone = row
        if tuple(map(type, row)) not in _PANE_TYPES or opened not in (0, 1) or manifest not in manifests:
            raise StoreCorrupt(
                f"{self._path}: the row of pane {start!r} is not in the form that a publication writes; restore it from a backup"
            )
        times = (released_at, published_at)
        record = PaneRecord(start, ident, bool(opened), reason, content, *times, clock, signature, manifests[manifest])
        return record, bool(tombstone)

    def manifests(self) -> list[tuple[Manifest, int]]:
        """Every manifest of the published panes, with the start (µs) of its last pane."""
        rows = self._db.execute(
            "SELECT json, last FROM manifests JOIN (SELECT manifest_id, max(pane_start) AS last FROM panes GROUP BY manifest_id) "
            "ON manifests.id = manifest_id ORDER BY manifests.id"
        )
        return [(Manifest.from_json(text), int(last)) for text, last in rows.fetchall()]

    def contents(self, of: Selection) -> bytes:
        """SHA-256 over the contents of the panes and tombstones."""
        query, given = of.query
        rows = self._db.execute(f"{query} SELECT content FROM chosen ORDER BY pane_start, tombstone", given)
        return hashlib.sha256(b"".join(content for (content,) in rows)).digest()

    def place_of(self, release_id: bytes) -> tuple[int, int] | None:
        """(collection_id, pane_start) of a release id, or None."""
        row = self._db.execute(
            "SELECT collection_id, pane_start FROM panes WHERE release_id = ?", (release_id,)
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def evidence(self, digest: bytes) -> bytes:
        """The bytes with this SHA-256. Raises UnknownEvidence. StoreCorrupt: the stored bytes have another hash."""
        row = self._db.execute("SELECT data FROM evidence WHERE hash = ?", (digest,)).fetchone()
        if row is None:
            raise UnknownEvidence(digest)
        data = bytes(row[0])
        if hashlib.sha256(data).digest() != digest:
            raise StoreCorrupt(f"{self._path}: the evidence {digest.hex()} was changed")
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
        """The Parquet files of a version for the days first_day … last_day, by day, then publication."""
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
        renewed: Sequence[int] = (),
    ) -> None:
        """Write one publication, inside a transaction.

        Args:
            panes: each with its collection's number.
            files: each with its version's number; replaced: the files that they replace.
            renewed: the versions whose rows are written anew without a pane.
        """
        self._db.execute("INSERT INTO publications (seq, published_at) VALUES (?, ?)", (seq, published_at))
        ids: dict[int, int] = {}
        for _, pane in panes:
            if id(pane.manifest) not in ids:
                ids[id(pane.manifest)] = self._manifest_id(pane.manifest)
        self._db.executemany(
            "INSERT INTO panes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (collection_id, p.pane_start, is_retraction(p.reason), p.release_id, p.opened, p.reason, p.content,
                 p.released_at, p.published_at, p.clock, p.signature, seq, ids[id(p.manifest)])
                for collection_id, p in panes
            ),
        )  # fmt: skip
        self._db.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in replaced))
        self._db.executemany(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
            ((f.path, view_id, f.day, f.rows, f.bytes, seq) for view_id, f in files),
        )
        self._db.executemany("INSERT INTO renewals (seq, view_id) VALUES (?, ?)", ((seq, one) for one in renewed))

    def running(self, of: Selection) -> bytes | None:
        """The stored sums of a version's windows, if they hold after its last publication."""
        row = self._db.execute("SELECT seq, sums FROM running WHERE view_id = ?", (of.view_id,)).fetchone()
        return bytes(row[1]) if row is not None and row[0] == self.last_seq(of) else None

    def keep_running(self, seq: int, sums: Iterable[tuple[int, bytes | None]]) -> None:
        """Replace the stored sums of these versions, or delete them, inside the transaction of a publication."""
        for view_id, data in sums:
            self._db.execute("DELETE FROM running WHERE view_id = ?", (view_id,))
            if data is not None:
                self._db.execute("INSERT INTO running VALUES (?, ?, ?)", (view_id, seq, data))

    def count(self, of: Selection, start: int, end: int) -> int:
        """The number of published panes with start ≤ pane_start < end."""
        query, given = of.within(start, end).query
        (found,) = self._db.execute(
            f"{query} SELECT count(*) FROM chosen WHERE pane_start >= ? AND pane_start < ? AND NOT tombstone",
            (*given, start, end),
        ).fetchone()
        return int(found)

    def tally(self, collection_id: int, start: int, end: int, after: int, last: int) -> Tally:
        """The panes of a collection with start ≤ pane_start < end, of the publications after … last. A retracted pane is void.

        Few publications are read by their index; all of them by the panes themselves, which takes a third of the time.
        """
        index = "INDEXED BY panes_by_publication" if after else ""
        panes, opened, retracted, *ends = self._db.execute(
            "SELECT count(*) FILTER (WHERE NOT tombstone), count(*) FILTER (WHERE opened), count(*) FILTER (WHERE tombstone), "
            f"min(pane_start), max(pane_start) FROM panes {index} "
            "WHERE collection_id = ? AND seq > ? AND seq <= ? AND pane_start >= ? AND pane_start < ?",
            (collection_id, after, last, start, end),
        ).fetchone()
        return Tally(opened - retracted, panes - opened + retracted, *ends)

    def _manifest_id(self, manifest: Manifest) -> int:
        text = manifest.to_json()
        digest = hashlib.sha256(text.encode()).digest()
        self._db.execute("INSERT OR IGNORE INTO manifests (hash, json) VALUES (?, ?)", (digest, text))
        row: tuple[Any, ...] = self._db.execute("SELECT id FROM manifests WHERE hash = ?", (digest,)).fetchone()
        return int(row[0])


def _published(rows: Iterable[Sequence[Any]]) -> list[PublishedPane]:
    return [
        PublishedPane(number, ident, start, bool(opened), bool(tombstone), *rest)
        for number, ident, start, opened, tombstone, *rest in rows
    ]
