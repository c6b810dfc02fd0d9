"""The files that a copy of a registry lists: of this version, or of one that can be migrated to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from base.errors import OfNewerVersion
from base.sqlite import Identity, version_of
from featurestore.errors import StoreCorrupt

from .model_rows import DELETED_SINCE, read_row
from .models import version_folder
from .tables import FORMAT


@dataclass(frozen=True)
class ListedFiles:
    """The files that belong to a registry, relative to the store's folder: immutable ones, each under its own name for ever."""

    offline: frozenset[str]
    models: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """Parquet files and files of models."""
        return self.offline | self.models


def listed_files(path: Path) -> ListedFiles:
    """Read the list of files of a registry that no other process has open.

    Raises:
        OfNewerVersion. StoreCorrupt: it is no registry, or too old to be migrated; or it lists a file outside of the store, as
            somebody else may have written.
    """
    with closing(sqlite3.connect(path)) as database:
        match FORMAT.identify(database):
            case Identity.NEWER:
                raise OfNewerVersion(str(path), version_of(database), FORMAT.version)
            case Identity.EMPTY | Identity.FOREIGN | Identity.TOO_OLD:
                raise StoreCorrupt(f"{path} is not a registry that this version of covey can read")
        existing = "WHERE deleted_at IS NULL" if version_of(database) >= DELETED_SINCE else ""
        offline = {f"offline/{name}" for (name,) in database.execute("SELECT path FROM files")}
        models = {
            f"{version_folder(Path(), *row[:2])}/{file}"
            for row in database.execute(f"SELECT name, version, files, lineage, registered_at FROM models {existing}")
            for file in read_row(*row).files
        }
    for name in offline | models:
        if name.startswith("/") or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise StoreCorrupt(f"{path} lists the file {name[:200]!r}, which lies elsewhere; it is not copied")
    return ListedFiles(frozenset(offline), frozenset(models))
