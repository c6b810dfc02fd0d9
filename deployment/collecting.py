"""One store has one collection at a time: of a coordinator, or of a run, whether in one process or in many.

The collection locks the store's folder from before it chooses panes until it has published them. A collection that failed
leaves its plan on disk, and no other one begins before it is resumed or given up: both would publish the same panes.
The publisher's own lock (featurestore/publish) lasts for one publication, and a run over processes publishes in a child.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from base.errors import LockHeld
from base.locks import lock_folder
from deployment.errors import CollectionUnderWay, UsageError
from featurestore.online.settings import store_path
from featurestore.store_files import writing

_SUFFIX: Final = ".unfinished"


@contextmanager
def collecting(directory: Path) -> Iterator[None]:
    """Be the only process that collects into the store of a directory, which is made if it is missing.

    Raises:
        CollectionUnderWay: another process collects. StoreWriteFailed.
    """
    root = store_path(directory)
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    try:
        lock = lock_folder(root, wait=False)
    except LockHeld:
        raise CollectionUnderWay(str(directory)) from None
    with lock:
        yield


def run_folder(directory: Path) -> Path:
    """The folder of an unfinished run into this store (or project) directory."""
    store = directory.resolve()
    return store.with_name(store.name + _SUFFIX)


def plan_folder(directory: Path) -> Path:
    """The folder of a coordinator's unfinished plan in this project directory."""
    return directory / "roles" / "coordinator" / "unfinished"


def require_nothing_unfinished(directory: Path) -> None:
    """Return if no collection into a store waits to be continued. Raises UsageError, with both mends, if one does."""
    require_no_run(directory)
    require_no_plan(directory)


def require_no_run(directory: Path) -> None:
    """Return if no run into a store is unfinished. Raises UsageError, with both mends, if one is."""
    if os.path.lexists(folder := run_folder(directory)):
        raise UsageError(
            f"an unfinished `covey run` into {directory} is in {folder}; resume it, or give it up, which erases it",
            settings=("resume", "give_up"),
        )


def require_no_plan(directory: Path) -> None:
    """Return if no plan of a coordinator is unfinished. Raises UsageError, with both mends, if one is."""
    if (folder := plan_folder(directory)).exists():
        raise UsageError(
            f"an unfinished plan is in {folder}, of a coordinator; resume it, or give it up: its panes are then due "
            "again",
            settings=("resume", "give_up"),
        )
