"""Change which versions of a model are in force, and delete versions.

A promotion needs no writer's lock: it is one transaction of the registry, so it also works while a collection or `Publisher` holds
the store. A deletion takes the lock, because it removes files that a check of the store may be reading.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import StoreCorrupt, StoreInUse, StoreNotFound
from featurestore.online.settings import directory_of, store_path
from featurestore.registry.models import FOLDER, parse_reference, version_folder
from featurestore.registry.registry import Registry
from featurestore.registry.serving_versions import ModelHistory, Newest, Serving, Weights
from featurestore.store_files import writing

from .writer_lock import lock_store


@dataclass(frozen=True)
class Change:
    """A change of the versions in force.

    Attributes:
        before, after: the versions that answered requests before it, and that answer them now.
        serving: what decides from now on.
    """

    before: Weights
    after: Weights
    serving: Serving


def promote(
    directory: Path, name: str, serving: Serving, clock: Callable[[], int], *, seen: str | None = None
) -> Change:
    """Put versions of a model in force: pinned ones by weight, or always the newest.

    Args:
        seen: `ModelHistory.stamp` of what the decision was made from; None: whatever is in force.

    Raises:
        StoreNotFound, UnknownModel: no such model, or a version is unknown or deleted. StoreInUse, StoreWriteFailed.
        ModelChanged: it is not what was seen.
    """
    with _registry(directory) as registry, registry.transaction():
        history = registry.models.history(name)
        history.require_unchanged(seen)
        history.require_versions(serving)
        registry.models.promote(name, serving, history.newest, clock())
        return _change(registry, history)


def promote_unless_changed(
    directory: Path, name: str, serving: Serving, seen: ModelHistory, clock: Callable[[], int]
) -> bool:
    """Promote as `promote` does, if what is in force is still what a decision was made from; returns whether it is.

    Args:
        seen: the versions and promotions from which the caller decided.
    """
    with _registry(directory) as registry, registry.transaction():
        history = registry.models.history(name)
        if (history.promotions, history.in_force) != (seen.promotions, seen.in_force):
            return False
        history.require_versions(serving)
        registry.models.promote(name, serving, history.newest, clock())
        return True


def roll_back(directory: Path, name: str, clock: Callable[[], int], *, seen: str | None = None) -> Change:
    """Bring back the versions that were in force before the last change; see `ModelHistory.before`.

    Args:
        seen: as in `promote`.

    Raises:
        NothingToRollBack. And the errors of `promote`.
    """
    with _registry(directory) as registry, registry.transaction():
        history = registry.models.history(name)
        history.require_unchanged(seen)
        registry.models.promote(name, history.before(), history.newest, clock(), is_rollback=True)
        return _change(registry, history)


def delete_models(directory: Path, reference: str, clock: Callable[[], int], *, seen: str | None = None) -> list[str]:
    """Delete `name@v<n>`, or all versions of `name`; returns them as `name@v<n>`. It waits for a publication to end.

    The files are removed after the registry has committed. If that is interrupted, the next publication removes them.

    Args:
        seen: as in `promote`.

    Raises:
        ModelInUse: the version is in force. UnknownModel. And the errors of `promote`.
    """
    with _registry(directory) as registry, lock_store(registry.path.parent, wait=True):
        with registry.transaction():
            name, version = parse_reference(reference, registry.models.names)
            history = registry.models.history(name)
            history.require_unchanged(seen)
            if version is None:
                gone = history.versions
                if isinstance(history.serving, Weights):  # a later registration has another number, and takes over
                    registry.models.promote(name, Newest(), 0, clock())
            else:
                history.require_deletable(version)
                gone = (version,)
            for one in gone:
                registry.models.delete(name, one, clock())
        remove_deleted(registry)
    return [f"{name}@v{one}" for one in gone]


def remove_deleted(registry: Registry) -> None:
    """Remove the files of deleted versions, under the writer's lock. Raises StoreCorrupt: a link leads elsewhere."""
    root = registry.path.parent
    for name, version in registry.models.deleted():
        folder = version_folder(root, name, version)
        if folder.exists():
            if folder.resolve() != (root / FOLDER).resolve() / name / folder.name:
                raise StoreCorrupt(f"{folder} is a link, or in a linked folder: its files are not removed")
            with writing(folder):
                shutil.rmtree(folder)


def _change(registry: Registry, before: ModelHistory) -> Change:
    after = registry.models.history(before.model)
    return Change(before.in_force, after.in_force, after.serving)


@contextmanager
def _registry(directory: Path) -> Iterator[Registry]:
    """The registry, opened for writing beside a publisher. Raises StoreInUse: a writer commits for longer than SQLite waits."""
    root = store_path(directory_of(directory))
    if not (root / "registry.db").is_file():
        raise StoreNotFound(str(directory))
    try:
        registry = Registry(root / "registry.db", read_only=False)
        try:
            yield registry
        finally:
            registry.close()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise StoreInUse(str(root.parent)) from None
