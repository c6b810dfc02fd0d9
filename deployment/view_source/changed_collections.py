"""The names of collections that code may change in place: their written values are then no longer what they hold."""

from __future__ import annotations

import builtins
from typing import Final

import libcst as cst

_READS: Final = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
"""Methods of collections that change nothing."""


def changed_names(node: cst.CSTNode) -> set[str]:
    """The names whose methods code calls, whose elements it sets or deletes, or that it passes to a function of its own."""
    finder = _Changes()
    node.visit(finder)
    return finder.names


class _Changes(cst.CSTVisitor):
    """Finds them also in the bodies of functions, which may be called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def visit_Call(self, node: cst.Call) -> None:
        match node.func:
            case cst.Attribute(value=owner, attr=cst.Name(value=method)) if method not in _READS:
                self._add(owner)
        if not isinstance(node.func, cst.Name) or not hasattr(builtins, node.func.value):
            for argument in node.args:
                self._add(argument.value)

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self._add_owner(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._add(node.target)

    def visit_Del(self, node: cst.Del) -> None:
        self._add_owner(node.target)

    def _add_owner(self, target: cst.BaseExpression) -> None:
        match target:
            case cst.Subscript(value=owner):
                self._add(owner)
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                for element in elements:
                    self._add_owner(element.value)
            case _:
                pass

    def _add(self, expression: cst.BaseExpression) -> None:
        match expression:
            case cst.Name(value=name):
                self.names.add(name)
            case cst.Subscript(value=owner):
                self._add(owner)
            case _:
                pass
