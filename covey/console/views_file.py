"""The views file that the composer edits. It is read and replaced as bytes, and never executed here.

Only the file that the console was started with is written, never a link, and only if it still is as the page has read it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from base.atomic_files import Replacement, staged_file
from base.disk import sync_folder
from base.file_exchange import exchange
from covey.errors import NoViewsFile, ViewsFileChanged, ViewsFileUnusable

MAX_BYTES: Final = 1_000_000
NONE: Final = ""
"""Stands for the hash of a file that does not exist yet."""
_WRITING: Final = Lock()


@dataclass(frozen=True)
class ViewsText:
    """A views file as it was read.

    Attributes:
        text: with its own ends of lines, and its byte order mark.
        sha256: of its bytes, in hex; empty: there is no file yet.
    """

    text: str
    sha256: str


def read_views(path: Path) -> ViewsText:
    """Read the file; an empty text if it does not exist yet.

    Raises:
        ViewsFileUnusable: it is a link or no regular file, too large, or not UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ViewsText("", NONE)
    except OSError as error:
        why = "it is a link" if path.is_symlink() else error.strerror or str(error)
        raise ViewsFileUnusable(str(path), why) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ViewsFileUnusable(str(path), "it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ViewsFileUnusable(str(path), f"it has over {MAX_BYTES:,} bytes")
    try:
        return ViewsText(data.decode("utf-8"), hashlib.sha256(data).hexdigest())
    except UnicodeDecodeError as error:
        raise ViewsFileUnusable(str(path), f"it is not UTF-8 at byte {error.start:,}") from None


def replace_views(path: Path | None, text: str, based_on: str) -> ViewsText:
    """Replace the file, if it still is as it was read. Its mode stays.

    Another program may write the file between the look at it and its replacement. So the two files change their names in one
    step, and what was there is looked at afterwards, before it is deleted: if it is not what was read, it gets its name back.
    Where the file system cannot do that, such a write is lost.

    Args:
        based_on: the hash of the file that was read; empty: there was none.

    Raises:
        NoViewsFile: the console has none. ViewsFileChanged: another program has written it meanwhile.
        ViewsFileUnusable: as `read_views`; the text is too large, or the file cannot be written.
    """
    if path is None:
        raise NoViewsFile
    data = text.encode("utf-8")
    if len(data) > MAX_BYTES:
        raise ViewsFileUnusable(str(path), f"it would have over {MAX_BYTES:,} bytes")
    with _WRITING:
        if read_views(path).sha256 != based_on:
            raise ViewsFileChanged(str(path))
        try:
            with staged_file(path, private=False) as (file, replacement):
                file.write(data)
            try:
                _put(path, replacement, based_on)
            finally:
                replacement.fresh.unlink(missing_ok=True)
        except OSError as error:
            raise ViewsFileUnusable(str(path), error.strerror or str(error)) from None
        sync_folder(path.parent)
    return ViewsText(text, hashlib.sha256(data).hexdigest())


def _put(path: Path, replacement: Replacement, based_on: str) -> None:
    """Give the new file its name, if the old one is as it was read. Raises OSError, ViewsFileChanged."""
    fresh = replacement.fresh
    try:
        if based_on == NONE:
            path.hardlink_to(fresh)
            return
        fresh.chmod(stat.S_IMODE(path.stat(follow_symlinks=False).st_mode))
        if not exchange(fresh, path):
            replacement.put()
        elif not _is(fresh, based_on):
            exchange(fresh, path)
            raise ViewsFileChanged(str(path))
    except (FileExistsError, FileNotFoundError):
        raise ViewsFileChanged(str(path)) from None


def _is(path: Path, sha256: str) -> bool:
    try:
        return read_views(path).sha256 == sha256
    except ViewsFileUnusable:
        return False
