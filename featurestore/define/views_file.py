"""Reads a views file: a Python file with feature views, on-demand views and feature services at module level.

Reading it runs it: it is the user's own code.
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
    """The declarations of a file, each kind in the order in which its names are first bound."""

    views: tuple[FeatureView, ...]
    on_demand: tuple[OnDemandView, ...]
    services: tuple[FeatureService, ...]


def load_views(path: Path) -> tuple[FeatureView, ...]:
    """The feature views of a file, at least one. Raises as `load_declared`."""
    return load_declared(path, need_views=True).views


def load_declared(path: Path, *, need_views: bool) -> Declared:
    """All declarations of a file.

    While the file runs, its folder is first on the import path, as for a script, and its output goes to stderr.

    Raises:
        ViewsFileError: the file is missing, it has an error (the message has its line), two declarations have one name, or
            a required feature view is missing.
        DefinitionError: a view is invalid. Likewise OnDemandInvalid and ServiceInvalid.
    """
    if not path.is_file():
        raise ViewsFileError(f"there is no views file {path}")
    try:
        with _imports_from(path.absolute().parent), redirect_stdout(sys.stderr):
            names = runpy.run_path(str(path), run_name="covey_views")
    except FeatureStoreError:
        raise
    except SyntaxError as error:
        raise ViewsFileError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from None
    except SystemExit as error:
        mend = "a views file only defines views; remove the exit"
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
    """The objects of one kind, each once."""
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
    """The line of the file that raised an error."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {frames[-1].lineno}" if frames else ""
