from __future__ import annotations

import sys
from pathlib import Path

from tests.killing import count_writes, every_write, failing_at, killed_at, killed_in_forks, require_strace

_PROGRAM = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for number in range(3):
    os.pwrite(file, b"x", number)
    os.fdatasync(file)
    print(number, flush=True)
"""


def _command(path: Path) -> list[str]:
    return [sys.executable, "-S", "-c", _PROGRAM, str(path)]


def test_a_program_is_killed_before_its_nth_write_and_not_if_it_makes_fewer(tmp_path: Path) -> None:
    require_strace()
    counts = count_writes(_command(tmp_path / "whole"))
    assert counts == {"pwrite64": 3, "fdatasync": 3}
    assert len(list(every_write(counts))) == 6
    ended = killed_at(_command(tmp_path / "a"), 2)
    assert (ended.killed, ended.out, (tmp_path / "a").stat().st_size) == (True, "0\n", 1)
    ended = killed_at(_command(tmp_path / "b"), 2, call="fdatasync")
    assert (ended.killed, ended.out, (tmp_path / "b").stat().st_size) == (True, "0\n", 2)
    ended = killed_at(_command(tmp_path / "c"), 4)
    assert (ended.killed, ended.code, ended.out) == (False, 0, "0\n1\n2\n")


def test_a_program_meets_a_full_disk_at_its_nth_write(tmp_path: Path) -> None:
    require_strace()
    ended = failing_at(_command(tmp_path / "a"), 2)
    assert (ended.killed, ended.out) == (False, "0\n")
    assert "No space left on device" in ended.err


def test_runs_of_one_module_are_ended_each_at_its_own_write(tmp_path: Path) -> None:
    require_strace()
    runs = [("fdatasync" if n == 5 else "pwrite64", min(n, 3), [str(tmp_path / f"{n}")]) for n in range(1, 6)]
    ended = killed_in_forks("tests.test_killing", runs, tmp_path)
    assert [one.out for one in ended] == ["", "0\n", "0\n1\n", "0\n1\n", "0\n1\n"]
    assert [(tmp_path / f"{n}").stat().st_size for n in range(1, 6)] == [0, 1, 2, 2, 3]
    assert all(one.killed for one in ended)


def main(arguments: list[str]) -> None:
    """What `killed_in_forks` runs."""
    sys.argv = ["", *arguments]
    exec(_PROGRAM, {})
