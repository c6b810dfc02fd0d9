from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.errors import NotPrivate
from base.private_files import (
    append_private,
    create_private,
    open_private,
    private_file,
    private_folder,
)


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_folder_and_the_missing_ones_above_it_are_closed_to_others(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_what_is_there_and_open_to_others_is_closed(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("old")
    for path in (folder, file):
        path.chmod(0o777)
    assert mode(private_folder(folder)) == 0o700
    assert mode(private_file(file)) == 0o600
    file.chmod(0o644)
    append_private(file, " and new")
    assert (file.read_text(), mode(file)) == ("old and new", 0o600)


def test_every_way_to_write_makes_a_private_file(tmp_path: Path) -> None:
    append_private(tmp_path / "appended", "a")
    private_file(tmp_path / "empty")
    os.close(open_private(tmp_path / "opened", os.O_RDWR))
    with create_private(tmp_path / "created") as file:
        assert mode(tmp_path / "created") == 0o600
        file.write(b"c")
    found = {path.name: (path.read_bytes(), mode(path)) for path in tmp_path.iterdir()}
    assert found == {
        "appended": (b"a", 0o600),
        "empty": (b"", 0o600),
        "opened": (b"", 0o600),
        "created": (b"c", 0o600),
    }


def test_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "link"
    elsewhere.mkdir()
    link.symlink_to(elsewhere)
    with pytest.raises(NotPrivate):
        private_folder(link)
    file = tmp_path / "file"
    file.write_text("mine")
    link.unlink()
    link.symlink_to(file)
    for use in (private_file, lambda path: append_private(path, "x")):
        with pytest.raises(NotPrivate):
            use(link)
    with pytest.raises(FileExistsError), create_private(link):
        pass
    assert (file.read_text(), link.is_symlink()) == ("mine", True)


def test_neither_a_pipe_nor_a_folder_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(NotPrivate):
            private_file(path)
    with pytest.raises((NotPrivate, OSError)):
        append_private(tmp_path / "pipe", "x")
    with pytest.raises(NotPrivate):
        private_folder(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir(0o700)
    file.touch(0o600)
    for path in (folder, file):
        os.chown(path, 65534, 65534)
    with pytest.raises(NotPrivate, match="belongs to user 65534"):
        private_folder(folder)
    for use in (private_file, lambda path: append_private(path, "x")):
        with pytest.raises(NotPrivate, match="belongs to user 65534"):
            use(file)


def test_a_database_that_is_open_keeps_its_lock(tmp_path: Path) -> None:
    """POSIX locks end when a process closes any of its handles of the file. SQLite depends on these locks."""
    path = private_file(tmp_path / "d.db")
    with sqlite3.connect(path, isolation_level=None) as one, sqlite3.connect(path, timeout=0) as two:
        one.execute("BEGIN EXCLUSIVE")
        private_file(path)
        locks = Path("/proc/locks").read_text() if Path("/proc/locks").exists() else ""
        if locks:
            assert f":{path.stat().st_ino} " in locks
        with pytest.raises(sqlite3.OperationalError):
            two.execute("CREATE TABLE t (x)")
        one.execute("COMMIT")
    one.close()
    two.close()
