"""Late events: events of a pane that a site has reported already. They are counted at the site, and never sent.

A reported pane is closed, so its report never includes them. With each answer the site notes how many events every pane had. At the
next answer for the view, the number that came since is noted, logged and shown to the site's operator. If old events
leave the file, nothing is late: only more events than before are.

Privacy-sensitive: the counts stay in the site's ledger file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from featurestore.define.definitions import FeatureView
from featurestore.define.wire import collection_hash
from federation.ledger.state import LedgerState
from federation.plan import Plan

from .events import Events, PaneCounts

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS seen_events (plan BLOB, view INTEGER, events BLOB NOT NULL,
        PRIMARY KEY (plan, view)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS late_events (collection BLOB, pane INTEGER, view TEXT NOT NULL, events INTEGER NOT NULL,
        PRIMARY KEY (collection, pane)) WITHOUT ROWID""",
)
"""The tables in a site's ledger file: int64 (LE) events of each pane of an answer's views; late events by pane."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LateEvents:
    """The late events of one view that an answer has found, beyond those that were known before.

    Attributes:
        panes: the number of panes that they belong to; `first`: the start of the first one, µs.
    """

    view: str
    events: int
    panes: int
    first: int


def events_of_panes(view: FeatureView, events: Events, panes: Ints) -> Ints:
    """int64[P], how many events with a client each pane (its start in µs, increasing) of a plan has.

    The rows are counted that were read for the plan: an event that arrived after they were read is late, and not counted here.
    """
    return _at(np.unique(events.pane_starts(view), return_counts=True), panes)


def note_seen(db: sqlite3.Connection, plan: Plan, seen: Sequence[Ints]) -> None:
    """Store how many events each pane of an answer had, by view."""
    db.executemany(
        "INSERT INTO seen_events VALUES (?, ?, ?)",
        ((plan.hash, view, counts.astype("<i8").tobytes()) for view, counts in enumerate(seen)),
    )


def note_late(
    db: sqlite3.Connection, state: LedgerState, plan: Plan, events: Events, counted: dict[bytes, PaneCounts]
) -> list[LateEvents]:
    """Store the late events of panes that were reported under other plans. Returns what is new, for each view of this plan.

    Only panes whose number of events has changed since the last call are looked up: a site with a month of minute panes would
    look up 43,200 answers otherwise, which takes seconds.

    Args:
        counted: what each collection's panes had at the last call that was committed; empty for a ledger that was just opened.
            It gets the numbers of this call, but for the panes of this plan.
    """
    found = []
    for planned in plan.views:
        collection, view = collection_hash(planned.view), planned.view
        now = events.pane_counts(view)
        changed = _changed(now, counted.get(collection))
        others = ~np.isin(now[0], planned.pane_starts)  # a repeated answer does not look its own panes up
        counted[collection] = now[0][others], now[1][others]
        panes, before = _reported(db, state, plan.hash, collection, changed)
        late = _at(now, panes) - before
        rows = [(collection, int(panes[at]), view.name, int(late[at])) for at in np.flatnonzero(late > 0).tolist()]
        known = _known(db, collection, [row[1] for row in rows])
        new = [row for row in rows if row[3] > known.get(row[1], 0)]
        db.executemany("INSERT OR REPLACE INTO late_events VALUES (?, ?, ?, ?)", new)
        if new:
            more = sum(row[3] - known.get(row[1], 0) for row in new)
            found.append(LateEvents(view.name, more, len(new), min(row[1] for row in new)))
    return found


def late_by_view(db: sqlite3.Connection) -> dict[str, int]:
    """The number of late events of each view."""
    return dict(db.execute("SELECT view, sum(events) FROM late_events GROUP BY view ORDER BY view").fetchall())


def _at(counts: PaneCounts, panes: Ints) -> Ints:
    """int64[P], how many events each of these panes (µs, increasing) has."""
    having, count = counts
    found = np.zeros(len(panes), np.int64)
    at = np.searchsorted(panes, having)
    mine = at < len(panes)
    mine[mine] = panes[at[mine]] == having[mine]
    found[at[mine]] = count[mine]
    return found


def _changed(now: PaneCounts, before: PaneCounts | None) -> Ints:
    """The panes that have another number of events than before."""
    (panes, counts), (old_panes, old_counts) = now, before or (np.empty(0, np.int64), np.empty(0, np.int64))
    at = np.searchsorted(old_panes, panes)
    same = at < len(old_panes)
    same[same] = (old_panes[at[same]] == panes[same]) & (old_counts[at[same]] == counts[same])
    return panes[~same]


def _known(db: sqlite3.Connection, collection: bytes, panes: Sequence[int]) -> dict[int, int]:
    """The stored number of late events of these panes."""
    select = "SELECT pane, events FROM late_events WHERE collection = ? AND pane BETWEEN ? AND ?"
    return dict(db.execute(select, (collection, min(panes), max(panes))).fetchall()) if panes else {}


def _reported(
    db: sqlite3.Connection, state: LedgerState, plan: bytes, collection: bytes, among: Ints
) -> tuple[Ints, Ints]:
    """Those of these panes (µs, increasing) that other answers hold, and how many events each had when it was reported."""
    panes, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for other in state.holders_of(collection, among):
        if other != plan and other in state.completed:
            for view, (of, starts, held) in enumerate(state.held_panes(other)):
                row = db.execute("SELECT events FROM seen_events WHERE plan = ? AND view = ?", (other, view)).fetchone()
                if of == collection and row is not None and len(row[0]) == 8 * len(starts):
                    mine = np.isin(starts, held)
                    panes.append(starts[mine])
                    counts.append(np.frombuffer(row[0], "<i8")[mine])
    every = np.concatenate(panes)
    order = np.argsort(every)
    return every[order], np.concatenate(counts)[order]
