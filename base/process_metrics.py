"""The metrics that every process has: version, start, memory and disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from base.errors import TlsError
from base.metrics import BUILD, CERTIFICATE, DISK_FREE, DISK_SIZE, MEMORY, STARTED, Role, Sample
from base.tls.certificate import Certificate
from base.tls.files import read_public
from base.version import VERSION

DISK_RESERVE: Final = 64 * 2**20
"""A role with less free disk than this, in bytes, is not ready, because it may soon fail to write a ledger or a report."""


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


def certificate_samples(role: Role, path: Path) -> Iterator[Sample]:
    """When a role's certificate expires; nothing if there is no certificate, or it cannot be used."""
    try:
        found = _certificate(role, path)
    except TlsError:  # `certificate_problem` says so
        return
    if found is not None:
        yield Sample(CERTIFICATE, (role,), found.until.timestamp())


def certificate_problem(role: Role, path: Path, now: datetime) -> str | None:
    """Why a role's certificate cannot be used now; None if it can, or if there is none."""
    try:
        if (found := _certificate(role, path)) is not None:
            found.require_time(now)
    except TlsError as error:
        return f"a certificate that is valid: {error}"
    return None


def _certificate(role: Role, path: Path) -> Certificate | None:
    if not path.exists():
        return None
    return Certificate.parse(read_public(path, f"it is the certificate of the {role} here"), str(path))
