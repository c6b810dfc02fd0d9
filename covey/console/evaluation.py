"""The views of a text. It is parsed, and evaluated only as far as literals go; a trusted file may also be executed.

Only `--trust-views` of the operator executes anything, and only the file on disk: never a text that came from a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from base.errors import CoveyError
from covey.errors import ViewsFileUnusable
from deployment.view_source.evaluate import Evaluated, evaluate
from deployment.view_source.graph import Problem
from deployment.view_source.source import parse
from featurestore.define.views_file import Declared, load_declared

from .text_pool import TextSettings
from .views_file import read_views


@dataclass(frozen=True)
class KnownViews:
    """The views of a text, and its services.

    Attributes:
        problems: why the others are not known.
        executed: the file was executed, because the operator trusts it.
    """

    declared: Declared
    problems: tuple[Problem, ...]
    executed: bool


NOTHING_KNOWN: Final = KnownViews(Declared((), (), ()), (), executed=False)


def views_of(settings: TextSettings, text: str) -> KnownViews:
    """The views of a text. Raises ViewSourceInvalid, ViewSourceTooLarge."""
    path = settings.views_file
    found: Evaluated = evaluate(parse(text), None if path is None else path.parent)
    if found.not_evaluated and settings.trust_views and path is not None and _is_saved(path, text):
        declared = _executed(path, text)
        if isinstance(declared, Declared):
            return KnownViews(declared, (), executed=True)
        return KnownViews(found.declared, (*found.not_evaluated, declared), executed=True)
    return KnownViews(found.declared, found.not_evaluated, executed=False)


def _is_saved(path: Path, text: str) -> bool:
    try:
        return read_views(path).text == text
    except ViewsFileUnusable:
        return False


@lru_cache(maxsize=4)
def _executed(path: Path, _text: str) -> Declared | Problem:
    """What the file declares when it runs; its text is part of the key."""
    try:
        return load_declared(path, need_views=False)
    except CoveyError as error:
        return Problem("", "", str(error))
    except BaseException as error:  # noqa: BLE001 - it is the file's own: the threads of routes get no Ctrl-C
        return Problem("", "", f"{path} raises {type(error).__name__}; a views file only defines views")
