"""Reads a VIEWS.py: a Python file with feature views at module level, and perhaps on-demand views and feature services.

It is the user's own code, run as such.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from featurestore.errors import FeatureStoreError, ViewsFileError

from .definitions import FeatureView
from .on_demand import OnDemandView
from .services import FeatureService

_T = TypeVar("_T", FeatureView, OnDemandView, FeatureService)


@dataclass(frozen=True)
class Declared:
    """What a file declares, each in the order of its names' first binding."""

    views: tuple[FeatureView, ...]
    on_demand: tuple[OnDemandView, ...]
    services: tuple[FeatureService, ...]


def load_views(path: Path) -> tuple[FeatureView, ...]:
    """The feature views of a file, of which there must be one; raises as `load_declared`."""
    return load_declared(path, need_views=True).views


def load_declared(path: Path, *, need_views: bool) -> Declared:
    """All that a file declares.

    As for a script, the file's folder comes first on the import path while it runs; what it prints goes to stderr.

    Raises:
        ViewsFileError: no such file, an error in it (with its line), two of one name, or no feature view that is needed.
        DefinitionError: a view that cannot be collected as written. OnDemandInvalid, ServiceInvalid.
    """
    if not path.is_file():
        raise ViewsFileError(f"no views file {path}")
    try:
        with _imports_from(path.absolute().parent), redirect_stdout(sys.stderr):
            names = runpy.run_path(str(path), run_name="covey_views")
    except FeatureStoreError:
        raise
    except SyntaxError as error:
        raise ViewsFileError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from None
    except SystemExit as error:
        mend = "a views file defines views and ends by itself"
        raise ViewsFileError(f"{path}{_line(path, error)}: it exits with {error.code!r}; {mend}") from None
    except Exception as error:
        raise ViewsFileError(f"{path}{_line(path, error)}: {type(error).__name__}: {error}") from error
    views, on_demand = _of_kind(FeatureView, names), _of_kind(OnDemandView, names)
    if need_views and not views:
        raise ViewsFileError(
            f"{path} defines no FeatureView at module level: give one a name there, such as VISITS = FeatureView(…)"
        )
    _require_distinct(path, "views", [*(one.name for one in views), *(one.name for one in on_demand)])
    services = _of_kind(FeatureService, names)
    _require_distinct(path, "feature services", [one.name for one in services])
    return Declared(views, on_demand, services)


def _of_kind(kind: type[_T], names: Mapping[str, object]) -> tuple[_T, ...]:
    """The objects of a kind, each once."""
    return tuple({id(value): value for value in names.values() if isinstance(value, kind)}.values())


def _require_distinct(path: Path, what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ViewsFileError(f"{path} defines two {what} named {', '.join(twice)}; give each its own name")


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _line(path: Path, error: BaseException) -> str:
    """Where in the file an error rose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {frames[-1].lineno}" if frames else ""
