"""The lineage of a store as a table and as JSON. Names of models and texts of lineages may come from somebody else."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from deployment.lineage.graph import LineageGraph

from .output import Output, printable
from .tables import Cell, Table


def print_lineage(graph: LineageGraph, out: Output) -> None:
    """Print one line for each part: its kind, its name, what it is made from, and what can be said of it."""
    names = {node.id: node.name for node in graph.nodes}
    table = Table("kind", "name", "made from", "facts")
    for node in graph.nodes:
        made_from = [names[edge.source] for edge in graph.edges if edge.target == node.id]
        facts = {fact.name: fact.value for fact in node.facts} | ({"problem": node.problem} if node.problem else {})
        table.add_row(
            node.kind.replace("_", "-"),
            printable(node.name),
            Cell("\n".join(map(printable, made_from)) or "–", made_from),
            Cell("\n".join(printable(f"{name}: {value}") for name, value in facts.items()) or "–", facts),
        )
    out.table(table)


def lineage_to_json(graph: LineageGraph) -> dict[str, Any]:
    """Nodes and edges, by id."""
    return asdict(graph)
