"""The root of every expected error, the exit codes of the commands, and the errors of the ground floor."""

from __future__ import annotations

from typing import ClassVar, Final

DONE: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
NOTHING_RELEASED: Final = 3
REFUSED: Final = 4
NOT_FOUND: Final = 5
INTERRUPTED: Final = 130


class CoveyError(Exception):
    """Every error that Covey raises on purpose.

    Attributes:
        exit_code: what a command exits with where it ends in this error.
    """

    exit_code: ClassVar[int] = FAILURE


class LockHeld(CoveyError):
    """A lock that another process holds; names the locked file or folder."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"another process holds the lock on {path}; wait for it to end")


class ConfigInvalid(CoveyError):
    """A configuration file that cannot be used; names the file, the section, the key, the value and the mend."""

    exit_code = USAGE

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class NotPrivate(CoveyError):
    """A file or folder for private data that is a link, or another user's; names the path and what is wrong."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(f"{path} must be private: {why}. Move it away, or choose another place")


def exit_code(error: BaseException) -> int | None:
    """The exit code of an expected error; None for a defect."""
    if isinstance(error, CoveyError):
        return error.exit_code
    return FAILURE if isinstance(error, OSError) else None
