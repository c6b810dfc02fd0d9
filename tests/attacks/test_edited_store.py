"""Somebody who can write a store's registry removes entries from it, or changes fields that no signature seems to cover."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from featurestore.publish.publish import Publisher
from tests.covey.test_release_verify import NOW, OPENED, OTHERS, SMALL, SPENT, TOMBSTONE, Covey, pin, publish

EDITS = {
    "a release's row": (
        f"DELETE FROM panes WHERE release_id = x'{OPENED.release_id.hex()}'",
        "contains the pane of 1970-01-01T00:00:00Z, for which the store has nothing",
    ),
    "all rows of a view": (
        "DELETE FROM panes WHERE collection_id = (SELECT id FROM collections WHERE name = 'v0')",
        "manifest 3 belongs to no pane: the rows of its panes were deleted",
    ),
    "all rows of a view, and their manifest": (
        "DELETE FROM panes WHERE collection_id = (SELECT id FROM collections WHERE name = 'v0');"
        "DELETE FROM manifests WHERE id NOT IN (SELECT manifest_id FROM panes)",
        "contains the pane of 1970-01-01T00:00:00Z, for which the store has nothing",
    ),
    "a plan, and all that it asked for": (
        "DELETE FROM panes; DELETE FROM manifests; DELETE FROM publications;"
        "DELETE FROM evidence WHERE substr(data, 1, 6) NOT IN (x'6c6561646572', x'68656c706572')",
        "there are opening statements of plan",
    ),
    "a retraction": ("DELETE FROM panes WHERE tombstone", "publication 3 has no panes: their rows were deleted"),
    "a publication": (
        "DELETE FROM panes WHERE seq = 2; DELETE FROM publications WHERE seq = 2",
        "publication 2 is missing, but later ones exist",
    ),
    "the reason of a void": ("UPDATE panes SET reason = 'BATCH_MISMATCH' WHERE reason = 'BATCH_TOO_SMALL'", "reason"),
    "a reason beside a release": (
        "UPDATE panes SET reason = 'BUDGET_SPENT' WHERE opened",
        "it is opened, but has the reason 'BUDGET_SPENT'",
    ),
    "the type of a time": (
        "UPDATE panes SET released_at = 'soon' WHERE opened",
        "is not in the form that a publication writes",
    ),
    "a tombstone without its release": ("DELETE FROM panes WHERE opened", "has a tombstone without a release"),
    **{
        f"the table {table}": (f"DROP TABLE {table}", f"the table '{table}' is missing")
        for table in (
            "collections",
            "versions",
            "definitions",
            "schedule",
            "renewals",
            "services",
            "models",
            "publications",
            "manifests",
            "panes",
            "files",
            "evidence",
        )
    },
    "a column": ("ALTER TABLE panes DROP COLUMN signature", "the table 'panes' has the columns"),
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    pin(tmp_path)
    publish(tmp_path, OPENED, SMALL, SPENT)
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.publish(OTHERS)
        publisher.publish([TOMBSTONE])
    return tmp_path


def _edit(store: Path, sql: str) -> None:
    db = sqlite3.connect(store / "store" / "registry.db")
    db.executescript(sql)
    db.close()


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_the_registry_is_found_and_named(covey: Covey, store: Path, name: str) -> None:
    sql, says = EDITS[name]
    assert covey("release", "verify", "--all", "--store", store)[0] == 0
    _edit(store, sql)
    code, out, err = covey("release", "verify", "--all", "--store", store)
    assert code == 1
    assert says in out + err
    assert "Traceback" not in out + err


def test_a_dropped_table_is_one_line(store: Path) -> None:
    _edit(store, "DROP TABLE panes")
    command = [sys.executable, "-P", "-m", "covey", "release", "verify", "--all", "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "the table 'panes' is missing; restore it from a backup" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "name", ["a retraction", "all rows of a view", "a reason beside a release", "the table evidence"]
)
def test_store_verify_finds_it_too(covey: Covey, store: Path, name: str) -> None:
    sql, says = EDITS[name]
    assert covey("store", "verify", "--store", store)[0] == 0
    _edit(store, sql)
    code, out, _ = covey("store", "verify", "--store", store)
    assert code == 1
    assert says in out
