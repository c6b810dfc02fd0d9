"""`backup.json`, the list of a backup's files with their sizes and SHA-256. It is written last: without it there is no backup."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from base.atomic_files import replace_file
from base.errors import OfNewerVersion
from base.times import to_us
from deployment.errors import BackupDamaged, BackupIncomplete

FILE: Final = "backup.json"
FORMAT: Final = 1
_SHA256: Final = re.compile("[0-9a-f]{64}")
_CHUNK: Final = 2**20


@dataclass(frozen=True)
class CopiedFile:
    """One file of a backup: its size, hex SHA-256, and the permissions of the original."""

    bytes: int
    sha256: str
    mode: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        covey: the version of Covey that made it.
        made_at: when it began: everything published or charged by then is in it. ISO 8601, UTC.
        with_keys: whether the secret keys of roles are in it.
        folders: permissions by path; files: by path. Paths are relative, with `/`.
    """

    covey: str
    made_at: str
    with_keys: bool
    folders: Mapping[str, int]
    files: Mapping[str, CopiedFile]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(one.bytes for one in self.files.values())

    def save(self, folder: Path) -> None:
        """Write the manifest into a backup's folder, durably."""
        content = self._content()
        text = json.dumps(content | {"sha256": _digest(content)}, indent=1, sort_keys=True)
        replace_file(folder / FILE, text + "\n", private=True)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of a backup.

        Raises:
            BackupIncomplete: there is none. BackupDamaged: it was changed. OfNewerVersion: a later version made the backup.
        """
        path = folder / FILE
        try:
            read = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise BackupIncomplete(str(folder), FILE) from None
        except (OSError, ValueError) as error:
            raise BackupDamaged(str(folder), FILE, f"it cannot be read ({error})") from None
        try:
            if read["format"] > FORMAT:
                raise OfNewerVersion(str(path), read["format"], FORMAT)
            digest = read.pop("sha256")
            made = cls._of(read)
            if digest == _digest(made._content()):
                return made
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # raised below
        raise BackupDamaged(str(folder), FILE, "it is not as `covey store backup` wrote it") from None

    @classmethod
    def _of(cls, read: Mapping[str, Any]) -> Manifest:
        to_us(datetime.fromisoformat(read["made_at"]))
        files = {_inside(path): _file(*values) for path, values in read["files"].items()}
        folders = {_inside(path): _mode(mode) for path, mode in read["folders"].items()}
        return cls(str(read["covey"]), str(read["made_at"]), bool(read["with_keys"]), folders, files)

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "covey": self.covey,
            "made_at": self.made_at,
            "with_keys": self.with_keys,
            "folders": {path: f"{mode:04o}" for path, mode in self.folders.items()},
            "files": {path: [one.bytes, one.sha256, f"{one.mode:04o}"] for path, one in self.files.items()},
        }


def damaged_files(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """The files of a backup that are missing or changed: (path, what is wrong)."""
    for path, one in manifest.files.items():
        try:
            size, digest = measured(folder / path)
        except FileNotFoundError:
            yield path, "it is missing"
        except OSError as error:
            yield path, f"it cannot be read ({error.strerror})"
        else:
            if size != one.bytes:
                yield path, f"it has {size:,} bytes instead of {one.bytes:,}"
            elif digest != one.sha256:
                yield path, "its SHA-256 differs"


def measured(path: Path) -> tuple[int, str]:
    """The size and the hex SHA-256 of a file."""
    size, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            size += len(part)
            digest.update(part)
    return size, digest.hexdigest()


def permissions(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode) & 0o777


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _inside(path: str) -> str:
    """A path that stays in its folder, whoever wrote it."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or str(pure) != path or "\0" in path:
        raise ValueError(path)
    return path


def _file(size: int, digest: str, mode: str) -> CopiedFile:
    if type(size) is not int or not _SHA256.fullmatch(digest):
        raise ValueError(digest)
    return CopiedFile(size, digest, _mode(mode))


def _mode(text: str) -> int:
    mode = int(text, 8)
    if not 0 <= mode <= 0o777:
        raise ValueError(text)
    return mode
