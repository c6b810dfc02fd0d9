"""Writes a graph into the text of a views file: only what differs from the text's own graph changes."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge

from .checked_text import check_text
from .comparison import compared
from .document import Block, Document, document_of
from .graph import Code, Graph, Literal, Node, Problem
from .imports import ANNOTATED, NUMPY, PATH, Import, with_imports
from .naming import names_of
from .on_demand_parts import function_span
from .on_demand_text import are_arguments, edited_function, first_text, imports_of, is_function, with_read_function
from .part_text import PartTexts
from .parts import ViewSource
from .scope import bound_names
from .source import parse
from .types import COVEY, LINKS, PartType, iterate_owners, part_types

_MARKS: Final = ("Feature", "Input")
_LONE_FEED: Final = re.compile(r"(?<!\r)\n")


@dataclass(frozen=True)
class Rendered:
    """A graph as the text of a views file.

    Attributes:
        ids: the id in the text's graph, by the id in the given graph.
        problems: what could not be written; the text is then as it was there.
    """

    text: str
    ids: Mapping[str, str]
    problems: tuple[Problem, ...]


def render(text: str, graph: Graph) -> Rendered:
    """Write a graph into a text.

    Nodes are those of the text's own graph by id; other ids are new nodes. The order of statements stays as it is, and a new
    one follows the last view. The order of a link's ids is the order in the file. Links that follow from fields (`sources`,
    `members`), and the `arguments` of a function that is there, are not written but through those fields.

    Raises:
        ViewSourceInvalid, ViewSourceTooLarge: the text has no graph.
    """
    source = parse(text)
    writer = _Writer(source, *_sound(source, graph))
    new = writer.text()
    try:
        after = parse(new)
    except (ViewSourceInvalid, ViewSourceTooLarge) as error:
        failed = Problem("", "", f"the graph cannot be written, so the text stays as it is: {error}")
        return Rendered(text, {node.id: node.id for node in source.graph}, (*writer.problems, failed))
    writer.problems += _still_used(source, writer.graph, after)
    ids, differing = compared(writer.graph, writer.names, after.graph)
    reported = {one.node for one in writer.problems}
    return Rendered(
        new,
        MappingProxyType(ids),
        (*writer.problems, *(one for one in differing if one.node not in reported)),
    )


def _still_used(source: ViewSource, graph: Graph, after: ViewSource) -> list[Problem]:
    """What the new text still uses by name, although the graph has taken it out."""
    gone = {one.name for one in source.graph if one.name and one.kind != "code" and one.id not in graph.by_id}
    gone -= bound_names(after.spans.module)
    lines: dict[str, int] = {}
    for one in ast.walk(ast.parse(after.text)) if gone else ():
        if isinstance(one, ast.Name) and one.id in gone:
            lines[one.id] = min(one.lineno, lines.get(one.id, one.lineno))
    return [
        Problem("", "", f"{name} is taken out, but code still uses it; change it in the text", line)
        for name, line in lines.items()
    ]


def _sound(source: ViewSource, graph: Graph) -> tuple[Graph, list[Problem]]:
    """The graph without links to nodes that it does not have, nor nodes of unknown types."""
    types, problems, nodes = part_types(), [], []
    seen: set[str] = set()
    for node in graph:
        if node.id in seen:
            problems.append(Problem(node.id, "", "two nodes have this id; give each its own"))
        elif (old := source.graph.by_id.get(node.id)) is not None and old.kind != node.kind:
            problems.append(
                Problem(
                    node.id, "", f"this node of kind {old.kind} cannot become one of kind {node.kind}; add a new one"
                )
            )
            nodes.append(old)
            seen.add(node.id)
        elif node.kind != "code" and (node.type not in types or types[node.type].kind != node.kind):
            problems.append(
                Problem(node.id, "", f"{node.type!r} is no type of a {node.kind}; choose one of the palette")
            )
        else:
            is_new = old is None or old.fields.get("function") != node.fields.get("function")
            nodes.append(with_read_function(node) if node.kind == "on_demand" and is_new else node)
            seen.add(node.id)
    kinds = {node.id: node.kind for node in nodes}
    for i, node in enumerate(nodes):
        if node.kind != "view":
            continue
        for name, ids in node.links.items():
            right = tuple(
                one
                for one in ids
                if kinds.get(one) == LINKS.get(name) or (name == "features" and kinds.get(one) == "code")
            )
            if right != tuple(ids):
                problems.append(
                    Problem(node.id, name, f"{name} joins what is no {LINKS.get(name, 'part')} of this graph")
                )
                nodes[i] = nodes[i].with_link(name, right)
    return Graph(tuple(nodes)), problems


class _Writer:
    """Writes one graph into one text."""

    def __init__(self, source: ViewSource, graph: Graph, problems: list[Problem]) -> None:
        self.source, self.graph, self.problems = source, graph, problems
        self.types = part_types()
        self.needs: set[Import] = set()
        self.names = names_of(source, graph, problems)
        self.parts = PartTexts(source, graph, self.types, self.names, self._spelling, problems)
        self.owners: dict[str, list[str]] = {}
        for owner, linked in iterate_owners(graph):
            self.owners.setdefault(linked, []).append(owner)

    def text(self) -> str:
        """The new text."""
        spans = self.source.spans
        document = document_of(
            spans.text, [(one.node, one.span) for one in self.source.statements], spans.module.default_newline
        )
        blocks = {block.node: block for block in document.blocks}
        for statement in self.source.statements:
            if statement.node not in self.graph.by_id or self._is_inlined(self.graph[statement.node]):
                document.remove(statement.node)
            else:
                block = blocks[statement.node]
                block.text = self._statement_text(statement.node, statement.span)
                if not block.text.strip():
                    document.remove(statement.node)
        self._add_statements(document)
        self._report_loose()
        self._need_path()
        text = self.source.outer.before + document.text() + self.source.outer.after
        if spans.module.default_newline == "\r\n" and not _LONE_FEED.search(spans.text):
            text = _LONE_FEED.sub("\r\n", text)  # texts of a browser end lines with a line feed
        if text == self.source.text or not self.needs:
            return text
        try:
            return with_imports(text, self.needs)
        except (ViewSourceInvalid, ViewSourceTooLarge):
            return text  # `render` finds the same error

    def _need_path(self) -> None:
        """Import `Path` for a new file of join keys, unless the file has the name already."""
        by_id = self.source.graph.by_id
        given = [(node.fields.get("domain"), by_id.get(node.id)) for node in self.graph if node.kind == "entity"]
        new = [domain for domain, old in given if old is None or old.fields.get("domain") != domain]
        if any(isinstance(domain, Code) and domain.text.startswith("Path(") for domain in new) and (
            PATH.name not in bound_names(self.source.spans.module)
        ):
            self.needs.add(PATH)

    # --- statements that are there -----------------------------------------------------------------------------------

    def _statement_text(self, node_id: str, span: tuple[int, int]) -> str:
        spans, part = self.source.spans, self.source.parts[node_id]
        node, old = self.graph[node_id], self.source.graph[node_id]
        if node.kind == "code":
            return self._code_text(node, old, span)
        assert part.call is not None
        start, end = part.span
        head, tail = spans.text[span[0] : start], spans.text[end : span[1]]
        if part.function is not None:
            begin, _ = function_span(part.function, spans)
            function = edited_function(old, node, self.names[node_id], self.problems)
            tail = (
                spans.text[end:begin]
                + function
                + spans.text[span[1] - _trailing(spans.text[begin : span[1]]) : span[1]]
            )
        elif self.names[node_id] != old.name:
            at = head.rfind(old.name, 0, _name_end(head))
            head = head[:at] + self.names[node_id] + head[at + len(old.name) :]
        return head + self.parts.call_text(node_id) + tail

    def _code_text(self, node: Node, old: Node, span: tuple[int, int]) -> str:
        was, given = old.fields["text"], node.fields.get("text")
        text = self.source.spans.text[span[0] : span[1]]
        if given == was or not isinstance(given, Code):
            return text
        try:
            check_text(given.text)
        except (ViewSourceInvalid, ViewSourceTooLarge) as error:
            self.problems.append(Problem(node.id, "text", f"this code cannot be written: {error}"))
            return text
        end = text[len(text.rstrip("\r\n")) :]
        return given.text.rstrip("\r\n") + end if given.text.strip() else ""

    # --- new statements ----------------------------------------------------------------------------------------------

    def _add_statements(self, document: Document) -> None:
        there = {block.node for block in document.blocks}
        views = [one.node for one in self.source.statements if self._kind(one.node) == "view" and one.node in there]
        last = document.place_of(views[-1]) + 1 if views else len(document.blocks)
        new = [node for node in self.graph if node.id not in there and self._is_statement(node)]
        for kinds in (("view",), ("entity", "feature", "bounds", "privacy"), ("on_demand", "service", "code")):
            for node in new:
                if node.kind not in kinds:
                    continue
                block = Block(node.id, "", self._new_statement(node), 2 if node.kind == "on_demand" else 1)
                if node.kind == "view":
                    document.insert(last, block)
                    last += 1
                elif node.kind in LINKS.values():
                    places, end = document.places(), len(document.blocks)
                    owners = self.owners.get(node.id, ())
                    document.insert(min((places.get(one, end) for one in owners), default=last), block)
                else:
                    document.insert(len(document.blocks), block)
        self._order_parts(document)

    def _order_parts(self, document: Document) -> None:
        """Move parts up that a view above them uses."""
        places = document.places()
        for node in self.graph:
            if node.id in self.names and node.kind in LINKS.values() and node.id in places:
                first = min((places[one] for one in self.owners.get(node.id, ()) if one in places), default=len(places))
                if first >= places[node.id]:
                    continue
                if any(isinstance(value, Code) for value in node.fields.values()):
                    name = self.names[node.id]
                    message = f"{name} uses other names and stands below a view that uses it; move it up as text"
                    self.problems.append(Problem(node.id, "", message))
                else:
                    document.move(node.id, first)
                    places = document.places()

    def _new_statement(self, node: Node) -> str:
        newline = self.source.spans.module.default_newline
        if node.kind == "code":
            given = node.fields.get("text")
            text = given.text.strip("\r\n") if isinstance(given, Code) else ""
            try:
                check_text(text)
            except (ViewSourceInvalid, ViewSourceTooLarge) as error:
                self.problems.append(Problem(node.id, "text", f"this code cannot be written: {error}"))
                return ""
            return text + newline if text else ""
        name = self.names[node.id]
        if node.kind == "on_demand":
            return (f"@{self.parts.call_text(node.id)}\n" + self._new_function(node, name)).replace(
                "\n", newline
            ) + newline
        column = len(name) + 3
        return f"{name} = {self.parts.call_text(node.id, '', column)}".replace("\n", newline) + newline

    def _new_function(self, node: Node, name: str) -> str:
        given = node.fields.get("function")
        if isinstance(given, Code):
            if is_function(given.text):
                self.needs |= imports_of(given.text)
                return given.text.strip()
            self.problems.append(Problem(node.id, "function", "this is not one function of Python; correct its text"))
        self.needs |= {ANNOTATED, NUMPY}
        marks = {mark: self._covey_name(mark) for mark in _MARKS}
        arguments = node.fields.get("arguments")
        listed = arguments.value if isinstance(arguments, Literal) else []
        if not are_arguments(listed):
            self.problems.append(Problem(node.id, "arguments", "each argument needs a name, and `feature` or `input`"))
            listed = []
        return first_text(name, listed, marks)

    def _spelling(self, kind: PartType) -> str:
        scope = self.source.scopes[-1]
        found = scope.spelling(kind)
        if found is None:
            self.needs.add(Import(kind.home, kind.name))
        return found or kind.name

    def _covey_name(self, name: str) -> str:
        package = self.source.scopes[-1].package()
        if package is not None:
            return f"{package}.{name}"
        self.needs.add(Import(COVEY, name))
        return name

    def _is_statement(self, node: Node) -> bool:
        return node.id in self.names or (node.kind == "code" and node.id not in self.owners)

    def _is_inlined(self, node: Node) -> bool:
        """Whether a statement that is there becomes a part inside its view."""
        return node.kind != "code" and node.id not in self.names

    def _kind(self, node_id: str) -> str:
        return self.source.graph[node_id].kind

    def _report_loose(self) -> None:
        for node in self.graph:
            if node.id not in self.names and node.kind != "code" and node.id not in self.owners:
                self.problems.append(
                    Problem(node.id, "", f"no view uses this {node.kind}, so it is not in the file; join it to a view")
                )


def _name_end(head: str) -> int:
    """The end of the name in the text before a call: `name = ` or `name: Type = `."""
    last_line = head[max(head.rfind("\n"), head.rfind("\r")) + 1 :]
    start = len(head) - len(last_line)
    ends = [i for i in (last_line.find(":"), last_line.find("=")) if i >= 0]
    return start + min(ends)


def _trailing(text: str) -> int:
    return len(text) - len(text.rstrip())
