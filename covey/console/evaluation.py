"""The views of a text. It is parsed, and evaluated only as far as literals go; a trusted file may also be executed.

Only `--trust-views` of the operator executes anything, and only the file on disk: never a text that came from a page.

libcst is imported where a text is read, because the console has other processes for that, and starts without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from covey.errors import ViewsFileUnusable
from deployment.view_source.graph import Problem
from featurestore.define.views_file import Declared

from .text_pool import TextSettings
from .views_file import read_views
from .views_program import Execution, execute


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


_KEPT: Final[dict[Path, tuple[str, Execution]]] = {}
"""By views file, of which a console has one: the text of its last execution, and what that has found."""
_LOCK: Final = Lock()
NOTHING_KNOWN: Final = KnownViews(Declared((), (), ()), (), executed=False)


def views_of(settings: TextSettings, text: str) -> KnownViews:
    """The views of a text. Raises ViewSourceInvalid, ViewSourceTooLarge."""
    from deployment.view_source.evaluate import evaluate
    from deployment.view_source.source import parse

    path = settings.views_file
    found = evaluate(parse(text), None if path is None else path.parent)
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


def _executed(path: Path, text: str) -> Declared | Problem:
    """What the file declares when it runs. It runs again once it, or a file beside it that it has read, has changed."""
    with _LOCK:
        kept = _KEPT.get(path)
        if kept is None or kept[0] != text or not kept[1].is_current:
            _KEPT[path] = kept = text, execute(path)
    return kept[1].declared
