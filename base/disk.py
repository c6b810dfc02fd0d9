"""Durable file names, and the reason of a failed write: each library reports a full disk in its own way."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Final

DISK_FULL: Final = "disk full"
"""The reason of a write that failed because the disk, or a quota of it, is full."""
_NO_SHARED_MEMORY: Final = "SQLITE_IOERR_SHMSIZE"
"""SQLite's name for a disk without room for the small file beside a database in WAL mode; its words are `disk I/O error`."""
_FULL: Final = re.compile("no space left|disk quota exceeded|disk (is )?full", re.IGNORECASE)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a renamed file survives a crash only if its folder was synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: Exception) -> bool:
    """Whether an error of any class reports a full disk: by its errno, or by its words where it has none."""
    if getattr(error, "sqlite_errorname", None) == _NO_SHARED_MEMORY:
        return True
    number = getattr(error, "errno", None)
    return bool(_FULL.search(str(error))) if number is None else number in (errno.ENOSPC, errno.EDQUOT)


def reason_of(error: Exception) -> str:
    """A short reason why a write failed."""
    if is_full(error):
        return DISK_FULL
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (said.splitlines() or [type(error).__name__])[0]


def mend_of(reason: str) -> str:
    """What helps against a reason, for a message: only a full disk needs space."""
    return "free some space" if reason == DISK_FULL else "remove that cause"
