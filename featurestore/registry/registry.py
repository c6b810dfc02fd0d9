"""The registry: the versions of views, services, models, publications and the list of Parquet files; one SQLite file.

A publication counts once it is committed here. Readers take the list of files from here and never search folders. All SQL of
the store is in this folder.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from base.sqlite import Identity, connect, prepare, reporting_damage, snapshot, transaction, version_of
from base.times import DAY_US, day_of
from featurestore.define.changes import Unchanged, ViewChange, compare
from featurestore.define.definitions import FeatureView
from featurestore.define.earlier import other_forms
from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT, PaneRecord, RegisteredView, ToCollect, Version, first_version
from featurestore.define.release import Clock
from featurestore.define.wire import definition_hash
from featurestore.errors import (
    StoreCorrupt,
    StoreNotFound,
    StoreOfAnotherVersion,
    UnknownRelease,
    UnknownVersion,
    UnknownView,
    ViewChanged,
)
from featurestore.store_files import writing

from .hand_over import HandOver, Timing, hand_over
from .lineage import Lineage
from .model_rows import ModelRows
from .pane_index import PaneIndex
from .publications import Publications
from .selection import Selection
from .tables import FORMAT, SCHEMA_VERSION, missing
from .upkeep import Upkeep
from .versions import Versions
from .watch import Published

_BUSY_S: Final = 10.0
_NAMED: Final = re.compile(r"([a-z][a-z0-9_]*)@v([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Applied:
    """What applying a definition did.

    Attributes:
        registered: the version that has the definition now.
        change: from the version that was applied last; None: it is the first version of its name.
        from_us: from when its collection is collected, µs; None: that did not change.
        is_back: whether an older version was applied again.
    """

    registered: RegisteredView
    change: ViewChange | None
    from_us: int | None = None
    is_back: bool = False


class Registry:
    """Reads and writes the registry file. A reader opens it read-only and sees whole publications.

    Attributes:
        publications: panes, evidence and files, by the number of their collection or version.
        pane_index: the places of panes in lists.
        models: versions of models, and which of them are in force.
        upkeep: rows that leave, files that are merged.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._lineages: tuple[tuple[int, int], dict[str, Lineage]] = (-1, -1), {}
        damaged = reporting_damage(lambda error: StoreCorrupt(f"{path} is damaged ({error})"))
        try:
            # SQLite itself serialises calls from several threads; a server reads from more than one.
            self._db = connect(path, private=False, read_only=read_only, busy_s=_BUSY_S, factory=damaged)
            self.publications = Publications(self._db, path, self._lock)
            self._versions = Versions(self._db, self._lock)
            self.pane_index = PaneIndex(self._db, self._lock)
            self.models = ModelRows(self._db)
            self.upkeep = Upkeep(self._db)
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
        try:
            with self._lock, writing(self.path), transaction(self._db):
                yield
        except BaseException:
            self._lineages = (-1, -1), {}  # they may be of statements that were rolled back
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all of the statements inside read one state, also while a publication is committed."""
        with snapshot(self._db, self._lock):
            yield

    def stamp(self) -> tuple[int, int]:
        """A value that changes with every change by any process. It is of this connection alone."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0]), self._db.total_changes

    def lineages(self) -> list[Lineage]:
        """The versions of every name, by name."""
        return self._versions.lineages()

    def lineage(self, name: str) -> Lineage:
        """The versions of a name. Raises UnknownView, which lists all views."""
        stamp = self.stamp()
        if self._lineages[0] != stamp:
            self._lineages = stamp, {}
        known = self._lineages[1]
        if name not in known:
            found = self._versions.lineages(name)
            if not found:
                raise UnknownView(name, [one.view.name for one in self.views()], named=self._is_named(name))
            known[name] = found[0]
        return known[name]

    def view(self, name: str, version: int | None = None) -> RegisteredView:
        """A version of a view; None: the one that its name serves.

        Raises:
            UnknownView, which lists all views. UnknownVersion, which lists all versions.
        """
        lineage = self.lineage(name)
        if version is None:
            return lineage.served.registered
        found = lineage.number(version)
        if found is None:
            raise UnknownVersion(name, version, [one.registered.version for one in lineage.versions])
        return found.registered

    def named(self, name: str) -> RegisteredView:
        """The version of `view` or `view@v<n>`. Raises UnknownView, UnknownVersion."""
        pinned = _NAMED.fullmatch(name)
        return self.view(name) if pinned is None else self.view(pinned[1], int(pinned[2]))

    def views(self) -> list[RegisteredView]:
        """The served version of each name, by name."""
        return [lineage.served.registered for lineage in self.lineages()]

    def every_version(self) -> list[RegisteredView]:
        """All versions of all names, by name and version."""
        return [version.registered for lineage in self.lineages() for version in lineage.versions]

    def served(self) -> dict[str, int]:
        """The version that each name serves."""
        return {one.view.name: one.version for one in self.views()}

    def versions(self, name: str) -> list[Version]:
        """The versions of a view, by number. Raises UnknownView."""
        return list(self.lineage(name).versions)

    def to_collect(self) -> list[ToCollect]:
        """The collections of all names, each with the time in which its panes start. One that has ended may have late panes."""
        return [one for lineage in self.lineages() for one in lineage.to_collect()]

    def definitions(self) -> list[tuple[FeatureView, str]]:
        """Every definition that a version has or had, with `view@v<n>`."""
        with self.snapshot():
            versions = [version for lineage in self.lineages() for version in lineage.versions]
            return [
                (self._versions.definition(digest), one.registered.name)
                for one in versions
                for digest in one.definitions
            ]

    def defined_by(self, view: FeatureView) -> RegisteredView | None:
        """The version that has or had this definition, with this definition; None: there is none."""
        found = [one.defined_by(definition_hash(view)) for one in self._versions.lineages(view.name)]
        if not found or found[0] is None:
            return None
        one = found[0].registered
        return RegisteredView(one.view_id, one.version, view, one.collection_id)

    def register(self, view: FeatureView, now: int) -> RegisteredView:
        """Register the first version of a view, or find the version that is collected with this definition.

        A view without a published pane, which no service names, takes another definition. A view that is registered in another
        form of the same definition keeps that form; `apply` can give it its own.

        Raises:
            ViewChanged: a view of its name has another definition.
        """
        view = self.in_force(view)
        self.require_registrable(view)
        found = self._versions.lineages(view.name)
        if not found:
            with self.transaction():
                self._add_first(view, now)
            return self.view(view.name)
        if (collected := _collected(found[0], view)) is not None:
            return self.view(view.name, collected)
        with self.transaction():
            self._versions.replace(found[0].newest.registered.view_id, view)
        return self.view(view.name)

    def require_registrable(self, view: FeatureView) -> None:
        """Return if `register` would take this definition in the form in force. Raises ViewChanged."""
        for lineage in self._versions.lineages(view.name):
            replaceable = self._is_replaceable(lineage) and not self._is_named(view.name)
            if _collected(lineage, view) is None and not replaceable:
                raise _changed(lineage.newest, view)

    def served_after(self, view: FeatureView) -> RegisteredView:
        """The version that the name of a view serves once this definition has a release. Nothing is written. Raises ViewChanged."""
        view = self.in_force(view)
        self.require_registrable(view)
        for lineage in self._versions.lineages(view.name):
            collected = _collected(lineage, view)
            if collected is None:
                return replace(lineage.newest.registered, view=view)
            return lineage.served_after(self.view(view.name, collected).collection_id).registered
        return first_version(view)

    def _add_first(self, view: FeatureView, now: int) -> None:
        view_id = self._versions.add(view, now)
        self._versions.schedule(view.name, view_id, FIRST_MOMENT, None, now)

    def _is_replaceable(self, lineage: Lineage) -> bool:
        """Whether nothing was published under a name, so that its only version takes another definition."""
        return len(lineage.versions) == 1 and not self.publications.has_panes(lineage.name)

    def plan(self, view: FeatureView, timing: Timing, *, as_defined: bool = False) -> HandOver | None:
        """What `apply` would do; None: it would register the first version. Raises HandOverRefused.

        Args:
            as_defined: take the definition in its own form, also if another form of it is registered, and in force.
        """
        view = view if as_defined else self.in_force(view)
        found = self._versions.lineages(view.name)
        if not found:
            return None
        lineage = found[0]
        if self._is_replaceable(lineage):
            change = compare(lineage.newest.registered.view, view)
            return HandOver(change, lineage.newest, change != Unchanged(), None)
        return hand_over(lineage, view, timing, self.publications.last_opened(view.name))

    def apply(self, view: FeatureView, timing: Timing, *, as_defined: bool = False) -> Applied:
        """Apply a definition, inside a transaction; see `plan`. The rows of new versions are the publisher's work."""
        view = view if as_defined else self.in_force(view)
        due = self.plan(view, timing, as_defined=True)
        if due is None:
            self._add_first(view, timing.now)
            return Applied(self.view(view.name), None, FIRST_MOMENT)
        if due.annotates and due.version is not None:
            write = self._versions.annotate
            if self._is_replaceable(self.lineage(view.name)):
                write = self._versions.replace
            write(due.version.registered.view_id, view)
        view_id = self._versions.add(view, timing.now) if due.version is None else due.version.registered.view_id
        if due.place is not None:
            for place, until_us in due.place.ends.items():
                self._versions.end(place, until_us)
            since = timing.now if due.place.is_served else None
            self._versions.schedule(view.name, view_id, due.place.from_us, due.place.until_us, since)
            if due.version is not None:
                self._versions.deprecate(view_id, None, None)
        registered = next(
            one.registered for one in self.lineage(view.name).versions if one.registered.view_id == view_id
        )
        is_back = due.place is not None and due.version is not None
        return Applied(registered, due.change, None if due.place is None else due.place.from_us, is_back)

    def deprecate(self, registered: RegisteredView, now: int) -> None:
        """Mark a version as deprecated, inside a transaction. Its panes stay those that it has when it stops getting rows."""
        lineage = self.lineage(registered.view.name)
        if any(one.registered == registered and lineage.last_seq(one) is not None for one in lineage.versions):
            return  # its last publication may be a retraction since then
        self._versions.deprecate(registered.view_id, now, self.last_seq(registered))

    def serve(self, registered: RegisteredView, opened: Sequence[int], now: int) -> None:
        """Move a name to the versions whose collection got its first release, inside a transaction.

        Args:
            registered: a version of the collection; opened: the released panes, µs.
        """
        for entry, version in self.lineage(registered.view.name).entries:
            mine = version.registered.collection_id == registered.collection_id
            if mine and entry.served_since is None and any(entry.from_us <= start < entry.until for start in opened):
                self._versions.serve(entry.place, now)

    def in_force(self, view: FeatureView) -> FeatureView:
        """The form in which a view is collected: another form of the same definition if that is registered, else the view."""
        found = self._versions.lineages(view.name)
        if not found or found[0].defined_by(definition_hash(view)) is not None:
            return view
        known = {digest for version in found[0].versions for digest in version.definitions}
        return next((form for form in other_forms(view) if definition_hash(form) in known), view)

    def _is_named(self, view: str) -> bool:
        """Whether a feature service names a view."""
        return any(ref.startswith(f"{view}:") for refs in self.services().values() for ref in refs)

    def put_service(self, name: str, refs: Sequence[str]) -> None:
        """Store a feature service; a service of this name is replaced."""
        self._db.execute("INSERT OR REPLACE INTO services VALUES (?, ?)", (name, json.dumps(list(refs))))

    def services(self) -> dict[str, tuple[str, ...]]:
        """The references of every feature service, by name."""
        rows = self._db.execute("SELECT name, refs FROM services ORDER BY name")
        return {name: tuple(json.loads(refs)) for name, refs in rows}

    def selection(self, registered: RegisteredView) -> Selection:
        """The panes that the rows of a version use."""
        lineage = self.lineage(registered.view.name)
        version = lineage.number(registered.version)
        if version is None:
            raise UnknownVersion(lineage.name, registered.version, [one.registered.version for one in lineage.versions])
        last = lineage.last_seq(version)
        segments = tuple(lineage.segments(version))
        last_seq = NEVER if last is None else last
        panes = Selection(registered.view_id, registered.collection_id, segments, last_seq)
        before = self.upkeep.expired_before(lineage.name)
        if before == FIRST_MOMENT:
            return panes
        return replace(panes, rows_from=self._rows_from(panes, before), sums_from=before)

    def _rows_from(self, panes: Selection, before: int) -> int:
        """From when on a version has rows, if those before a UTC midnight (µs) have left.

        The day of its newest row stays, because readers of a version that has ended get that row. It leaves if the version takes
        over newer panes.
        """
        day, last = self.upkeep.last_day(panes.view_id), self.publications.last_row(panes)
        if day is None or last is None or day_of(last) != day:
            return before
        return min(before, day * DAY_US)

    def own(self, registered: RegisteredView) -> Selection:
        """The panes of a version's own collection."""
        return Selection(registered.view_id, registered.collection_id)

    def last_seq(self, registered: RegisteredView) -> int:
        """The last publication that changed the rows of a version; 0: there is none."""
        return self.publications.last_seq(self.selection(registered))

    def published_since(self, registered: RegisteredView, seq: int) -> list[Published]:
        """The panes and tombstones of a version that later publications brought, in the order of publication."""
        return [one.of(registered) for one in self.publications.since(self.selection(registered), seq)]

    def pane_starts(
        self, registered: RegisteredView, start: int | None = None, end: int | None = None
    ) -> npt.NDArray[np.int64]:
        """int64[P], the published panes of a version with start ≤ pane_start < end, increasing."""
        return self.publications.pane_starts(self.selection(registered), start, end)

    def collected_panes(
        self, view: FeatureView, start: int | None = None, end: int | None = None
    ) -> npt.NDArray[np.int64]:
        """int64[P], the published panes of the collection of a definition, increasing; empty if the definition is unknown."""
        registered = self.defined_by(view)
        if registered is None:
            return np.empty(0, np.int64)
        return self.publications.pane_starts(self.own(registered), start, end)

    def taken_panes(self, view: FeatureView, between: tuple[int, int] | None = None) -> npt.NDArray[np.int64]:
        """int64[P], the panes that no plan of a definition may ask for, increasing.

        They are the published panes of its collection, and all panes of the days of which another collection of the name has
        published a pane, unless the collection is scheduled for that day, too.

        Args:
            between: [from, to), µs: only the panes of its days are looked up; None: all.
        """
        registered = self.defined_by(view)
        if registered is None:
            return np.empty(0, np.int64)
        lineage = self.lineage(view.name)
        start, end = (
            (None, None) if between is None else (between[0] // DAY_US * DAY_US, -(-between[1] // DAY_US) * DAY_US)
        )
        taken = [self.publications.pane_starts(self.own(registered), start, end)]
        for other in {version.registered.collection_id for version in lineage.versions} - {registered.collection_id}:
            starts = self.publications.pane_starts(self.own(lineage.keeper(other).registered), start, end)
            scheduled = np.zeros(len(starts), dtype=bool)
            for first, last in lineage.spans(registered.collection_id):
                scheduled |= (starts >= first) & (starts < last)
            days = np.unique(starts[~scheduled] // DAY_US)
            taken.append((days[:, None] * DAY_US + np.arange(view.panes_per_day) * view.pane_us).ravel())
        return np.unique(np.concatenate(taken))

    def last_row(self, registered: RegisteredView) -> int | None:
        """The newest pane of a version that makes rows; None: there is none."""
        return self.publications.last_row(self.selection(registered))

    def clocks(self, registered: RegisteredView) -> dict[Clock, int]:
        """How many panes that make rows a version has of each clock."""
        return self.publications.clocks(self.selection(registered))

    def spent_panes(
        self, registered: RegisteredView, clock: Clock | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(pane_start, released_at) of a version's BUDGET_SPENT voids, of one clock or both: int64[V] each, µs."""
        return self.publications.spent_panes(self.selection(registered), clock)

    def panes(self, registered: RegisteredView, start: int | None = None, end: int | None = None) -> list[PaneRecord]:
        """The published panes of a version with start ≤ pane_start < end, in order."""
        return [pane for _, pane in self.publications.panes(self.selection(registered), start, end)]

    def published_panes(self) -> Iterator[tuple[list[bytes], list[int]]]:
        """The definitions of each collection, by hash, and its published panes (µs)."""
        for lineage in self.lineages():
            for number in {version.registered.collection_id for version in lineage.versions}:
                mine = [version for version in lineage.versions if version.registered.collection_id == number]
                digests = [digest for version in mine for digest in version.definitions]
                yield digests, self.publications.pane_starts(self.own(mine[0].registered)).tolist()

    def all_panes(self, name: str) -> list[tuple[RegisteredView, list[PaneRecord]]]:
        """The published panes of each collection of a name, with the version that stores their sums."""
        lineage = self.lineage(name)
        numbers = dict.fromkeys(version.registered.collection_id for version in lineage.versions)
        keepers = [lineage.keeper(number).registered for number in numbers]
        return [(one, [pane for _, pane in self.publications.panes(self.own(one))]) for one in keepers]

    def contents(self, registered: RegisteredView) -> bytes:
        """SHA-256 over the contents of a version's published panes and tombstones."""
        return self.publications.contents(self.selection(registered))

    def find(self, release_id: bytes) -> tuple[RegisteredView, PaneRecord]:
        """The published pane of a release id, and the version that stores its sums. Raises UnknownRelease."""
        place = self.publications.place_of(release_id)
        if place is None:
            raise UnknownRelease(release_id)
        collection_id, start = place
        keeper = self.keeper(collection_id)
        ((_, record),) = self.publications.panes(self.own(keeper), start, start + 1)
        return keeper, record

    def keeper(self, collection_id: int) -> RegisteredView:
        """The version that stores the sums of a collection."""
        for lineage in self.lineages():
            if any(one.registered.collection_id == collection_id for one in lineage.versions):
                return lineage.keeper(collection_id).registered
        raise StoreCorrupt(f"{self.path}: collection {collection_id} belongs to no version; restore it from a backup")


def _collected(lineage: Lineage, view: FeatureView) -> int | None:
    """The newest version that is collected with a definition; None: there is none.

    Two spellings of one definition, such as with a default written out, have one hash.
    """
    digest = definition_hash(view)
    found = [one.version for one in lineage.to_collect() if definition_hash(one.view) == digest]
    return found[-1] if found else None


def _changed(known: Version, view: FeatureView) -> ViewChanged:
    return ViewChanged(view.name, [str(one) for one in compare(known.registered.view, view).changes])
