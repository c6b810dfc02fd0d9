"""The lock that makes a publisher the only writer of a store. A check of the store takes a shared lock, which keeps writers out."""

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


def lock_store(root: Path, *, wait: bool = False) -> FileLock:
    """Take the writer's lock of a store; wait for its holder, or raise StoreInUse."""
    try:
        with writing(root / _NAME):
            return lock_file(root / _NAME, private=False, wait=wait)
    except LockHeld:
        raise StoreInUse(str(root.parent)) from None


@contextmanager
def no_writer(root: Path) -> Iterator[None]:
    """Keep writers out; needs no write permission. A store without the lock file never had a writer. Raises StoreInUse."""
    try:
        lock = lock_file_shared(root / _NAME)
    except FileNotFoundError:
        yield
        return
    except LockHeld:
        raise StoreInUse(str(root.parent)) from None
    with lock:
        yield
