"""Covey starts only with its own package `crypto`, and otherwise says how to install it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import base

ROOT = Path(base.__file__).parent.parent


def start(*folders: Path) -> subprocess.CompletedProcess[str]:
    """Import `base` in a process that finds packages in these folders and in the standard library only."""
    code = f"import sys; sys.path[:0] = {[*map(str, folders)]!r}; import base"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)


def test_it_starts_with_its_own_crypto() -> None:
    assert start(ROOT).returncode == 0


def test_another_package_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "crypto").mkdir()
    (tmp_path / "crypto/__init__.py").touch()
    _is_refused(start(tmp_path, ROOT), str(tmp_path / "crypto"))


@pytest.mark.parametrize("folders", [["crypto", "crypto/Cipher"], []], ids=["mixed with pycryptodome's", "missing"])
def test_a_wheel_on_a_file_system_that_ignores_case_is_refused(tmp_path: Path, folders: list[str]) -> None:
    (tmp_path / "base").symlink_to(ROOT / "base")
    for folder in folders:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    _is_refused(start(tmp_path), str(tmp_path / "crypto") if folders else "nothing")


def test_the_readme_says_how_to_install_there() -> None:
    (line,) = [one for one in (ROOT / "README.md").read_text("utf-8").split("\n\n") if "`Crypto`" in one]
    assert "`pip install --editable .`" in line


def _is_refused(done: subprocess.CompletedProcess[str], found: str) -> None:
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(f"ImportError: the package `crypto` is not Covey's (found: {found})")
    assert "pip install --editable ." in last
