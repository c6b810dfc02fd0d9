"""Restores a backup into an empty folder. Everything is verified before anything is written there.

1. backup.json and every file in it          a missing or changed file: nothing is restored
2. the files are copied beside their place
3. files of an earlier version are migrated; the newest rows are made; store and ledgers are verified
4. the folder is renamed into its place
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.private_files import FILE, private_folder
from deployment.errors import BackupDamaged, NotWritten
from deployment.migration import migrate_files
from featurestore.errors import StoreWriteFailed
from featurestore.online.settings import store_path
from featurestore.online.settings_file import load_settings
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.verify import Mend, check_store
from federation.ledger.operator import LEDGERS
from federation.ledger.snapshot import read_ledger

from .back_up import copying_into, require_empty
from .manifest import Manifest, damaged_files, measured

_EXPECTED: Final = Mend.REBUILD
"""Damage of the newest rows in a shared online store: the running deployment's rows are there, and stay."""

Progress = Callable[[str, int, int], None]
"""Is called with (name of the step, items done, all items)."""


@dataclass(frozen=True)
class Restored:
    """What a restore has made.

    Attributes:
        entries: the number of entries of each ledger, by its owner.
        migrated: the files that an earlier version had written.
        online_elsewhere: the address of a Redis or Valkey server that has the newest rows. They were not touched.
    """

    manifest: Manifest
    entries: dict[str, int]
    migrated: tuple[str, ...]
    online_elsewhere: str | None


def restore(source: Path, target: Path, progress: Progress = lambda *_: None) -> Restored:
    """Restore a backup as a project or store in an empty folder, which is made if it is missing.

    Raises:
        BackupIncomplete, BackupDamaged, OfNewerVersion: nothing was written. FolderNotEmpty. NotWritten: for example, the disk
            is full; nothing is left.
    """
    require_empty(target)
    manifest = Manifest.load(source)
    if damaged := list(damaged_files(source, manifest)):
        raise BackupDamaged(str(source), *damaged[0], len(damaged))
    with copying_into(target) as fresh:
        for done, path in enumerate(manifest.files, 1):
            _copy(source, fresh, path, manifest)
            progress("files", done, len(manifest.files))
        migrated = tuple(migrate_files(fresh))
        elsewhere = _make_rows(fresh, progress) if (store_path(fresh) / "registry.db").is_file() else None
        entries = {
            path.stem: read_ledger(path, path.stem, whole=True).head.seq
            for path in sorted((fresh / LEDGERS).glob("*.db"))
        }
        for path, mode in manifest.folders.items():
            (fresh / path).chmod(mode)
    return Restored(manifest, entries, migrated, elsewhere)


def _copy(source: Path, fresh: Path, path: str, manifest: Manifest) -> None:
    one, target = manifest.files[path], fresh / path
    private_folder(target.parent)
    with (source / path).open("rb") as original, target.open("xb") as copy:
        target.chmod(FILE)
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())
    if measured(target) != (one.bytes, one.sha256):
        raise BackupDamaged(str(source), path, "it changed while it was restored")
    target.chmod(one.mode)


def _make_rows(fresh: Path, progress: Progress) -> str | None:
    """Make the newest rows and verify the store; returns the address of an online store elsewhere, which stays as it is."""
    url = load_settings(fresh).url
    try:
        if url is None:
            rebuild_online(fresh, lambda done, total: progress("online rows", done, total))
    except StoreWriteFailed as error:
        raise NotWritten(error.path, error.reason) from error
    damaged = [one for one in check_store(fresh, progress).damaged if url is None or one.mend is not _EXPECTED]
    if damaged:
        raise BackupDamaged(str(fresh), damaged[0].path, damaged[0].what, len(damaged))
    return None if url is None else str(url)
