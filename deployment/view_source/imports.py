"""Extends the imports of a views file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

import libcst as cst

from .layout import WIDTH, Group, written
from .parts import ViewSource
from .scope import bound_names, dotted, is_import
from .sequences import Added, Entry, Kept, edited
from .source import parse


@dataclass(frozen=True, order=True)
class Import:
    """A name that a file needs.

    Attributes:
        name: what to import from the module; empty: the module itself, as `alias`.
    """

    module: str
    name: str
    alias: str = ""


ANNOTATED: Final = Import("typing", "Annotated")
NUMPY: Final = Import("numpy", "", "np")
PATH: Final = Import("pathlib", "Path")


def with_imports(text: str, needs: Set[Import]) -> str:
    """The text with more imports: names join an import of their module; others get a line of their own."""
    for module in sorted({one.module for one in needs}):
        names = sorted({one.name for one in needs if one.module == module and one.name}, key=_order)
        if names:
            text = _with_names(text, module, names)
        for alias in sorted({one.alias for one in needs if one.module == module and not one.name}):
            source = parse(text)
            if not any(alias in bound_names(statement) for statement in _imports(source)):
                text = _with_line(source, module, f"import {module} as {alias}")
    return text


def _with_names(text: str, module: str, names: Sequence[str]) -> str:
    source = parse(text)
    for statement in _imports(source):
        match statement.body:
            case [cst.ImportFrom(module=found, names=list() | tuple() as aliases, relative=[]) as line] if (
                dotted(found) == module
            ):
                return _extended(source, line, [*aliases], names)
            case [cst.ImportFrom(module=found, names=cst.ImportStar(), relative=[])] if dotted(found) == module:
                return text
    return _with_line(source, module, f"from {module} import {', '.join(names)}")


def _extended(
    source: ViewSource, line: cst.ImportFrom, aliases: Sequence[cst.ImportAlias], names: Sequence[str]
) -> str:
    spans = source.spans
    keys = [_order(dotted(alias.name)) for alias in aliases]
    there = {dotted(alias.name) for alias in aliases if alias.asname is None}
    is_sorted = keys == sorted(keys)
    entries: list[Entry] = [Kept(i, spans.text[slice(*spans.inner(alias))]) for i, alias in enumerate(aliases)]
    for name in names:
        if name not in there:
            at = sum(key < _order(name) for key in keys) if is_sorted else len(entries)
            entries.insert(at, Added(name))
            keys.insert(at, _order(name))
    places = [spans.inner(alias) for alias in aliases]
    newline = spans.module.default_newline
    if isinstance(line.lpar, cst.LeftParen) and isinstance(line.rpar, cst.RightParen):
        start, end = spans.whole(line.lpar)[0] + 1, spans.whole(line.rpar)[1] - 1
        new = edited(spans.text, (start, end), places, entries, newline)
    else:
        start, end = places[0][0], places[-1][1]
        new = edited(spans.text, (start, end), places, entries, newline)
        if start - spans.inner(line)[0] + len(new) > WIDTH:
            rows = Group("(", tuple(("", entry.text) for entry in entries), ")", is_open=True)
            new = written(rows, "", 0).replace("\n", newline)
    return source.outer.before + spans.text[:start] + new + spans.text[end:] + source.outer.after


def _with_line(source: ViewSource, module: str, line: str) -> str:
    """The text with an import in its block: those of the future, of the standard library, and others."""
    spans, newline = source.spans, source.spans.module.default_newline
    imports = [*_imports(source)]
    place = _place(module, line.startswith("from "))
    earlier = [one for one in imports if _place_of(one) <= place]
    following = next((one for one in imports if _place_of(one) > place), None)
    if following is not None and (_place_of(following)[0] == place[0] or not earlier):
        at = spans.inner(following)[0]
        new = line + newline + newline * (_place_of(following)[0] != place[0])
    elif earlier:
        at = spans.whole(earlier[-1])[1]
        new = newline * (_place_of(earlier[-1])[0] < place[0]) + line + newline
        if following is None and spans.text[at:] and not spans.text[at:].startswith(("\n", "\r")):
            new += newline
    else:
        at = _after_docstring(source)
        new = newline * (at > 0) + line + newline + newline * bool(spans.text[at:].strip())
        if spans.text[at:].startswith(("\n", "\r")):
            new = new.removesuffix(newline)
    head = spans.text[:at]
    head += newline if head and not head.endswith(("\n", "\r")) else ""
    return source.outer.before + head + new + spans.text[at:] + source.outer.after


def _after_docstring(source: ViewSource) -> int:
    """Where the first import goes: below the docstring, or else above the first statement."""
    body = source.spans.module.body
    if not body:
        return len(source.spans.text)
    start, end = source.spans.whole(body[0])
    match body[0]:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]):
            return end
        case _:
            return source.statements[0].span[0] if source.statements else start


def _imports(source: ViewSource) -> Iterator[cst.SimpleStatementLine]:
    return filter(is_import, source.spans.module.body)


def _place_of(statement: cst.SimpleStatementLine) -> tuple[int, bool]:
    match statement.body[0]:
        case cst.ImportFrom(module=module):
            return _place(dotted(module), is_from=True)
        case cst.Import(names=[alias, *_]):
            return _place(dotted(alias.name), is_from=False)
        case _:
            return 3, True


def _place(module: str, is_from: bool) -> tuple[int, bool]:
    """The block of an import: of the future, of the standard library, of others; `from` comes last in each."""
    top = module.partition(".")[0]
    return (0 if top == "__future__" else 1 if top in sys.stdlib_module_names else 2), is_from


def _order(name: str) -> tuple[int, str]:
    """Where ruff puts a name: constants, then classes, then functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name
