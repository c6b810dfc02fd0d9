from __future__ import annotations

import threading
from pathlib import Path

import pytest

from deployment.errors import ItemMissing
from deployment.local.supervision.log_files import follow, last_lines, log_of, rotate


def test_a_log_that_has_grown_too_long_is_kept_once_and_emptied_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "leader.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(100):
            writer.write(f"line {number}\n".encode())
            rotate(log, most=200)
        assert log.stat().st_size <= 200
        old = (tmp_path / "leader.log.1").read_text()
        assert len(old) <= 200
        assert (old + log.read_text()).endswith("line 98\nline 99\n")
        assert b"\0" not in log.read_bytes()
    assert (tmp_path / "leader.log.1").stat().st_mode & 0o777 == 0o600
    rotate(tmp_path / "none.log")


def test_the_last_lines_of_a_log_and_what_follows(tmp_path: Path) -> None:
    log = tmp_path / "helper.log"
    log.write_text("one\ntwo\nthree\n")
    assert last_lines(log, 2) == (["two", "three"], 14)
    assert last_lines(log, 0) == ([], 14)
    new = follow(log, 14)
    with log.open("a") as writer:
        writer.write("four\nfi")
    assert next(new) == "four"

    def write() -> None:
        with log.open("a") as writer:
            writer.write("ve\n")

    timer = threading.Timer(0.3, write)
    timer.start()
    assert next(new) == "five"
    timer.join()
    log.write_text("new\n")  # emptied by a rotation
    assert next(new) == "new"


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    log = tmp_path / "helper.log"
    log.write_text("one\u2028forged\x85forged\x1eforged\n\ntwo\n", encoding="utf-8")
    assert last_lines(log, 9)[0] == ["one\u2028forged\x85forged\x1eforged", "", "two"]
    log.write_text("")
    assert last_lines(log, 9) == ([], 0)


def test_a_role_without_a_log_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    (tmp_path / "leader.log").touch()
    (tmp_path / "helper.log").touch()
    (tmp_path / "helper.log.1").touch()
    assert log_of(tmp_path, "helper") == tmp_path / "helper.log"
    for name in ("nobody", "../leader", "helper.log"):
        with pytest.raises(ItemMissing, match=r"it has: helper, leader$"):
            log_of(tmp_path, name)
