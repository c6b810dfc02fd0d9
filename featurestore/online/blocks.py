"""Blocks: the newest rows of a view as one immutable file that readers map, and the snapshot of all blocks.

    blocks/<view>-v<n>-<seq>.arrow   one record batch of K + 1 rows: the domain's K keys, then the row of every other key
        key      struct of the join keys (null in the last row)
        numbers  FixedSizeList<f64>, see `featurestore.online.view_rows`
        status   FixedSizeList<u8>
    blocks/<view>-v<n>-00000000-<start of the definition's hash>.arrow   before the first publication
    blocks/CURRENT.json              the current files, by view version; `epoch` grows with every change

A missing key has index −1, which *is* the last row: NaN and NOT_FOUND. If a view is too large for a block, its block has
only that row, and its header says `stored`: its rows are read from the online store, which is opened once an epoch
(docs/adr/0009-one-epoch.md). The publisher is the only writer (`featurestore.online.block_writer`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from featurestore.define.references import REFERENCE
from featurestore.errors import (
    BadReference,
    NoEpoch,
    OnlineUnavailable,
    StoreCorrupt,
    UnknownFeature,
    UnknownFeatureService,
    UnknownVersion,
    UnknownView,
)

from .backends import online_opener
from .interface import OnlineEpoch
from .settings import store_path
from .settings_file import load_settings
from .view_rows import FORMAT, Block, StoredView, ViewColumn, ViewHeader, ViewRows

_log = logging.getLogger(__name__)

CURRENT: Final = "CURRENT.json"
HEADER: Final = b"covey"
"""The header's key in the schema's metadata."""

_MEND: Final = "rebuild the online rows of the store"


def read_block(path: Path, known: ViewRows | None) -> Block:
    """Map a block. It shares the index of `known` if both have the same keys.

    Raises:
        StoreCorrupt: the file is not a block of this format.
    """
    try:
        with pa.memory_map(str(path)) as source:  # the pages stay mapped while an array refers to them
            batch = pa.ipc.open_file(source).get_batch(0)
        header = ViewHeader.from_json(batch.schema.metadata[HEADER])
        numbers = _matrix(batch.column("numbers"), header.width)
        status = _matrix(batch.column("status"), header.features)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"{path} is not a block of this version of covey ({_first_line(error)})") from None
    same = isinstance(known, Block) and known.header.definition_hash == header.definition_hash
    if same and isinstance(known, Block) and len(known.index) == batch.num_rows - 1:
        index = known.index
    else:
        index = _index(batch.column("key"))
    return Block(header, numbers, status, index, header.by_name())


def _matrix(column: pa.Array, width: int) -> Any:
    if column.type.list_size != width:
        raise ValueError(f"rows of {column.type.list_size} instead of {width}")
    return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)


def _index(key: pa.StructArray) -> Mapping[Any, int]:
    parts = [key.field(i).to_pylist()[:-1] for i in range(key.type.num_fields)]
    keys = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
    return {one: row for row, one in enumerate(keys)}  # a MappingProxyType would make lookups half as slow again


@dataclass(frozen=True)
class BlockEntry:
    """An entry of CURRENT.json: the file of one view version, and its publication."""

    view: str
    version: int
    file: str
    seq: int
    release_id: str | None
    pane_end: int | None
    released_at: int | None
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Current:
    """The content of CURRENT.json.

    Attributes:
        services: by name the references of each feature service.
        served: the version that each name serves.
    """

    epoch: int = 0
    entries: tuple[BlockEntry, ...] = ()
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    served: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Current:
        """Parse the file's bytes. Raises StoreCorrupt: they are torn, or of another format."""
        try:
            data = json.loads(raw)
            if data["format"] != FORMAT:
                raise ValueError("another format")
            entries = tuple(BlockEntry(**entry) for entry in data["views"])
            for entry in entries:
                texts, numbers = (entry.view, entry.file, entry.sha256), (entry.version, entry.seq, entry.bytes)
                if {*map(type, texts)} != {str} or {*map(type, numbers)} != {int}:
                    raise ValueError("a field of another type")
            services = {str(name): tuple(map(str, refs)) for name, refs in data["services"].items()}
            served = dict(data["served"])
            if {*map(type, served.values())} - {int}:
                raise ValueError("a field of another type")
            return cls(int(data["epoch"]), entries, MappingProxyType(services), MappingProxyType(served))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreCorrupt(f"{CURRENT} cannot be read ({_first_line(error)})") from None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The newest rows of all views in one epoch. It is immutable, so an answer from one snapshot is of one epoch.

    Attributes:
        views: by `view@v<n>`; and by `view`, the version that the name serves.
        services: by name the references of each feature service.
        releases: by `view@v<n>` the id of the newest release, in hex.
    """

    epoch: int
    views: Mapping[str, ViewRows]
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    releases: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> ViewRows:
        """The rows of `view` or `view@v<n>`.

        Raises:
            UnknownView, which lists all views. UnknownVersion, which lists all versions.
        """
        rows = self.views.get(name)
        if rows is None:
            view, _, version = name.partition("@v")
            if view in self.views and version.isdecimal():
                known = [one.header.version for one in self.versions() if one.header.view == view]
                raise UnknownVersion(view, int(version), known)
            named = any(ref.startswith(f"{name}:") for refs in self.services.values() for ref in refs)
            raise UnknownView(name[:80], sorted(known for known in self.views if "@" not in known), named=named)
        return rows

    def column(self, ref: str) -> tuple[ViewRows, ViewColumn]:
        """The column of `view:column` or `view@v<n>:column`. Raises BadReference, UnknownView, UnknownFeature."""
        if REFERENCE.fullmatch(ref) is None:
            raise BadReference(
                f"{ref[:80]!r} is not a feature reference; write view:feature, such as dest_delay:late_7d"
            )
        view, _, name = ref.partition(":")
        rows = self.find(view)
        column = rows.columns.get(name)
        if column is None:
            known = [column.name for column in rows.header.columns if column.kind in ("value", "list")]
            raise UnknownFeature(view, name[:80], known)
        return rows, column

    def service(self, name: str) -> tuple[str, ...]:
        """The references of a feature service. Raises UnknownFeatureService, which lists all services."""
        refs = self.services.get(name)
        if refs is None:
            raise UnknownFeatureService(name[:80], sorted(self.services))
        return refs

    def versions(self) -> list[ViewRows]:
        """The rows of every view version, each once, by view and version."""
        return [self.views[name] for name in sorted(self.views) if "@" in name]


class Blocks:
    """Keeps a snapshot of a folder of blocks, for any number of threads.

    Attributes:
        problem: why the last `refresh` kept an older snapshot; None: it did not.
    """

    def __init__(self, folder: Path, open_online: Callable[[], OnlineEpoch]) -> None:
        """`open_online` opens the online store in its present state, for the views that are too large for a block."""
        self._folder = folder
        self._open_online = open_online
        self._path = str(folder / CURRENT)
        self._stamp: tuple[int, int, int] | None = None
        """Identifies the snapshot's CURRENT.json, which is replaced and never changed."""
        self._refreshing = threading.Lock()
        self._loaded: dict[BlockEntry, Block] = {}
        self._snapshot = Snapshot(0, MappingProxyType({}))
        self.problem: str | None = None
        self.refresh()

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot; it is empty before the first epoch. Take it once for each answer."""
        return self._snapshot

    def require(self) -> Snapshot:
        """The newest snapshot. Raises NoEpoch: no epoch can be read yet."""
        if self.problem is not None and not self._snapshot.epoch:
            raise NoEpoch(self.problem)
        return self._snapshot

    def refresh(self) -> bool:
        """Look for a new epoch and switch to it; True: there was one. If it is torn or missing, the last snapshot stays."""
        try:
            if self._newest_stamp() == self._stamp:
                return False
            with self._refreshing:
                stamp = self._newest_stamp()
                if stamp == self._stamp:  # another thread has switched
                    return False
                self._snapshot = self._load(Current.parse(Path(self._path).read_bytes()))
                self._stamp, self.problem = stamp, None
                return True
        except (OSError, StoreCorrupt, OnlineUnavailable) as error:
            self.problem, self._stamp = self._problem_of(error), None
            return False

    def _problem_of(self, error: Exception) -> str:
        """The problem as readers on other machines see it: without the paths of the store."""
        if isinstance(error, OnlineUnavailable):
            problem = "the online store is away, or a publication is under way"
        else:
            problem = _first_line(error).replace(f"{self._folder}{os.sep}", "")
        if problem != self.problem:
            _log.warning("the new epoch cannot be read: %s", error)
        return problem

    def _newest_stamp(self) -> tuple[int, int, int]:
        found = os.stat(self._path)  # noqa: PTH116 - os.stat of a text: a look that finds no change costs a microsecond
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _load(self, current: Current) -> Snapshot:
        loaded: dict[BlockEntry, Block] = {}
        views: dict[str, ViewRows] = {}
        online: OnlineEpoch | None = None
        for entry in current.entries:
            name = f"{entry.view}@v{entry.version}"
            block = self._loaded.get(entry) or self._verified(entry, self._snapshot.views.get(name))
            loaded[entry] = block
            views[name] = block
            if block.header.stored and block.header.has_rows:
                online = online or self._open_online()
                views[name] = _stored(block, online)
            if current.served.get(entry.view) == entry.version:
                views[entry.view] = views[name]
        self._loaded = loaded
        releases = {
            f"{one.view}@v{one.version}": one.release_id for one in current.entries if isinstance(one.release_id, str)
        }
        return Snapshot(current.epoch, MappingProxyType(views), current.services, MappingProxyType(releases))

    def _verified(self, entry: BlockEntry, known: ViewRows | None) -> Block:
        path = self._folder / entry.file
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise StoreCorrupt(f"{path} is missing; {_MEND}") from None
        if digest != entry.sha256:
            raise StoreCorrupt(f"{path} is not the file that {CURRENT} lists; {_MEND}")
        return read_block(path, known)


def open_blocks(directory: Path) -> Blocks:
    """The blocks of a store's directory. Raises SettingsInvalid."""
    root = store_path(directory)
    return Blocks(root / "blocks", online_opener(root, load_settings(directory)))


def _stored(block: Block, online: OnlineEpoch) -> StoredView:
    """The rows of a view in the online store that match its block. Raises OnlineUnavailable: they are not there (yet)."""
    header = block.header
    if not online.holds(header.view_id, header.seq):
        raise OnlineUnavailable(f"the online store does not hold publication {header.seq} of view {header.view!r}")
    return StoredView(header, block.numbers, block.status, online, block.columns)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
