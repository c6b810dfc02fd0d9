"""The rows of models in the registry: their versions, and what was promoted. All of its SQL is in this file.

A deleted version keeps its row, so that its number is never given again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from featurestore.errors import StoreCorrupt, UnknownModel

from .serving_versions import ModelHistory, Promotion, Serving, serving_from_json, serving_to_json

DELETED_SINCE: Final = 7
"""The format of the registry from which on a version can be deleted."""


@dataclass(frozen=True)
class ModelRow:
    """A version of a model that is not deleted.

    Attributes:
        files: hex SHA-256 by file name; lineage: JSON; registered_at: µs since the epoch.
    """

    name: str
    version: int
    files: Mapping[str, str]
    lineage: str
    registered_at: int


class ModelRows:
    """Reads and writes the versions of models. Every method that writes is inside a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def put(self, name: str, version: int, files: Mapping[str, str], lineage: str, registered_at: int) -> None:
        """Store a version of a model: the SHA-256 of its files by name, and its lineage as JSON."""
        row = (name, version, json.dumps(dict(files)), lineage, registered_at)
        self._db.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?, NULL)", row)

    def next_version(self, name: str) -> int:
        """The number of the next version of a name."""
        (last,) = self._db.execute("SELECT max(version) FROM models WHERE name = ?", (name,)).fetchone()
        return 1 + (last or 0)

    def all(self) -> list[ModelRow]:
        """The versions that are not deleted, by name and version."""
        rows = self._db.execute(
            "SELECT name, version, files, lineage, registered_at FROM models WHERE deleted_at IS NULL ORDER BY name, version"
        )
        return [read_row(*row) for row in rows.fetchall()]

    def find(self, name: str, version: int) -> ModelRow | None:
        """A version; None: it does not exist, or is deleted."""
        row = self._db.execute(
            "SELECT files, lineage, registered_at FROM models WHERE name = ? AND version = ? AND deleted_at IS NULL",
            (name, version),
        ).fetchone()
        return None if row is None else read_row(name, version, *row)

    def names(self) -> list[str]:
        """Every version that is not deleted as `name@v<n>`, by name and version."""
        rows = self._db.execute("SELECT name, version FROM models WHERE deleted_at IS NULL ORDER BY name, version")
        return [f"{name}@v{version}" for name, version in rows.fetchall()]

    def deleted(self) -> list[tuple[str, int]]:
        """The deleted versions, as name and number."""
        rows = self._db.execute("SELECT name, version FROM models WHERE deleted_at IS NOT NULL ORDER BY name, version")
        return [(name, version) for name, version in rows.fetchall()]

    def history(self, name: str) -> ModelHistory:
        """The versions and promotions of a name. Raises UnknownModel, which lists all models."""
        rows = self._db.execute(
            "SELECT version FROM models WHERE name = ? AND deleted_at IS NULL ORDER BY version", (name,)
        )
        versions = tuple(version for (version,) in rows.fetchall())
        if not versions:
            raise UnknownModel(name, self.names())
        if not all(isinstance(version, int) for version in versions):
            raise StoreCorrupt(f"the version of a model {name!r} cannot be read")
        promotions = self._db.execute(
            "SELECT weights, newest, is_rollback, at FROM promotions WHERE name = ? ORDER BY id", (name,)
        )
        return ModelHistory(name, versions, tuple(read_promotion(name, *row) for row in promotions.fetchall()))

    def promote(self, name: str, serving: Serving, newest: int, now: int, *, is_rollback: bool = False) -> None:
        """Append what is in force from now on."""
        self._db.execute(
            "INSERT INTO promotions (name, weights, newest, is_rollback, at) VALUES (?, ?, ?, ?, ?)",
            (name, serving_to_json(serving), newest, is_rollback, now),
        )

    def delete(self, name: str, version: int, now: int) -> None:
        """Mark a version as deleted."""
        self._db.execute("UPDATE models SET deleted_at = ? WHERE name = ? AND version = ?", (now, name, version))

    def stamp(self) -> tuple[int, int, int]:
        """A value that changes with every registration, deletion and promotion, by any process. Three look-ups in indexes."""
        row = self._db.execute(
            "SELECT (SELECT max(rowid) FROM models), (SELECT count(*) FROM models WHERE deleted_at IS NOT NULL), "
            "(SELECT max(id) FROM promotions)"
        ).fetchone()
        models, deleted, promotions = (int(one or 0) for one in row)
        return models, deleted, promotions


def read_row(name: object, version: object, files: object, lineage: object, at: object) -> ModelRow:
    """A row of models; a column of SQLite may hold a value of any type. Raises StoreCorrupt."""
    damaged = StoreCorrupt(f"model {str(name)[:80]!r} v{str(version)[:80]} cannot be read")
    if not (isinstance(name, str) and isinstance(version, int) and isinstance(files, str)):
        raise damaged
    if not (isinstance(lineage, str) and isinstance(at, int)):
        raise damaged
    try:
        hashes = json.loads(files)
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(hashes, dict) or not all(isinstance(digest, str) for digest in hashes.values()):
        raise damaged
    return ModelRow(name, version, hashes, lineage, at)


def read_promotion(name: str, weights: object, newest: object, is_rollback: object, at: object) -> Promotion:
    """A row of promotions; a column of SQLite may hold a value of any type. Raises StoreCorrupt."""
    if not (isinstance(weights, str) and isinstance(newest, int) and isinstance(at, int)):
        raise StoreCorrupt(f"a promotion of model {name!r} cannot be read")
    return Promotion(serving_from_json(name, weights), newest, bool(is_rollback), at)
