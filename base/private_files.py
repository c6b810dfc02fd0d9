"""Files and folders that only their owner may read or change: mode 0600 and 0700 from their first byte.

The umask does not apply, and links are not followed. Keys, ledgers, shares, a site's events and reports on unfinished
collections are written through this module. Files for many readers, such as those of a store, are not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from .errors import NotPrivate

FILE: Final = 0o600
FOLDER: Final = 0o700


def private_folder(path: Path) -> Path:
    """Make a private folder and its missing parents, which are private too. A folder that exists already is made private.

    Raises:
        NotPrivate: it is a link, is no folder, or belongs to another user.
    """
    if not os.path.lexists(path.absolute().parent):
        private_folder(path.absolute().parent)
    with suppress(FileExistsError):
        path.mkdir(FOLDER)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise NotPrivate(str(path), f"it cannot be opened as a folder ({error.strerror})") from None
    try:
        _close_to_others(path, descriptor, FOLDER)
    finally:
        os.close(descriptor)
    return path


def private_file(path: Path) -> Path:
    """Make an empty private file, or make an existing file private.

    An existing file is not opened, because closing any handle of a file ends SQLite's locks on it.

    Raises:
        NotPrivate: it is a link, is no file, or belongs to another user. OSError.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE))
    found = path.lstat()
    _require_own_file(path, found)
    if stat.S_IMODE(found.st_mode) != FILE:
        path.chmod(FILE)
    return path


def open_private(path: Path, flags: int) -> int:
    """Open a private file, and make it if it is missing; returns its descriptor.

    Args:
        flags: flags for `os.open`, such as `os.O_WRONLY | os.O_APPEND`.

    Raises:
        NotPrivate: as `private_file`. OSError.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE)
    except OSError as error:
        if path.is_symlink():
            raise NotPrivate(str(path), "it is a link") from None
        raise error
    try:
        _require_own_file(path, os.fstat(descriptor))
        _close_to_others(path, descriptor, FILE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def create_private(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a new file; if `durable`, its content is on disk when this returns. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
    with os.fdopen(descriptor, "wb") as file:
        _close_to_others(path, descriptor, FILE)
        yield file
        file.flush()
        if durable:
            os.fsync(descriptor)


def append_private(path: Path, text: str) -> None:
    """Add a text to the end of a file. Raises NotPrivate, OSError."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
        file.write(text.encode())


def _require_own_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivate(str(path), "it is not a regular file")
    _require_owner(path, found)


def _require_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise NotPrivate(str(path), f"it belongs to user {found.st_uid}, and this program runs as user {os.geteuid()}")


def _close_to_others(path: Path, descriptor: int, mode: int) -> None:
    found = os.fstat(descriptor)
    _require_owner(path, found)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(descriptor, mode)
