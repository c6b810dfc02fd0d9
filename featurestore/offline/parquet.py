"""The offline store: Parquet files of one view and UTC day, written whole, listed by the registry.

A file is written beside its place, synced and renamed. It counts once the registry lists it. A complete day is merged into
one file, without the rows that a later publication reissued.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from base.atomic_files import staged_file
from base.disk import sync_folder
from base.times import day_of
from featurestore.define.keys import domain_columns
from featurestore.define.panes import Panes
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.define.release import Clock
from featurestore.define.schema import TIMESTAMP, feature_arrays, offline_schema
from featurestore.define.values import served_features
from featurestore.errors import StoreCorrupt
from featurestore.store_files import writing

from .window_rows import Issues

_EPOCH = date(1970, 1, 1)
_UNREADABLE: Final = (pa.ArrowException, OSError, KeyError, UnicodeDecodeError)
"""What Arrow raises for a damaged file. KeyError: a column is missing; UnicodeDecodeError: the name of a column is no text."""


@dataclass(frozen=True, eq=False)
class Stamps:
    """What rows have from their panes, as arrays over the panes, and from their publication.

    Attributes:
        published_at: int64[P], µs.
        clock: int8[P], index into CLOCKS.
        release_id: hex, one a pane.
        own: bool[P], the panes of the version's own collection; only these bring their sums.
        seq: the publication's number.
    """

    published_at: npt.NDArray[np.int64]
    clock: npt.NDArray[np.int8]
    release_id: Sequence[str]
    own: npt.NDArray[np.bool_]
    seq: int


CLOCKS: Final[tuple[Clock, ...]] = ("replay", "live")


def issue_table(registered: RegisteredView, panes: Panes, issues: Issues, stamps: Stamps) -> pa.Table:
    """The rows of some issues in the columns of `offline_schema`: I·K rows, issue-major, keys in the domain's order."""
    view = registered.view
    keys = len(view.entity.domain)
    count = len(issues.pane)
    pane = issues.pane.repeat(keys)
    columns: list[pa.Array] = [
        column.take(pa.array(np.tile(np.arange(keys), count))) for column in domain_columns(view.entity)
    ]
    starts = panes.start[pane]
    columns += [_times(starts), _times(starts + view.pane_us)]
    for served, decoded in zip(served_features(view), issues.features, strict=True):
        columns += feature_arrays(served, decoded)
    columns += [pa.array(values) for values in issues.coverage.values()]
    slots = np.ascontiguousarray(panes.slots[issues.pane]).reshape(-1)
    without_sums = ~(panes.opened & stamps.own)[pane]
    ids = pa.array(stamps.release_id, pa.string())
    columns += [
        _times(issues.released_at.repeat(keys)),
        _times(stamps.published_at[pane]),
        pa.DictionaryArray.from_arrays(pa.array(stamps.clock[pane]), pa.array(CLOCKS)),
        pa.array(np.full(len(pane), registered.version, dtype=np.int32)),
        ids.take(pa.array(pane)),
        pa.array(np.full(len(pane), stamps.seq, dtype=np.int64)),
        pa.FixedSizeListArray.from_arrays(pa.array(slots), panes.slots.shape[2], mask=pa.array(without_sums)),
    ]
    return pa.table(columns, schema=offline_schema(view))


def _times(us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(us).cast(TIMESTAMP)


class Offline:
    """The folder of Parquet files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_days(self, registered: RegisteredView, table: pa.Table, seq: int, ending: str = "") -> list[FileRecord]:
        """Write one file for each UTC day of a table that is sorted by pane. The files count once they are registered.

        Args:
            ending: of the names, where the publication has files of these days already.

        Raises:
            StoreWriteFailed: for example, the disk is full; some of the files may exist then.
        """
        starts = as_us(table.column("pane_start"))
        days = day_of(starts)
        edges = [*np.flatnonzero(np.diff(days, prepend=days[:1] - 1)).tolist(), len(days)]
        folder = self.root / registered.view.name / f"v{registered.version}"
        if not folder.is_dir():
            with writing(folder):
                folder.mkdir(parents=True)
                for parent in (self.root.parent, self.root, folder.parent):  # a rename is durable only with its folder
                    sync_folder(parent)

        def write(first: int, last: int) -> FileRecord:
            day = int(days[first])
            name = f"{(_EPOCH + timedelta(days=day)).isoformat()}-{seq:08d}{ending}.parquet"
            size = _write_synced(table.slice(first, last - first), folder / name)
            return FileRecord(str((folder / name).relative_to(self.root)), day, last - first, size)

        with ThreadPoolExecutor(4) as pool:  # fsync takes most of the time
            files = list(pool.map(write, edges[:-1], edges[1:]))
        with writing(folder):
            sync_folder(folder)
        return files

    def read(self, files: Sequence[FileRecord], schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
        """The rows of these files, with these columns.

        Raises:
            FileNotFoundError: a file was replaced meanwhile; list the files again.
            StoreCorrupt: a file does not match the registry.
        """
        wanted = pa.schema([schema.field(name) for name in columns])
        return pa.concat_tables([wanted.empty_table(), *(self._read_one(file, wanted) for file in files)])

    def _read_one(self, file: FileRecord, wanted: pa.Schema) -> pa.Table:
        path = self.root / file.path
        try:
            with _opened(path) as file_:
                table = file_.read(columns=wanted.names, use_threads=False).select(wanted.names).cast(wanted)
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise StoreCorrupt(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        if table.num_rows != file.rows:
            raise StoreCorrupt(f"{path} holds {table.num_rows} rows, the registry says {file.rows}")
        return table

    def batches(
        self, file: FileRecord, schema: pa.Schema, columns: Sequence[str], size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one file, with these columns, decoded in batches of at most `size` rows.

        Raises:
            FileNotFoundError, StoreCorrupt: as `read`.
        """
        wanted = pa.schema([schema.field(name) for name in columns])
        path = self.root / file.path
        rows = 0
        try:
            with _opened(path, buffer_size=2**18, pre_buffer=False) as file_:
                for batch in file_.iter_batches(size, columns=wanted.names, use_threads=False):
                    rows += batch.num_rows
                    yield batch.select(wanted.names).cast(wanted)
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise StoreCorrupt(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        if rows != file.rows:
            raise StoreCorrupt(f"{path} holds {rows} rows, the registry says {file.rows}")

    def slots(self, files: Sequence[FileRecord], schema: pa.Schema, keys: int) -> dict[int, npt.NDArray[np.int64]]:
        """The opened sums in these files: by pane start (µs) int64[keys, slots_per_key]; a void has none.

        Raises:
            FileNotFoundError, StoreCorrupt: as `read`.
        """
        stored = self.read(files, schema, ["pane_start", "slots"])
        lists = stored.column("slots").combine_chunks()
        valid = lists.is_valid().to_numpy(zero_copy_only=False)
        starts = as_us(stored.column("pane_start"))[valid][::keys]
        sums = lists.flatten().to_numpy().reshape(-1, keys, lists.type.list_size)
        return dict(zip(starts.tolist(), sums, strict=True))

    def remove(self, paths: Sequence[str]) -> None:
        """Delete files that are no longer listed."""
        for path in paths:
            (self.root / path).unlink(missing_ok=True)

    def strays(self, known: set[str]) -> Iterator[str]:
        """Files that the registry does not list; a crash leaves them."""
        for path in self.root.glob("**/*"):
            if path.is_file() and str(path.relative_to(self.root)) not in known:
                yield str(path.relative_to(self.root))


def as_us(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """int64 µs of a timestamp column without nulls."""
    values: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return values


def _opened(path: Path, **options: Any) -> pq.ParquetFile:
    """A file whose pages are compared with their checksums. Half the time of `pq.read_table`, which opens a data set."""
    return pq.ParquetFile(path, page_checksum_verification=True, **options)


def _write_synced(table: pa.Table, path: Path) -> int:
    with writing(path):
        with staged_file(path, private=False) as (file, replacement):
            # checksums reveal a changed bit, which zstd alone may decode to other numbers; see `_opened`
            pq.write_table(table, file, compression="zstd", write_statistics=False, write_page_checksum=True)
            size = file.tell()
        replacement.put()  # one sync of the folder, after all files of a publication
    return size
