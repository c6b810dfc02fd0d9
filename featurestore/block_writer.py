"""Writes blocks: each file whole, synced and renamed, then CURRENT.json. Run by the publisher, the only writer of a store."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from .blocks import CURRENT, FORMAT, HEADER, BlockEntry, BlockHeader, parse_current
from .errors import StoreCorrupt
from .keys import arrow_type, domain_columns
from .offline import sync_folder
from .online import OnlineMarker
from .packing import Packed, missing_rows
from .registry import RegisteredView
from .release import release_id


@dataclass(frozen=True, eq=False)
class Latest:
    """The latest rows of a view, one a key in the domain's order; none before its first release, no marker before that."""

    registered: RegisteredView
    rows: Packed | None = None
    marker: OnlineMarker | None = None


class BlockWriter:
    """The folder of blocks of one store.

    A file that CURRENT.json no longer names is removed one change later: a reader may be about to map it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not folder.is_dir():
            folder.mkdir(parents=True)
            sync_folder(folder.parent)
        self._epoch = 0
        self._entries: dict[tuple[str, int], BlockEntry] = {}
        with contextlib.suppress(FileNotFoundError, StoreCorrupt):  # then every block counts as missing
            self._epoch, entries = parse_current((folder / CURRENT).read_bytes())
            self._entries = {(entry.view, entry.version): entry for entry in entries}

    def seq(self, registered: RegisteredView) -> int | None:
        """The publication that a view's block holds (0: none yet); None if its file is missing or cut off."""
        entry = self._entries.get((registered.view.name, registered.version))
        try:
            whole = entry is not None and (self._folder / entry.file).stat().st_size == entry.bytes
        except FileNotFoundError:
            return None
        return entry.seq if entry is not None and whole else None

    def publish(self, latest: Sequence[Latest]) -> None:
        """Write the blocks of some views and switch to all of them at once. Doing it again changes nothing but the epoch."""
        if not latest:
            return
        before = {entry.file for entry in self._entries.values()}
        for one in latest:
            self._entries[one.registered.view.name, one.registered.version] = self._write(one)
        self._epoch += 1
        current = {
            "format": FORMAT,
            "epoch": self._epoch,
            "views": [asdict(self._entries[name]) for name in sorted(self._entries)],
        }
        _write_renamed(self._folder / CURRENT, json.dumps(current, indent=1).encode())
        keep = {CURRENT, *before, *(entry.file for entry in self._entries.values())}
        for path in self._folder.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _write(self, latest: Latest) -> BlockEntry:
        view, version = latest.registered.view, latest.registered.version
        header = BlockHeader.of(latest.registered, latest.marker)
        data = _block_bytes(latest, header)
        name = f"{view.name}-v{version}-{header.seq:08d}.arrow"
        _write_renamed(self._folder / name, data)
        ident = None
        if header.pane_end is not None:
            ident = release_id(bytes.fromhex(header.definition_hash), header.pane_end - view.pane_us).hex()
        digest = hashlib.sha256(data).hexdigest()
        times = (header.pane_end, header.released_at)
        return BlockEntry(view.name, version, name, header.seq, ident, *times, data.size, digest)


def _block_bytes(latest: Latest, header: BlockHeader) -> pa.Buffer:
    """The Arrow IPC file: the rows of all keys, then the row of every key that is not there."""
    view = latest.registered.view
    missing = missing_rows(view, 1)
    rows = missing if latest.rows is None else np.concatenate([latest.rows, missing])
    numbers = np.concatenate([rows[name] for name in ("values", "n", "coverage", "se")], axis=1)
    fields = [pa.field(name, arrow_type(kind)) for name, kind in zip(header.keys, header.key_types, strict=True)]
    columns = [pa.nulls(0, field.type) for field in fields] if latest.rows is None else domain_columns(view.entity)
    columns = [pa.concat_arrays([column, pa.nulls(1, column.type)]) for column in columns]
    batch = pa.record_batch(
        {
            "key": pa.StructArray.from_arrays(columns, fields=fields),
            "numbers": pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), header.width),
            "status": pa.FixedSizeListArray.from_arrays(pa.array(rows["status"].reshape(-1)), header.features),
        }
    ).replace_schema_metadata({HEADER: header.to_json()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _write_renamed(path: Path, data: bytes | pa.Buffer) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)
