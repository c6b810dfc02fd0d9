"""Checks the registry's file: SQLite's own checks, and every definition, manifest and blob against its hash."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from base.sqlite import connect
from featurestore.define.release import Manifest
from featurestore.define.wire import collection_hash, definition_hash, view_from_bytes
from featurestore.errors import FeatureStoreError, StoreCorrupt

from .model_rows import read_promotion, read_row
from .models import RegisteredModel
from .serving_versions import Weights
from .tables import missing


def registry_problems(path: Path) -> list[str]:
    """The problems of a registry's file, one a line; none: it is whole."""
    found: list[str] = []
    try:
        with closing(connect(path, private=False, read_only=True)) as database:
            found += _size(database, path)
            found += _pages(database)
            found += () if found else missing(database)
            for check in () if found else _CHECKS:
                found += check(database)
    except (
        sqlite3.DatabaseError,
        UnicodeError,
        TypeError,
        AttributeError,
    ) as error:  # the last two: a value has another type
        found.append(f"it cannot be read: {error}")
    return found


def _size(database: sqlite3.Connection, path: Path) -> Iterator[str]:
    """SQLite reads a file that is cut off inside its last page as if zeros followed."""
    (page,) = database.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size % page:
        yield f"it is cut off: it has {path.stat().st_size:,} bytes, and its pages have {page:,}"


def _pages(database: sqlite3.Connection) -> Iterator[str]:
    for (line,) in database.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield str(line).splitlines()[-1]


def _references(database: sqlite3.Connection) -> Iterator[str]:
    for table, parent in {(row[0], row[2]) for row in database.execute("PRAGMA foreign_key_check")}:
        yield f"rows of {table} refer to missing rows of {parent}"


def _definitions(database: sqlite3.Connection) -> Iterator[str]:
    rows = database.execute(
        "SELECT versions.name, version, data, definitions.hash, collections.hash FROM versions LEFT JOIN definitions ON "
        "view_id = versions.id LEFT JOIN collections ON collections.id = collection_id AND collections.name = versions.name"
    )
    for name, version, data, digest, collection in rows:
        if data is None:
            yield f"version {version} of view {name!r} has no definition"
            continue
        try:
            view = view_from_bytes(data)
        except FeatureStoreError as error:
            yield f"a definition of view {name!r} cannot be read: {error}"
            continue
        if view.name != name or definition_hash(view) != digest:
            yield f"a definition of view {name!r} does not have its hash"
        elif collection_hash(view) != collection:
            yield f"version {version} of view {name!r} does not have the hash of its collection"


def _schedule(database: sqlite3.Connection) -> Iterator[str]:
    for name, version in database.execute(
        "SELECT name, version FROM versions WHERE definition_hash IS NOT "
        "(SELECT hash FROM definitions WHERE view_id = versions.id ORDER BY place DESC LIMIT 1)"
    ):
        yield f"version {version} of view {name!r} does not name its newest definition"
    for (name,) in database.execute(
        "SELECT DISTINCT name FROM versions WHERE name NOT IN (SELECT name FROM schedule WHERE served_since IS NOT NULL)"
    ):
        yield f"view {name!r} serves no version: rows of its schedule were deleted"
    for name, version in database.execute(
        "SELECT name, version FROM versions WHERE NOT EXISTS "
        "(SELECT 1 FROM schedule WHERE view_id = versions.id AND schedule.name = versions.name)"
    ):
        yield f"version {version} of view {name!r} is not in the schedule: its rows there were deleted"


def _publications(database: sqlite3.Connection) -> Iterator[str]:
    """Check that publications have consecutive numbers and panes: deleted rows leave a gap."""
    numbers = [seq for (seq,) in database.execute("SELECT seq FROM publications ORDER BY seq")]
    absent = sorted({*range(1, max(numbers, default=0) + 1)} - {*numbers})
    if absent:
        yield f"publication {absent[0]} is missing, but later ones exist"
    for (seq,) in database.execute(
        "SELECT seq FROM publications WHERE seq NOT IN (SELECT seq FROM panes) AND seq NOT IN (SELECT seq FROM renewals) "
        "ORDER BY seq"
    ):
        yield f"publication {seq} has no panes: their rows were deleted"
    for (number,) in database.execute("SELECT id FROM manifests WHERE id NOT IN (SELECT manifest_id FROM panes)"):
        yield f"manifest {number} belongs to no pane: the rows of its panes were deleted"


def _manifests(database: sqlite3.Connection) -> Iterator[str]:
    for number, text, digest in database.execute("SELECT id, json, hash FROM manifests"):
        if hashlib.sha256(text.encode()).digest() != digest:
            yield f"manifest {number} does not have its hash"
            continue
        try:
            if Manifest.from_json(text).to_json() != text:
                yield f"manifest {number} is not in the form that a publication writes"
        except FeatureStoreError as error:
            yield f"manifest {number}: {error}"


def _evidence(database: sqlite3.Connection) -> Iterator[str]:
    for digest, data in database.execute("SELECT hash, data FROM evidence"):
        if hashlib.sha256(data).digest() != digest:
            yield f"the evidence {digest.hex()} does not have its hash"


def _services(database: sqlite3.Connection) -> Iterator[str]:
    for name, text in database.execute("SELECT name, refs FROM services"):
        try:
            refs = json.loads(text)
        except ValueError:
            refs = None
        if not isinstance(refs, list) or {*map(type, refs)} != {str}:
            yield f"feature service {name!r} cannot be read"


def _models(database: sqlite3.Connection) -> Iterator[str]:
    for row in database.execute("SELECT name, version, files, lineage, registered_at FROM models"):
        try:
            RegisteredModel.of(Path(), read_row(*row))
        except StoreCorrupt as error:
            yield str(error)


def _promotions(database: sqlite3.Connection) -> Iterator[str]:
    """Check that each promotion can be read, and that the versions of the last ones exist."""
    versions = {*database.execute("SELECT name, version FROM models WHERE deleted_at IS NULL")}
    names = {name for name, _ in versions}
    last = {number for (number,) in database.execute("SELECT max(id) FROM promotions GROUP BY name")}
    rows = database.execute("SELECT id, name, weights, newest, is_rollback, at FROM promotions ORDER BY id")
    for number, name, *columns in rows:
        try:
            serving = read_promotion(name, *columns).serving
        except FeatureStoreError as error:
            yield str(error)
            continue
        if number in last and name in names and isinstance(serving, Weights):
            for version in serving.versions:
                if (name, version) not in versions:
                    yield f"v{version} of model {name!r} is in force, but its row was deleted"


_CHECKS: Final = (
    _references, _publications, _definitions, _schedule, _manifests, _evidence, _services, _models, _promotions,
)  # fmt: skip
