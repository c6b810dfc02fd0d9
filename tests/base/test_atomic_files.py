from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.atomic_files import FRESH, create_file, created_folder, replace_file, replaced_file, staged_file

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_umask_decides_on_a_public_file_and_not_on_a_private_one(tmp_path: Path, umask: int) -> None:
    for private in (True, False):
        replace_file(tmp_path / str(private), "ü", private=private)
    with replaced_file(tmp_path / "streamed", private=True) as file:
        assert [mode(path) for path in tmp_path.glob(f".streamed.*{FRESH}")] == [0o600]
        file.write(b"s")
    found = {path.name: (path.read_bytes(), mode(path)) for path in tmp_path.iterdir()}
    public = 0o666 & ~umask
    assert found == {"True": ("ü".encode(), 0o600), "False": ("ü".encode(), public), "streamed": (b"s", 0o600)}


@pytest.mark.parametrize("private", [True, False])
def test_a_link_is_replaced_and_not_followed(tmp_path: Path, private: bool) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("mine")
    link.symlink_to(file)
    replace_file(link, b"new", private=private)
    assert (file.read_text(), link.is_symlink(), link.read_text()) == ("mine", False, "new")


@pytest.mark.parametrize("fails", ["content", "fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    replace_file(tmp_path / "file", "old", private=False)

    def full(*_: object) -> None:
        raise FULL

    match fails:
        case "fsync":
            monkeypatch.setattr(os, "fsync", full)
        case "rename":
            monkeypatch.setattr(Path, "replace", full)
    content = b"new" if fails != "content" else None
    with pytest.raises((OSError, TypeError)), replaced_file(tmp_path / "file", private=False) as file:
        file.write(content)  # type: ignore[arg-type]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_staged_content_counts_once_it_is_put(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", "old", private=False)
    with staged_file(tmp_path / "file", private=False) as (file, replacement):
        file.write(b"new")
    assert (tmp_path / "file").read_text() == "old"
    assert replacement.fresh.read_text() == "new"
    replacement.put()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "new")]


def test_a_file_that_is_there_is_not_created_again(tmp_path: Path) -> None:
    create_file(tmp_path / "file", "first", private=True)
    create_file(tmp_path / "file", "second", private=False)
    assert [(path.name, path.read_text(), mode(path)) for path in tmp_path.iterdir()] == [("file", "first", 0o600)]


def test_name_and_content_are_synced_only_where_they_are_to_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(stat.S_ISDIR(os.fstat(number).st_mode)))
    replace_file(tmp_path / "file", "x", private=True, durable=False)
    assert synced == []
    replace_file(tmp_path / "file", "x", private=True)
    assert synced == [False, True]  # the content comes first: a name must never refer to half of it


def test_a_folder_appears_with_all_of_its_files_or_not_at_all(tmp_path: Path) -> None:
    with created_folder(tmp_path / "keys") as fresh:
        (fresh / "a").write_text("a")
        assert not (tmp_path / "keys").exists()
    assert mode(tmp_path / "keys") == 0o700
    with pytest.raises(OSError, match="not empty"), created_folder(tmp_path / "keys"):
        pass
    with pytest.raises(OSError, match="No space"), created_folder(tmp_path / "others"):
        raise FULL
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {"keys", "keys/a"}
