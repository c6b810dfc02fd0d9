"""Writes of the store's files: each failure becomes one error that names the file, whichever library writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from base.disk import reason_of

from .errors import StoreWriteFailed

_UNWRITABLE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Wrap a write. Raises StoreWriteFailed, which names the path, if the operating system or SQLite refuses."""
    try:
        yield
    except OSError as error:
        raise StoreWriteFailed(str(path), reason_of(error)) from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:  # the low byte of an extended code is its family
            raise
        raise StoreWriteFailed(str(path), reason_of(error)) from error
