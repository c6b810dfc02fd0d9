"""The project of a run over the wire as long as it is unfinished: keys, rosters, and each site's own events.

It lies beside the store and not in it, in `<store>.unfinished`, which is private: a store is for many readers, the events are
for their site alone. It goes when the run is done, and when somebody gives the run up.
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
class GivenUp:
    """What is left of a run that was given up.

    Attributes:
        panes: of each view, how many panes stay closed and have their days charged for good.
    """

    panes: dict[str, int]


def unfinished(directory: Path) -> Path:
    """Where the project of a run into this store (or project) directory lies."""
    store = directory.resolve()
    return store.with_name(store.name + _SUFFIX)


def require_none(directory: Path) -> None:
    """Return if no run into this directory is unfinished. Raises UsageError, with both ways on."""
    if os.path.lexists(unfinished(directory)):
        raise UsageError(
            f"an unfinished collection is in {unfinished(directory)}: `covey run --resume --store {directory}` continues it, "
            f"`covey run --give-up --store {directory}` erases it"
        )


@contextmanager
def begin(directory: Path) -> Iterator[Path]:
    """Make the folder, private from its start, and work in it. Raises UsageError: there is one."""
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
    """Work in the folder that is there. Raises UsageError: there is none, or another process works in it. NotPrivate."""
    folder = unfinished(directory)
    if not os.path.lexists(folder):
        raise UsageError(f"no unfinished collection of {directory}: there is no {folder}")
    with _at_work(folder):
        yield folder


def give_up(directory: Path) -> GivenUp:
    """Erase an unfinished run: events, keys and all. What its aggregators have charged stays charged.

    Raises:
        UsageError, NotPrivate: as `go_on`. JobMalformed, LedgerBroken: it is erased, and the ledger says what it had charged.
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
    return GivenUp({one.view.name: len(one.pane_starts) for one in views})


@contextmanager
def _at_work(folder: Path) -> Iterator[None]:
    """One process at a time: a lock on the folder, which needs no file of its own and is not inherited."""
    try:
        lock = lock_folder(private_folder(folder), wait=False)
    except LockHeld:
        raise UsageError(f"another process is at work in {folder}; wait for it to end, or stop it") from None
    with lock:
        yield
