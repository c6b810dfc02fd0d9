"""The panes from which a version's rows follow, with their sums, which the collections' keepers store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from base.times import day_of
from featurestore.define.decoded import Ints
from featurestore.define.layout import layout_of
from featurestore.define.panes import Panes
from featurestore.define.records import PaneRecord, RegisteredView
from featurestore.define.release import Release
from featurestore.define.schema import offline_schema
from featurestore.offline.parquet import CLOCKS, Offline, Stamps
from featurestore.registry.known_panes import known_panes
from featurestore.registry.lineage import Lineage
from featurestore.registry.publications import Publications
from featurestore.registry.selection import Selection

from .admission import Admission, as_record

_DAYS_KEPT: Final = 64


class Sums:
    """Reads the stored sums of opened panes; those of a few days stay in memory.

    Args:
        keepers: the version that stores the sums of each collection.
    """

    def __init__(self, publications: Publications, offline: Offline, keepers: Mapping[int, RegisteredView]) -> None:
        self._publications, self._offline, self.keepers = publications, offline, keepers
        self._days: dict[tuple[int, int], dict[int, Ints]] = {}

    @classmethod
    def of(cls, publications: Publications, offline: Offline, lineage: Lineage) -> Sums:
        """The sums of all collections of a name."""
        numbers = {version.registered.collection_id for version in lineage.versions}
        return cls(publications, offline, {one: lineage.keeper(one).registered for one in numbers})

    def read(self, collection_id: int, starts: Iterable[int]) -> dict[int, Ints]:
        """int64[keys, slots_per_key] by pane start (µs), in the layout of the collection; a pane without sums is left out.

        Raises:
            FileNotFoundError, StoreCorrupt: as `Offline.slots`.
        """
        wanted = list(starts)
        days = set(day_of(np.array(wanted, dtype=np.int64)).tolist())
        absent = {day for day in days if (collection_id, day) not in self._days}
        if absent:
            keeper = self.keepers[collection_id]
            listed = self._publications.files(keeper.view_id, min(absent), max(absent))
            files = [file for file in listed if file.day in absent]
            schema, keys = offline_schema(keeper.view), layout_of(keeper.view).keys
            while self._days and len(self._days) + len(absent) > _DAYS_KEPT:
                del self._days[next(iter(self._days))]
            self._days |= {(collection_id, day): {} for day in absent}
            for start, sums in self._offline.slots(files, schema, keys).items():
                self._days[collection_id, int(day_of(start))][start] = sums
        of_days = {start: sums for day in days for start, sums in self._days.get((collection_id, day), {}).items()}
        return {start: of_days[start] for start in wanted if start in of_days}


@dataclass(frozen=True, eq=False)
class RowInputs:
    """The known panes of a version, in order.

    Attributes:
        records: of the panes; collections: int64[P], the collection of each.
    """

    registered: RegisteredView
    panes: Panes
    records: tuple[PaneRecord, ...]
    collections: Ints

    def stamps(self, published_at: npt.NDArray[np.int64], seq: int) -> Stamps:
        """What the rows have from these panes and from a publication."""
        clock = np.array([CLOCKS.index(one.clock) for one in self.records], dtype=np.int8)
        own = self.collections == self.registered.collection_id
        return Stamps(published_at, clock, [one.release_id.hex() for one in self.records], own, seq)


def row_inputs(
    registered: RegisteredView,
    selection: Selection,
    publications: Publications,
    sums: Sums,
    between: tuple[int | None, int | None],
    admitted: Iterable[Admission] = (),
) -> RowInputs:
    """The panes of a version that make rows, with start ≤ pane_start < end, and those that are about to be published.

    Panes whose rows have left are none of them. A pane whose sums have left, although the version still has its row, counts as not
    opened.

    Args:
        admitted: of this version's own collection, or of others that its rows use.

    Raises:
        FileNotFoundError. StoreCorrupt: the sums of an opened pane are missing.
    """
    known = {one.pane_start: (of, one) for of, one in publications.panes(selection, *between)}
    fresh: dict[int, Ints] = {}
    for one in admitted:
        known |= {item.pane_start: (one.registered.collection_id, as_record(item)) for item in one.fresh}
        fresh |= {item.pane_start: item.slots for item in one.fresh if isinstance(item, Release)}
        for tombstone in one.tombstones:
            of, record = known[tombstone.pane_start]
            known[tombstone.pane_start] = of, replace(record, tombstone=as_record(tombstone))
    kept = (start for start in sorted(known) if start >= selection.rows_from)
    ordered = [known[start] for start in kept if known[start][1].makes_row]
    stored: dict[int, Ints] = dict(fresh)
    for of in {of for of, _ in ordered}:
        stored |= sums.read(
            of, (r.pane_start for c, r in ordered if c == of and r.opened and r.pane_start not in fresh)
        )
    records = [
        replace(one, opened=False) if one.pane_start < selection.sums_from and one.pane_start not in stored else one
        for _, one in ordered
    ]
    sources = {record.pane_start: sums.keepers[of].view for of, record in ordered if of != registered.collection_id}
    panes = known_panes(registered.view, records, stored, sources)
    return RowInputs(registered, panes, tuple(records), np.array([of for of, _ in ordered], dtype=np.int64))
