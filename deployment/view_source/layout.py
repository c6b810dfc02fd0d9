"""Python text of new parts, laid out as `ruff format` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from .graph import Json

WIDTH: Final = 120
INDENT: Final = "    "


@dataclass(frozen=True)
class Group:
    """A call or a collection: it stands in one line, or each item has a line of its own.

    Attributes:
        items: each with what stands before it, such as `name=`.
        is_open: whether each item always has its own line.
    """

    head: str
    items: tuple[tuple[str, Layout], ...]
    tail: str
    is_open: bool = False


Layout: TypeAlias = str | Group


def written(layout: Layout, indent: str, column: int, after: int = 0) -> str:
    """The text of a layout.

    Args:
        indent: of the line on which it begins; column: at which it begins; after: characters that follow on its last line.
    """
    if isinstance(layout, str) or not layout.items:
        return _flat(layout)
    flat = _flat(layout)
    if not _is_open(layout) and column + len(flat) + after <= WIDTH and "\n" not in flat:
        return flat
    inner = indent + INDENT
    rows = [f"{inner}{before}{written(item, inner, len(inner) + len(before), 1)},\n" for before, item in layout.items]
    return f"{layout.head}\n{''.join(rows)}{indent}{layout.tail}"


def value_layout(value: Json, brackets: str = "[]") -> Layout:
    """A value of JSON as Python; collections inside it are tuples, as composite keys are."""
    match value:
        case None | bool() | int() | float():
            return repr(value)
        case str():
            return text_layout(value)
        case list() | tuple():
            items = tuple(("", value_layout(one, "()")) for one in value)
            return Group(brackets[0], items, ",)" if len(items) == 1 and brackets == "()" else brackets[1])
        case Mapping():
            return Group("{", tuple((f"{text_layout(key)}: ", value_layout(one)) for key, one in value.items()), "}")
        case _:
            raise TypeError(f"{type(value).__name__} is no value of JSON")


def text_layout(text: str) -> str:
    """A text in double quotes, unless it has some."""
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in quoted else quoted


def _flat(layout: Layout) -> str:
    if isinstance(layout, str):
        return layout
    return layout.head + ", ".join(before + _flat(item) for before, item in layout.items) + layout.tail


def _is_open(layout: Layout) -> bool:
    return isinstance(layout, Group) and (layout.is_open or any(_is_open(item) for _, item in layout.items))
