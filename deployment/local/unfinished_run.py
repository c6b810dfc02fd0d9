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

from base.private_files import FOLDER, private_folder
from deployment.collecting import collecting, require_no_run, run_folder
from deployment.coordinator.announcement import Announcement
from deployment.coordinator.job import ANNOUNCED
from deployment.errors import UsageError
from deployment.project.project import Project
from federation.ledger.operator import LEDGERS, charged_plans


@dataclass(frozen=True)
class AbandonedRun:
    """The permanent cost of an unfinished run that was erased.

    Attributes:
        panes: for each view the number of panes that stay closed although their days are charged.
    """

    panes: dict[str, int]


def begin(directory: Path) -> Path:
    """Make the private folder, inside `collecting`. Raises UsageError: it exists already."""
    folder = run_folder(directory)
    try:
        folder.mkdir(FOLDER)
    except FileExistsError:
        require_no_run(directory)
        raise
    return folder


@contextmanager
def go_on(directory: Path) -> Iterator[Path]:
    """Be the only collection into the store, with the existing folder.

    Raises:
        UsageError: it does not exist. CollectionUnderWay. NotPrivate.
    """
    folder = run_folder(directory)
    if not os.path.lexists(folder):
        raise UsageError(f"{directory} has no unfinished run: there is no {folder}")
    with collecting(directory):
        yield private_folder(folder)


def give_up(directory: Path) -> AbandonedRun:
    """Erase an unfinished run with its events and keys. The charges of its aggregators stay.

    Raises:
        UsageError, CollectionUnderWay, NotPrivate: as `go_on`. JobMalformed, LedgerBroken: the run is erased, and the ledger has
            its charges.
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
