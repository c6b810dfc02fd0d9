"""`covey store backup`, `restore` and `migrate`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deployment import migration
from featurestore.registry import copies, registry
from featurestore.registry.registry import SCHEMA_VERSION
from tests.featurestore.whole_store import fill

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    fill(tmp_path / "own")
    return tmp_path / "own"


def test_a_backup_says_what_it_has_and_a_restore_what_is_left_to_do(covey: Covey, store: Path, tmp_path: Path) -> None:
    code, out, err = covey("store", "backup", tmp_path / "one", "--store", store)
    assert code == 0, err
    assert "without the secret keys" in out
    code, out, _ = covey(
        "store", "backup", tmp_path / "two", "--project", store, "--with-keys", "--previous", tmp_path / "one", "--json"
    )
    made = json.loads(out)
    assert (code, made["keys"], made["linked"]) == (0, True, made["files"])
    code, out, err = covey("store", "restore", tmp_path / "one", "--to", tmp_path / "restored")
    assert code == 0, err
    assert "nothing damaged" in out
    assert "put your copy of keys/ into" in out
    assert covey("store", "verify", "--store", tmp_path / "restored")[0] == 0
    read = ["get", "delays:flights", "dest=ATL", "--json", "--store"]
    assert covey(*read, tmp_path / "restored")[:2] == covey(*read, store)[:2]
    code, out, _ = covey("store", "restore", tmp_path / "two", "--to", tmp_path / "again", "--json")
    assert (code, json.loads(out)["files"], json.loads(out)["ledgers"]) == (0, made["files"], {})


def test_what_is_refused_has_its_exit_code_and_its_mend(covey: Covey, store: Path, tmp_path: Path) -> None:
    assert covey("store", "backup", store, "--store", store)[0] == 2  # not an empty folder
    assert covey("store", "backup", tmp_path / "no" / "folder", "--store", store)[0] == 5
    code, _, err = covey("store", "restore", store, "--to", tmp_path / "restored")
    assert (code, "is no backup" in err) == (1, True)
    assert covey("store", "backup", tmp_path / "b", "--store", tmp_path)[0] == 5


def test_a_store_of_an_earlier_version_names_the_command_that_migrates_it(
    covey: Covey, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(store / "store" / "registry.db")) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION - 1}")
    form = replace(registry.FORMAT, migrations={SCHEMA_VERSION - 1: lambda _: None})
    for module in (registry, copies):
        monkeypatch.setattr(module, "FORMAT", form)
    monkeypatch.setattr(migration, "REGISTRY", form)
    for command in (["get", "delays:flights", "dest=ATL"], ["store", "verify"], ["views"]):
        code, _, err = covey(*command, "--store", store)
        assert (code, f"`covey store migrate --project {store}` migrates it" in err) == (1, True), err
    code, out, _ = covey("store", "migrate", "--store", store, "--dry-run")
    assert (code, out) == (
        0,
        f"store/registry.db has format {SCHEMA_VERSION - 1}; this version uses {SCHEMA_VERSION}\n",
    )
    code, out, _ = covey("store", "migrate", "--store", store, "--json")
    assert (code, [one["path"] for one in json.loads(out)["files"]]) == (0, ["store/registry.db"])
    assert covey("store", "verify", "--store", store)[0] == 0
    code, out, _ = covey("store", "migrate", "--store", store)
    assert (code, out) == (0, "every file has the formats of this version: 1 file(s)\n")
