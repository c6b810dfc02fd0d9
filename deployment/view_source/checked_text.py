"""The first look at a text: CPython's own parser refuses what is no Python, and depth is bounded before anything recurses."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 120
"""The deepest nesting of expressions and statements. A views file has about ten; libcst recurses once a level, in C too."""
MAX_EXPRESSIONS: Final = 40_000
"""The most nodes of the syntax tree. A thousand lines of views have about 6,000; each costs libcst some kilobytes."""
_FILTERS: Final = Lock()


def check_text(text: str) -> None:
    """Check that a text is Python of a moderate size and depth.

    CPython's parser bounds its own stack, which libcst's does not, and its reasons are those that a reader knows.

    Raises:
        ViewSourceInvalid: the text is no Python, or nests too deeply.
        ViewSourceTooLarge: it has too many bytes, or too many expressions.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        before = text[: error.start]
        line, column = before.count("\n") + 1, error.start - before.rfind("\n")
        raise ViewSourceInvalid(
            line, column, "a character is half of a surrogate pair, which UTF-8 does not have"
        ) from None
    if size > MAX_BYTES:
        raise ViewSourceTooLarge("bytes", size, MAX_BYTES)
    if (zero := text.find("\0")) >= 0:
        before = text[:zero]
        raise ViewSourceInvalid(before.count("\n") + 1, zero - before.rfind("\n"), "a character is the null byte")
    try:
        with without_warnings():
            tree = ast.parse(text)
    except SyntaxError as error:
        raise ViewSourceInvalid(max(error.lineno or 1, 1), max(error.offset or 1, 1), error.msg) from None
    except (RecursionError, MemoryError):
        raise ViewSourceInvalid(1, 1, f"the text nests more than {MAX_DEPTH} levels") from None
    except ValueError as error:  # a number with too many digits
        raise ViewSourceInvalid(1, 1, str(error)) from None
    _check_tree(tree)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore warnings of "\\d" and such, which are the author's matter. Filters are the process's, so one thread sets them."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_tree(tree: ast.Module) -> None:
    level: list[ast.AST] = [tree]
    count = 0
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        count += len(level)
        if count > MAX_EXPRESSIONS:
            raise ViewSourceTooLarge("expressions", count, MAX_EXPRESSIONS)
        if not level:
            return
    first = min(level, key=lambda node: getattr(node, "lineno", 10**9))
    raise ViewSourceInvalid(
        getattr(first, "lineno", 1),
        getattr(first, "col_offset", 0) + 1,
        f"the text nests more than {MAX_DEPTH} levels",
    )
