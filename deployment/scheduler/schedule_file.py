"""`roles/coordinator/schedule.db`: what a coordinator knows of panes that are not settled. The registry has all others.

A view's frontier divides its panes: below it each pane is settled, or it has a row here; above it none has closed yet. So the
file grows with what is due, and not with the years. One transition is one transaction.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, assert_never

from base.disk import reason_of
from base.errors import NotPrivate
from base.private_files import private_folder
from base.sqlite import Format, Identity, connect, prepare, transaction
from base.times import DAY_US
from deployment.errors import ScheduleBroken, ScheduleWriteFailed

from .collected_views import CollectedView
from .pane_states import Collecting, Due, Exhausted, PaneState, Planned

FORMAT: Final = Format(
    application_id=0x434F5653,  # "COVS"
    version=1,
    schema="""
CREATE TABLE frontiers (
    collection BLOB NOT NULL, begins INTEGER NOT NULL, view TEXT NOT NULL, reached INTEGER NOT NULL,
    PRIMARY KEY (collection, begins)) WITHOUT ROWID;
CREATE TABLE panes (
    collection BLOB NOT NULL, pane INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, next_try INTEGER NOT NULL,
    tries INTEGER NOT NULL, asked INTEGER, planned INTEGER,
    PRIMARY KEY (collection, pane)) WITHOUT ROWID;
CREATE INDEX panes_by_state ON panes (state, collection, pane);
CREATE INDEX panes_by_try ON panes (state, collection, next_try);
CREATE TABLE coordinator (
    one INTEGER PRIMARY KEY CHECK (one = 1), pid INTEGER NOT NULL, machine TEXT NOT NULL, since INTEGER NOT NULL);
CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL, success INTEGER)
""",
)
_BUSY_S: Final = 10.0
_COLUMNS: Final = "state, since, next_try, tries, asked, planned"
_OF: Final = "collection = ? AND pane >= ? AND pane < ?"
"""The panes of `_of`. Others of the collection stay in the file, for a roll-back: its time may have been cut before they opened."""


@dataclass(frozen=True)
class Holder:
    """The process that coordinates a project.

    Attributes:
        since_us: when it became the coordinator.
    """

    pid: int
    machine: str
    since_us: int


@dataclass(frozen=True)
class Moments:
    """What a schedule remembers of the wall clock.

    Attributes:
        seen_us: the latest moment of a transition; 0: there was none.
        success_us: when a pane was last opened; None: never.
    """

    seen_us: int
    success_us: int | None


def schedule_path(directory: Path) -> Path:
    """The schedule of a project."""
    return directory / "roles" / "coordinator" / "schedule.db"


class Schedule:
    """The schedule of one project. A context manager; processes may share it.

    Args:
        read_only: the file must exist.

    Raises:
        ScheduleBroken: it cannot be read. ScheduleWriteFailed: it cannot be made.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.directory, self.path = directory, schedule_path(directory)
        with self._named():
            if not read_only:
                private_folder(self.path.parent)
            self._db = connect(self.path, private=True, read_only=read_only, busy_s=_BUSY_S)
            try:
                if not read_only:
                    prepare(self._db, "FULL")
                self._require_ours(create=not read_only)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # transitions

    def begin(self, one: CollectedView, reached: int) -> None:
        """Begin a collection: its panes before `reached` are not this schedule's."""
        with self._transition() as db:
            row = (one.collection, one.begins_us, one.view.name, reached)
            db.execute("INSERT OR IGNORE INTO frontiers VALUES (?, ?, ?, ?)", row)

    def close_panes(self, one: CollectedView, panes: Iterable[int], reached: int, now_us: int) -> None:
        """Panes have closed: they are due, and the frontier moves up to `reached`."""
        with self._transition(now_us) as db:
            self._add(one.collection, panes, now_us)
            key = (one.collection, one.begins_us)
            db.execute("UPDATE frontiers SET reached = ? WHERE collection = ? AND begins = ?", (reached, *key))

    def add_panes(self, collection: bytes, panes: Iterable[int], now_us: int) -> None:
        """Panes of a backfill are due, unless they are known."""
        with self._transition(now_us):
            self._add(collection, panes, now_us)

    def put(
        self, states: Mapping[tuple[bytes, int], PaneState], settled: Iterable[tuple[bytes, int]], now_us: int
    ) -> None:
        """Write the next states of panes, and forget those that are settled."""
        with self._transition(now_us) as db:
            db.executemany(
                f"INSERT OR REPLACE INTO panes (collection, pane, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((*key, *_row_of(state)) for key, state in states.items()),
            )
            db.executemany("DELETE FROM panes WHERE collection = ? AND pane = ?", settled)

    def hurry(self, now_us: int) -> None:
        """An operator asks for everything that is due: no pane waits for its next try."""
        with self._transition(now_us) as db:
            db.execute("UPDATE panes SET next_try = min(next_try, ?) WHERE state = 'due'", (now_us,))

    def succeeded(self, now_us: int) -> None:
        """A pane was opened."""
        with self._transition(now_us) as db:
            db.execute("UPDATE clock SET success = ?", (now_us,))

    def take(self, now_us: int) -> None:
        """This process is the coordinator now."""
        with self._transition() as db:
            row = (os.getpid(), socket.gethostname(), now_us)
            db.execute("INSERT OR REPLACE INTO coordinator VALUES (1, ?, ?, ?)", row)

    # reads

    def frontier(self, one: CollectedView) -> int | None:
        """The frontier of a collection; None: a coordinator has never seen it."""
        row = self._one(
            "SELECT reached FROM frontiers WHERE collection = ? AND begins = ?", one.collection, one.begins_us
        )
        return None if row is None else int(row[0])

    def count(self, one: CollectedView) -> int:
        """The number of a collection's panes that wait to be planned."""
        return int(self._one(f"SELECT count(*) FROM panes WHERE state = 'due' AND {_OF}", *_of(one))[0])

    def unsettled(self, one: CollectedView) -> tuple[int, ...]:
        """The first and the last pane of a collection that are not settled, if there are any."""
        row = self._one(f"SELECT min(pane), max(pane) FROM panes WHERE {_OF}", *_of(one))
        return () if row[0] is None else (row[0], row[1])

    def ready(self, one: CollectedView, now_us: int, most: int) -> dict[int, Due]:
        """The oldest panes of a collection that can be planned now; see `Due.is_ready`."""
        rows = self._all(
            f"SELECT pane, {_COLUMNS} FROM panes INDEXED BY panes_by_state WHERE {_OF} AND state = 'due' "
            "AND (next_try <= ? OR next_try > ?) ORDER BY pane LIMIT ?",
            *_of(one),
            now_us,
            now_us + DAY_US,
            most,
        )
        return {row[0]: state for row in rows if isinstance(state := _state_of(row[1:]), Due)}

    def next_try(self, one: CollectedView) -> int | None:
        """When the next due pane of a collection can be planned; None: none is due."""
        row = self._one(
            f"SELECT min(max(next_try, pane + ?)) FROM panes WHERE state = 'due' AND {_OF}",
            one.closes_at(0),
            *_of(one),
        )
        return None if row[0] is None else int(row[0])

    def has_failed(self, one: CollectedView) -> bool:
        """Whether a due pane of a collection was tried before."""
        return bool(self._all(f"SELECT 1 FROM panes WHERE state = 'due' AND {_OF} AND tries > 0 LIMIT 1", *_of(one)))

    def states(self, collection: bytes) -> dict[int, PaneState]:
        """All panes of a view that are not settled."""
        rows = self._all(f"SELECT pane, {_COLUMNS} FROM panes WHERE collection = ? ORDER BY pane", collection)
        return {row[0]: _state_of(row[1:]) for row in rows}

    def in_plan(self) -> dict[tuple[bytes, int], Planned]:
        """The panes of the plan under way."""
        rows = self._all(f"SELECT collection, pane, {_COLUMNS} FROM panes WHERE state IN ('planned', 'collecting')")
        return {(row[0], row[1]): state for row in rows if isinstance(state := _state_of(row[2:]), Planned)}

    def exhausted(self, one: CollectedView, before_us: int, most: int) -> list[int]:
        """Panes of a collection that are attempted too often, and were due before a moment."""
        rows = self._all(
            f"SELECT pane FROM panes INDEXED BY panes_by_try WHERE state = 'exhausted' AND {_OF} AND next_try <= ? "
            "ORDER BY next_try LIMIT ?",
            *_of(one),
            before_us,
            most,
        )
        return [row[0] for row in rows]

    def holder(self) -> Holder | None:
        """The process that last became the coordinator."""
        row = self._one("SELECT pid, machine, since FROM coordinator")
        return None if row is None else Holder(*row)

    def moments(self) -> Moments:
        """What is known of the clock."""
        row = self._one("SELECT seen, success FROM clock")
        return Moments(0, None) if row is None else Moments(*row)

    def _add(self, collection: bytes, panes: Iterable[int], now_us: int) -> None:
        row = _row_of(Due.first(now_us))
        self._db.executemany(
            f"INSERT OR IGNORE INTO panes (collection, pane, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((collection, pane, *row) for pane in panes),
        )

    @contextmanager
    def _transition(self, now_us: int | None = None) -> Iterator[sqlite3.Connection]:
        with self._named(), transaction(self._db):
            yield self._db
            if now_us is not None:
                self._db.execute(
                    "INSERT INTO clock (one, seen) VALUES (1, ?) ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)",
                    (now_us,),
                )

    def _one(self, statement: str, *values: object) -> Any:
        return next(iter(self._all(statement, *values)), None)

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._named():
            return self._db.execute(statement, values).fetchall()

    def _require_ours(self, *, create: bool) -> None:
        match FORMAT.recognised(self._db, self.path):
            case Identity.OURS:
                return
            case Identity.EMPTY if create:
                with transaction(self._db):
                    if FORMAT.identify(self._db) is Identity.EMPTY:  # else another process has just made it
                        FORMAT.create(self._db.execute)
            case _:
                raise ScheduleBroken(str(self.path), "it is no schedule of a coordinator")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Wrap an access: what SQLite and the operating system report becomes one error that names the file."""
        try:
            yield
        except (sqlite3.OperationalError, OSError, NotPrivate) as error:
            raise ScheduleWriteFailed(str(self.path), reason_of(error)) from error
        except sqlite3.DatabaseError as error:
            raise ScheduleBroken(str(self.path), str(error)) from None


def _of(one: CollectedView) -> tuple[object, ...]:
    return one.collection, one.begins_us, one.ends_us


def _row_of(state: PaneState) -> tuple[object, ...]:
    match state:
        case Due(since, next_try, tries, asked):
            return "due", since, next_try, tries, asked, None
        case Exhausted(since):
            return "exhausted", since, since, 0, None, None
        case Planned(Due(since, next_try, tries, asked), planned):
            name = "collecting" if isinstance(state, Collecting) else "planned"
            return name, since, next_try, tries, asked, planned
        case other:
            assert_never(other)


def _state_of(row: tuple[Any, ...]) -> PaneState:
    name, since, next_try, tries, asked, planned = row
    due = Due(since, next_try, tries, asked)
    match name:
        case "due":
            return due
        case "planned":
            return Planned(due, planned)
        case "collecting":
            return Collecting(due, planned)
        case _:
            return Exhausted(since)
