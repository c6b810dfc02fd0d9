"""The project of an unfinished run over the wire: keys, rosters, and each site's events.

It is beside the store, in the private folder `<store>.unfinished`: a store has many readers, but only their site may read the
events. The folder is deleted when the run is done, or when it is given up.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.errors import LockHeld
from base.locks import lock_folder
from base.private_files import FOLDER, private_folder
from deployment.coordinator.announcement import Announcement
from deployment.coordinator.job import ANNOUNCED
from deployment.errors import UsageError
from deployment.project.project import Project
from federation.ledger.operator import LEDGERS, charged_plans

_SUFFIX: Final = ".unfinished"


@dataclass(frozen=True)
class AbandonedRun:
    """The permanent cost of an unfinished run that was erased.

    Attributes:
        panes: for each view the number of panes that stay closed although their days are charged.
    """

    panes: dict[str, int]


def unfinished(directory: Path) -> Path:
    """The folder of an unfinished run into this store (or project) directory."""
    store = directory.resolve()
    return store.with_name(store.name + _SUFFIX)


def require_none(directory: Path) -> None:
    """Return if no run into this directory is unfinished. Raises UsageError, with both mends, if one is."""
    if os.path.lexists(unfinished(directory)):
        raise UsageError(
            f"an unfinished run into {directory} is in {unfinished(directory)}; resume it, or give it up, which erases it",
            settings=("resume", "give_up"),
        )


@contextmanager
def begin(directory: Path) -> Iterator[Path]:
    """Make the private folder, and lock it. Raises UsageError: it exists already."""
    folder = unfinished(directory)
    try:
        folder.mkdir(FOLDER)
    except FileExistsError:
        require_none(directory)
        raise
    with _at_work(folder):
        yield folder


@contextmanager
def go_on(directory: Path) -> Iterator[Path]:
    """Lock the existing folder. Raises UsageError: it does not exist, or another process has locked it. NotPrivate."""
    folder = unfinished(directory)
    if not os.path.lexists(folder):
        raise UsageError(f"{directory} has no unfinished run: there is no {folder}")
    with _at_work(folder):
        yield folder


def give_up(directory: Path) -> AbandonedRun:
    """Erase an unfinished run with its events and keys. The charges of its aggregators stay.

    Raises:
        UsageError, NotPrivate: as `go_on`. JobMalformed, LedgerBroken: the run is erased, and the ledger has its charges.
    """
    with go_on(directory) as folder:
        try:
            announced = folder / ANNOUNCED
            coordinator = Project.load(folder).coordinator if announced.is_file() else None
            plan = None if coordinator is None else Announcement.load(announced, coordinator).plan
            is_charged = plan is not None and plan.hash in charged_plans(directory / LEDGERS)
            views = plan.views if plan is not None and is_charged else ()
        finally:
            shutil.rmtree(folder)
    return AbandonedRun({one.view.name: len(one.pane_starts) for one in views})


@contextmanager
def _at_work(folder: Path) -> Iterator[None]:
    """Lock the folder for one process. The lock needs no file, and children do not inherit it."""
    try:
        lock = lock_folder(private_folder(folder), wait=False)
    except LockHeld:
        raise UsageError(f"another process works in {folder}; wait until it ends, or stop it") from None
    with lock:
        yield
