"""The logs of supervised roles: bounded in size, and read for `covey logs`.

A role writes to its file by itself, so the role outlives the supervisor. The supervisor copies a file that has grown too long to
`NAME.log.1`, and empties it. The role appends, so its next line is the first one. Lines that it writes between the copy and the
emptying are lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from base.private_files import open_private
from deployment.errors import ItemMissing

MAX_BYTES: Final = 8 * 2**20
_SUFFIX: Final = ".log"
_LOOK_S: Final = 0.2
_TAIL_BYTES: Final = 2**20
"""The most bytes of which the last lines are read."""


def rotate(path: Path, most: int = MAX_BYTES) -> None:
    """Keep a log below `most` bytes: what it has goes to `NAME.log.1`, which is replaced. Raises OSError."""
    try:
        if path.stat().st_size <= most:
            return
    except FileNotFoundError:
        return
    old = path.with_name(f"{path.name}.1")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as log:
        with os.fdopen(open_private(old, os.O_WRONLY | os.O_TRUNC), "wb") as copy:
            log.seek(-min(most, os.fstat(log.fileno()).st_size), os.SEEK_END)
            copy.write(log.read(most))
        log.truncate(0)


def log_of(folder: Path, name: str) -> Path:
    """The log of a role. Raises ItemMissing, which names the logs that exist."""
    path = folder / f"{name}{_SUFFIX}"
    names = sorted(one.name.removesuffix(_SUFFIX) for one in folder.glob(f"*{_SUFFIX}"))
    if name not in names:
        there = f"it has: {', '.join(names)}" if names else "it is empty: `covey up` starts the roles"
        raise ItemMissing(f"no log of {name} in {folder}; {there}")
    return path


def last_lines(path: Path, count: int) -> tuple[list[str], int]:
    """The last lines of a log, and the byte at which it ends."""
    with path.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(0, end - _TAIL_BYTES))
        lines = (
            log.read(end - log.tell()).removesuffix(b"\n").decode("utf-8", errors="replace").split("\n") if end else []
        )
    return lines[-count:] if count else [], end


def follow(path: Path, begin: int) -> Iterator[str]:
    """What a log gets from a byte on, without end. A log that was emptied is read from its beginning."""
    at, rest = begin, b""
    while True:
        try:
            if path.stat().st_size < at:
                at, rest = 0, b""
            with path.open("rb") as log:
                log.seek(at)
                piece = log.read(_TAIL_BYTES)
        except FileNotFoundError:
            piece = b""
        at += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", errors="replace") for line in lines)
        if not piece:
            time.sleep(_LOOK_S)
