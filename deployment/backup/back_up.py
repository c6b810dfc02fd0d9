"""Makes a backup of a project or store while its roles, servers and trainers run.

    1. store/      the registry as of one transaction, then the Parquet files and models that it lists; they never change. If a
                   publication replaces one meanwhile, the registry is copied again
    2. roles/      each role's storage, without the keys of plans under way; the coordinator's plans. `live/` is never copied
    3. ledgers/    last: a ledger may have more entries than the rest knows, which opens nothing twice. Fewer it must not have
    4. settings    covey.toml, policy.toml, views, sites; public keys, and secret keys on request only
    5. backup.json

The newest rows (`store/online`, `store/blocks`) follow from the rest, so a restore makes them. Events are never copied.
The backup is made beside its place and renamed: a crash, or a full disk, leaves no backup.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aggregator.storage.copies import leave_out_keys
from base.atomic_files import FRESH, created_folder
from base.disk import reason_of
from base.errors import OfOlderVersion
from base.times import utc_text
from base.version import VERSION
from deployment.errors import FolderNotEmpty, ItemMissing, NotWritten
from deployment.project.fleet import SITES
from deployment.project.folders import KEYS
from deployment.project.init import POLICY
from deployment.project.project import FILE as PROJECT
from featurestore.errors import StoreNotFound
from featurestore.registry.copies import listed_files
from featurestore.server.api_keys import FILE as CONSUMERS
from federation.ledger.ledger import head_path
from federation.ledger.operator import LEDGERS
from federation.ledger.snapshot import read_ledger

from .copying import Copying
from .manifest import Manifest

_REGISTRY: Final = "store/registry.db"
_ROLES: Final = "roles"
_LIVE: Final = "live"
_STORAGES: Final = ("leader", "helper", "keyholder")
_COORDINATOR: Final = "coordinator"
_NOT_COPIED: Final = ("-wal", "-shm", "lock")
"""Of the coordinator's folder: what belongs to a database beside it, and the locks."""
_PUBLIC: Final = (".pub", ".crt")
_ATTEMPTS: Final = 20
"""How often the registry is copied again because a publication has replaced a file. Only new files are copied each time."""

Progress = Callable[[int, int], None]
"""Is called with (files done, all files) of the store."""


def back_up(
    directory: Path,
    target: Path,
    clock: Callable[[], int],
    *,
    with_keys: bool = False,
    previous: Path | None = None,
    ledgers: Path | None = None,
    progress: Progress = lambda *_: None,
) -> tuple[Manifest, int]:
    """Copy a project or store into a new folder; returns what was copied, and how many files were linked to `previous`.

    Args:
        clock: wall clock, µs since the epoch.
        with_keys: also copy the secret keys of the roles.
        previous: an earlier backup on the same file system: a file of the same content is stored once.
        ledgers: the folder of the ledgers, if the roles keep them elsewhere than in the directory.

    Raises:
        StoreNotFound: the directory is no project and has no store. FolderNotEmpty. NotWritten: for example, the disk is
            full. LedgerBroken: a ledger is damaged. BackupIncomplete, BackupDamaged: `previous` is no backup.
    """
    if not (directory / _REGISTRY).is_file() and not (directory / PROJECT).is_file():
        raise StoreNotFound(str(directory))
    require_empty(target)
    earlier = None if previous is None else (previous, Manifest.load(previous))
    made_at = utc_text(clock())
    with copying_into(target) as fresh:
        copying = Copying(directory, fresh, ledgers or directory / LEDGERS, earlier)
        if (directory / _REGISTRY).is_file():
            _copy_store(copying, progress)
        _copy_roles(copying)
        _copy_ledgers(copying)
        _copy_settings(copying, with_keys=with_keys)
        copying.finish()
        manifest = Manifest(VERSION, made_at, with_keys, copying.folders, copying.files)
        manifest.save(fresh)
    return manifest, copying.linked


def require_empty(folder: Path) -> None:
    """Return if a folder does not exist, or is empty. Raises FolderNotEmpty; ItemMissing: its parent does not exist."""
    if not folder.absolute().parent.is_dir():
        raise ItemMissing(f"there is no folder {folder.absolute().parent}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderNotEmpty(str(folder))


@contextmanager
def copying_into(target: Path) -> Iterator[Path]:
    """A new folder that appears under its name when it is whole. Raises NotWritten."""
    try:
        with created_folder(target.absolute()) as fresh:
            yield fresh
    except (OSError, sqlite3.DatabaseError) as error:
        raise NotWritten(str(getattr(error, "filename", None) or target), reason_of(error)) from error


def _copy_store(copying: Copying, progress: Progress) -> None:
    done: set[str] = set()
    for _ in range(_ATTEMPTS):
        copying.database(_REGISTRY)
        listed = {f"store/{path}" for path in listed_files(copying.target / _REGISTRY).all}
        try:
            for path in sorted(listed - done):
                copying.file(path)
                done.add(path)
                progress(len(done), len(done | listed))
        except FileNotFoundError:
            continue
        for path in done - listed:
            copying.drop(path)
        return
    raise NotWritten(str(copying.source / "store"), "publications replace its files faster than they are copied")


def _copy_roles(copying: Copying) -> None:
    for role in _STORAGES:
        if (copying.source / _ROLES / role / "state.db").is_file():
            copying.database(f"{_ROLES}/{role}/state.db", leave_out_keys)
    for path in _files(copying.source, f"{_ROLES}/{_COORDINATOR}"):
        if path.endswith(".db"):
            copying.database(path)
        elif not path.endswith(_NOT_COPIED):
            _while_there(copying, path)


def _copy_ledgers(copying: Copying) -> None:
    for source in sorted(copying.ledgers.glob("*.db")):
        path, owner = f"{LEDGERS}/{source.name}", source.stem
        if (head := head_path(source)).is_file():  # before the ledger, which may be ahead of its head
            copying.text(f"{LEDGERS}/{head.name}", head.read_bytes())
        copying.database(path)
        try:
            read_ledger(copying.target / path, owner)
        except OfOlderVersion:
            continue  # a restore migrates it, and reads it then


def _copy_settings(copying: Copying, *, with_keys: bool) -> None:
    source = copying.source
    views = (path.name for path in sorted(source.glob("*.py")))
    for name in (PROJECT, POLICY, CONSUMERS, *views):
        if (source / name).is_file():
            copying.file(name)
    for path in _files(source, SITES):
        copying.file(path)
    for path in _files(source, KEYS):
        if with_keys or path.endswith(_PUBLIC):
            copying.file(path)


def _files(source: Path, folder: str) -> Iterable[str]:
    """The files in a folder and below, sorted, without those that are being written."""
    found = (path for path in sorted((source / folder).rglob("*")) if path.is_file() and not path.name.endswith(FRESH))
    relative = (path.relative_to(source) for path in found)
    return [path.as_posix() for path in relative if _LIVE not in path.parts]


def _while_there(copying: Copying, path: str) -> None:
    """Copy a file that its role may delete meanwhile, because its plan has ended."""
    try:
        copying.file(path)
    except FileNotFoundError:
        copying.files.pop(path, None)
