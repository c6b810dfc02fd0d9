"""Commands that do the same as a request of the page. Those of a request are in the log of what was changed."""

from __future__ import annotations

import shlex
from contextvars import ContextVar
from typing import Final

NAMED: Final[ContextVar[list[str] | None]] = ContextVar("named", default=None)
"""The commands that the current request has named, for the log."""


def command(*words: str) -> str:
    """A command line, quoted for a shell, such as `command("covey", "models", "promote", name)`."""
    line = shlex.join(words)
    named = NAMED.get()
    if named is not None:
        named.append(line)
    return line
