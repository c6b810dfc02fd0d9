"""Writes blocks: each file whole, synced and renamed, then CURRENT.json. Run by the publisher, the only writer of a store.

If the block of a view would exceed the store's limit, its block holds only the row of a missing key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from base.atomic_files import Replacement, replaced_file, staged_file
from base.disk import sync_folder
from featurestore.define.definitions import FeatureView
from featurestore.define.keys import arrow_type, domain_columns
from featurestore.define.records import RegisteredView
from featurestore.define.release import CountedSites
from featurestore.define.wire import definition_hash
from featurestore.errors import StoreCorrupt, StoreWriteFailed
from featurestore.store_files import writing

from .blocks import CURRENT, HEADER, BlockEntry, Current
from .interface import OnlineMarker
from .packing import Packed, missing_rows
from .view_rows import FORMAT, Bytes, Floats, ViewHeader


@dataclass(frozen=True, eq=False)
class CurrentRows:
    """The newest rows of a view, one a key in the domain's order.

    Attributes:
        sites: the sites that are counted in their pane; None if no aggregator counted sites.
        release_id: of their pane; None while there are none.
    """

    registered: RegisteredView
    rows: Packed | None = None
    marker: OnlineMarker | None = None
    sites: CountedSites | None = None
    release_id: bytes | None = None


@dataclass(frozen=True, eq=False)
class StagedBlocks:
    """The next CURRENT.json: its content, the files that it lists, the feature services, and the version that each name serves."""

    current: Replacement
    entries: dict[tuple[str, int], BlockEntry]
    services: dict[str, tuple[str, ...]]
    served: dict[str, int]


class BlockWriter:
    """The folder of blocks of one store.

    A file that CURRENT.json no longer lists is removed one change later, because a reader may be about to map it.

    A change is staged first, which writes everything that needs disk space. A rename then switches to it.

    Args:
        max_bytes: the largest size of a block.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        if not folder.is_dir():
            with writing(folder):
                folder.mkdir(parents=True)
                sync_folder(folder.parent)
        current = Current()
        with contextlib.suppress(FileNotFoundError, StoreCorrupt):  # every block counts as missing
            current = Current.parse((folder / CURRENT).read_bytes())
        self._epoch, self._services, self._served = current.epoch, dict(current.services), dict(current.served)
        self._entries = {(entry.view, entry.version): entry for entry in current.entries}

    def seq(self, registered: RegisteredView) -> int | None:
        """The publication in a view's block; 0: none yet; None: the file is missing, cut off, or of an earlier definition."""
        entry = self._entries.get((registered.view.name, registered.version))
        if entry is None:
            return None
        try:
            whole = (self._folder / entry.file).stat().st_size == entry.bytes
        except FileNotFoundError:
            return None
        if not whole or (not entry.seq and not self._is_of(registered.view, entry)):
            return None
        return entry.seq

    def _is_of(self, view: FeatureView, entry: BlockEntry) -> bool:
        """Whether a block has this definition. Only that of a view without publications may have another one."""
        with contextlib.suppress(pa.ArrowInvalid), pa.ipc.open_file(self._folder / entry.file) as file:
            return ViewHeader.from_json(file.schema.metadata[HEADER]).definition_hash == definition_hash(view).hex()
        return False

    def named(self, registered: RegisteredView) -> int:
        """The publication of a view in CURRENT.json; 0: none yet."""
        entry = self._entries.get((registered.view.name, registered.version))
        return 0 if entry is None else entry.seq

    def stage(
        self, latest: Sequence[CurrentRows], services: Mapping[str, Sequence[str]], served: Mapping[str, int]
    ) -> StagedBlocks | None:
        """Write the blocks of some views, and the next CURRENT.json beside the current one; None if nothing changes.

        Args:
            services: the references of every feature service, by name.
            served: the version that each name serves.

        Raises:
            StoreWriteFailed: the files written so far are removed.
        """
        named = {name: tuple(refs) for name, refs in services.items()}
        if not latest and (named, served) == (self._services, self._served) and self._epoch:
            return None
        entries = dict(self._entries)
        try:
            for one in latest:
                entries[one.registered.view.name, one.registered.version] = self._write(one)
            current = {
                "format": FORMAT,
                "epoch": self._epoch + 1,
                "served": dict(served),
                "views": [asdict(entries[name]) for name in sorted(entries)],
                "services": named,
            }
            with writing(self._folder / CURRENT), staged_file(self._folder / CURRENT, private=False) as (file, staged):
                file.write(json.dumps(current, indent=1).encode())
        except StoreWriteFailed:
            for name in {entry.file for entry in entries.values()} - {entry.file for entry in self._entries.values()}:
                (self._folder / name).unlink(missing_ok=True)
            raise
        return StagedBlocks(staged, entries, named, dict(served))

    def forget(self) -> None:
        """Forget all blocks: the next CURRENT.json lists only what is staged from now on."""
        self._entries = {}

    def switch(self, staged: StagedBlocks) -> None:
        """Switch to the epoch that was staged last. Raises StoreWriteFailed."""
        before = {entry.file for entry in self._entries.values()}
        with writing(self._folder / CURRENT):
            staged.current.put()
            sync_folder(self._folder)
        self._epoch, self._entries = self._epoch + 1, staged.entries
        self._services, self._served = staged.services, staged.served
        keep = {CURRENT, *before, *(entry.file for entry in staged.entries.values())}
        for path in self._folder.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _write(self, latest: CurrentRows) -> BlockEntry:
        view, version = latest.registered.view, latest.registered.version
        header = ViewHeader.of(latest.registered, latest.marker, latest.sites, stored=False)
        if (header.size + 1) * (8 * header.width + header.features) > self._max_bytes:
            header = replace(header, stored=True)
        data = _block_bytes(latest, header)
        name = f"{view.name}-v{version}-{header.seq:08d}.arrow"
        if not header.seq:  # before the first publication another definition may follow, in a file of its own
            name = f"{view.name}-v{version}-{header.seq:08d}-{header.definition_hash[:8]}.arrow"
        with writing(self._folder / name), replaced_file(self._folder / name, private=False) as file:
            file.write(data)
        return entry_of(latest, header, name, data.size, hashlib.sha256(data).hexdigest())


def entry_of(latest: CurrentRows, header: ViewHeader, file: str, size: int, digest: str) -> BlockEntry:
    """The entry of a block in CURRENT.json: its name, its publication, its size and SHA-256."""
    ident = None if latest.release_id is None else latest.release_id.hex()
    times = (header.pane_end, header.released_at)
    return BlockEntry(header.view, header.version, file, header.seq, ident, *times, size, digest)


def block_rows(latest: CurrentRows, header: ViewHeader) -> tuple[Floats, Bytes]:
    """`numbers` and `status` of a block (see `featurestore.online.blocks`): the rows of all keys, then that of a missing key."""
    missing = missing_rows(latest.registered.view, 1)
    rows = missing if latest.rows is None or header.stored else np.concatenate([latest.rows, missing])
    return np.concatenate([rows[name] for name in ("values", "n", "coverage", "se")], axis=1), rows["status"]


def _block_bytes(latest: CurrentRows, header: ViewHeader) -> pa.Buffer:
    """The Arrow IPC file: the rows of all keys, then the row of a missing key."""
    view = latest.registered.view
    no_rows = header.stored or latest.rows is None
    numbers, status = block_rows(latest, header)
    fields = [pa.field(name, arrow_type(kind)) for name, kind in zip(header.keys, header.key_types, strict=True)]
    columns = [pa.nulls(0, field.type) for field in fields] if no_rows else domain_columns(view.entity)
    columns = [pa.concat_arrays([column, pa.nulls(1, column.type)]) for column in columns]
    batch = pa.record_batch(
        {
            "key": pa.StructArray.from_arrays(columns, fields=fields),
            "numbers": pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), header.width),
            "status": pa.FixedSizeListArray.from_arrays(pa.array(status.reshape(-1)), header.features),
        }
    ).replace_schema_metadata({HEADER: header.to_json()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
