"""Trained models: their files are in the store, their hashes and lineage in the registry.

models/<name>/v<n>/<file>    written beside its place, then renamed; a folder that the registry does not list is ignored
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from base.atomic_files import created_folder, replace_file
from featurestore.errors import ModelInvalid, StoreCorrupt, UnknownModel
from featurestore.store_files import writing

from .model_rows import ModelRow

FOLDER: Final = "models"
MAX_FILE_BYTES: Final = 2**30
"""The most bytes that are read of a file. The largest model that Covey registers has a quarter."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FILE: Final = re.compile(r"[a-z][a-z0-9_]{0,30}\.[a-z0-9]{1,8}")
_REFERENCE: Final = re.compile(r"([a-z][a-z0-9_]{0,62})(?:@v([0-9]{1,9}))?")


@dataclass(frozen=True)
class RegisteredModel:
    """One version of a model.

    Attributes:
        folder: where its files are.
        files: hex SHA-256 by file name.
        lineage: the data and settings that it was trained with.
        registered_at: µs since the epoch.
    """

    name: str
    version: int
    folder: Path
    files: Mapping[str, str]
    lineage: Mapping[str, Any] = field(repr=False)
    registered_at: int

    @classmethod
    def of(cls, root: Path, row: ModelRow) -> Self:
        """A model from its row of the registry. Raises StoreCorrupt."""
        folder = version_folder(root, row.name, row.version)
        try:
            made_from = json.loads(row.lineage)
        except (ValueError, TypeError, RecursionError):
            made_from = None
        if not isinstance(made_from, dict):
            raise StoreCorrupt(f"the lineage of model {row.name!r} v{row.version} cannot be read")
        return cls(row.name, row.version, folder, row.files, made_from, row.registered_at)

    def __str__(self) -> str:
        return f"{self.name}@v{self.version}"

    def read(self, file: str) -> bytes:
        """The content of one of its files. Raises StoreCorrupt: the file is missing, or differs from the registered one."""
        if not _FILE.fullmatch(file):
            raise StoreCorrupt(f"model {self}: a file cannot be called {file[:80]!r}")
        try:
            path = self.folder / file
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:  # reading a pipe would never end
                raise StoreCorrupt(f"model {self}: {file} is no file of up to {MAX_FILE_BYTES:,} bytes")
            data = path.read_bytes()
        except OSError as error:
            raise StoreCorrupt(f"model {self}: {file} cannot be read ({error.strerror})") from None
        if hashlib.sha256(data).hexdigest() != self.files.get(file):
            raise StoreCorrupt(f"model {self}: {file} differs from the registered file")
        return data


def parse_reference(reference: str, known: Callable[[], list[str]]) -> tuple[str, int | None]:
    """The name and version of `name@v<n>`; the version of `name` is None. Raises UnknownModel.

    Args:
        known: lists all models, for the error.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UnknownModel(reference, known())
    return match[1], None if match[2] is None else int(match[2])


def version_folder(root: Path, name: str, version: int) -> Path:
    """The folder with the files of a version. Raises StoreCorrupt: a registry that somebody else made names another place."""
    if not (isinstance(name, str) and _NAME.fullmatch(name) and type(version) is int and version > 0):
        raise StoreCorrupt(
            f"the registry has a model {str(name)[:80]!r} v{str(version)[:80]}, which cannot be its name"
        )
    return root / FOLDER / name / f"v{version}"


def require_name(name: str) -> None:
    """Raise ModelInvalid unless this is a valid name of a model."""
    if not _NAME.fullmatch(name):
        raise ModelInvalid(
            f"model {name[:80]!r}: a name has lower-case letters, digits and underscores, and starts with a letter"
        )


def require_model(name: str, files: Mapping[str, bytes], lineage: str) -> None:
    """Raise ModelInvalid unless a model of this name and with these files can be registered."""
    require_name(name)
    for file in files:
        if not _FILE.fullmatch(file):
            raise ModelInvalid(f"model {name!r}: a file cannot be called {file[:80]!r}")
    if not files or not isinstance(json.loads(lineage), dict):
        raise ModelInvalid(f"model {name!r}: it needs files, and a lineage")


def write_model(root: Path, name: str, version: int, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write the files of a version; returns their hex SHA-256 by name."""
    folder = version_folder(root, name, version)
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # left by a registration that was cut off
        with created_folder(folder) as fresh:
            fresh.chmod(0o755)
            for file, data in files.items():
                replace_file(fresh / file, data, private=False)
    return {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
