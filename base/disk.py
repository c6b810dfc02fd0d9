"""What a full or failing disk raises, as one error: each of the libraries that write the store says it in its own way."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .errors import StoreWriteFailed

_FULL: Final = re.compile("no space left on device|disk quota exceeded|disk is full", re.IGNORECASE)
_SQLITE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes a file. Raises StoreWriteFailed, which names it, where the operating system or SQLite refuses."""
    try:
        yield
    except OSError as error:
        raise StoreWriteFailed(str(path), reason_of(error)) from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _SQLITE:  # the low byte of an extended code is its family
            raise
        raise StoreWriteFailed(str(path), reason_of(error)) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a renamed file is only there after a crash if its folder was synced.

    Raises:
        StoreWriteFailed.
    """
    with writing(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_full(error: Exception) -> bool:
    """Whether an error, of whatever class, says that there is no room."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or bool(_FULL.search(str(error)))


def reason_of(error: Exception) -> str:
    """In a few words why something could not be written."""
    if is_full(error):
        return "disk full"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (said.splitlines() or [type(error).__name__])[0]
