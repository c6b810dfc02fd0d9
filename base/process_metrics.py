"""The metrics that every process has: version, start, memory and disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import psutil

from base.metrics import BUILD, DISK_FREE, DISK_SIZE, MEMORY, STARTED, Role, Sample
from base.version import VERSION

DISK_RESERVE: Final = 64 * 2**20
"""A role with less free disk than this, in bytes, is not ready: a ledger or a report may be the next that cannot be written."""


def process_samples(role: Role, folder: Path, started: float) -> list[Sample]:
    """The samples of this process.

    Args:
        folder: the folder with the role's files.
        started: the start of the role, seconds since the epoch; of a server with workers, that of its first process.
    """
    disk = shutil.disk_usage(folder)
    return [
        Sample(BUILD, (role, VERSION), 1),
        Sample(STARTED, (), started),
        Sample(MEMORY, (), psutil.Process().memory_info().rss),
        Sample(DISK_FREE, (), disk.free),
        Sample(DISK_SIZE, (), disk.total),
    ]


def started_at(pid: int) -> float:
    """The start of a process, seconds since the epoch."""
    return psutil.Process(pid).create_time()


def disk_problem(folder: Path) -> str | None:
    """Why the disk of a folder is too full; None if it is not."""
    free = shutil.disk_usage(folder).free
    if free >= DISK_RESERVE:
        return None
    return (
        f"space on the disk of {folder}: {free / 2**20:.0f} MiB are free, and {DISK_RESERVE / 2**20:.0f} MiB are needed"
    )
