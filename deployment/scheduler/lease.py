"""One coordinator a project, and one plan at a time: file locks of the kernel, which end with their holder.

Two locks, because two questions differ. The *lease* says who stays: one `covey collect` holds it for its life, and a second one
waits and takes over. The *planner's lock* is held for one step of a schedule, also by commands that collect once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from base.errors import LockHeld
from base.locks import FileLock, lock_file
from base.private_files import private_folder
from deployment.errors import CollectionUnderWay, CoordinatorReplaced

from .schedule_file import Schedule, schedule_path
from .steps import Step, WaitsForTurn

LOOK_S: Final = 1.0
_LEASE: Final = "lease.lock"
_PLANNER: Final = "schedule.lock"


class Lease:
    """The right to be the coordinator that stays."""

    def __init__(self, lock: FileLock, path: Path) -> None:
        self._lock, self._path = lock, path

    def require(self) -> None:
        """Return if this process still is the coordinator. Raises CoordinatorReplaced: somebody has removed the lock file."""
        if not self._lock.is_of(self._path):
            raise CoordinatorReplaced(str(self._path))


@contextmanager
def lease(
    schedule: Schedule, clock: Callable[[], int], wait: Callable[[float], None], report: Callable[[Step], None]
) -> Iterator[Lease]:
    """Be the coordinator that stays; wait while another one is."""
    path, said = schedule.path.parent / _LEASE, None
    while True:
        try:
            lock = lock_file(path, private=True, wait=False)
            break
        except LockHeld:
            step = WaitsForTurn(schedule.holder())
            if step != said:
                report(step)
                said = step
            wait(LOOK_S)
    with lock:
        schedule.take(clock())
        yield Lease(lock, path)


@contextmanager
def only_planner(directory: Path) -> Iterator[None]:
    """Be the only process that changes the schedule of a project and runs its plans. Raises CollectionUnderWay."""
    try:
        lock = lock_file(private_folder(schedule_path(directory).parent) / _PLANNER, private=True, wait=False)
    except LockHeld:
        raise CollectionUnderWay(str(directory)) from None
    with lock:
        yield
