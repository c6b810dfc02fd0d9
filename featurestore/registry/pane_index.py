"""The places of published panes by time, state and trust, and how many each manifest has. Its SQL is in this file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from base.sqlite import snapshot
from featurestore.define.release import Manifest, PaneState

from .tally import PublishedTally

_STONE: Final = (
    "EXISTS (SELECT 1 FROM panes AS stone WHERE stone.collection_id = pane.collection_id "
    "AND stone.pane_start = pane.pane_start AND stone.tombstone = 1)"
)
_TEXT: Final = (
    "AND (instr(lower(coalesce((SELECT stone.reason FROM panes AS stone WHERE stone.collection_id = pane.collection_id "
    "AND stone.pane_start = pane.pane_start AND stone.tombstone = 1), pane.reason, '')), lower(:text)) > 0 "
    "OR instr(lower(hex(pane.release_id)), lower(:text)) = 1 OR manifest_id IN "
    "(SELECT id FROM manifests WHERE instr(json_extract(json, '$.plan_hash'), lower(:text)) = 1))"
)
_STATES: Final[dict[PaneState | None, str]] = {
    None: "",
    "opened": f"AND pane.opened = 1 AND NOT {_STONE}",
    "void": "AND pane.opened = 0",
    "retracted": f"AND {_STONE}",
}


@dataclass(frozen=True)
class PanePlace:
    """The place of a pane in a list of all collections, the newest first."""

    pane_start: int
    collection_id: int

    @property
    def rank(self) -> tuple[int, int]:
        """The order of the list."""
        return -self.pane_start, self.collection_id


@dataclass(frozen=True)
class PaneFilter:
    """Which panes a list has; None: any.

    Attributes:
        trust: of their manifests. start, end: panes with start ≤ pane_start < end, µs.
        text: in the reason of a void or retraction, whatever its case; or the first digits, in hexadecimal, of the id of a
            release or of the hash of a plan.
    """

    state: PaneState | None = None
    trust: str | None = None
    start: int | None = None
    end: int | None = None
    text: str | None = None


@dataclass(frozen=True)
class ManifestTally:
    """The panes of one collection under one manifest."""

    collection_id: int
    manifest: Manifest
    panes: PublishedTally


class PaneIndex:
    """Finds published panes.

    Args:
        lock: of the connection; see `base.sqlite.snapshot`.
    """

    def __init__(self, database: sqlite3.Connection, lock: AbstractContextManager[object]) -> None:
        self._db, self._lock = database, lock

    def places(
        self, collections: Iterable[int], wanted: PaneFilter, after: PanePlace | None, limit: int
    ) -> list[PanePlace]:
        """The first places of the list, or those after a place. Each collection is read by its primary key."""
        with snapshot(self._db, self._lock):
            found = [place for number in collections for place in self._of(number, wanted, after, limit)]
        return sorted(found, key=lambda place: place.rank)[:limit]

    def _of(self, number: int, wanted: PaneFilter, after: PanePlace | None, limit: int) -> list[PanePlace]:
        low, high = -(2**63) if wanted.start is None else wanted.start, 2**63 - 1
        if wanted.end is not None:
            high = wanted.end - 1
        if after is not None:
            high = min(high, after.pane_start - (number <= after.collection_id))
        by_trust = "" if wanted.trust is None else (
            "AND manifest_id IN (SELECT id FROM manifests WHERE json_extract(json, '$.trust') = :trust)"
        )  # fmt: skip
        by_text = "" if wanted.text is None else _TEXT
        rows = self._db.execute(
            "SELECT pane_start FROM panes AS pane WHERE collection_id = :number AND tombstone = 0 AND pane_start >= :low AND "
            f"pane_start <= :high {_STATES[wanted.state]} {by_trust} {by_text} ORDER BY pane_start DESC LIMIT :limit",
            {"number": number, "low": low, "high": high, "trust": wanted.trust, "text": wanted.text, "limit": limit},
        )
        return [PanePlace(int(start), number) for (start,) in rows.fetchall()]

    def tallies(self) -> list[ManifestTally]:
        """The panes by collection and manifest, in order of the first pane. It reads every pane once."""
        rows = self._db.execute(
            "SELECT collection_id, json, opened - stones, panes - opened, stones, first, last, first_at, last_at FROM ("
            "SELECT collection_id, manifest_id, count(*) FILTER (WHERE NOT tombstone) AS panes, "
            "count(*) FILTER (WHERE opened) AS opened, count(*) FILTER (WHERE tombstone) AS stones, min(pane_start) AS first, "
            "max(pane_start) AS last, min(published_at) AS first_at, max(published_at) AS last_at "
            "FROM panes GROUP BY collection_id, manifest_id) JOIN manifests ON manifests.id = manifest_id "
            "ORDER BY collection_id, first, manifest_id"
        )
        return [
            ManifestTally(number, Manifest.from_json(text), PublishedTally(*rest))
            for number, text, *rest in rows.fetchall()
        ]
