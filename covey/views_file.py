"""Reads a VIEWS.py: a Python file with FeatureView objects at module level. It is the user's own code, run as such."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from featurestore.definitions import FeatureView
from featurestore.errors import FeatureStoreError

from .errors import ViewsFileError


def load_views(path: Path) -> tuple[FeatureView, ...]:
    """The feature views of a file, in the order of their names' first binding.

    As for a script, the file's folder comes first on the import path while it runs; what it prints goes to stderr.

    Raises:
        ViewsFileError: no such file, an error in it (with its line), no view, or two views of one name.
        DefinitionError: a view that cannot be collected as written.
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
    views: dict[int, FeatureView] = {id(value): value for value in names.values() if isinstance(value, FeatureView)}
    if not views:
        raise ViewsFileError(f"{path} defines no FeatureView at module level; see `covey run --help`")
    spelled = [view.name for view in views.values()]
    twice = sorted({name for name in spelled if spelled.count(name) > 1})
    if twice:
        raise ViewsFileError(f"{path} defines two views named {', '.join(twice)}; give each its own name")
    return tuple(views.values())


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
