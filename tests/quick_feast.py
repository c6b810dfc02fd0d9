"""Feast, imported in two seconds instead of nine.

Feast checks the types of its arguments with typeguard, which compiles each function anew at import, and imports torch where that is
installed. `python -O` leaves out the first, and most of Feast's users lack the second. Nothing else of Feast is changed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
INSTALLED: Final = find_spec("feast") is not None
_FIRST: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from tests.quick_feast import load; load(); "


def load() -> None:
    """Import Feast in this process. Modules that are imported later find typeguard and torch as they are."""
    import typeguard

    checked, has_torch = typeguard.typechecked, "torch" in sys.modules
    typeguard.typechecked = _unchecked
    if not has_torch:
        sys.modules["torch"] = None  # type: ignore[assignment]  # an import of it raises ModuleNotFoundError
    try:
        import_module("feast")
        import_module("feast.infra.online_stores.remote")
    finally:
        typeguard.typechecked = checked
        if not has_torch:
            del sys.modules["torch"]


def command(*arguments: str) -> list[str]:
    """The command line of `feast` with some arguments."""
    return [sys.executable, "-c", _FIRST + "from feast.cli.cli import cli; cli()", str(ROOT), *arguments]


def script(path: str) -> list[str]:
    """The command line of a script that imports Feast."""
    run = "import runpy; runpy.run_path(sys.argv[1], run_name='__main__')"
    return [sys.executable, "-c", _FIRST + run, str(ROOT), path]


def _unchecked(target: Any) -> Any:
    return target
