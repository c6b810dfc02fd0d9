"""The online store: the latest row of every key, packed, in RocksDB. This module translates and does nothing else."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from .errors import StoreCorrupt, StoreInUse
from .packing import Packed

_MARKER = struct.Struct(">q?qq")


@dataclass(frozen=True)
class RowTimes:
    """Pane end and release time of the online rows of a view, µs."""

    pane_end: int
    released_at: int


@dataclass(frozen=True)
class OnlineMarker:
    """Up to which publication the rows of a view are, and their times; None while no published pane has made a row."""

    seq: int
    rows: RowTimes | None


class OnlineStore(Protocol):
    """Rows by (view id, key bytes). One writer; each `put` is atomic and durable."""

    def marker(self, view_id: int) -> OnlineMarker | None:
        """The marker of a view; None before its first publication."""

    def put(self, view_id: int, keys: Sequence[bytes], rows: Packed | None, marker: OnlineMarker) -> None:
        """Replace the rows of these keys (None: keep them) and the marker, all at once."""

    def get(self, view_id: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The packed rows of these keys; None for a key without one."""

    def close(self) -> None:
        """Let go of the store."""


class RocksOnline:
    """RocksDB, one column family: view id (u32 BE) ‖ 00 is the marker, ‖ 01 ‖ key a row."""

    def __init__(self, database: Rdict) -> None:
        self._db = database
        self._synced = WriteOptions()
        self._synced.sync = True

    @classmethod
    def open_writer(cls, path: Path) -> Self:
        """Open for writing, made if it does not exist; StoreInUse if another process writes."""
        return cls._open(path, AccessType.read_write())

    @classmethod
    def open_reader(cls, path: Path) -> Self:
        """Open what is there now, beside a writer or not."""
        return cls._open(path, AccessType.read_only())

    @classmethod
    def _open(cls, path: Path, access: AccessType) -> Self:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_keep_log_file_num(2)
        try:
            return cls(Rdict(str(path), options, access_type=access))
        except Exception as error:  # noqa: BLE001 - rocksdict raises plain Exception
            if "lock" in str(error).lower():
                raise StoreInUse(str(path)) from None
            raise StoreCorrupt(f"{path} cannot be opened as RocksDB: {str(error).splitlines()[0]}") from None

    def marker(self, view_id: int) -> OnlineMarker | None:
        """See `OnlineStore`."""
        data = self._db.get(_prefix(view_id, 0))
        if data is None:
            return None
        if len(data) != _MARKER.size:
            raise StoreCorrupt("the marker of an online view has a wrong length")
        seq, has_rows, *times = _MARKER.unpack(data)
        return OnlineMarker(seq, RowTimes(*times) if has_rows else None)

    def put(self, view_id: int, keys: Sequence[bytes], rows: Packed | None, marker: OnlineMarker) -> None:
        """See `OnlineStore`."""
        batch = WriteBatch(raw_mode=True)
        if rows is not None:
            prefix = _prefix(view_id, 1)
            data = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
            for key, row in zip(keys, data, strict=True):
                batch.put(prefix + key, row.tobytes())
        times = marker.rows or RowTimes(0, 0)
        packed = _MARKER.pack(marker.seq, marker.rows is not None, times.pane_end, times.released_at)
        batch.put(_prefix(view_id, 0), packed)
        self._db.write(batch, self._synced)

    def get(self, view_id: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `OnlineStore`."""
        prefix = _prefix(view_id, 1)
        found: list[bytes | None] = self._db.get([prefix + key for key in keys])
        return found

    def close(self) -> None:
        """See `OnlineStore`."""
        self._db.close()


def _prefix(view_id: int, kind: int) -> bytes:
    return struct.pack(">IB", view_id, kind)
