"""The first look at a text: CPython's own parser refuses what is no Python, and depth is bounded before anything recurses."""

from __future__ import annotations

import ast
import re
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
MAX_LINES: Final = 40_000
"""An empty line costs libcst as much as an expression."""
MAX_BRACES: Final = 2_000
"""CPython's parser copies the rest of an f-string at each of its braces."""
_DOTTED: Final = re.compile(r"\b\w++(?:(?:[ \t\f]|\\\r?\n)*+\.(?:[ \t\f]|\\\r?\n)*+\w++)++")
"""A dotted name. CPython's parser keeps each beginning of an imported one, which takes gigabytes for a long one."""
_FILTERS: Final = Lock()


def check_text(text: str) -> None:
    """Check that a text is Python of a moderate size and depth.

    CPython's parser bounds its own stack, which libcst's does not, and its reasons are those that a reader knows.

    Raises:
        ViewSourceInvalid: the text is no Python, or nests too deeply.
        ViewSourceTooLarge: it has too many bytes, lines, braces or expressions.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _invalid_at(
            text, error.start, "a character is half of a surrogate pair, which UTF-8 does not have"
        ) from None
    if size > MAX_BYTES:
        raise ViewSourceTooLarge("bytes", size, MAX_BYTES)
    if (zero := text.find("\0")) >= 0:
        raise _invalid_at(text, zero, "a character is the null byte")
    _check_size(text)
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


def _check_size(text: str) -> None:
    lines = max(text.count("\n"), text.count("\r"))
    for what, have, most in (("lines", lines, MAX_LINES), ("opening braces", text.count("{"), MAX_BRACES)):
        if have > most:
            raise ViewSourceTooLarge(what, have, most)
    for name in _DOTTED.finditer(text):
        if name[0].count(".") >= MAX_DEPTH:
            raise _invalid_at(text, name.start(), f"a dotted name has more than {MAX_DEPTH} parts")


def _invalid_at(text: str, at: int, why: str) -> ViewSourceInvalid:
    """The error of a text at a character."""
    before = text[:at]
    return ViewSourceInvalid(before.count("\n") + 1, at - before.rfind("\n"), why)


def _check_tree(tree: ast.Module) -> None:
    """Check depth and number of the nodes that libcst will make, which nests some things that CPython keeps in a list."""
    left: list[tuple[ast.AST, int]] = [(tree, 0)]
    count = 0
    while left:
        node, depth = left.pop()
        depth += _levels(node)
        if depth >= MAX_DEPTH and isinstance(node, ast.stmt | ast.expr | ast.alias | ast.pattern):
            why = f"the text nests more than {MAX_DEPTH} levels"
            raise ViewSourceInvalid(node.lineno, node.col_offset + 1, why)
        children = [(child, depth + 1) for child in ast.iter_child_nodes(node)]
        count += len(children) + _names(node)
        if count > MAX_EXPRESSIONS:
            raise ViewSourceTooLarge("expressions", count, MAX_EXPRESSIONS)
        left += reversed(children)


def _levels(node: ast.AST) -> int:
    """The levels of libcst's tree below a node that are one level here."""
    match node:
        case ast.BoolOp(values=values):
            return len(values)
        case ast.ListComp(generators=loops) | ast.SetComp(generators=loops):
            return len(loops)
        case ast.DictComp(generators=loops) | ast.GeneratorExp(generators=loops):
            return len(loops)
        case ast.alias(name=name):
            return name.count(".")
        case ast.ImportFrom(module=module):
            return (module or "").count(".")
        case _:
            return 0


def _names(node: ast.AST) -> int:
    """The parts of a node that are nodes of libcst's tree, but not here."""
    match node:
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return len(names)
        case ast.ImportFrom(level=dots):
            return dots
        case _:
            return 0
