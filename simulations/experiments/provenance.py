"""The provenance of a run: the revision of this code, and the versions of Python and packages."""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = (
    "covey",
    "numpy",
    "numba",
    "pyarrow",
    "duckdb",
    "cryptography",
    "hydra-core",
    "flwr",
    "ray",
)
_GIT_S: Final = 10.0


@cache
def git() -> dict[str, Any] | None:
    """Return the revision, and whether tracked files differ from it; None outside a checkout."""
    root, program = Path(__file__).resolve().parents[2], shutil.which("git")
    if program is None or not (root / ".git").exists():
        return None
    revision, status = (
        _asked(program, root, *what) for what in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
    )
    if revision is None or status is None:
        return None
    return {"revision": revision, "dirty": bool(status)}


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _asked(program: str, root: Path, *what: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [program, "-C", str(root), *what], capture_output=True, text=True, timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
