"""A views file that was read: its graph, and where each node stands in its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import libcst as cst

from .graph import Graph
from .scope import Scope
from .spans import Span, Spans
from .types import PartType


@dataclass(frozen=True, eq=False)
class Argument:
    """An argument of a node's call.

    Attributes:
        field: the parameter; `*` or `**` for an unpacked one, with a number if there are several.
        elements: of a list of nodes, their ids with their places in the file.
    """

    field: str
    node: cst.Arg
    elements: tuple[tuple[str, cst.BaseElement], ...] | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """Where a node stands in the file.

    Attributes:
        call: of its class, or of its decorator; None for code.
        span: what an edit may replace: of a call, or of an element or of statements that are code.
    """

    type: PartType | None
    call: cst.Call | None
    span: Span
    arguments: tuple[Argument, ...] = ()
    function: cst.FunctionDef | None = None


@dataclass(frozen=True, eq=False)
class Statement:
    """The statements of one node at the level of the module.

    Attributes:
        span: whole lines, with the comments that stand directly above.
        nodes: one, or several that are code.
    """

    node: str
    span: Span
    nodes: tuple[cst.SimpleStatementLine | cst.BaseCompoundStatement, ...]


@dataclass(frozen=True)
class Outer:
    """What stands around the part of a text that libcst writes as it was.

    Attributes:
        before: a byte order mark, or nothing; after: spaces on a last line without an end.
    """

    before: str
    after: str


@dataclass(frozen=True, eq=False)
class ViewSource:
    """A views file: its text, its graph, and where each node stands.

    Attributes:
        spans: of the text without `outer`.
        scopes: the names before each statement of `statements`, and after the last one.
    """

    text: str
    outer: Outer
    graph: Graph
    spans: Spans
    parts: Mapping[str, Part]
    statements: tuple[Statement, ...]
    scopes: tuple[Scope, ...]
