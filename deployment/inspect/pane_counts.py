"""How many panes of each view are opened, void and due. A second reading looks at the publications since the first one only.

A pane is due between the first and the last known one of a collection. Known are published panes, those of attempts, and those
that the coordinator's schedule has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deployment.coordinator.attempts import Attempts
from deployment.project.known_releases import registry_of
from deployment.scheduler.collected_views import CollectedView, collected_of
from deployment.scheduler.schedule_file import Schedule, schedule_path
from featurestore.define.definitions import FeatureView
from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT
from featurestore.registry.registry import Registry
from featurestore.registry.tally import Tally

Ints = npt.NDArray[np.int64]
_NONE = Tally()


@dataclass(frozen=True)
class SpanPanes:
    """A collection in one time in which it is scheduled: the first and the last known pane (µs), and how many between are due."""

    collected: CollectedView
    first: int
    last: int
    due: int


@dataclass(frozen=True, eq=False)
class ViewPanes:
    """The panes of all collections of a view.

    Attributes:
        view: the served version.
        exhausted: int64, the due panes (µs) that were attempted as often as is allowed.
    """

    view: FeatureView
    opened: int
    void: int
    spans: tuple[SpanPanes, ...]
    exhausted: Ints

    @property
    def due(self) -> int:
        """How many panes are due. A pane of two collections counts twice."""
        return sum(one.due for one in self.spans)


class PaneCounts:
    """The panes of the store of a directory, by view."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seq, self._tallies = 0, dict[tuple[int, int, int], Tally]()

    def read(self) -> tuple[ViewPanes, ...]:
        """The views of the store; none if there is no store. Raises StoreCorrupt, ScheduleBroken, JobMalformed."""
        attempts = Attempts(self._directory)
        with registry_of(self._directory) as registry, _schedule_of(self._directory) as schedule:
            if registry is None:
                return ()
            last = registry.publications.next_seq() - 1
            if last < self._seq:  # the store was restored from a backup
                self._seq, self._tallies = 0, {}
            tallies: dict[tuple[int, int, int], Tally] = {}

            def tally(collection_id: int, start: int = FIRST_MOMENT, end: int = NEVER) -> Tally:
                """The tally as of the last publication; one of a time that is new is counted from the start."""
                key = collection_id, start, end
                before = self._tallies.get(key)
                after = 0 if before is None else self._seq
                tallies[key] = (before or _NONE) + registry.publications.tally(*key, after, last)
                return tallies[key]

            found = []
            for lineage in registry.lineages():
                numbers = {version.collection: version.registered.collection_id for version in lineage.versions}
                totals = [tally(number) for number in numbers.values()]
                collected = collected_of(lineage.to_collect())
                spans = [
                    _span(one, tally(numbers[one.collection], one.begins_us, one.ends_us), attempts, schedule)
                    for one in collected
                ]
                found.append(
                    ViewPanes(
                        lineage.served.registered.view,
                        sum(one.opened for one in totals),
                        sum(one.void for one in totals),
                        tuple(one for one in spans if one is not None),
                        _exhausted(registry, collected, attempts),
                    )
                )
            self._seq, self._tallies = last, tallies
            return tuple(found)


@contextmanager
def _schedule_of(directory: Path) -> Iterator[Schedule | None]:
    if not schedule_path(directory).is_file():
        yield None
        return
    with Schedule(directory, read_only=True) as schedule:
        yield schedule


def _span(one: CollectedView, tally: Tally, attempts: Attempts, schedule: Schedule | None) -> SpanPanes | None:
    """The known panes of a collection in a time; None: there is none."""
    tried = [pane for pane in attempts.due(one.view).tolist() if one.takes(pane)]
    waiting = () if schedule is None else schedule.unsettled(one)
    known = [pane for pane in (tally.first, tally.last, *tried[:1], *tried[-1:], *waiting) if pane is not None]
    if not known:
        return None
    first, last = min(known), max(known)
    return SpanPanes(one, first, last, (last - first) // one.view.pane_us + 1 - tally.panes)


def _exhausted(registry: Registry, collected: Sequence[CollectedView], attempts: Attempts) -> Ints:
    found = np.empty(0, np.int64)
    for one in dict.fromkeys(each.view for each in collected):
        if len(panes := attempts.exhausted(one)):
            left = np.setdiff1d(panes, registry.collected_panes(one, int(panes[0]), int(panes[-1]) + 1))
            found = np.union1d(found, left)
    return found
