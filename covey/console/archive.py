"""Reads the archive of the built page: sizes are bounded before anything is unpacked, and every file is the one of its manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covey.errors import PageDamaged

MANIFEST: Final = "manifest.json"
MAX_BYTES: Final = 4 * 2**20
"""Of all files together, and of the archive."""
MAX_FILES: Final = 500

_NAME: Final = re.compile(r"(\w[\w.-]*/)*\w[\w.-]*", re.ASCII)
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a version of the format that zipfile does not know
    ValueError,
    OverflowError,
    OSError,
)
"""What `zipfile` raises of a file that is no archive, or a damaged one."""


@dataclass(frozen=True)
class PageArchive:
    """The built page.

    Attributes:
        files: by their paths.
        sources: the hash of what they were built from.
    """

    files: Mapping[str, bytes]
    sources: str

    @property
    def manifest(self) -> bytes:
        """What the archive says of its files: the hash of each."""
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.files.items())}
        return (json.dumps({"sources": self.sources, "files": hashes}, indent=1) + "\n").encode()


def read_archive(path: Path) -> PageArchive:
    """The page of an archive.

    Raises:
        PageDamaged: it cannot be read, is too large, or has a file that is not the one of its manifest.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:  # zipfile would read a list of files of any length
                raise PageDamaged(str(path), f"it has {size:,} bytes, and a page at most {MAX_BYTES:,}")
            with zipfile.ZipFile(file) as opened:
                files = _unpacked(opened, path)
    except _DAMAGE as error:
        raise PageDamaged(str(path), f"it cannot be read ({type(error).__name__}: {str(error)[:200]})") from error
    manifest = files.pop(MANIFEST, None)
    if manifest is None:
        raise PageDamaged(str(path), f"it has no {MANIFEST}")
    page = PageArchive(files, _sources_of(manifest))
    if manifest != page.manifest:
        raise PageDamaged(str(path), "its files are not those of its manifest")
    return page


def _unpacked(opened: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    """All files. No more is unpacked of a file than the archive says that it has."""
    entries = opened.infolist()
    if len(entries) > MAX_FILES:
        raise PageDamaged(str(path), f"it has {len(entries):,} files, and a page at most {MAX_FILES:,}")
    size = sum(entry.file_size for entry in entries)
    if size > MAX_BYTES:
        raise PageDamaged(str(path), f"its files have {size:,} bytes, and those of a page at most {MAX_BYTES:,}")
    files: dict[str, bytes] = {}
    for entry in entries:
        if entry.filename in files or not _is_plain(entry):
            raise PageDamaged(str(path), f"{entry.filename[:80]!r} is not a file of a page")
        with opened.open(entry) as file:
            files[entry.filename] = file.read(entry.file_size)
    return files


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file, not a folder or a link, with a path that stays in its folder."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return (
        _NAME.fullmatch(entry.filename) is not None
        and kind in (0, stat.S_IFREG)
        and entry.compress_type in _METHODS
        and not entry.flag_bits & _ENCRYPTED
    )


def _sources_of(manifest: bytes) -> str:
    """The hash of the sources that a manifest names. What else it says is compared with the files."""
    try:
        match json.loads(manifest):
            case {"sources": str(sources)}:
                return sources
    except (ValueError, RecursionError):
        pass
    return ""
