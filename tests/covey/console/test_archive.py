"""The archive of the built page: it is of these sources, small, and in the wheel."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from covey.console.archive import PageArchive, read_archive
from covey.console.assets import ARCHIVE, INDEX
from covey.console.openapi import document
from docs.console_archive import (
    MAX_BYTES,
    MAX_COMPRESSED,
    SOURCES,
    differences,
    sources_hash,
    write_archive,
)
from tests.installed import ROOT

FILES = {"index.html": b"<!doctype html>", "assets/a-1.js": b"let a = 1;"}


def test_the_archive_is_built_from_these_sources() -> None:
    assert ARCHIVE.is_file(), "run `make console`"
    assert read_archive(ARCHIVE).sources == sources_hash(SOURCES, document()), (
        "run `make console`, and commit the archive"
    )


def test_the_page_is_small() -> None:
    files = read_archive(ARCHIVE).files
    assert INDEX in files
    assert sum(map(len, files.values())) <= MAX_BYTES
    assert sum(len(gzip.compress(one)) for one in files.values()) <= MAX_COMPRESSED


def test_the_archive_is_in_the_wheel_and_the_folder_of_the_last_build_is_not() -> None:
    """The wheel has every file of `covey/` that git does not ignore."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")

    def is_ignored(path: str) -> bool:
        return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0

    assert not is_ignored("covey/console/assets.zip")
    assert is_ignored("covey/console/static/index.html")


def test_the_same_files_make_the_same_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "a.zip", PageArchive(FILES, "hash"))
    monkeypatch.setattr(time, "time", lambda: 1e9)
    write_archive(tmp_path / "b.zip", PageArchive(dict(reversed(FILES.items())), "hash"))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert read_archive(tmp_path / "a.zip") == PageArchive(FILES, "hash")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.zip", "b.zip"]


def test_an_archive_that_cannot_be_written_leaves_the_former(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.zip", PageArchive(FILES, "hash"))
    (tmp_path / "a.zip.part").mkdir()  # so the new one has no place, whoever runs this test
    with pytest.raises(OSError, match=r"a\.zip\.part"):
        write_archive(tmp_path / "a.zip", PageArchive({}, "other"))
    assert read_archive(tmp_path / "a.zip") == PageArchive(FILES, "hash")


def test_every_difference_between_builds_is_named() -> None:
    other = {"index.html": b"<!doctype html> ", "assets/b-2.js": b""}
    assert differences(FILES, FILES) == []
    assert differences(FILES, other) == ["assets/a-1.js", "assets/b-2.js", "index.html"]


@pytest.mark.parametrize("changed", ["src/main.ts", "package-lock.json", ".node-version", "src/design/tokens.css"])
def test_a_changed_source_changes_the_hash(tmp_path: Path, changed: str) -> None:
    copy = tmp_path / "console"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    before = sources_hash(copy, {})
    (copy / changed).write_bytes((copy / changed).read_bytes() + b" ")
    assert sources_hash(copy, {}) != before


def test_a_changed_api_changes_the_hash_and_a_test_does_not(tmp_path: Path) -> None:
    copy = tmp_path / "console"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    before = sources_hash(copy, {"paths": {}})
    assert sources_hash(copy, {"paths": {"/new": {}}}) != before
    (copy / "src" / "new.test.ts").write_text("")
    assert sources_hash(copy, {"paths": {}}) == before
