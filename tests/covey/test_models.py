"""`covey models` lists, shows, promotes, rolls back and deletes the versions of a store's models."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from featurestore.publish.publish import Publisher
from featurestore.publish.verify import check_store

Covey = Callable[..., tuple[int, str, str]]

LINEAGE = {
    "kind": "monotone", "task": "binary", "seed": 3, "torch": "2.9.1", "features": ["delays@v1:late"], "columns": ["hour"],
    "views": [{"name": "delays", "version": 1}], "labels": {"file": "labels.parquet", "sha256": "ab" * 32, "rows": 12_000},
}  # fmt: skip
REPORT = {
    "metrics": {
        "model": {
            "auc": {"value": 0.71234, "low": 0.7, "high": 0.72},
            "logloss": {"value": 0.5, "low": None, "high": None},
        },
        "constant": {"auc": {"value": 0.5, "low": 0.5, "high": 0.5}},
    }
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with three versions of `late`, and one model of which nothing is known but its file."""
    directory = tmp_path / "project"
    with Publisher(directory, lambda: 1_600_000_000_000_000) as publisher:
        for version in range(1, 4):
            files = {"trees.json": b"%d" % version, "report.json": json.dumps(REPORT).encode()}
            publisher.register_model("late", files, json.dumps(LINEAGE))
        publisher.register_model(
            "odd", {"model.bin": b"x"}, '{"views": 3, "labels": {"rows": "x"}, "kind": "\\u001b[2J"}'
        )
    return directory


@pytest.fixture
def models(covey: Covey, store: Path) -> Covey:
    """Run `covey models` on the store."""
    return lambda command, *words: covey("models", command, *words, "--store", store)


def shares(models: Covey, name: str = "late") -> dict[str, float]:
    code, out, _ = models("list", name, "--json")
    assert code == 0
    return {f"v{one['version']}": one["share"] for one in json.loads(out) if one["share"]}


def test_a_list_shows_what_is_in_force_and_what_each_version_was_made_from(models: Covey) -> None:
    code, out, _ = models("list", "--plain")
    assert code == 0
    lines = [line.split("  ") for line in out.splitlines()]
    assert lines[0][0].strip() == "model"
    assert [line for line in out.splitlines() if "newest" in line and "late@v3" in line]
    for text in (
        "late@v1",
        "2020-09-13T12:26:40Z",
        "monotone",
        "delays@v1:late hour",
        "labels.parquet (12,000 rows, abababab",
    ):
        assert text in out
    assert "odd@v1" in out
    assert "\x1b" not in out
    models("promote", "late", "v1=0.9", "v2=0.1")
    out = models("list", "late", "--csv")[1]
    assert [line.split(",")[:2] for line in out.splitlines()] == [
        ["model", "in force"], ["late@v1", "0.9"], ["late@v2", "0.1"], ["late@v3", "0.0"],
    ]  # fmt: skip
    models("promote", "late", "v2")
    assert "pinned" in models("list", "late", "--plain")[1]


def test_show_has_lineage_test_files_and_promotions(models: Covey) -> None:
    models("promote", "late", "v1")
    models("rollback", "late")
    code, out, _ = models("show", "late")
    assert code == 0
    for text in (
        "late@v3", "v3, the newest version; a registration takes over", "v1 v2 v3", "0.7123 [0.7000, 0.7200]", "0.5000",
        "trees.json", "delays@v1:late", "2.9.1", "covey models promote", "covey models rollback",
    ):  # fmt: skip
        assert text in out
    shown = json.loads(models("show", "late@v1", "--json")[1])
    assert (shown["version"], shown["share"], shown["in_force"], shown["versions"]) == (1, 0.0, {"v3": 1.0}, [1, 2, 3])
    assert [(one["serving"], one["rollback"]) for one in shown["promotions"]] == [("v1", False), ("newest", True)]
    assert shown["metrics"] == REPORT["metrics"]
    assert shown["lineage"] == LINEAGE
    code, out, _ = models("show", "odd")
    assert code == 0
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "report", [b"", b"[]", b"{}", b'{"metrics": {"model": {"auc": 1}}}', b'{"metrics": {"m": {"a": {"value": "0"}}}}']
)
def test_a_report_that_cannot_be_read_is_named(covey: Covey, tmp_path: Path, report: bytes) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register_model("late", {"trees.json": b"", "report.json": report}, "{}")
    code, out, err = covey("models", "show", "late", "--store", tmp_path)
    assert (code, out) == (1, "")
    assert "model late@v1: report.json has no readable metrics" in err


def test_versions_are_promoted_and_rolled_back_while_a_publisher_holds_the_store(models: Covey, store: Path) -> None:
    with Publisher(store, lambda: 0):
        code, _, err = models("promote", "late", "v1=3", "v2=1")
        assert (code, err) == (0, "late: v1=0.75 v2=0.25 is in force; before: v3\n")
        code, _, err = models("promote", "late", "v2")
        assert (code, err) == (0, "late: v2 is in force; before: v1=0.75 v2=0.25\n")
        code, out, _ = models("rollback", "late", "--json")
        assert code == 0
        assert json.loads(out) == {
            "name": "late", "serving": "v1=0.75 v2=0.25", "before": {"v2": 1.0}, "in_force": {"v1": 0.75, "v2": 0.25},
        }  # fmt: skip
        assert (
            models("promote", "late", "newest")[2]
            == "late: v3 is in force; a registration takes over; before: v1=0.75 v2=0.25\n"
        )
    assert shares(models) == {"v3": 1.0}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["promote", "late", "v9"], 5, "no model 'late@v9' in this store; it has: late@v1, late@v2, late@v3"),
        (["promote", "late", "v1=0"], 2, "v1=0.0 is no weight; give a version and a positive number"),
        (["promote", "late", "latest"], 2, "'latest' is unreadable; write newest, v2, or v1=0.9 v2=0.1"),
        (["promote", "late"], 2, "Missing argument"),
        (["promote", "nothing", "v1"], 5, "no model 'nothing'"),
        (["rollback", "odd"], 4, "v1 is in force, and no other version"),
        (["show", "late@v9"], 5, "no model 'late@v9'"),
        (["list", "nothing"], 5, "no model 'nothing'"),
        (["delete", "late@v3", "--yes"], 4, "cannot be deleted: it is in force as the newest version; promote another version "
         "first; `covey models promote late vN` does"),
        (["delete", "late@v9", "--yes"], 5, "no model 'late@v9'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(models: Covey, words: list[str], code: int, says: str) -> None:
    got, out, err = models(*words)
    assert (got, out) == (code, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_version_is_deleted_after_a_yes_only(models: Covey, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    code, out, err = models("delete", "late@v1")
    assert (code, out) == (1, "")
    assert "Delete late@v1? This cannot be undone" in err
    assert "nothing was deleted; --yes confirms without a question" in err
    assert (store / "store" / "models" / "late" / "v1").is_dir()
    code, _, err = models("delete", "late@v1", "--yes")
    assert (code, err) == (0, "deleted: late@v1\n")
    assert not (store / "store" / "models" / "late" / "v1").exists()
    code, out, _ = models("delete", "late", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"deleted": ["late@v2", "late@v3"]})
    assert [one["name"] for one in json.loads(models("list", "--json")[1])] == ["odd"]
    assert not check_store(store).damaged


def test_without_a_store_nothing_is_made(covey: Covey, tmp_path: Path) -> None:
    for words in (["list"], ["show", "m"], ["promote", "m", "v1"], ["rollback", "m"], ["delete", "m", "--yes"]):
        code, _, err = covey("models", *words, "--store", tmp_path)
        assert code == 5
        assert "no store at" in err
    assert not [*tmp_path.iterdir()]
