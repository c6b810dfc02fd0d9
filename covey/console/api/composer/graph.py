"""The graph of a views file as the page has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import FailFast, Field, JsonValue

from covey.console.api.form import Form
from deployment.view_source import graph as source

MAX_NODES: Final = 5_000
MAX_TEXT: Final = 1_000_000
"""Characters of a views file, and so of each text in it."""

Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT)]
Name: TypeAlias = Annotated[str, Field(max_length=1_000)]


class LiteralField(Form):
    """A value that the file writes out."""

    kind: Literal["literal"]
    value: JsonValue


class CodeField(Form):
    """An expression that the page shows as text."""

    kind: Literal["code"]
    text: Text


GraphField: TypeAlias = Annotated[LiteralField | CodeField, Field(discriminator="kind")]


class GraphNode(Form):
    """A part of a views file; see `deployment.view_source.graph.Node`."""

    id: Name
    kind: Literal["view", "entity", "feature", "bounds", "privacy", "on_demand", "service", "code"]
    type: Name
    name: Name
    fields: dict[Name, GraphField]
    links: dict[Name, Annotated[tuple[Name, ...], Field(max_length=MAX_NODES), FailFast()]]
    lines: tuple[int, int]


class Graph(Form):
    """A views file as a graph."""

    nodes: Annotated[tuple[GraphNode, ...], Field(max_length=MAX_NODES), FailFast()]

    def read(self) -> source.Graph:
        """The graph that `render` takes."""
        return source.Graph(
            tuple(
                source.Node(
                    node.id,
                    node.kind,
                    node.type,
                    node.name,
                    {name: _read(value) for name, value in node.fields.items()},
                    dict(node.links),
                    node.lines,
                )
                for node in self.nodes
            )
        )


class GraphProblem(Form):
    """What is wrong with a node or one of its fields; of the whole file if `node` is empty. `line` 0: unknown."""

    node: str
    field: str
    message: str
    line: int


def graph_of(graph: source.Graph) -> Graph:
    """A graph for the page."""
    return Graph(
        nodes=tuple(
            GraphNode(
                id=node.id,
                kind=node.kind,
                type=node.type,
                name=node.name,
                fields={name: _shown(value) for name, value in node.fields.items()},
                links={name: tuple(ids) for name, ids in node.links.items()},
                lines=node.lines,
            )
            for node in graph.nodes
        )
    )


def problems_of(problems: Iterable[source.Problem]) -> tuple[GraphProblem, ...]:
    """Problems for the page."""
    return tuple(GraphProblem(node=one.node, field=one.field, message=one.message, line=one.line) for one in problems)


def _read(value: LiteralField | CodeField) -> source.Field:
    match value:
        case LiteralField():
            return source.Literal(value.value)
        case CodeField():
            return source.Code(value.text)


def _shown(value: source.Field) -> LiteralField | CodeField:
    match value:
        case source.Literal():
            return LiteralField(kind="literal", value=value.value)
        case source.Code():
            return CodeField(kind="code", text=value.text)
