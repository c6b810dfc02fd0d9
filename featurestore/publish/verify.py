"""Checks that the files of a store are whole and consistent. It reads all of them, and changes nothing.

registry.db   is whole (`featurestore.registry.consistency`); every pane has its id and its published content
models/       holds the registered files of every version, and none of a deleted one
offline/      holds exactly the files that the registry lists; their rows follow from their sums
online        holds the rows of every view's newest pane end, equal bit by bit to those computed from offline/
blocks/       CURRENT.json names a block of every view, with the same rows; other files are blocks replaced just before
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from base.times import day_of, utc_text
from featurestore.define.definitions import FeatureView
from featurestore.define.keys import encode_key
from featurestore.define.records import FileRecord, PaneRecord, RegisteredView
from featurestore.define.release import release_id
from featurestore.define.schema import offline_schema
from featurestore.errors import OnlineUnavailable, StoreCorrupt, StoreNotFound
from featurestore.offline.parquet import Offline, as_us
from featurestore.online.backends import online_opener
from featurestore.online.block_writer import CurrentRows, block_rows, entry_of
from featurestore.online.blocks import CURRENT, BlockEntry, Current, read_block
from featurestore.online.current_rows import current_rows
from featurestore.online.interface import OnlineEpoch
from featurestore.online.rocks import RocksOnline
from featurestore.online.settings import OnlineSettings, store_path
from featurestore.online.settings_file import load_settings
from featurestore.online.view_rows import Ints, ViewHeader
from featurestore.registry.consistency import registry_problems
from featurestore.registry.models import FOLDER, RegisteredModel, version_folder
from featurestore.registry.registry import Registry
from featurestore.registry.releases import published_release, published_void

from .derived_rows import RowsCheck
from .progress import Progress
from .writer_lock import no_writer


class Mend(Enum):
    """How to repair a damaged file."""

    BACKUP = "restore it from a backup: no other file holds its content"
    REBUILD = "rebuild the online rows: its content follows from offline/"
    STRAY = "it is not part of the store: the next publication removes it if the store made it; otherwise remove it"


_ROCKSDB: Final = re.compile(
    r"CURRENT|IDENTITY|LOCK|LOG(\.old\.\d+)?|rocksdict-config\.json|(MANIFEST|OPTIONS)-\d+(\.dbtmp)?|\d+\.(sst|log|dbtmp|blob)"
)
_ROWS_AT_ONCE: Final = 10_000


@dataclass(frozen=True)
class Damage:
    """One problem of a store.

    Attributes:
        path: the file, relative to the store's folder, or the address of the online store.
        what: the problem; mend: the repair.
    """

    path: str
    what: str
    mend: Mend


@dataclass(frozen=True)
class CheckReport:
    """The result of a check: how many files there are, and the damage, by path."""

    files: int
    damaged: tuple[Damage, ...]


def check_store(directory: Path, progress: Progress = lambda *_: None) -> CheckReport:
    """Check a store while no publication is under way.

    Raises:
        StoreNotFound. StoreInUse: a publication is under way. SettingsInvalid.
    """
    root = store_path(directory)
    if not root.is_dir():
        raise StoreNotFound(str(directory))
    settings = load_settings(directory)
    with no_writer(root):
        files = sum(path.is_file() for path in root.rglob("*"))
        found = [Damage("registry.db", what, Mend.BACKUP) for what in _registry(root)]
        if found:  # everything else is checked against it
            return CheckReport(files, tuple(found))
        registry = Registry(root / "registry.db", read_only=True)
        try:
            found = _Check(root, registry, settings, progress).all()
        finally:
            registry.close()
    return CheckReport(files, tuple(sorted(set(found), key=lambda one: (one.path, one.what, one.mend.value))))


def _registry(root: Path) -> list[str]:
    path = root / "registry.db"
    if not path.is_file():
        return ["it is missing"]
    found = registry_problems(path)
    if not found:
        try:
            Registry(path, read_only=True).close()
        except StoreCorrupt as error:
            found = [str(error)]
    return found


class _Check:
    def __init__(self, root: Path, registry: Registry, settings: OnlineSettings, progress: Progress) -> None:
        self._root, self._registry, self._settings, self._progress = root, registry, settings, progress
        self._offline = Offline(root / "offline")
        self._views = registry.every_version()

    def all(self) -> list[Damage]:
        """The problems of all files but the registry's."""
        found = [*self._models(), *self._offline_strays()]
        latest: list[CurrentRows] = []
        for registered in self._views:
            damaged = list(self._offline_files(registered))
            found += damaged
            if not damaged:  # the online rows follow from undamaged files only
                latest.append(self._latest(registered))
        return [*found, *self._online(latest), *self._blocks(latest)]

    def _models(self) -> Iterator[Damage]:
        for model in (RegisteredModel.of(self._root, row) for row in self._registry.models.all()):
            for file in model.files:
                try:
                    model.read(file)
                except StoreCorrupt as error:
                    yield Damage(f"{FOLDER}/{model.name}/v{model.version}/{file}", str(error), Mend.BACKUP)
        for name, version in self._registry.models.deleted():
            if (folder := version_folder(self._root, name, version)).exists():
                yield Damage(
                    str(folder.relative_to(self._root)),
                    f"model {name}@v{version} was deleted, its files are left",
                    Mend.STRAY,
                )

    def _latest(self, registered: RegisteredView) -> CurrentRows:
        return current_rows(self._registry, self._offline, registered, self._registry.last_seq(registered))

    def _offline_files(self, registered: RegisteredView) -> Iterator[Damage]:
        name, files = registered.name, self._registry.publications.files(registered.view_id)
        panes = self._own_panes(registered)
        by_day = {day: list(of_day) for day, of_day in groupby(panes, lambda pane: day_of(pane.pane_start))}
        done, as_released = 0, dict[int, bool]()
        for day, of_day in groupby(files, lambda file: file.day):
            these, whole = list(of_day), True
            for file in these:
                what = self._file(registered, file)
                done += 1
                self._progress(name, done, len(files))
                if what is not None:
                    whole = False
                    yield Damage(f"offline/{file.path}", what, Mend.BACKUP)
            panes_of_day = by_day.pop(day, [])
            if whole:
                damaged = list(self._contents(registered, these, panes_of_day))
                as_released[day] = not damaged
                yield from damaged
        yield from self._rows(registered, files, as_released)
        for left in by_day.values():
            yield from self._contents(registered, [], left)

    def _file(self, registered: RegisteredView, file: FileRecord) -> str | None:
        """The problem of a Parquet file; None: there is none."""
        path = self._offline.root / file.path
        try:
            size = path.stat().st_size
            if size != file.bytes:
                return f"it has {size:,} bytes, the registry says {file.bytes:,}"
            with pq.ParquetFile(path, page_checksum_verification=True) as opened:
                schema, table = opened.schema_arrow, opened.read()
        except FileNotFoundError:
            return "it is missing"
        except (pa.ArrowException, OSError, ValueError) as error:
            return f"it cannot be read: {str(error).splitlines()[0]}"
        if not schema.equals(offline_schema(registered.view)):
            return "its columns are not those of its view"
        if table.num_rows != file.rows:
            return f"it holds {table.num_rows:,} rows, the registry says {file.rows:,}"
        if table.column("pane_start").null_count or (day_of(as_us(table.column("pane_start"))) != file.day).any():
            return "it holds panes of another day"
        return None

    def _contents(
        self, registered: RegisteredView, files: Sequence[FileRecord], panes: Sequence[PaneRecord]
    ) -> Iterator[Damage]:
        """Check that a day's panes have their ids, and that the day's files hold their published sums."""
        view, definitions = registered.view, self._definitions(registered)
        schema = offline_schema(view)
        slots = self._offline.slots(files, schema, len(view.entity.domain)) if files else {}
        where = f"offline/{files[-1].path}" if files else "registry.db"
        rows_from = self._registry.selection(registered).rows_from
        for pane in panes:
            about = f"view {view.name!r}, pane of {utc_text(pane.pane_start)}"
            digest = pane.manifest.definition_hash
            if digest not in definitions or pane.release_id != release_id(bytes.fromhex(digest), pane.pane_start):
                yield Damage("registry.db", f"{about}: its id belongs to another pane", Mend.BACKUP)
            elif pane.pane_start < rows_from:
                continue  # its sums have left
            elif pane.opened and pane.pane_start not in slots:
                yield Damage(where, f"{about}: its sums are missing", Mend.BACKUP)
            else:
                try:
                    _require_as_published(view, pane, slots)
                except StoreCorrupt as error:
                    yield Damage(where if pane.opened else "registry.db", str(error), Mend.BACKUP)

    def _own_panes(self, registered: RegisteredView) -> list[PaneRecord]:
        """The panes of a version's own collection, whose sums it stores."""
        own = replace(self._registry.selection(registered), segments=())
        return [pane for _, pane in self._registry.publications.panes(own)]

    def _definitions(self, registered: RegisteredView) -> set[str]:
        """The hashes (hex) of all definitions of a version's collection."""
        of_name = self._registry.versions(registered.view.name)
        mine = [one for one in of_name if one.registered.collection_id == registered.collection_id]
        return {digest.hex() for one in mine for digest in one.definitions}

    def _rows(
        self,
        registered: RegisteredView,
        files: Sequence[FileRecord],
        as_released: Mapping[int, bool],
    ) -> Iterator[Damage]:
        """Check that decoded rows follow from the sums. Skipped if any sum of the view differs from the released one."""
        if not all(as_released.get(file.day, False) for file in files):
            return
        check, last = RowsCheck(self._registry, self._offline, registered), {file.day: file.path for file in files}
        for done, day in enumerate(last, 1):
            try:
                what = check.problem(day)
            except StoreCorrupt as error:
                what = str(error)
            self._progress(f"{registered.name} rows", done, len(last))
            if what is not None:
                yield Damage(f"offline/{last[day]}", what, Mend.BACKUP)

    def _offline_strays(self) -> Iterator[Damage]:
        for path in self._offline.strays(self._registry.publications.all_paths()):
            yield Damage(f"offline/{path}", "the registry does not list it", Mend.STRAY)

    def _online(self, latest: Sequence[CurrentRows]) -> Iterator[Damage]:
        where = "online" if self._settings.url is None else str(self._settings.url)
        if self._settings.url is None and (self._root / "online").is_dir():
            for path in (self._root / "online").iterdir():
                if not _ROCKSDB.fullmatch(path.name):
                    yield Damage(f"online/{path.name}", "it is not a file of RocksDB", Mend.STRAY)
        try:
            online = online_opener(self._root, self._settings)()
        except (StoreCorrupt, OnlineUnavailable) as error:
            yield Damage(where, str(error), Mend.REBUILD)
            return
        for done, one in enumerate(latest, 1):
            try:
                what = _online_rows(online, one)
            except Exception as error:  # noqa: BLE001 - rocksdict raises plain Exception for a damaged file
                what = f"view {one.registered.view.name!r}: {str(error).splitlines()[0]}"
            self._progress("online rows", done, len(latest))
            if what is not None:
                yield Damage(where, what, Mend.REBUILD)
        if isinstance(online, RocksOnline):
            online.close()

    def _blocks(self, latest: Sequence[CurrentRows]) -> Iterator[Damage]:
        folder = self._root / "blocks"
        try:
            current = Current.parse((folder / CURRENT).read_bytes())
        except FileNotFoundError:
            yield Damage(f"blocks/{CURRENT}", "it is missing", Mend.REBUILD)
            return
        except StoreCorrupt as error:
            yield Damage(f"blocks/{CURRENT}", str(error), Mend.REBUILD)
            return
        if dict(current.services) != self._registry.services():
            yield Damage(f"blocks/{CURRENT}", "its feature services differ from those of the registry", Mend.REBUILD)
        if dict(current.served) != self._registry.served():
            yield Damage(f"blocks/{CURRENT}", "the served versions differ from those of the registry", Mend.REBUILD)
        entries = {(entry.view, entry.version): entry for entry in current.entries}
        for registered in self._views:
            name = registered.view.name
            entry = entries.pop((name, registered.version), None)
            if entry is None:
                yield Damage(f"blocks/{CURRENT}", f"it lists no block of {registered.name}", Mend.REBUILD)
                continue
            expected = next((one for one in latest if one.registered == registered), None)
            what = _block(folder, entry, expected)
            if what is not None:
                yield Damage(f"blocks/{entry.file}", what, Mend.REBUILD)
        for name, _ in entries:
            yield Damage(
                f"blocks/{CURRENT}",
                f"it lists a block of {name[:80]!r}, which is not a view of this store",
                Mend.REBUILD,
            )
        for path in folder.iterdir():
            if path.name != CURRENT and not any(_is_or_was(path.name, entry) for entry in current.entries):
                yield Damage(f"blocks/{path.name}", f"{CURRENT} does not list it", Mend.STRAY)


def _require_as_published(view: FeatureView, pane: PaneRecord, slots: Mapping[int, Ints]) -> None:
    """Raises StoreCorrupt: a pane or its tombstone differs from the published one."""
    if pane.opened:
        published_release(view, pane, slots[pane.pane_start])
    for one in (pane, pane.tombstone):
        if one is not None and not one.opened:
            published_void(view, one)


def _online_rows(online: OnlineEpoch, latest: CurrentRows) -> str | None:
    """The problem of the online rows of a view; None: there is none."""
    registered, marker = latest.registered, latest.marker
    view = registered.view
    if marker is None:
        return None
    if not online.holds(registered.view_id, marker.seq) or (
        isinstance(online, RocksOnline) and online.marker(registered.view_id) != marker
    ):
        return f"view {view.name!r}: its rows do not belong to its last publication, {marker.seq}"
    if latest.rows is None:
        return None
    keys = view.entity.domain
    odd = []
    for first in range(0, len(keys), _ROWS_AT_ONCE):
        some = keys[first : first + _ROWS_AT_ONCE]
        found = online.get(registered.view_id, marker.seq, [encode_key(key) for key in some])
        rows = latest.rows[first : first + _ROWS_AT_ONCE]
        odd += [key for key, row, has in zip(some, rows, found, strict=True) if row.tobytes() != has]
    if not odd:
        return None
    return f"view {view.name!r}: {len(odd):,} of {len(keys):,} rows do not follow from offline/, for example the row of {odd[0]}"


def _block(folder: Path, entry: BlockEntry, latest: CurrentRows | None) -> str | None:
    """The problem of a block; None: there is none. Its rows are compared if the expected ones are known."""
    path = folder / entry.file
    try:
        data = path.read_bytes()
    except OSError as error:
        return "it is missing" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error.strerror}"
    if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        return f"its size or SHA-256 differs from the one in {CURRENT}"
    try:
        block = read_block(path, None)
    except StoreCorrupt as error:
        return str(error)
    if latest is None:
        return None
    header = ViewHeader.of(latest.registered, latest.marker, latest.sites, stored=block.header.stored)
    if block.header != header or entry != entry_of(latest, header, entry.file, len(data), entry.sha256):
        return f"the block or its entry in {CURRENT} does not belong to the registry's last publication, {header.seq}"
    numbers, status = block_rows(latest, header)
    keys = [] if header.stored or latest.rows is None else list(latest.registered.view.entity.domain)
    index = [key if isinstance(key, tuple) else (key,) for key in block.index]
    if block.numbers.tobytes() != numbers.tobytes() or block.status.tobytes() != status.tobytes() or index != keys:
        return "its rows do not follow from offline/"
    return None


def _is_or_was(name: str, entry: BlockEntry) -> bool:
    """Whether a file is a view's block or an earlier one, which stays for one publication because readers may map it."""
    before = re.fullmatch(rf"{re.escape(entry.view)}-v{entry.version}-(\d{{8,}})(-[0-9a-f]{{8}})?\.arrow", name)
    return name == entry.file or (before is not None and int(before[1]) <= entry.seq)
