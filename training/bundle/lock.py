"""One process deploys a bundle at a time. The lock file names it, so that a second one can say who is at work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from base.errors import LockHeld
from base.locks import lock_file
from featurestore.store_files import writing
from training.errors import DeployUnderWay

from .record import bundle_folder

_MAX_BYTES = 64


@contextmanager
def deploying(root: Path, name: str) -> Iterator[None]:
    """Be the only process that deploys a bundle into a store. Raises DeployUnderWay, StoreWriteFailed."""
    folder = bundle_folder(root)
    path = folder / f"{name}.lock"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = lock_file(path, private=False, wait=False)
        except LockHeld:
            raise DeployUnderWay(name, _holder(path)) from None
    with lock:
        os.ftruncate(lock.descriptor, 0)
        os.pwrite(lock.descriptor, str(os.getpid()).encode(), 0)
        yield


def _holder(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        content = file.read(_MAX_BYTES)
        if content.isdigit():
            return f"process {content.decode()}"
    return "another process"
