"""The lock that makes a publisher the only writer of a store. Who checks a store shares it, so that nobody writes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from base.errors import LockHeld
from base.locks import FileLock, lock_file, lock_file_shared
from featurestore.errors import StoreInUse
from featurestore.store_files import writing

_NAME: Final = "writer.lock"


def lock_store(root: Path) -> FileLock:
    """Be the only writer of a store, until the lock is released. Raises StoreInUse."""
    try:
        with writing(root / _NAME):
            return lock_file(root / _NAME, private=False, wait=False)
    except LockHeld:
        raise StoreInUse(str(root.parent)) from None


@contextmanager
def no_writer(root: Path) -> Iterator[None]:
    """Keep writers away, without the right to write; a store without the lock file never had a writer. Raises StoreInUse."""
    try:
        lock = lock_file_shared(root / _NAME)
    except FileNotFoundError:
        yield
        return
    except LockHeld:
        raise StoreInUse(str(root.parent)) from None
    with lock:
        yield
