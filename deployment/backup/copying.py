"""Copies files and databases into a backup, each durable when the call returns."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from base.disk import sync_folder
from base.private_files import FILE, FOLDER, private_folder
from base.sqlite import connect
from deployment.errors import OriginalDamaged
from federation.ledger.operator import LEDGERS

from .manifest import CopiedFile, Manifest, measured, permissions

_SQLITE_REST: Final = ("-wal", "-shm", "-journal")
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Copying:
    """One backup under way.

    Args:
        source: the project or store that is copied. target: the folder of the new backup.
        ledgers: the folder of its ledgers, wherever that is.
        previous: the folder of an earlier backup, and its manifest; its files are linked where their content is the same.
    """

    def __init__(self, source: Path, target: Path, ledgers: Path, previous: tuple[Path, Manifest] | None) -> None:
        self.source, self.target, self.ledgers, self._previous = source, target, ledgers, previous
        self.files: dict[str, CopiedFile] = {}
        self.folders: dict[str, int] = {}
        self.linked = 0

    def file(self, path: str) -> None:
        """Copy a file, or link the earlier copy of the same content. Raises FileNotFoundError: it is gone."""
        source, target = self._origin(path), self._place(path)
        mode = permissions(source)
        if not (self._previous is not None and self._link(path, *measured(source))):
            _copy(source, target)
        self._count(path, mode)

    def database(self, path: str, change: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Copy an SQLite database as it is after a transaction, while others write to it.

        Args:
            change: is applied to the copy before it counts.
        """
        source, target = self._origin(path), self._place(path)
        target.unlink(missing_ok=True)
        target.touch(FILE)
        try:
            _copy_database(source, target, change)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                raise OriginalDamaged(str(source), str(error)) from None
            raise
        for rest in _SQLITE_REST:
            target.with_name(target.name + rest).unlink(missing_ok=True)
        with target.open("rb") as written:
            os.fsync(written.fileno())
        self._link(path, *measured(target))
        self._count(path, permissions(source))

    def text(self, path: str, content: bytes) -> None:
        """Write a private file whose content was read before."""
        target = self._place(path)
        with target.open("wb") as copy:
            target.chmod(FILE)
            copy.write(content)
            copy.flush()
            os.fsync(copy.fileno())
        self._link(path, *measured(target))
        self._count(path, FILE)

    def drop(self, path: str) -> None:
        """Take a copied file out again."""
        del self.files[path]
        (self.target / path).unlink()

    def finish(self) -> None:
        """Remove folders whose files were deleted while they were copied, and make the names of all files durable."""
        used = {folder.as_posix() for path in self.files for folder in Path(path).parents}
        for folder in sorted(self.folders.keys() - used, reverse=True):  # what is in a folder comes after it
            (self.target / folder).rmdir()
            del self.folders[folder]
        for folder in ("", *self.folders):
            sync_folder(self.target / folder)

    def _count(self, path: str, mode: int) -> None:
        """Add a file to the manifest as it is in the backup: the original may have changed since it was copied."""
        self.files[path] = CopiedFile(*measured(self.target / path), mode)

    def _origin(self, path: str) -> Path:
        first, _, rest = path.partition("/")
        return self.ledgers / rest if first == LEDGERS else self.source / path

    def _place(self, path: str) -> Path:
        for folder in reversed(Path(path).parents[:-1]):
            if folder.as_posix() not in self.folders:
                private_folder(self.target / folder)
                origin = self._origin(folder.as_posix())
                self.folders[folder.as_posix()] = permissions(origin) if origin.is_dir() else FOLDER
        return self.target / path

    def _link(self, path: str, size: int, digest: str) -> bool:
        """Link the earlier copy of a file, if its content is the same and both lie on one file system."""
        if self._previous is None:
            return False
        folder, manifest = self._previous
        before = manifest.files.get(path)
        if before is None or (before.bytes, before.sha256) != (size, digest):
            return False
        target, earlier = self.target / path, folder / path
        with suppress(OSError):
            if earlier.stat().st_size != size:
                return False
            fresh = target.with_name(target.name + ".link")
            fresh.hardlink_to(earlier)
            fresh.replace(target)
            fresh.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing
            self.linked += 1
            return True
        return False


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as original, target.open("wb") as copy:
        target.chmod(FILE)
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())


def _copy_database(source: Path, target: Path, change: Callable[[sqlite3.Connection], None] | None) -> None:
    with closing(connect(source, private=False, read_only=True)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
        if change is not None:
            change(copy)
            copy.commit()
            copy.execute("VACUUM")  # what was deleted is in no page
        (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise OriginalDamaged(str(source), str(found))
