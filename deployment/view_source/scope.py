"""What the names of a views file mean, statement by statement: its imports decide, and a name that is bound again is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeGuard

import libcst as cst

from .types import COVEY, PartType


@dataclass(frozen=True)
class PackageName:
    """A name that is bound to the package `covey`."""


@dataclass(frozen=True)
class PartName:
    """A name that is bound to a node."""

    node: str


Meaning: TypeAlias = PackageName | PartName | PartType
"""Of a name that the graph knows. Other names have none."""


@dataclass(frozen=True)
class Scope:
    """The names that have a meaning at a place of a file."""

    types: Mapping[str, PartType]
    meanings: Mapping[str, Meaning]

    def type_of(self, function: cst.BaseExpression) -> PartType | None:
        """The class that a call calls, or None."""
        match function:
            case cst.Name(value=name):
                meaning = self.meanings.get(name)
                return meaning if isinstance(meaning, PartType) else None
            case cst.Attribute(value=cst.Name(value=package), attr=cst.Name(value=name)):
                known = isinstance(self.meanings.get(package), PackageName)
                return self.types[name] if known and name in self.types and self.types[name].public else None
            case _:
                return None

    def node_of(self, expression: cst.BaseExpression) -> str | None:
        """The node that a name is bound to, or None."""
        meaning = self.meanings.get(expression.value) if isinstance(expression, cst.Name) else None
        return meaning.node if isinstance(meaning, PartName) else None

    def spelling(self, wanted: PartType) -> str | None:
        """How the file spells a class here; None: it has not imported it."""
        for name, meaning in self.meanings.items():
            if meaning == wanted:
                return name
        package = self.package()
        return f"{package}.{wanted.name}" if package is not None and wanted.public else None

    def package(self) -> str | None:
        """The name of the package `covey` here, if the file has imported it."""
        return next((name for name, one in self.meanings.items() if isinstance(one, PackageName)), None)

    def binding(self, name: str, meaning: Meaning) -> Scope:
        """The scope after a name is bound."""
        return replace(self, meanings={**self.meanings, name: meaning})

    def after(self, statement: cst.BaseStatement) -> Scope:
        """The scope after a statement that is no node."""
        scope = self
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                match small:
                    case cst.ImportFrom(module=module, names=names, relative=relative):
                        scope = scope._after_import_from("" if relative else dotted(module), names)
                    case cst.Import(names=names):
                        scope = scope._after_import(names)
                    case _:
                        scope = scope._without(bound_names(small))
            return scope
        return scope._without(bound_names(statement))

    def _after_import_from(self, module: str, names: Sequence[cst.ImportAlias] | cst.ImportStar) -> Scope:
        if isinstance(names, cst.ImportStar):
            if module != COVEY:
                return replace(self, meanings={})  # it may bind any name
            return replace(self, meanings={**self.meanings, **{n: t for n, t in self.types.items() if t.public}})
        scope = self
        for alias in names:
            imported, bound = dotted(alias.name), alias_of(alias)
            found = self.types.get(imported)
            scope = scope.binding(bound, found) if found and module in found.homes else scope._without({bound})
        return scope

    def _after_import(self, names: Sequence[cst.ImportAlias]) -> Scope:
        scope = self
        for alias in names:
            bound = alias_of(alias)
            is_package = dotted(alias.name) == COVEY
            scope = scope.binding(bound, PackageName()) if is_package else scope._without({bound} - {COVEY})
        return scope

    def _without(self, names: set[str]) -> Scope:
        if not names & self.meanings.keys():
            return self
        return replace(self, meanings={name: one for name, one in self.meanings.items() if name not in names})


def dotted(name: cst.BaseExpression | None) -> str:
    """The text of a dotted name."""
    match name:
        case cst.Name(value=value):
            return value
        case cst.Attribute(value=inner, attr=cst.Name(value=value)):
            return f"{dotted(inner)}.{value}"
        case _:
            return ""


def alias_of(alias: cst.ImportAlias) -> str:
    """The name that an import binds."""
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return dotted(alias.name).partition(".")[0]


def is_import(statement: cst.BaseStatement) -> TypeGuard[cst.SimpleStatementLine]:
    """Whether a statement only imports."""
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(small, cst.Import | cst.ImportFrom) for small in statement.body
    )


def bound_names(node: cst.CSTNode) -> set[str]:
    """The names of the module that a statement may bind."""
    finder = _BoundNames()
    node.visit(finder)
    return finder.names


class _BoundNames(cst.CSTVisitor):
    """Finds every name in the place of a target; bodies of functions and classes bind names of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def _target(self, node: cst.CSTNode | None) -> None:
        match node:
            case cst.Name(value=name):
                self.names.add(name)
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                for element in elements:
                    self._target(element.value)
            case _:
                pass

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self._target(node.target)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._target(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._target(node.target)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._target(node.target)

    def visit_For(self, node: cst.For) -> None:
        self._target(node.target)

    def visit_AsName(self, node: cst.AsName) -> None:
        self._target(node.name)

    def visit_Del(self, node: cst.Del) -> None:
        self._target(node.target)

    def visit_MatchAs(self, node: cst.MatchAs) -> None:
        self._target(node.name)

    def visit_MatchStar(self, node: cst.MatchStar) -> None:
        self._target(node.name)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> None:
        self.names.add(alias_of(node))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        self.names.add(node.name.value)
        return False

    def visit_ClassDef(self, node: cst.ClassDef) -> bool:
        self.names.add(node.name.value)
        return False

    def visit_Lambda(self, node: cst.Lambda) -> bool:
        return False
