"""File locks over flock(2), between the processes of one machine. The kernel releases a lock when its holder ends.

A lock belongs to an open descriptor. A program that is started with this descriptor holds the same lock; no other program
inherits it. The package `filelock` has neither a shared lock that needs read permission only nor a lock on a folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .errors import LockHeld
from .private_files import open_private

_READ_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PUBLIC: Final = 0o644


class FileLock:
    """A lock that this process holds. Use it as a context manager, or release it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """The lock that the parent of this process has handed on. The programs that this process starts do not inherit it."""
        os.set_inheritable(descriptor, False)
        return cls(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def descriptor(self) -> int:
        """For `pass_fds` of a program that shall hold the lock, too. The lock is free when each holder has released it."""
        return self._descriptor

    def release(self) -> None:
        """Release the lock. The lock file stays."""
        os.close(self._descriptor)

    def is_of(self, path: Path) -> bool:
        """Whether the locked file is still the one under this name."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._descriptor), path.stat())
        return False


def lock_file(path: Path, *, private: bool, wait: bool) -> FileLock:
    """Take an exclusive lock on a lock file, which is made if it is missing.

    Args:
        private: mode 0600; otherwise every user may read the file, and so may take a shared lock on it.
        wait: wait for the holder to end.

    Raises:
        LockHeld: another process holds it, and `wait` is false. NotPrivate, OSError: the file cannot be used; it is a link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = open_private(path, os.O_RDWR) if private else os.open(path, flags, _PUBLIC)
    return _hold(path, descriptor, fcntl.LOCK_EX, wait)


def lock_file_shared(path: Path) -> FileLock:
    """Take a shared lock on a lock file. Read permission is enough.

    Raises:
        LockHeld: another process holds an exclusive lock. FileNotFoundError, OSError.
    """
    return _hold(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH, wait=False)


def lock_folder(folder: Path, *, wait: bool) -> FileLock:
    """Take an exclusive lock on a folder, without a lock file. Raises LockHeld (see `lock_file`), OSError."""
    return _hold(folder, os.open(folder, _READ_FOLDER), fcntl.LOCK_EX, wait)


@contextmanager
def temporary_lock(path: Path) -> Iterator[None]:
    """Wait for an exclusive lock on a private lock file, and remove the file before the lock is released.

    Raises NotPrivate, OSError.
    """
    while True:
        lock = lock_file(path, private=True, wait=True)
        if lock.is_of(path):
            break
        lock.release()  # its last holder has removed it
    with lock:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _hold(path: Path, descriptor: int, operation: int, wait: bool) -> FileLock:
    try:
        fcntl.flock(descriptor, operation if wait else operation | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LockHeld(str(path)) from None
    except BaseException:
        os.close(descriptor)
        raise
    return FileLock(descriptor)
