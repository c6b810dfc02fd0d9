"""The errors of a site, in one tree. None of them depends on what single events hold, only on schema and files."""

from __future__ import annotations


class EdgeError(Exception):
    """Anything that a site refuses or cannot do."""


class EventsError(EdgeError):
    """The event file cannot be used: missing, empty, unreadable, or without a column that is needed."""


class EventColumnError(EventsError):
    """A column of the events has a type that its use does not allow, or times that cannot be parsed."""

    def __init__(self, column: str, message: str) -> None:
        self.column = column
        super().__init__(f"column {column!r}: {message}")


class EncryptionFailed(EdgeError):
    """A process that encrypts reports has ended before it had them all."""

    def __init__(self) -> None:
        super().__init__("a process that encrypts reports has ended early (out of memory?); run it again")


class ConfigError(EdgeError):
    """A site's configuration or policy file that cannot be used; names the file and what is wrong."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")
