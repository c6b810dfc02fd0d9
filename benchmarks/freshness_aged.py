"""Makes a deployment old: its ledgers, the files of its roles and its store, as after so many plans of one pane.

Each file goes on from what a real plan has left in it: the plan's ledger entries and rows are repeated, with other hashes and
panes. The store publishes the panes by its own publisher, many at once. The result opens like every other deployment.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from base.times import DAY_US, SECOND_US, wall_clock
from featurestore.define.release import Release
from featurestore.define.views_file import load_views
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.keys import site_role
from federation.ledger.entries import CompletionEntry, Entry, IntentEntry
from federation.ledger.ledger import Ledger
from federation.ledger.operator import LEDGERS, OPERATOR, operator_path

_TABLES: Mapping[str, tuple[str, ...]] = {
    "leader": ("noised", "swaps"),
    "helper": ("noised", "swaps"),
}
"""The tables of an aggregator that keep a plan's rows after its deadline."""
_AT_ONCE = 2_000


def age(project: Path, sites: tuple[str, ...], first: int, panes: int) -> None:
    """Let a deployment, whose roles do not run, have collected so many panes from `first` (µs) on, each by a plan."""
    (view,) = load_views(project / "views.py")
    starts = [first + number * view.pane_us for number in range(panes)]
    _age_ledger(operator_path(project / LEDGERS), OPERATOR, starts)
    for site in sites:
        path = project / LEDGERS / f"{site_role(site)}.db"
        _age_site_tables(path, _age_ledger(path, site_role(site), starts), starts)
    for role in _TABLES:
        _age_role(project / "roles" / role / "state.db", _TABLES[role], starts)
    with Store.open(project) as store:
        releases = store.releases(view.name)
        made = store.release(bytes.fromhex(releases["release_id"].to_pylist()[-1]))
    if not isinstance(made, Release):
        raise TypeError("the newest pane is void")
    with Publisher(project, wall_clock) as publisher:
        for at in range(0, panes, _AT_ONCE):
            publisher.publish([_moved(made, start) for start in starts[at : at + _AT_ONCE]])


def ledger_open_s(project: Path, sites: tuple[str, ...]) -> float:
    """Seconds to open the slowest ledger of a deployment; the median of several."""
    ledgers = {operator_path(project / LEDGERS): OPERATOR}
    ledgers |= {project / LEDGERS / f"{site_role(site)}.db": site_role(site) for site in sites}
    found = []
    for path, owner in ledgers.items():
        taken = []
        for _ in range(5):
            begin = time.perf_counter()
            Ledger(path, owner, wall_clock, role="leader" if owner == OPERATOR else "").close()
            taken.append(time.perf_counter() - begin)
        found.append(median(taken))
    return max(found)


def plan_hash(start: int) -> bytes:
    """The hash of the plan of an old pane."""
    return hashlib.sha256(b"aged" + start.to_bytes(8, "big")).digest()


def _moved(made: Release, start: int) -> Release:
    width = made.pane_end - made.pane_start
    return replace(made, pane_start=start, pane_end=start + width, released_at=start + width + SECOND_US, signature=b"")


def _age_ledger(path: Path, owner: str, starts: list[int]) -> bytes:
    """Repeat the entries of the newest plan. Returns its hash."""
    with Ledger(path, owner, wall_clock) as ledger:
        entries = list(ledger.entries())
        newest = next(one.plan for one in reversed(entries) if isinstance(one, CompletionEntry))
        model = [one for one in entries if isinstance(one, IntentEntry | CompletionEntry) and one.plan == newest]
        with ledger.transaction():
            for start in starts:
                for entry in model:
                    ledger._append(_again(entry, start))
    return newest


def _again(entry: Entry, start: int) -> Entry:
    match entry:
        case IntentEntry():
            none = np.array([], np.int64)
            views = tuple(replace(one, days=none, panes=np.array([start], np.int64)) for one in entry.views)
            return replace(entry, plan=plan_hash(start), views=views)
        case CompletionEntry():
            return replace(entry, plan=plan_hash(start))
        case _:
            raise TypeError(entry)


def _age_site_tables(path: Path, newest: bytes, starts: list[int]) -> None:
    """Repeat a site's rows of its newest plan. Their digest, which its ledger entry has, does not name the plan."""
    with closing(sqlite3.connect(path)) as db, db:
        for table in _tables_with(db, "plan"):
            if table != "day_totals":
                _repeat(db, table, "plan", newest, ({"plan": plan_hash(start)} for start in starts))
        for (day,) in db.execute("SELECT day FROM day_totals WHERE plan = ?", (newest,)).fetchall():
            last = max(start for start in starts if start // DAY_US == day)
            db.execute("UPDATE day_totals SET plan = ? WHERE day = ?", (plan_hash(last), day))


def _age_role(path: Path, tables: tuple[str, ...], starts: list[int]) -> None:
    """Repeat an aggregator's rows of its newest plan, which it keeps."""
    with closing(sqlite3.connect(path)) as db, db:
        newest, plan_id = db.execute("SELECT plan, id FROM plans ORDER BY plan DESC LIMIT 1").fetchone()
        numbers = range(newest + 1, newest + 1 + len(starts))
        changes = (
            {
                "plan": number,
                "hash": plan_hash(start),
                "id": plan_hash(start)[:16],
                "deadline_us": start + 60 * SECOND_US,
                "over": 1,
            }
            for number, start in zip(numbers, starts, strict=True)
        )
        _repeat(db, "plans", "plan", newest, changes)
        for table in tables:
            _repeat(db, table, "plan", newest, ({"plan": number} for number in numbers))
        _repeat(db, "prepared", "id", plan_id, ({"id": plan_hash(start)[:16]} for start in starts))


def _tables_with(db: sqlite3.Connection, column: str) -> list[str]:
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [name for name in names if column in [row[1] for row in db.execute(f"PRAGMA table_info({name})")]]


def _repeat(db: sqlite3.Connection, table: str, key: str, of: object, changes: Iterator[dict[str, Any]]) -> None:
    """Insert the rows of `key = of` again for each change."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    rows = [dict(zip(columns, row, strict=True)) for row in db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (of,))]
    places = ", ".join("?" * len(columns))
    made = ([{**row, **change}[column] for column in columns] for change in changes for row in rows)
    db.executemany(f"INSERT INTO {table} VALUES ({places})", made)
