"""Parameters of the classes of views: their defaults, and the order in which people write them."""

from __future__ import annotations

from typing import Final

from .graph import Field, Literal
from .types import PartType

FUNCTION_FIELDS: Final = frozenset({"arguments", "function"})
"""Fields of an on-demand view that are no arguments of its decorator."""
_VIEW_ORDER: Final = ("name", "entity", "pane", "windows", "features", "bounds", "privacy")


def is_default(kind: PartType, name: str, value: Field) -> bool:
    """Whether a field has the parameter's default."""
    parameter = kind.parameters.get(name)
    if parameter is None or parameter.default is parameter.empty or not isinstance(value, Literal):
        return False
    return (
        Literal(parameter.default) == value
        or (name == "tags" and value == Literal({}))
        or (parameter.default == () and value == Literal([]))
    )


def place_of(kind: PartType, name: str) -> int:
    """The place of an argument in a call as people write it; unpacked ones come last."""
    order = [*_VIEW_ORDER, *kind.parameters] if kind.kind == "view" else [*kind.parameters]
    return order.index(name) if name in order else len(order) + (1 if name.startswith("*") else 0)
