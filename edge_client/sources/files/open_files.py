"""The files of a site's events as an open source.

A plan needs the rows of its panes, and how many events every pane has. A file is read many rows at a time, and other rows are
dropped at once, so that memory does not grow with the files. The counts of files that have not changed are kept: a file without an
event in the panes of a plan is not read again. Files that are new in the folder are read with the next plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ...errors import EventFilesAway, SourceAway
from ...events import Events, PaneCounts, make_events
from ...pane_rows import Grid, PaneRows, SourceCounts, grids_of, needs, pane_rows
from ..needed import needed_columns
from ..selection import Selection
from ..source import FilesSource
from ..status import SourceStatus
from ..surroundings import Surroundings
from .cache import MOST_BYTES, EventCache
from .paths import event_files
from .reading import file_batches, file_schema, one_table, opened, plain_table

WHOLE: Final = 2**25
"""Bytes of a file that is kept in memory as a table while plans ask for its panes."""


@dataclass(frozen=True)
class _Counts:
    """The counts of one file by one grid."""

    counts: PaneCounts

    @property
    def nbytes(self) -> int:
        return int(self.counts[0].nbytes + self.counts[1].nbytes)


class OpenFiles:
    """See `OpenSource`."""

    def __init__(self, source: FilesSource, surroundings: Surroundings) -> None:
        self._source = source

        def clock() -> int:
            return surroundings.clock() * 1_000

        self._tables: EventCache[pa.Table] = EventCache(clock)
        self._counts: EventCache[_Counts] = EventCache(clock)

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """See `OpenSource`."""
        try:
            selection = self._selection(views)
            return selection.apply(self._schema(self._files(), selection))
        except EventFilesAway as error:
            raise SourceAway(self._source.url, str(error)) from None

    def read(self, views: Sequence[PlannedView]) -> Events:
        """See `OpenSource`."""
        source = self._source
        try:
            selection = self._selection([planned.view for planned in views])
            files = self._files()
            kept = [selection.apply(self._schema(files, selection))]
            counts, grids = SourceCounts(source.time), grids_of(views, source.time)
            for file in files:
                part = self._part(file, selection, views, grids)
                counts.add(part.counts)
                if part.rows.num_rows:
                    kept.append(part.rows)
        except EventFilesAway as error:
            raise SourceAway(source.url, str(error)) from None
        rows = pa.concat_tables([plain_table(table) for table in kept], promote_options="default")
        return replace(make_events(rows, source.client, source.time, strict_times=False), counted=counts.of)

    def ready_for(self, seconds: float) -> bool:
        """See `OpenSource`."""
        return True

    def status(self) -> SourceStatus | None:
        """See `OpenSource`."""
        return None

    def close(self) -> None:
        """See `OpenSource`."""

    def _files(self) -> Sequence[Path]:
        """The files that are there now; of all others nothing is kept."""
        files: Sequence[Path] = []
        try:
            files = event_files(self._source.path)
        finally:
            for cache in (self._tables, self._counts):
                cache.forget_all_but(files)
        return files

    def _selection(self, views: Sequence[FeatureView]) -> Selection:
        return Selection.of(needed_columns(views, self._source.client, self._source.time), self._source.columns)

    def _schema(self, files: Sequence[Path], selection: Selection) -> pa.Table:
        """The columns of the files without a row. Raises EventsError: they differ in the type of one."""
        what = ("schema", *selection.columns.items())
        read = partial(self._tables.read, what=what, read=lambda file: file_schema(file, selection.columns))
        different: list[tuple[Path, pa.Table]] = []
        for file in files:
            table = opened(file, read)
            if not any(table.schema.equals(known.schema, check_metadata=True) for _, known in different):
                different.append((file, table))
        return one_table([file for file, _ in different], [table for _, table in different])

    def _part(self, file: Path, selection: Selection, views: Sequence[PlannedView], grids: Sequence[Grid]) -> PaneRows:
        """What a plan needs of a file."""
        read: list[PaneRows] = []

        def counted(grid: Grid, path: Path) -> _Counts:
            if not read:
                read.append(self._read(path, selection, views))
            return _Counts(read[0].counts[grid])

        known = {
            grid: opened(file, partial(self._counts.read, what=grid, read=partial(counted, grid))).counts
            for grid in grids
        }
        if read:
            return read[0]
        if not needs(views, known, self._source.time):
            return PaneRows(pa.table({}), known)
        return opened(file, partial(self._again, selection=selection, views=views))

    def _read(self, file: Path, selection: Selection, views: Sequence[PlannedView]) -> PaneRows:
        """What a plan needs of a file, by reading all of it. Nothing is kept."""
        return _of_panes(file_batches(file, selection.columns), selection, views, self._source)

    def _again(self, file: Path, selection: Selection, views: Sequence[PlannedView]) -> PaneRows:
        """The same for a file whose counts are known. Plans that ask for its panes follow each other, so a small file is kept."""
        if file.stat().st_size > WHOLE:
            return self._read(file, selection, views)

        try:
            table = self._tables.read(
                file, ("rows", *selection.columns.items()), partial(_whole, columns=selection.columns)
            )
        except _TooLarge:
            return self._read(file, selection, views)
        return _of_panes([table], selection, views, self._source)


class _TooLarge(Exception):
    """The table of a file does not fit into the cache. Compressed, the file is far smaller."""


def _whole(file: Path, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """The columns of a file. Raises _TooLarge."""
    tables, size = [], 0
    for batch in file_batches(file, columns):
        tables.append(plain_table(batch))
        size += tables[-1].nbytes
        if size > MOST_BYTES:
            raise _TooLarge
    return pa.concat_tables(tables, promote_options="default")


def _of_panes(
    batches: Iterable[pa.Table], selection: Selection, views: Sequence[PlannedView], source: FilesSource
) -> PaneRows:
    counts, rows = SourceCounts(source.time), []
    for batch in batches:
        part = pane_rows(selection.apply(batch), views, source.client, source.time)
        counts.add(part.counts)
        if part.rows.num_rows:
            rows.append(plain_table(part.rows))
    return PaneRows(pa.concat_tables(rows or [pa.table({})], promote_options="default"), counts.by_grid)
