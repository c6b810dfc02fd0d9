"""Reads a views file as a graph. What is not in the shape of a node stays code, so that no text is ever lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import libcst as cst

from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge

from .checked_text import check_text
from .graph import Code, Field, Graph, Kind, Node
from .on_demand_parts import fields_of_function
from .parts import Argument, Outer, Part, Statement, ViewSource
from .references import with_derived_links
from .scope import PartName, Scope, is_import
from .spans import Span, Spans
from .types import LINKS, PartType, part_types
from .values import field_of

MAX_NODES: Final = 5_000
BOM: Final = "\ufeff"
_END_SPACES: Final = re.compile(r"(?<=\n)[ \t]*\Z|\Z")


@lru_cache(maxsize=3)
def parse(text: str) -> ViewSource:
    """Read a views file; its text is not executed.

    The last texts are kept read, because an edit reads the same text again. The largest takes 200 MB.

    Args:
        text: as decoded, with its own ends of lines.

    Raises:
        ViewSourceInvalid: the text is no Python.
        ViewSourceTooLarge: it has too many bytes, or too many nodes.
    """
    body = text.removeprefix(BOM)
    check_text(body)
    outer = Outer(text[: len(text) - len(body)], _END_SPACES.search(body)[0])  # type: ignore[index]
    body = body[: len(body) - len(outer.after)]
    try:
        spans = Spans.of(cst.parse_module(body))
    except cst.ParserSyntaxError as error:
        raise ViewSourceInvalid(max(error.raw_line, 1), max(error.raw_column, 0) + 1, error.message) from None
    except RecursionError:
        raise ViewSourceInvalid(1, 1, "the text nests too deeply") from None
    if spans.text != body:
        return _all_code(text, outer, body)
    return _Reader(spans, Scope(part_types(), {})).read(text, outer)


def _all_code(text: str, outer: Outer, body: str) -> ViewSource:
    """A text that libcst does not write as it was, such as one whose lines end with a carriage return: it stays code."""
    spans, span, scope = Spans.of_nothing(body), (0, len(body)), Scope(part_types(), {})
    node = Node("code-0", "code", fields={"text": Code(body)}, lines=spans.lines(span))
    part, statement = Part(None, None, span), Statement(node.id, span, ())
    return ViewSource(text, outer, Graph((node,)), spans, {node.id: part}, (statement,), (scope, scope))


@dataclass(eq=False)
class _Reader:
    """Reads the statements of a module one after the other."""

    spans: Spans
    scope: Scope
    nodes: list[Node] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    bound: Counter[str] = field(default_factory=Counter)
    run: list[cst.SimpleStatementLine | cst.BaseCompoundStatement] = field(default_factory=list)

    def read(self, text: str, outer: Outer) -> ViewSource:
        for statement in self.spans.module.body:
            if not self._read_part(statement):
                if self.run and is_import(self.run[-1]) != is_import(statement):
                    self._end_run()
                self._begin_run()
                self.run.append(statement)
                self.scope = self.scope.after(statement)
        self._end_run()
        graph = Graph(tuple(with_derived_links(self.nodes)))
        return ViewSource(
            text, outer, graph, self.spans, self.parts, tuple(self.statements), (*self.scopes, self.scope)
        )

    def _begin_run(self) -> None:
        if not self.run:
            self.scopes.append(self.scope)

    def _end_run(self) -> None:
        """Make one node of the statements since the last node that are code."""
        if not self.run:
            return
        begin, _ = self._lines_of(self.run[0])
        _, end = self._lines_of(self.run[-1])
        node_id = f"code-{self.bound['']}"
        self.bound[""] += 1
        span = (begin, end)
        code = self.spans.text[begin:end].rstrip("\r\n")
        self._add(Node(node_id, "code", fields={"text": Code(code)}), Part(None, None, span), span)
        self.statements.append(Statement(node_id, span, tuple(self.run)))
        self.run = []

    def _read_part(self, statement: cst.SimpleStatementLine | cst.BaseCompoundStatement) -> bool:
        """Whether the statement is a node; it is then read."""
        match statement:
            case cst.SimpleStatementLine(
                body=[
                    cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=cst.Call() as call)
                    | cst.AnnAssign(target=cst.Name(value=name), value=cst.Call() as call)
                ]
            ):
                function = None
            case cst.FunctionDef(
                name=cst.Name(value=name), decorators=[cst.Decorator(decorator=cst.Call() as call)], asynchronous=None
            ):
                function = statement
            case _:
                return False
        kind = self.scope.type_of(call.func)
        if kind is None or (kind.kind == "on_demand") != (function is not None):
            return False
        arguments = _arguments(call, kind)
        if arguments is None:
            return False
        self._end_run()
        self.scopes.append(self.scope)
        span = self._lines_of(statement)
        self.bound[name] += 1
        node_id = name if self.bound[name] == 1 else f"{name}~{self.bound[name]}"
        self._read_call(node_id, name, kind, call, arguments, span, function)
        self.statements.append(Statement(node_id, span, (statement,)))
        self.scope = self.scope.binding(name, PartName(node_id))
        return True

    def _read_call(
        self,
        node_id: str,
        name: str,
        kind: PartType,
        call: cst.Call,
        arguments: Sequence[tuple[str, cst.Arg]],
        lines: Span,
        function: cst.FunctionDef | None = None,
    ) -> None:
        at = len(self.nodes)  # the owner comes before what stands inside it
        fields: dict[str, Field] = {}
        links: dict[str, tuple[str, ...]] = {}
        read: list[Argument] = []
        for parameter, argument in arguments:
            elements = None
            if kind.kind == "view" and parameter in LINKS:
                linked, elements = self._read_link(node_id, parameter, argument.value)
                if linked is not None:
                    links[parameter] = linked
                    read.append(Argument(parameter, argument, elements))
                    continue
            value = field_of(argument.value, self.spans)
            fields[parameter] = Code(self.spans.code(argument.value)) if argument.star else value
            read.append(Argument(parameter, argument))
        if function is not None:
            fields |= fields_of_function(function, self.spans, self.scope)
        node = Node(node_id, kind.kind, kind.name, name, fields, links)
        part = Part(kind, call, self.spans.inner(call), tuple(read), function)
        self._add(node, part, lines, at)

    def _read_link(
        self, owner: str, parameter: str, value: cst.BaseExpression
    ) -> tuple[tuple[str, ...] | None, tuple[tuple[str, cst.BaseElement], ...] | None]:
        """The nodes of a parameter; None if it is code."""
        kind = LINKS[parameter]
        if parameter != "features":
            linked = self._read_linked(f"{owner}.{parameter}", kind, value)
            return (None if linked is None else (linked,)), None
        if not isinstance(value, cst.List | cst.Tuple):
            return None, None
        elements: list[tuple[str, cst.BaseElement]] = []
        for i, element in enumerate(value.elements):
            node_id = f"{owner}.{parameter}.{i}"
            found = self._read_linked(node_id, kind, element.value) if isinstance(element, cst.Element) else None
            if found is None:
                span = self.spans.inner(element)
                start, end = span
                text = Code(self.spans.text[start:end])
                self._add(Node(node_id, "code", fields={"text": text}), Part(None, None, span), span)
            elements.append((found or node_id, element))
        return tuple(one for one, _ in elements), tuple(elements)

    def _read_linked(self, node_id: str, kind: Kind, value: cst.BaseExpression) -> str | None:
        """The node of an expression: one that has a name, or one that is written here."""
        named = self.scope.node_of(value)
        if named is not None:
            type_of_named = self.parts[named].type
            return named if type_of_named is not None and type_of_named.kind == kind else None
        called = self.scope.type_of(value.func) if isinstance(value, cst.Call) else None
        if not isinstance(value, cst.Call) or called is None or called.kind != kind:
            return None
        arguments = _arguments(value, called)
        if arguments is None:
            return None
        self._read_call(node_id, "", called, value, arguments, self.spans.whole(value))
        return node_id

    def _add(self, node: Node, part: Part, span: Span, at: int | None = None) -> None:
        placed = Node(node.id, node.kind, node.type, node.name, node.fields, node.links, self.spans.lines(span))
        self.nodes.insert(len(self.nodes) if at is None else at, placed)
        self.parts[node.id] = part
        if len(self.nodes) > MAX_NODES:
            raise ViewSourceTooLarge("parts", len(self.nodes), MAX_NODES)

    def _lines_of(self, statement: cst.SimpleStatementLine | cst.BaseCompoundStatement) -> Span:
        """The lines of a statement, with the comments directly above it."""
        start, end = self.spans.whole(statement)
        begin = start
        for line in reversed(statement.leading_lines):
            if line.comment is None:
                begin = self.spans.whole(line)[1]
                break
        return max(start, begin), end


def _arguments(call: cst.Call, kind: PartType) -> tuple[tuple[str, cst.Arg], ...] | None:
    """The arguments of a call by parameter; None if it could not be called so."""
    found = dict(_by_parameter(call, kind))
    return tuple((name, found[name]) for name in found) if len(found) == len(call.args) else None


def _by_parameter(call: cst.Call, kind: PartType) -> Iterator[tuple[str, cst.Arg]]:
    """Parameters and arguments; a parameter that is given twice, or that does not exist, comes out twice or not at all."""
    unpacked = False
    for i, argument in enumerate(call.args):
        if argument.star:
            unpacked = unpacked or argument.star == "*"
            yield (
                f"{argument.star}{i}" if any(a.star == argument.star for a in call.args[:i]) else argument.star,
                argument,
            )
        elif argument.keyword is not None:
            yield argument.keyword.value, argument
        elif not unpacked and i < len(kind.positional):
            yield kind.positional[i], argument
