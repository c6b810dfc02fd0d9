"""Compacts a store: days of several files become one file each, rows that are too old leave, and the registry shrinks.

A merged file is written beside the others under a name of its own, and counts once the registry lists it. Readers that have
listed the old files read them again from the new list, as during a publication. No value changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa

from featurestore.define.layout import layout_of
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.define.schema import offline_schema
from featurestore.errors import StoreNotFound
from featurestore.offline.last_issues import latest_issues
from featurestore.offline.parquet import Offline
from featurestore.online.settings import store_path
from featurestore.registry.lineage import Lineage
from featurestore.registry.registry import Registry
from featurestore.store_files import writing

from .progress import Progress
from .retention import expire
from .writer_lock import lock_store

_MERGED: Final = "-merged"


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes:
        before_bytes, after_bytes: the size of the registry and of offline/.
        merged: files that became fewer files; expired: files whose rows have left.
    """

    before_bytes: int
    after_bytes: int
    merged: int
    expired: int


def compact(directory: Path, progress: Progress = lambda *_: None) -> Compacted:
    """Compact a store while no publication is under way. Readers go on.

    Raises:
        StoreNotFound, StoreInUse, StoreCorrupt. StoreWriteFailed: for example, the disk is full. What is done stays done.
    """
    root = store_path(directory)
    if not (root / "registry.db").is_file():
        raise StoreNotFound(str(directory))
    with lock_store(root):
        before = _bytes(root)
        registry, offline = Registry(root / "registry.db", read_only=False), Offline(root / "offline")
        try:
            expired = sum(_expire(registry, offline, lineage) for lineage in registry.lineages())
            merged = sum(_merge(registry, offline, one, progress) for one in registry.every_version())
            with writing(registry.path):
                registry.upkeep.vacuum()
        finally:
            registry.close()
        return Compacted(before, _bytes(root), merged, expired)


def _expire(registry: Registry, offline: Offline, lineage: Lineage) -> int:
    newest = [
        last + version.registered.view.pane_us
        for version in lineage.versions
        if (last := registry.last_row(version.registered)) is not None
    ]
    if not newest:
        return 0
    with registry.transaction():
        paths = expire(registry, lineage.name, max(newest))
    offline.remove(paths)
    return len(paths)


def _merge(registry: Registry, offline: Offline, registered: RegisteredView, progress: Progress) -> int:
    """Merge the files of each day but the newest, which may get more; returns how many files became fewer."""
    days = [(day, list(files)) for day, files in groupby(registry.publications.files(registered.view_id), _day)]
    merged = 0
    for done, (day, files) in enumerate(days[:-1], 1):
        if len(files) > 1:
            seq = registry.upkeep.last_seq(registered.view_id, day)
            table = _together(offline, registered, files)
            for one in offline.write_days(registered, table, seq, _MERGED):
                with registry.transaction():
                    registry.upkeep.merge(registered.view_id, one, seq, [file.path for file in files])
            offline.remove([file.path for file in files])
            merged += len(files)
        progress(registered.name, done, len(days) - 1)
    return merged


def _together(offline: Offline, registered: RegisteredView, files: Sequence[FileRecord]) -> pa.Table:
    schema = offline_schema(registered.view)
    table = offline.read(files, schema, schema.names).combine_chunks()
    return table.take(pa.array(latest_issues(table, layout_of(registered.view).keys)))


def _day(file: FileRecord) -> int:
    return file.day


def _bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in _files(root) if path.is_file())


def _files(root: Path) -> Iterator[Path]:
    yield from root.glob("registry.db*")
    yield from (root / "offline").rglob("*.parquet")
