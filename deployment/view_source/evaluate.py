"""The declarations of a views file, found without running it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import libcst as cst

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.on_demand import OnDemandView
from featurestore.define.services import FeatureService
from featurestore.define.views_file import Declared
from featurestore.errors import DefinitionError, ExpressionRefused, FeatureStoreError

from .arithmetic import Evaluation, NotEvaluated
from .calls import CallRefused, field_in, require_callable, unexecuted
from .changed_collections import changed_names
from .graph import Node, Problem
from .parts import Part, Statement, ViewSource
from .scope import alias_of, bound_names, dotted
from .types import COVEY, LINKS

MAX_MESSAGE: Final = 1_000
"""Characters of a problem. Many parts may quote the same long value."""
_FUNCTIONS: Final[Mapping[str, Mapping[str, str]]] = {"itertools": {"product": "product"}, "pathlib": {"Path": "Path"}}


@dataclass(frozen=True)
class Evaluated:
    """What a views file declares.

    Attributes:
        declared: as `load_declared` gives it, but for functions of on-demand views, which are not there to be called.
        not_evaluated: what is invalid, and what only running the file would tell.
    """

    declared: Declared
    not_evaluated: tuple[Problem, ...]


def evaluate(source: ViewSource, folder: Path | None = None) -> Evaluated:
    """The declarations of a views file, by a closed evaluation of what it writes out.

    Args:
        folder: of the file, whose files `Path(__file__).with_name(…)` may name; None: the text is no file.
    """
    return _Evaluator(source, folder).run()


@dataclass(eq=False)
class _Evaluator:
    source: ViewSource
    folder: Path | None
    problems: list[Problem] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)
    bound: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.evaluation = Evaluation(self.folder, self.source.spans.code)

    def run(self) -> Evaluated:
        for statement in self.source.statements:
            node = self.source.graph[statement.node]
            if node.kind == "code":
                self._read_code(statement)
            else:
                self._bind(node.name, self._make(node))
        views, on_demand = self._of_kind(FeatureView), self._of_kind(OnDemandView)
        services = self._of_kind(FeatureService)
        views, on_demand = self._distinct(views, "view"), self._distinct(on_demand, "on-demand view", views)
        declared = Declared(tuple(views), tuple(on_demand), tuple(self._distinct(services, "service")))
        return Evaluated(declared, tuple(self.problems))

    def _bind(self, name: str, value: Any) -> None:
        self.evaluation.names.pop(name, None)
        self.evaluation.functions.pop(name, None)
        if value is None:
            self.bound.pop(name, None)
        else:
            self.bound[name] = value

    def _of_kind(self, kind: type[Any]) -> list[Any]:
        return [*{id(one): one for one in self.bound.values() if isinstance(one, kind)}.values()]

    def _distinct(self, found: list[Any], what: str, others: list[Any] | None = None) -> list[Any]:
        """The declarations whose names are their own; the others are problems."""
        kept: list[Any] = []
        for one in found:
            if any(one.name == other.name for other in [*kept, *(others or [])]):
                node = next(node_id for node_id, made in self.made.items() if made is one)
                self._report(node, "name", f"the file has another {what} named {one.name}; give each its own name")
            else:
                kept.append(one)
        return kept

    def _report(self, node_id: str, field_name: str, message: str) -> None:
        shown = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}…"
        self.problems.append(Problem(node_id, field_name, shown, self.source.graph[node_id].lines[0]))

    # --- code --------------------------------------------------------------------------------------------------------

    def _read_code(self, statement: Statement) -> None:
        """Learn what the names of statements mean; what cannot be known is a problem where it could declare something."""
        for one in statement.nodes:
            if not isinstance(one, cst.SimpleStatementLine):
                self._forget(one, statement.node)
                continue
            for small in one.body:
                self._read_small(small, statement.node)

    def _read_small(self, small: cst.BaseSmallStatement, node_id: str) -> None:
        match small:
            case cst.Import(names=names):
                for alias in names:
                    self._bind(alias_of(alias), None)
                    for name, function in _FUNCTIONS.get(dotted(alias.name), {}).items():
                        self.evaluation.functions[f"{alias_of(alias)}.{name}"] = function
            case cst.ImportFrom(module=module, names=list() | tuple() as names):
                known = _FUNCTIONS.get(dotted(module), {})
                self._report_neighbour(small, node_id)
                for alias in names:
                    self._bind(alias_of(alias), None)
                    if dotted(alias.name) in known:
                        self.evaluation.functions[alias_of(alias)] = known[dotted(alias.name)]
            case cst.Assign(targets=targets, value=value) if all(isinstance(one.target, cst.Name) for one in targets):
                self._assign([one.target.value for one in targets if isinstance(one.target, cst.Name)], value, node_id)
            case cst.AnnAssign(target=cst.Name(value=name), value=cst.BaseExpression() as value):
                self._assign([name], value, node_id)
            case cst.ImportFrom(module=module):
                self._report_neighbour(small, node_id)
                if dotted(module) != COVEY or small.relative:
                    self.evaluation.forget_names()
            case cst.Pass() | cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
                pass
            case cst.AnnAssign(value=None):
                pass
            case _:
                self._forget(small, node_id)

    def _assign(self, names: list[str], value: cst.BaseExpression, node_id: str) -> None:
        if isinstance(value, cst.Name) and value.value in self.bound:
            made = self.bound[value.value]
            for name in names:
                self._bind(name, made)
            return
        try:
            with self.evaluation.attempt():
                found = self.evaluation.value(value)
        except NotEvaluated as reason:
            self._forget_changed(value)
            for name in names:
                self._bind(name, None)
            if _may_declare(value):
                self._report(node_id, "text", f"{', '.join(names)}: {reason}")
            return
        for name in names:
            self._bind(name, None)
            self.evaluation.names[name] = found

    def _forget(self, statement: cst.CSTNode, node_id: str) -> None:
        self._forget_changed(statement)
        names = bound_names(statement)
        for name in names:
            self._bind(name, None)
        match statement:
            case cst.FunctionDef(decorators=[]) | cst.ClassDef(decorators=[]) | cst.Expr() | cst.Assert():
                return
        if not _is_for_types(statement) and (names or _may_declare(statement)):
            what = ", ".join(sorted(names)) or "a statement"
            self._report(node_id, "text", f"{what}: these statements are known only when the file runs")

    def _forget_changed(self, code: cst.CSTNode) -> None:
        """Forget the collections that code may change in place, under each of their names."""
        known = self.evaluation.names
        changed = {id(known[name]) for name in changed_names(code) if isinstance(known.get(name), list | dict)}
        for name in [name for name, value in known.items() if id(value) in changed]:
            del known[name]

    def _report_neighbour(self, line: cst.ImportFrom, node_id: str) -> None:
        """Report an import from a file beside this one, which may declare views."""
        module = dotted(line.module)
        beside = self.folder is not None and (self.folder / f"{module.partition('.')[0]}.py").is_file()
        if line.relative or beside:
            self._report(node_id, "text", f"what {module or 'a file'} declares is known only when the file runs")

    # --- parts -------------------------------------------------------------------------------------------------------

    def _make(self, node: Node) -> Any:
        """The object of a node, or None if it has a problem."""
        if node.id not in self.made:
            self.made[node.id] = self._made(node)
        return self.made[node.id]

    def _made(self, node: Node) -> Any:
        part = self.source.parts[node.id]
        if node.kind == "code" or part.type is None:
            self._report(node.id, "text", "this element is known only when the file runs")
            return None
        given, complete = self._arguments(node, part)
        if not complete:
            return None
        make = partial(unexecuted, node) if node.kind == "on_demand" else part.type.make
        return self._called(node, part, make, given)

    def _arguments(self, node: Node, part: Part) -> tuple[dict[str, Any], bool]:
        """The values of a node's arguments, and whether all of them are known."""
        given: dict[str, Any] = {}
        complete = True
        for argument in part.arguments:
            name = argument.field
            if name in node.links and node.kind == "view" and name in LINKS:
                linked = [self._make(self.source.graph[one]) for one in node.links[name]]
                complete = complete and not any(one is None for one in linked)
                given[name] = linked if name == "features" else linked[0]
                continue
            try:
                if name.startswith("*"):
                    raise NotEvaluated(f"`{name.rstrip('0123456789')}` is known only when the file runs")
                with self.evaluation.attempt():
                    given[name] = self.evaluation.value(argument.node.value)
            except NotEvaluated as reason:
                self._forget_changed(argument.node)
                self._report(node.id, name, str(reason))
                complete = False
        return given, complete

    def _called(self, node: Node, part: Part, make: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        try:
            require_callable(part.type, given)
            with self.evaluation.attempt():
                self.evaluation.require_moderate(given)
                made = make(**given)
                self.evaluation.spend(len(made.domain) if isinstance(made, Entity) else 0)
        except DefinitionError as error:
            self._report_definition(node, error)
        except CallRefused as error:
            self._report(node.id, error.parameter, str(error))
        except (
            NotEvaluated,
            FeatureStoreError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            OSError,
        ) as error:
            self._report(node.id, field_in(str(error), part.type), str(error))
        else:
            problem = made.problem() if isinstance(made, ViewFeature) else None
            if problem is None:
                return made
            self._report(node.id, field_in(problem, part.type), problem)
        return None

    def _report_definition(self, node: Node, error: DefinitionError) -> None:
        """A view's problem, at the part that it is about."""
        for feature_id in node.links.get("features", ()):
            made = self.made.get(feature_id)
            if error.feature is not None and getattr(made, "name", None) == error.feature:
                is_condition = isinstance(error, ExpressionRefused)
                kind = self.source.parts[feature_id].type
                self._report(feature_id, "where" if is_condition else field_in(str(error), kind), str(error))
                return
        for link in ("bounds", "privacy"):
            for part in node.links.get(link, ()):
                name = field_in(str(error), self.source.parts[part].type)
                if name:
                    self._report(part, name, str(error))
                    return
        self._report(node.id, field_in(str(error), self.source.parts[node.id].type), str(error))


def _may_declare(node: cst.CSTNode) -> bool:
    """Whether code calls what may give a view: anything but a builtin."""
    return any(not (isinstance(call.func, cst.Name) and hasattr(builtins, call.func.value)) for call in _calls_in(node))


def _calls_in(node: cst.CSTNode) -> Iterator[cst.Call]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, cst.Call):
            yield one
        waiting.extend(one.children)


def _is_for_types(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.If) and dotted(statement.test).endswith("TYPE_CHECKING")
