"""Reads key files as strictly as bytes from the network: private, small, and ASCII."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from .errors import KeyFileExposed, KeyFileMalformed, KeyFileMissing

_MAX_BYTES: Final = 4_096


def require_private_folder(folder: Path) -> None:
    """Return if only their owner may enter a folder of keys. Raises KeyFileMissing, KeyFileMalformed, KeyFileExposed."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        raise KeyFileMissing(str(folder)) from None
    if not stat.S_ISDIR(found.st_mode):
        raise KeyFileMalformed(str(folder), "it is not a folder")
    if (mode := stat.S_IMODE(found.st_mode)) & 0o077:
        raise KeyFileExposed(str(folder), mode, 0o700)


def read_private(path: Path) -> str:
    """The text of a private file. Raises KeyFileMissing, KeyFileMalformed, KeyFileExposed."""
    try:
        return read_private_bytes(path, _MAX_BYTES).decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileMalformed(str(path), "it is not text") from None


def read_private_bytes(path: Path, most: int) -> bytes:
    """The bytes of a private file. The check of its mode is on the opened file; a link or a pipe is refused.

    Args:
        most: bytes that it may have.

    Raises:
        KeyFileMissing, KeyFileMalformed, KeyFileExposed.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyFileMissing(str(path)) from None
    except OSError as error:
        raise KeyFileMalformed(str(path), f"it cannot be opened as a file ({error.strerror})") from None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise KeyFileMalformed(str(path), "it is not a file")
        if (mode := stat.S_IMODE(found.st_mode)) & 0o177:
            raise KeyFileExposed(str(path), mode, 0o600)
        data = os.read(number, most + 1)
    finally:
        os.close(number)
    if len(data) > most:
        raise KeyFileMalformed(str(path), f"it has more than {most:,} bytes")
    return data
