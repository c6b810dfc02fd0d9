"""The online store in RocksDB. This module translates and does nothing else."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, Self

import numpy as np
from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from base.disk import is_full, reason_of
from featurestore.define.records import RegisteredView
from featurestore.errors import StoreCorrupt, StoreInUse, StoreWriteFailed

from .interface import OnlineMarker, marker_from_bytes, marker_to_bytes
from .packing import Packed


class RocksOnline:
    """RocksDB with one column family. The key of a view's marker is view id (u32 BE) ‖ 00, that of a row view id ‖ 01 ‖ key."""

    def __init__(self, database: Rdict) -> None:
        self._db = database
        self._synced = WriteOptions()
        self._synced.sync = True

    @classmethod
    def open_writer(cls, path: Path) -> Self:
        """Open for writing, and make the folder if it is missing. Raises StoreInUse: another process writes."""
        return cls._open(path, AccessType.read_write())

    @classmethod
    def open_reader(cls, path: Path) -> Self:
        """Open the present rows for reading, also beside a writer; later writes are invisible."""
        return cls._open(path, AccessType.read_only())

    @classmethod
    def _open(cls, path: Path, access: AccessType) -> Self:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_keep_log_file_num(2)
        options.set_disable_auto_compactions(True)  # see `_settle`
        try:
            return cls(Rdict(str(path), options, access_type=access))
        except Exception as error:  # rocksdict raises plain Exception
            if "/LOCK:" in str(error):
                raise StoreInUse(str(path)) from None
            if is_full(error):
                raise StoreWriteFailed(str(path), reason_of(error)) from error
            raise StoreCorrupt(f"{path} cannot be opened as RocksDB: {str(error).splitlines()[0]}") from None

    def marker(self, view_id: int) -> OnlineMarker | None:
        """See `OnlineStore`. Raises StoreCorrupt."""
        data = self._read(_prefix(view_id, 0))
        if data is None:
            return None
        return marker_from_bytes(data)

    def put(self, view_id: int, keys: Sequence[bytes], rows: Packed | None, marker: OnlineMarker) -> None:
        """See `OnlineStore`."""
        batch = WriteBatch(raw_mode=True)
        if rows is not None:
            prefix = _prefix(view_id, 1)
            data = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
            for key, row in zip(keys, data, strict=True):
                batch.put(prefix + key, row.tobytes())
        batch.put(_prefix(view_id, 0), marker_to_bytes(marker))
        try:
            self._db.write(batch, self._synced)
            self._settle(view_id)
        except Exception as error:
            raise StoreWriteFailed(self._db.path(), reason_of(error)) from error

    def _settle(self, view_id: int) -> None:
        """Flush the rows of a view from the log into files, and drop the rows that they replace.

        Readers open the store once an epoch. Opening replays the log, which blocks the reader's whole process. Files that
        RocksDB removes later, on its own, may disappear while a reader opens them.
        """
        self._db.flush()
        self._db.compact_range(_prefix(view_id, 0), _prefix(view_id + 1, 0))

    def retire(self, registered: RegisteredView, keep: Set[int]) -> None:
        """See `OnlineStore`. A new row overwrites the old one, so there is nothing to delete."""

    def get(self, view_id: int, seq: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `OnlineEpoch`. The opened files hold one publication of a view, which `holds` checks. Raises StoreCorrupt."""
        prefix = _prefix(view_id, 1)
        found: list[bytes | None] = self._read([prefix + key for key in keys])
        return found

    def _read(self, wanted: bytes | list[bytes]) -> Any:
        """The value of a key, or the values of several. Raises StoreCorrupt."""
        try:
            return self._db.get(wanted)
        except Exception as error:  # noqa: BLE001 - rocksdict raises plain Exception
            raise StoreCorrupt(f"{self._db.path()} cannot be read: {str(error).splitlines()[0]}") from None

    def holds(self, view_id: int, seq: int) -> bool:
        """See `OnlineEpoch`."""
        marker = self.marker(view_id)
        return marker is not None and marker.seq == seq

    def close(self) -> None:
        """See `OnlineStore`."""
        with contextlib.suppress(Exception):  # closing repeats the error of a failed `put`; the other puts are durable
            self._db.close()


def _prefix(view_id: int, kind: int) -> bytes:
    return struct.pack(">IB", view_id, kind)
