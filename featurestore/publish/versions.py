"""Applies definitions: the registry's part, and the rows of every version whose panes change with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from base.times import DAY_US, day_of
from featurestore.define.definitions import FeatureView
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.define.references import REFERENCE
from featurestore.define.values import served_features
from featurestore.errors import FeatureInService, UnknownView
from featurestore.offline.parquet import Offline, issue_table
from featurestore.offline.window_rows import issue_times, make_issues, reach_us
from featurestore.registry.hand_over import Timing
from featurestore.registry.publications import Selection
from featurestore.registry.registry import Applied, Registry

from .sums import Sums, row_inputs

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is called with (`view@v<n>`, days written, all days)."""

_EARLIEST: Final = -(2**62)


class Changes:
    """The changes of one `apply`, inside one transaction of the registry.

    Attributes:
        written, replaced: the paths of Parquet files.
    """

    def __init__(self, registry: Registry, offline: Offline, now: int, progress: Progress) -> None:
        self._registry, self._offline, self._now, self._progress = registry, offline, now, progress
        self._seq = registry.publications.next_seq()
        self._files: list[tuple[int, FileRecord]] = []
        self._renewed: list[int] = []
        self.replaced: list[str] = []

    @property
    def written(self) -> list[str]:
        """The paths of the files that were written."""
        return [file.path for _, file in self._files]

    def apply(self, view: FeatureView, start: int | None, overlap_days: int) -> Applied:
        """Apply one definition, and write the rows of the versions whose panes change."""
        sums, before = self._before(view.name)
        applied = self._registry.apply(view, Timing(self._now, start, overlap_days))
        self._require_services(applied.registered)
        for version in self._registry.versions(view.name):
            registered = version.registered
            selection = self._registry.selection(registered)
            places = self._registry.publications.places(selection)
            known, had = before.get(registered.view_id, (None, []))
            if sums is not None and places != had:
                self._write(registered, selection, sums)
                self._renewed.append(registered.view_id)
            elif registered.view != known and self._registry.last_seq(registered):
                self._renewed.append(registered.view_id)
        return applied

    def record(self) -> None:
        """Write the publication of the changed rows."""
        if self._renewed:
            self._registry.publications.record(self._seq, self._now, [], self._files, self.replaced, self._renewed)

    def _before(self, name: str) -> tuple[Sums | None, dict[int, tuple[FeatureView, list[tuple[int, int]]]]]:
        """The sums of a name's collections, and the definition and the panes of each version."""
        try:
            lineage = self._registry.lineage(name)
        except UnknownView:
            return None, {}
        versions = [version.registered for version in lineage.versions]
        publications = self._registry.publications
        known = {one.view_id: (one.view, publications.places(self._registry.selection(one))) for one in versions}
        return Sums.of(publications, self._offline, lineage), known

    def _require_services(self, registered: RegisteredView) -> None:
        """Raise FeatureInService if a service names a feature that the view no longer has."""
        served = {one.name for one in served_features(registered.view)}
        for service, refs in self._registry.services().items():
            for ref in refs:
                match = REFERENCE.fullmatch(ref)
                if match and match[1] == registered.view.name and match[2] is None and match[3] not in served:
                    raise FeatureInService(service, ref)

    def _write(self, registered: RegisteredView, selection: Selection, sums: Sums) -> None:
        """Write all rows of a version, in parts of whole days that are about as long as its longest window."""
        publications, view = self._registry.publications, registered.view
        self.replaced += [file.path for file in publications.files(registered.view_id)]
        starts = publications.pane_starts(selection)
        days = np.unique(day_of(starts)).tolist()
        reach = reach_us(view)
        at_once = max(1, reach // DAY_US)
        done = 0
        while done < len(days):
            part = [day for day in days[done:] if day < days[done] + at_once]
            first, end = part[0] * DAY_US, (part[-1] + 1) * DAY_US
            inputs = row_inputs(registered, selection, publications, sums, (max(first - reach, -(2**62)), end))
            ends = np.flatnonzero(inputs.panes.start >= first)
            if len(ends):
                pane, released_at = issue_times(view, inputs.panes, ends, np.full(len(ends), _EARLIEST))
                published_at = np.array([one.published_at for one in inputs.records], dtype=np.int64)
                issues = make_issues(view, inputs.panes, pane, released_at)
                table = issue_table(registered, inputs.panes, issues, inputs.stamps(published_at, self._seq))
                files = self._offline.write_days(registered, table, self._seq)
                self._files += [(registered.view_id, file) for file in files]
            done += len(part)
            self._progress(registered.name, done, len(days))
