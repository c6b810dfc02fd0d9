"""Applies definitions: the registry's part, and the rows of every version whose panes change with them."""

from __future__ import annotations

from featurestore.define.definitions import FeatureView
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.define.references import REFERENCE
from featurestore.define.values import served_features
from featurestore.errors import FeatureInService, UnknownView
from featurestore.offline.parquet import Offline
from featurestore.registry.hand_over import Timing
from featurestore.registry.registry import Applied, Registry
from featurestore.registry.selection import Selection

from .history_rows import write_history
from .progress import Progress
from .sums import Sums


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

    def apply(self, view: FeatureView, start: int | None, overlap_days: int, *, as_defined: bool) -> Applied:
        """Apply one definition, and write the rows of the versions whose panes change."""
        sums, before = self._before(view.name)
        applied = self._registry.apply(view, Timing(self._now, start, overlap_days), as_defined=as_defined)
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

    def _before(self, name: str) -> tuple[Sums | None, dict[int, tuple[FeatureView, list[tuple[int, int, int]]]]]:
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
        """Write all rows of a version."""
        publications = self._registry.publications
        self.replaced += [file.path for file in publications.files(registered.view_id)]
        for file, done, total in write_history(publications, self._offline, registered, selection, sums, self._seq):
            self._files.append((registered.view_id, file))
            self._progress(registered.name, done, total)
