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
        """Open what is there now, beside a writer or not; what is written later is not seen."""
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
        """Bring the rows of a view from the log into files, and drop those that they replace.

        Readers open what is there once an epoch. What is in the log they read again, and all of their process waits for that;
        files that RocksDB removes later, by itself, may go while they are being opened.
        """
        self._db.flush()
        self._db.compact_range(_prefix(view_id, 0), _prefix(view_id + 1, 0))

    def retire(self, registered: RegisteredView, keep: Set[int]) -> None:
        """See `OnlineStore`: a row is in the place of the one before it, so there is nothing to do."""

    def get(self, view_id: int, seq: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `OnlineEpoch`: what was opened holds one publication of a view, the one that `holds` tells. Raises StoreCorrupt."""
        prefix = _prefix(view_id, 1)
        found: list[bytes | None] = self._read([prefix + key for key in keys])
        return found

    def _read(self, wanted: bytes | list[bytes]) -> Any:
        """The value of a key, or those of several. Raises StoreCorrupt."""
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
        with contextlib.suppress(Exception):  # it repeats the error of a failed `put`; the others are durable
            self._db.close()


def _prefix(view_id: int, kind: int) -> bytes:
    return struct.pack(">IB", view_id, kind)
