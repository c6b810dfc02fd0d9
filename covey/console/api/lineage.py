"""Lineage: from a source over views, plans and releases to services and models."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Self

from fastapi import APIRouter, Query

from covey.console.commands import command
from covey.console.console import Console, EventSource
from deployment.lineage.graph import Edge, LineageGraph, Node, NodeKind, lineage_of

from .form import Form


class LineageFact(Form):
    """Something about a part."""

    name: str
    value: str


class LineageNode(Form):
    """A part: a source, a view, a plan, the releases of a view, an on-demand view, a service or a model."""

    id: str
    kind: NodeKind
    name: str
    facts: list[LineageFact]
    problem: str | None

    @classmethod
    def of(cls, node: Node) -> Self:
        """A node of the graph."""
        facts = [LineageFact(name=fact.name, value=fact.value) for fact in node.facts]
        return cls(id=node.id, kind=node.kind, name=node.name, facts=facts, problem=node.problem)


class LineageEdge(Form):
    """`target` was made from `source`. `what`: the columns or features that went into it."""

    source: str
    target: str
    what: list[str]

    @classmethod
    def of(cls, edge: Edge) -> Self:
        """An edge of the graph."""
        return cls(source=edge.source, target=edge.target, what=list(edge.what))


class Emission(Form):
    """What was sent to a collector of OpenLineage events. `problem`: why the last attempt failed; null: it did not."""

    url: str
    sent: int
    problem: str | None


class Lineage(Form):
    """The graph, and the commands that print it and send it. `emission`: null: the console sends no events."""

    nodes: list[LineageNode]
    edges: list[LineageEdge]
    command: str
    openlineage_command: str
    emission: Emission | None

    @classmethod
    def of(cls, graph: LineageGraph, console: Console) -> Self:
        """The graph of the console's store."""
        words = ["lineage", "--store", str(console.directory)]
        if console.inputs.trust_views and console.inputs.views_file is not None:
            words += ["--views", str(console.inputs.views_file)]  # its on-demand views are in the graph
        state = None if console.lineage is None else console.lineage.state
        return cls(
            nodes=list(map(LineageNode.of, graph.nodes)),
            edges=list(map(LineageEdge.of, graph.edges)),
            command=command("covey", *words),
            openlineage_command=command("covey", *words, "--openlineage", "URL"),
            emission=None if state is None else Emission(url=state.url, sent=state.sent, problem=state.problem),
        )


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/lineage", tags=["lineage"])

    @routes.get("", operation_id="showLineage")
    def lineage(
        part: Annotated[str | None, Query(max_length=200, description="A view, service or model; default: all")] = None,
    ) -> Lineage:
        """Where values come from and go to."""
        graph = lineage_of(console.store, _name_of(console.inputs.source))
        if part is not None:
            graph = graph.around(graph.find(part).id)
        return Lineage.of(graph, console)

    return routes


def _name_of(source: EventSource | None) -> str | None:
    """The last part of a path or URL: the rest may have a password."""
    return None if source is None else PurePath(source.path.partition("?")[0]).name or None
