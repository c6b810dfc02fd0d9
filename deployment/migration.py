"""Brings the files of a project or store that an earlier version wrote to this version.

Each database is migrated in one transaction of its own (`base.sqlite`), and each file of a site is replaced as a whole. So it has
the old version or the new one after a crash at any point, and the same command goes on. It needs no copy. The newest rows follow
from the rest, and are made again.
A ledger's entries are not touched: their chain and the heads that other parties remember stay the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aggregator.storage.role_storage import Storage
from base.disk import reason_of
from base.errors import OfNewerVersion
from base.sqlite import Format, Identity, connect, version_of
from deployment.collecting import collecting
from deployment.errors import NotWritten
from deployment.local.role_lock import alone
from deployment.project.fleet import SITES
from deployment.scheduler.lease import only_planner
from deployment.scheduler.schedule_file import FORMAT as SCHEDULE
from deployment.scheduler.schedule_file import schedule_path
from edge_client.site_config import site_files
from edge_client.site_migration import VERSION as SITE_FILE
from edge_client.site_migration import migrate_site_file, version_of_site_file
from featurestore.errors import StoreNotFound
from featurestore.online.settings import store_path
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.writer_lock import lock_store
from featurestore.registry.tables import FORMAT as REGISTRY
from federation.ledger.ledger import FORMAT as LEDGER
from federation.ledger.operator import LEDGERS

_ROLES: Final = ("leader", "helper", "keyholder")


@dataclass(frozen=True)
class FoundFile:
    """A database of a project or store, or the configuration file of a site.

    Attributes:
        path: relative to its directory. have: the version of its tables or entries; need: the one of this program.
    """

    path: str
    have: int
    need: int


def found_files(directory: Path, ledgers: Path | None = None) -> list[FoundFile]:
    """The databases of a project or store, the files of its sites, and their versions.

    Args:
        ledgers: the folder of the ledgers, if the roles keep them elsewhere than in the directory.

    Raises:
        StoreNotFound: there is none. OfNewerVersion: a later version wrote one of them; nothing of it can be migrated here.
    """
    found = []
    for path, form, _ in _databases(directory, ledgers):
        with closing(connect(path, private=False, read_only=True)) as database:
            match form.identify(database):
                case Identity.NEWER:
                    raise OfNewerVersion(str(path), version_of(database), form.version)
                case Identity.EMPTY | Identity.FOREIGN | Identity.TOO_OLD:
                    continue  # its reader names it
                case Identity.OURS | Identity.OLDER:
                    found.append(FoundFile(_name(path, directory), version_of(database), form.version))
    found += [FoundFile(_name(path, directory), have, SITE_FILE) for path, have in _site_files(directory)]
    if not found and not (store_path(directory) / "registry.db").is_file():
        raise StoreNotFound(str(directory))
    return found


def migrate(directory: Path, ledgers: Path | None = None) -> list[FoundFile]:
    """Migrate the files of earlier versions, and make the newest rows again; returns those that were migrated.

    Args:
        ledgers: see `found_files`.

    Raises:
        UsageError, CollectionUnderWay, StoreInUse, FileInUse: a process of this project, or a server of its store, runs.
        NotWritten: for example, the disk is full. OfNewerVersion, StoreNotFound.
    """
    older = [one for one in found_files(directory, ledgers) if one.have < one.need]
    if not older:
        return []
    with ExitStack() as held:
        for role in _ROLES:
            if (directory / "roles" / role).is_dir():
                held.enter_context(alone(directory, role))
        if schedule_path(directory).is_file():
            held.enter_context(only_planner(directory))
        if not store_path(directory).is_dir():
            migrate_files(directory, ledgers)
            return older
        held.enter_context(collecting(directory))
        with lock_store(store_path(directory)):
            migrate_files(directory, ledgers)
        rebuild_online(directory)
    return older


def migrate_files(directory: Path, ledgers: Path | None = None) -> list[str]:
    """Migrate the files of a directory that nothing else uses; returns the paths of those of an earlier version.

    Raises:
        FileInUse. NotWritten: the file keeps its version.
    """
    migrated = []
    for path, form, private in _databases(directory, ledgers):
        with closing(connect(path, private=False, read_only=True)) as database:
            older = form.identify(database) is Identity.OLDER
        if older:
            try:
                form.migrate(path, private=private)
            except sqlite3.OperationalError as error:
                raise NotWritten(str(path), reason_of(error)) from error
            migrated.append(_name(path, directory))
    for path, have in _site_files(directory):
        if have < SITE_FILE:
            try:
                migrate_site_file(path)
            except OSError as error:
                raise NotWritten(str(path), reason_of(error)) from error
            migrated.append(_name(path, directory))
    return migrated


def _name(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def _site_files(directory: Path) -> Iterator[tuple[Path, int]]:
    """The files of the sites here, and their versions."""
    for path in site_files(directory / SITES):
        if (have := version_of_site_file(path)) is not None:
            yield path, have


def _databases(directory: Path, ledgers: Path | None) -> Iterator[tuple[Path, Format, bool]]:
    """The databases: where each is, its format, and whether only its owner may read it."""
    if (registry := store_path(directory) / "registry.db").is_file():
        yield registry, REGISTRY, False
    for ledger in sorted((ledgers or directory / LEDGERS).glob("*.db")):
        yield ledger, LEDGER, True
    for role in _ROLES:
        if (state := directory / "roles" / role / "state.db").is_file():
            yield state, Storage.format(), True
    if (schedule := schedule_path(directory)).is_file():
        yield schedule, SCHEDULE, True
