"""The lock of a role: a project has one process of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base.errors import LockHeld
from base.locks import lock_file
from base.private_files import private_folder
from deployment.errors import UsageError


@contextmanager
def alone(directory: Path, role: str) -> Iterator[None]:
    """Lock the files of a role for this process. Raises UsageError: another process of the role runs."""
    try:
        lock = lock_file(private_folder(directory / "roles" / role) / "lock", private=True, wait=False)
    except LockHeld:
        raise UsageError(f"another {role} runs in {directory}; a project has one. Stop it first") from None
    with lock:
        yield
