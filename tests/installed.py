"""Python processes that see only what `pip install covey` with some extras would bring."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

_ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
_HIDE = """
import sys
class Hidden:
    tops = frozenset({tops!r})
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.tops:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
import importlib.util
_found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in Hidden.tops else _found(name, package)
"""


def declared(*extras: str) -> list[Requirement]:
    """What pyproject.toml requires, with these extras, those of Covey's own extras replaced by what they stand for."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    found = []
    for requirement in map(Requirement, lines):
        if requirement.name == "covey":
            found += declared(*requirement.extras)
        else:
            found.append(requirement)
    return found


def closure(*extras: str) -> set[str]:
    """The distributions that these requirements bring, as far as they are installed here."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(one.name), extra) for one in declared(*extras) for extra in ("", *one.extras)]
    while waiting:
        name, extra = one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), more) for more in ("", *requirement.extras)]
    return {name for name, _ in found}


@cache
def owners_of_modules() -> Mapping[str, frozenset[str]]:
    """The distributions that bring each installed module."""
    return {module: frozenset(map(canonicalize_name, owners)) for module, owners in packages_distributions().items()}


@cache
def hidden_modules(*extras: str) -> frozenset[str]:
    """The installed modules that would be missing."""
    there = closure(*extras)
    owners = owners_of_modules().items()
    return frozenset(module for module, brought in owners if there.isdisjoint(brought) and "covey" not in brought)


def hiding(modules: Collection[str]) -> str:
    """Code that hides modules from everything that follows it."""
    return _HIDE.format(tops=sorted(modules))


def python(code: str, *arguments: str, extras: tuple[str, ...] = (), cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process in which only Covey with these extras can be imported."""
    script = hiding(hidden_modules(*extras)) + code
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=cwd, env=_ENVIRONMENT
    )
