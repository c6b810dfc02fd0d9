"""Checks of files: space, ledgers, and the store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from base.errors import CoveyError
from deployment.inspect.ledger_view import owners_in
from featurestore.online.settings import store_path
from featurestore.registry.consistency import registry_problems
from federation.ledger.operator import LEDGERS
from federation.ledger.snapshot import read_ledger

from .finding import Finding, Place, not_applicable, ok, problem, problem_of, warning

LOW_BYTES: Final = 2**30
"""Less free space than that is a warning: a collection of 100,000 values and 1,000 batches needs about as much."""
LEAST_BYTES: Final = 100 * 2**20
WHOLE_ENTRIES: Final = 50_000
"""Longer ledgers are read from their last checkpoint on. So many entries are read in two seconds: hourly panes of a year."""
_IN_MEMORY: Final = ("tmpfs", "ramfs")
_MOUNTS: Final = Path("/proc/self/mounts")


def check_disk(place: Place) -> Iterator[Finding]:
    """Whether the folders have space, can be written, and survive a power cut."""
    for name in ("keys", "ledgers", "roles", "store"):
        folder = place.directory / name
        if not folder.is_dir():
            continue
        free, found = shutil.disk_usage(folder).free, os.statvfs(folder)
        if found.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK | os.X_OK):
            yield problem(
                f"{folder} cannot be written by user {os.geteuid()}",
                f"mount it writable, or chown it to the user of the role: chown -R USER {folder}",
            )
        elif free < LEAST_BYTES:
            yield problem(f"{folder} has {_mib(free)} MiB of free space", "free some space, or move the project")
        elif free < LOW_BYTES:
            yield warning(f"{folder} has {_mib(free)} MiB of free space", "free some space, or move the project")
        else:
            yield ok(f"{folder} has {_mib(free):,} MiB of free space")
        if (kind := _file_system(folder)) in _IN_MEMORY and name != "store":
            yield warning(
                f"{folder} lies in memory ({kind}): a power cut deletes it, and nothing is collected without its ledgers",
                "move the project to a disk",
            )


def check_ledgers(place: Place) -> Iterator[Finding]:
    """Whether each ledger is whole: all of its entries, and its checkpoints against them, unless it is very long."""
    folder = place.directory / LEDGERS
    owners = owners_in(folder) if folder.is_dir() else []
    if not owners:
        yield not_applicable(f"there is no ledger in {folder} yet")
    for owner in owners:
        path = folder / f"{owner}.db"
        try:
            entries = read_ledger(path, owner).state.length
            if entries <= WHOLE_ENTRIES:
                read_ledger(path, owner, whole=True)
        except CoveyError as error:
            yield problem_of(
                error, f"covey ledger rebuild {owner} --project {place.directory}, after looking for the cause"
            )
        else:
            if entries <= WHOLE_ENTRIES:
                yield ok(f"{path} is whole")
            else:
                some = f"it has {entries:,} entries, and `covey ledger verify` reads all of them"
                yield ok(f"{path} is whole since its last checkpoint; {some}")


def check_store(place: Place) -> Iterator[Finding]:
    """Whether the registry of the store is consistent (`covey store verify` checks all of its files)."""
    path = store_path(place.directory) / "registry.db"
    if not path.is_file():
        yield not_applicable(f"there is no store in {place.directory} yet")
        return
    found = registry_problems(path)
    for one in found:
        yield problem(f"{path}: {one}", f"restore {path} from a backup; covey store verify finds what else is damaged")
    if not found:
        yield ok(f"{path} is consistent")


def _mib(size: int) -> int:
    return size // 2**20


def _file_system(folder: Path) -> str:
    """The kind of the file system that has a folder; empty where the system does not say."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    here, best, kind = folder.resolve(), -1, ""
    for line in lines:
        _, where, found, *_ = [*line.split(" "), "", "", ""]
        path = Path(where.replace("\\040", " "))
        if (here == path or path in here.parents) and len(path.parts) > best:
            best, kind = len(path.parts), found
    return kind
