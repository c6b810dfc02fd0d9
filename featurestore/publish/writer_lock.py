"""The lock that makes a publisher the only writer of a store. A check of the store takes a shared lock, which keeps writers out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from base.errors import LockHeld
from base.locks import FileLock, lock_file, lock_file_shared
from featurestore.errors import StoreInUse
from featurestore.store_files import writing

_NAME: Final = "writer.lock"
SAID_AFTER_S: Final = 2.0
"""Publications take less. A change of a view that computes years of history again takes minutes."""
_log = logging.getLogger(__name__)


def lock_store(root: Path, *, wait: bool = False) -> FileLock:
    """Take the writer's lock of a store; wait for its holder, or raise StoreInUse. A long wait is logged once."""
    path = root / _NAME
    with writing(path):
        try:
            return lock_file(path, private=False, wait=False)
        except LockHeld:
            if not wait:
                raise StoreInUse(str(root.parent)) from None
        with _saying_why(root):
            return lock_file(path, private=False, wait=True)


@contextmanager
def _saying_why(root: Path) -> Iterator[None]:
    said = threading.Timer(
        SAID_AFTER_S,
        _log.warning,
        (
            "the store in %s is written by another process, which may compute the history of a changed view; this one waits for "
            "it. Readers go on",
            root.parent,
        ),
    )
    said.daemon = True
    said.start()
    try:
        yield
    finally:
        said.cancel()


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
