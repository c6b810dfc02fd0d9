"""The root of every expected error, the exit codes of the commands, and the errors of this layer."""

from __future__ import annotations

import re
from typing import ClassVar, Final

DONE: Final = 0
"""The command did what it was asked."""
FAILURE: Final = 1
"""The command failed, or a check found something wrong."""
USAGE: Final = 2
"""Arguments, a configuration or definitions cannot be used as written."""
NOTHING_RELEASED: Final = 3
"""The run ended, and no pane was opened."""
REFUSED: Final = 4
"""A budget, a policy or a rule of the store refuses the request."""
NOT_FOUND: Final = 5
"""The requested thing does not exist."""
INCOMPLETE: Final = 6
"""Fewer sites answered than a collection needs. Nothing of it was opened, and its panes stay due."""
INTERRUPTED: Final = 130
"""Ctrl-C ended the command."""


_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class CoveyError(Exception):
    """Every error that Covey raises on purpose. Its numbers are attributes.

    Attributes:
        code: a stable word for programs: the name of the class as UPPER_SNAKE, unless the class sets another one. A class
            that is renamed keeps its code.
        exit_code: the exit code of a command that fails with this error.
    """

    code: ClassVar[str] = "COVEY_ERROR"
    exit_code: ClassVar[int] = FAILURE

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in vars(cls):
            cls.code = _WORD.sub("_", cls.__name__).upper()

    @property
    def logged(self) -> str:
        """The text for logs. An error that quotes a value of somebody's events leaves it out here."""
        return str(self)


class LockHeld(CoveyError):
    """Another process holds a lock; names the locked file or folder."""

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
        self.path, self.why = path, why
        super().__init__(f"{path} must be private: {why}. Move it away, or choose another place")


class ExtraMissing(CoveyError):
    """A library of an optional extra is not installed; names who needs it, the library and the extra."""

    def __init__(self, user: str, library: str, extra: str) -> None:
        super().__init__(f"{user} needs {library}, which is not installed: pip install 'covey[{extra}]'")
        self.user, self.library, self.extra = user, library, extra


def exit_code(error: BaseException) -> int | None:
    """The exit code of an expected error; None for a defect."""
    if isinstance(error, CoveyError):
        return error.exit_code
    return FAILURE if isinstance(error, OSError) else None
