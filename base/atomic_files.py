"""Atomic writes: a file, or a folder of files, appears whole under its name or not at all, whenever the process ends.

The new content is written beside the old, under a name that no other process uses, and is renamed into place. A crash leaves
the old content, and at most a file named `.<name>.<random>.new` beside it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .disk import sync_folder
from .private_files import create_private

FRESH: Final = ".new"
"""The suffix of a file that is not in place yet."""
_PUBLIC: Final = 0o666
"""The mode of a file for many readers, before the umask applies."""


@dataclass(frozen=True)
class Replacement:
    """The new content of a file, complete beside the old one."""

    path: Path
    fresh: Path

    def put(self) -> None:
        """Rename the new content into place. The name is durable once the folder is synced (`sync_folder`)."""
        self.fresh.replace(self.path)


@contextmanager
def staged_file(path: Path, *, private: bool, durable: bool = True) -> Iterator[tuple[BinaryIO, Replacement]]:
    """Write the new content of a file; the caller puts it into place. If `durable`, the content is on disk on return.

    Args:
        private: mode 0600, whatever the umask is; otherwise the umask applies.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}{FRESH}")
    try:
        with (create_private if private else _create_public)(fresh, durable=durable) as file:
            yield file, Replacement(path, fresh)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_file(path: Path, *, private: bool, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file that replaces the old one, if there is one, once it is whole. If `durable`, name and content are on disk.

    Args:
        private: as in `staged_file`.
    """
    with staged_file(path, private=private, durable=durable) as (file, replacement):
        yield file
    try:
        replacement.put()
    except BaseException:
        replacement.fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def replace_file(path: Path, content: str | bytes, *, private: bool, durable: bool = True) -> None:
    """Replace a file by a text in UTF-8, or by bytes; see `replaced_file`."""
    with replaced_file(path, private=private, durable=durable) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def create_file(path: Path, content: str, *, private: bool) -> None:
    """Write a text to a new file, which appears whole. A file that another process made in the meantime stays."""
    with staged_file(path, private=private) as (file, replacement):
        file.write(content.encode())
    try:
        path.hardlink_to(replacement.fresh)
    except FileExistsError:
        return
    finally:
        replacement.fresh.unlink()
    sync_folder(path.parent)


@contextmanager
def created_folder(path: Path) -> Iterator[Path]:
    """Fill a new folder of mode 0700, which appears under its name at the end of the `with`, or not at all.

    Raises:
        OSError: another process made a file there in the meantime, or a folder with content.
    """
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield fresh
        fresh.rename(path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    sync_folder(path.parent)


@contextmanager
def _create_public(path: Path, *, durable: bool) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PUBLIC)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        if durable:
            os.fsync(descriptor)
