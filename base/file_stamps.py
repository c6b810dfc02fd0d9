"""Notices that a file has changed, without reading it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""For each file its inode, its time of change (ns) and its size; None: it cannot be looked at, for example it is not there."""


def stamp_of(*paths: Path) -> Stamp:
    """A value that changes when one of the files is replaced, edited, made or deleted."""
    return tuple(map(_stamp, paths))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
